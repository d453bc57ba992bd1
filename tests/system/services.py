"""Resources of type `service`: Debian's own nginx.service and its address as a group, in two containers with a real systemd. Played by
containers.py --services; the world, the client and the helpers are its."""
import os
import signal

from containers import ADDRESS, NET, World, moved, say, served_all_along, settled, wait_active
from machine import Loop
from probe import Probe, expect
from tools import run, wait_for

UNIT = "nginx.service"
MOUNT = "/srv/web"
CGROUP = f"/sys/fs/cgroup/system.slice/{UNIT}"
CLUSTER = f"""<cluster name="system" version="1">
  <node name="alpha"> <link address="{NET}.1"/> </node>
  <node name="beta">  <link address="{NET}.2"/> </node>
  <quorum disk="/dev/quorum"/>
  <group name="web" preferred="alpha">
    <ip-address name="web-ip" address="{ADDRESS}/24" interface="host0"/>
    <filesystem name="web-data" device="/dev/data" mount="{MOUNT}" type="ext4" options="noatime" protection="permit"/>
    <service name="web-server" unit="{UNIT}" depends="web-ip web-data">
      <health type="http" url="http://{ADDRESS}/" every="1s" timeout="1s" failures="2"/>
    </service>
  </group>
</cluster>
"""


class ServiceWorld(World):
    cluster = CLUSTER
    lines = 0  # of nginx's log, when it was last looked at

    def up(self):
        super().up()
        image = os.path.join(self.base, "data.img")
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        run(["mkfs.ext4", "-q", image])
        for node in self.nodes.values():
            # The shared disk: a loop device for each node over one file, or the one kernel would hide that both have it mounted.
            self.loops.append(Loop(image))
            node.devices["/dev/data"] = self.loops[-1].device
            os.makedirs(node.root + MOUNT)
            for name in os.listdir(node.root + "/etc/nginx/sites-enabled"):
                os.unlink(f"{node.root}/etc/nginx/sites-enabled/{name}")
            node.write("/etc/nginx/conf.d/who.conf", f'access_log {MOUNT}/access.log;\nserver {{ listen 80 default_server backlog=1024; keepalive_timeout 0; default_type text/plain; location / {{ return 200 "{node.name}\\n"; }} }}\n')
            node.write(f"/etc/systemd/system/{UNIT}.d/administrator.conf", "[Service]\nRestart=always\nRestartSec=100ms\n")  # what many units have


def in_unit(node):
    """Processes in the unit's cgroup."""
    return node.run(["sh", "-c", f"cat {CGROUP}/cgroup.procs 2>/dev/null"], check=False).stdout.split()


def mounted(node):
    return node.run(["findmnt", "-n", MOUNT], check=False).returncode == 0


def kept(world, node):
    """The log that nginx writes is on the disk, and goes on from where the other node ended it."""
    lines = int(node.run(["sh", "-c", f"wc -l <{MOUNT}/access.log"]).stdout)
    expect(lines >= world.lines, "every line that was there before the move", (world.lines, lines))
    world.lines = lines
    say(f"access.log on the shared disk: {lines} lines")


def show(node, *properties):
    shown = node.systemctl("show", UNIT, "-p", ",".join(properties)).stdout
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def resource(node):
    return next(r for r in node.status()["groups"][0]["resources"] if r["name"] == "web-server")


def start(world):
    for node in world.nodes.values():
        node.boot()
    world["alpha"].run(["clusterctl", "quorum", "init", "/dev/quorum", "--cluster", "system"])
    for node in world.nodes.values():
        node.systemctl("enable", "-q", "--now", "clusterd")
    settled(world, "alpha")
    expect(in_unit(world["alpha"]) and not in_unit(world["beta"]), "the unit runs on alpha only", "not so")
    for node in world.nodes.values():
        expect(show(node, "Restart") == {"Restart": "no"}, f"{node.name}: Restart= is the cluster's", show(node, "Restart"))
    say(f"alpha: {show(world['alpha'], 'ActiveState', 'SubState', 'Restart', 'ControlGroup')}")


def move(world):
    probe = Probe(world, ADDRESS)
    for to in ("beta", "alpha"):
        done = world["alpha"].run(["clusterctl", "move", "web", "--to", to])
        say(done.stdout.strip().splitlines()[-1])
        settled(world, to)
        other = world[world.other(to)]
        expect(mounted(world[to]) and not mounted(other), f"the filesystem mounted on {to} only", "not so")
        kept(world, world[to])
        expect(not in_unit(other) and show(other, "ActiveState")["ActiveState"] == "inactive", f"nothing of it on {other.name}", show(other, "ActiveState"))
    moved(probe.stop())


def killed(world):
    """The unit's processes die: it is back on the same node, by systemd's signal and the cluster's own restart."""
    node = world["alpha"]
    probe = Probe(world, ADDRESS)
    node.run(["sh", "-c", f"kill -9 $(cat {CGROUP}/cgroup.procs) || true"])
    wait_for("the cluster to notice", lambda: resource(node)["restarts_in_window"] == 1)
    settled(world, "alpha")
    probe.wait_served("alpha")
    moved(probe.stop())
    expect(resource(node)["restarts_in_window"] == 1, "one restart, counted by the cluster", resource(node))
    why = [each["MESSAGE"] for each in node.journal_objects() if each.get("CLUSTER_RESOURCE") == "web-server"]
    say(str(why[-1]))
    expect("signal 9" in why[-1], "the journal says what ended it", why[-1])


def stopped_by_hand(world):
    node = world["alpha"]
    node.systemctl("stop", UNIT)
    wait_for("the cluster to notice", lambda: resource(node)["restarts_in_window"] == 2)
    settled(world, "alpha")
    say("systemctl stop by somebody: " + str([each["MESSAGE"] for each in node.journal_objects() if each.get("CLUSTER_RESOURCE") == "web-server"][-1]))


def does_not_start(world):
    """A unit that is broken on one node: after its restarts the group is on the other, and status says why."""
    node = world["alpha"]
    node.run(["clusterctl", "reset", "web"])
    node.write("/etc/nginx/conf.d/broken.conf", "this is no nginx configuration;\n")
    node.run(["sh", "-c", f"kill -9 $(cat {CGROUP}/cgroup.procs) || true"])
    settled(world, "beta")
    said = [str(each["MESSAGE"]) for each in node.journal_objects() if each.get("CLUSTER_RESOURCE") == "web-server"]
    say(next(each for each in reversed(said) if "journalctl" in each))
    os.unlink(node.root + "/etc/nginx/conf.d/broken.conf")
    node.run(["clusterctl", "reset", "web"])
    node.run(["clusterctl", "move", "web", "--to", "alpha"])
    settled(world, "alpha")


def power_cut(world):
    probe = Probe(world, ADDRESS)
    world["alpha"].power_cut()
    probe.wait_served("beta")
    moved(probe.stop())
    world["alpha"].boot()
    wait_active(world["alpha"])
    settled(world, "beta")
    expect(not in_unit(world["alpha"]), "the unit doesn't run on the node that came back", in_unit(world["alpha"]))


def frozen_worker(world):
    """The worker is frozen: the guard ends the unit with the permit, though it is systemd's child and has Restart=always."""
    node = world["beta"]
    worker = node.pids("clusterd-worker")[0]
    probe = Probe(world, ADDRESS)
    node.signal(worker, signal.SIGSTOP)
    wait_for("the unit's cgroup to be empty", lambda: not in_unit(node))
    wait_for("the filesystem to be unmounted", lambda: not mounted(node))
    say([str(each["MESSAGE"]) for each in node.journal_objects() if "everything has ended" in str(each["MESSAGE"])][-1])
    probe.wait_served("alpha")
    probe.watch(1)
    expect(not in_unit(node), "systemd didn't start it again", in_unit(node))
    moved(probe.stop())
    node.signal(worker, signal.SIGCONT)
    settled(world, "alpha")


def killed_guard(world):
    """Guard and worker are killed: systemd starts clusterd anew, and its sweep ends the unit before anything is decided."""
    node = world["alpha"]
    probe = Probe(world, ADDRESS)
    old = in_unit(node)
    node.signal(node.main_pid(), signal.SIGKILL)
    wait_for("the sweep", lambda: not set(old) & set(in_unit(node)))
    probe.wait_served()
    owner = settled(world)
    moved(probe.stop())
    say(f"the group is on {owner}")
    expect(any("swept" in str(each["MESSAGE"]) for each in node.journal_objects()), "the guard says that it swept", node.journal("-n", "20"))


def reload(world):
    node = world[settled(world)]
    old = in_unit(node)
    probe = Probe(world, ADDRESS)
    node.systemctl("reload", "clusterd")
    wait_active(node)
    settled(world, node.name)
    served_all_along(probe.watch(2).stop(), "during systemctl reload")
    expect(in_unit(node) == old, "the unit untouched", in_unit(node))


def enabled_at_boot(world):
    node = world[settled(world)]
    node.systemctl("enable", "-q", UNIT)
    done = node.run(["clusterctl", "check", "/etc/clusterd/cluster.xml"])
    expect("also started at boot" in done.stderr, "check warns of a unit that is enabled at boot", done.stdout + done.stderr)
    say(done.stderr.strip().splitlines()[-1])
    node.systemctl("disable", "-q", UNIT)


def started_without_the_cluster(world):
    """The unit runs on the standby before clusterd does, as after a boot that starts it: clusterd finds it and it is ended there."""
    owner = settled(world)
    standby = next(node for node in world.nodes.values() if node.name != owner)
    standby.systemctl("stop", "clusterd")
    standby.systemctl("start", UNIT)
    expect(in_unit(standby), "the unit runs on the standby", standby.journal("-n", "20"))
    probe = Probe(world, ADDRESS)
    standby.systemctl("start", "clusterd")
    wait_for("the unit to end on the standby", lambda: not in_unit(standby))
    told = [str(each["MESSAGE"]) for each in standby.journal_objects() if "run without a permit" in str(each["MESSAGE"])]
    expect(told, "the guard says that it ended the unit", standby.journal("-n", "20"))
    say(told[-1])
    settled(world, owner)
    expect(not in_unit(standby), "the unit stays ended", in_unit(standby))
    served_all_along(probe.watch(1).stop(), "while the standby's was ended")
    standby.run(["rm", "-f", f"{MOUNT}/access.log"])


def stop(world):
    for node in world.nodes.values():
        node.systemctl("stop", "clusterd")
        expect(not in_unit(node), f"nothing of it on {node.name}", in_unit(node))


STEPS = [
    ("systemctl start in both: the unit runs on one", start),
    ("a move there and back", move),
    ("kill -9 of the unit's processes", killed),
    ("systemctl stop of the unit by hand", stopped_by_hand),
    ("a unit that doesn't start on one node", does_not_start),
    ("power cut of the active node", power_cut),
    ("SIGSTOP of the worker: the guard ends the unit", frozen_worker),
    ("kill -9 of guard and worker: swept", killed_guard),
    ("systemctl reload clusterd", reload),
    ("a unit that is enabled at boot", enabled_at_boot),
    ("a unit that was started without the cluster", started_without_the_cluster),
    ("systemctl stop in both", stop),
]
