"""clusterd as a systemd service in two containers: what is told in containers.sh, which runs this in namespaces of its own."""
import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lab"))

from machine import BRIDGE, Loop, Machine, cgroup_mounts  # noqa: E402
from probe import Probe, expect  # noqa: E402
from tools import LabError, remove_cgroup, run, start_time, wait_for  # noqa: E402

BASE = "/var/tmp"
PREFIX = "clusterd-system-"
NODES = ("alpha", "beta")
NET = "10.79.0"
ADDRESS, CLIENT = f"{NET}.100", f"{NET}.9"
LONGEST_GAP = 250.0  # ms without an answer: up to here "the service goes on", on a machine that is busy with other things

CLUSTER = f"""<cluster name="system" version="1">
  <node name="alpha"> <link address="{NET}.1"/> </node>
  <node name="beta">  <link address="{NET}.2"/> </node>
  <quorum disk="/dev/quorum"/>
  <timing profile="default"/>
  <group name="web" preferred="alpha" failback="never">
    <ip-address name="web-ip" address="{ADDRESS}/24" interface="host0"/>
    <process name="web-server" command="/usr/sbin/nginx -e stderr -p /var/lib/web/ -c nginx.conf" stop-signal="QUIT" stop-timeout="3s"
             ready="tcp:80" depends="web-ip">
      <health type="http" url="http://{ADDRESS}/" every="1s" timeout="1s" failures="2"/>
    </process>
  </group>
</cluster>
"""


def nginx_conf(node):
    temporary = "".join(f"  {kind}_temp_path /var/lib/web/tmp;\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""daemon off;
user root;
worker_processes 1;
pid /var/lib/web/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_timeout 0;
  default_type text/plain;
{temporary}  server {{ listen 80 backlog=1024; location / {{ return 200 "{node}\\n"; }} }}
}}
"""


class World:
    cluster = CLUSTER

    def __init__(self, bin_dir):
        self.bin_dir = os.path.abspath(bin_dir)
        self.run_name = f"{PREFIX}{os.getpid()}"
        self.base = os.path.join(BASE, self.run_name)
        self.nodes, self.loops, self.probes = {}, [], []

    def __getitem__(self, name):
        return self.nodes[name]

    def other(self, name):
        return NODES[1 - NODES.index(name)]

    def up(self):
        os.mkdir(self.base, mode=0o700)
        # An overlay's upper layer must not be on the lower one's filesystem.
        run(["mount", "-t", "tmpfs", "-o", "mode=755", self.run_name, self.base])
        run(["ip", "-batch", "-"], input=f"link set lo up\nlink add {BRIDGE} address 02:79:00:00:00:fe type bridge mcast_snooping 0\n"
            f"address add {CLIENT}/24 dev {BRIDGE}\nlink set {BRIDGE} up\n")
        stage = self._install()
        image = os.path.join(self.base, "quorum.img")
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        key = os.path.join(self.base, "key")
        run([os.path.join(stage, "usr/sbin/clusterctl"), "key", "new", key])
        for number, name in enumerate(NODES, 1):
            self.loops.append(Loop(image))
            node = self.nodes[name] = Machine(self.base, self.run_name, name, number, self.loops[-1].device)
            node.make_disk()
            run(["cp", "-a", stage + "/.", node.root])
            node.write("/etc/clusterd/cluster.xml", self.cluster)
            if name == "alpha":  # beta is called as its machine is, by the unit's own default
                node.write("/etc/default/clusterd", "NODE=alpha\n")
            with open(key) as file:
                node.write("/etc/clusterd/key", file.read(), 0o600)
            node.write("/var/lib/web/nginx.conf", nginx_conf(name))
            os.mkdir(node.root + "/var/lib/web/tmp")

    def _install(self):
        build = os.path.dirname(self.bin_dir)
        if not os.path.exists(os.path.join(build, "cmake_install.cmake")):
            raise LabError(f"{build} is not a build tree: give --bin DIR, the bin/ of one (cmake --preset release && ninja -C build/release)")
        stage = os.path.join(self.base, "stage")
        run(["cmake", "--install", build, "--prefix", "/usr"], env={"DESTDIR": stage})
        return stage

    def down(self):
        clean = True
        for probe in self.probes:
            probe.end()
        for node in self.nodes.values():
            clean = node.down() and clean
        for loop in self.loops:
            loop.close()
        run(["ip", "link", "delete", BRIDGE], check=False)  # another world may follow in this namespace
        for node in self.nodes.values():
            run(["umount", "-l", node.root], check=False)
        if os.path.ismount(self.base):
            run(["umount", "-l", self.base], check=False)
        try:
            os.rmdir(self.base)
        except FileNotFoundError:
            pass
        except OSError as error:
            print(f"{self.base} can't be removed: {error}", file=sys.stderr)
            clean = False
        return clean


def remove_leftovers():
    """Of runs that were killed: everything else of theirs ended with them."""
    for directory in [BASE, *cgroup_mounts()]:
        for name in os.listdir(directory):
            owner = name[len(PREFIX):].split("-")[0] if name.startswith(PREFIX) else ""
            if owner.isdigit() and start_time(owner) is None:
                path = os.path.join(directory, name)
                if directory == BASE:
                    os.rmdir(path)  # its tmpfs was in their mount namespace
                else:
                    remove_cgroup(path)


def say(text):
    print(f"   {text}", flush=True)


# ---- what is looked at more than once

def settled(world, owner=None):
    """Both nodes see both nodes up, the disk healthy (slow is what a busy machine's disk is), and the group online on that owner (None: any, but
    the same). The owner."""
    def look():
        wanted_owner = owner or (world["alpha"].status() or {"groups": [{"owner": None}]})["groups"][0]["owner"]
        for node in world.nodes.values():
            status = node.status()
            if not status:
                raise LabError(f"{node.name} gives no status")
            group = status["groups"][0]
            seen = {"nodes": [each["state"] for each in status["nodes"]], "quorum": status["quorum"]["state"].replace("slow", "ok"), "group": group["state"],
                    "owner": group["owner"], "resources": [each["state"] for each in group["resources"]]}
            links = [link["state"] for each in status["nodes"] for link in each["links"]]
            wanted = {"nodes": ["up", "up"], "quorum": "ok", "group": "online", "owner": wanted_owner, "resources": ["online"] * len(group["resources"])}
            if seen != wanted or "down" in links or not status["leader"]:
                raise LabError(f"{node.name} sees {seen}, links {links}, leader {status['leader']}")
        return wanted_owner
    owner = wait_for(f"all to be well with the group on {owner or 'a node'}", look, limit=60, every=0.1)
    expect(world[owner].has_address(ADDRESS) and not world[world.other(owner)].has_address(ADDRESS), f"the address on {owner} only", "not so")
    return owner


def served_all_along(result, while_what):
    expect(result["lost"] == 0 and result["blackout_ms"] < LONGEST_GAP, f"no lost request {while_what}", result)
    say(f"client: {result['requests']} requests, {result['lost']} lost, longest gap {result['blackout_ms']} ms")


def moved(result):
    say(f"client: {result['requests']} requests, {result['lost']} lost, blackout {result['blackout_ms']} ms")


def nothing_left(node, pids):
    wait_for(f"{node.name}: the unit's cgroup to be empty", lambda: not node.in_unit(), limit=20)
    left = [pid for pid in pids if node.run(["test", "-d", f"/proc/{pid}"], check=False).returncode == 0]
    expect(not left, "none of the processes that were", left)
    expect(not node.has_address(ADDRESS), "no address", "it is still there")


def wait_active(node):
    wait_for(f"{node.name}: the unit to be active", lambda: node.unit("SubState") == {"SubState": "running"}, limit=60, every=0.1)


# ---- the steps, in this order: each begins where the last one ended

def start(world):
    for node in world.nodes.values():
        node.boot()
    verify = world["alpha"].run(["systemd-analyze", "verify", "--man=no", "clusterd.service"])
    expect(verify.stdout + verify.stderr == "", "systemd-analyze verify to be silent", verify.stdout + verify.stderr)
    world["alpha"].run(["clusterctl", "quorum", "init", "/dev/quorum", "--cluster", "system"])
    for node in world.nodes.values():
        node.systemctl("enable", "-q", "clusterd")
        began = time.monotonic()
        node.systemctl("start", "clusterd")  # returns at READY=1
        took = time.monotonic() - began
        unit = node.unit("ActiveState", "SubState", "Type", "NotifyAccess", "WatchdogUSec", "MainPID", "NRestarts", "StatusText")
        say(f"{node.name}: " + " ".join(f"{name}={value}" for name, value in sorted(unit.items())) + f" (systemctl start: {took:.2f} s)")
        expect(unit["ActiveState"] == "active" and unit["SubState"] == "running" and unit["Type"] == "notify", "active (running), Type=notify", unit)
        expect(node.status() is not None, "the socket answers when systemctl start returns", "no answer")
    settled(world, "alpha")
    grants = ("not locked", "can't be locked", "real-time", "no cgroups", "subreaper", "address gate")
    lacking = [each["MESSAGE"] for each in world["alpha"].journal_objects() if any(word in each["MESSAGE"] for word in grants)]
    expect(not lacking, "no warning: root under systemd lacks nothing", lacking)
    probe = Probe(world, ADDRESS)
    probe.wait_served("alpha")
    probe.stop()
    print(world["alpha"].run(["clusterctl", "status"]).stdout.rstrip())
    programs = ("clusterd", "clusterd-worker", "cluster-agent", "nginx")
    where = {each: world["alpha"].cgroup_of(world["alpha"].pids(each)[0]) for each in programs}
    for program, path in where.items():
        say(f"{program} runs in {path}")
    expect(all(each.startswith("/system.slice/clusterd.service") for each in where.values()) and where["nginx"].endswith("/res-web-server"),
           "each resource in a cgroup of its own below the unit's", where)
    for program in ("clusterd", "clusterd-worker", "nginx"):
        pid = world["alpha"].pids(program)[0]
        policy = world["alpha"].run(["chrt", "-p", pid]).stdout.splitlines()[0].split(": ")[1]
        say(f"{program}: {policy}, oom_score_adj {world['alpha'].run(['cat', f'/proc/{pid}/oom_score_adj']).stdout.strip()}")


def reload(world):
    node = world["alpha"]
    main, worker, nginx, hosts = node.main_pid(), node.pids("clusterd-worker"), node.pids("nginx"), node.pids("cluster-agent")
    probe = Probe(world, ADDRESS)
    node.systemctl("reload", "clusterd")
    wait_for("a new worker", lambda: (node.pids("clusterd-worker") or worker) != worker)
    wait_active(node)
    settled(world, "alpha")
    served_all_along(probe.watch(3).stop(), "during systemctl reload")
    expect(node.main_pid() == main, f"main pid {main} as before", node.main_pid())
    expect(node.pids("nginx") == nginx, f"nginx {nginx} as before", node.pids("nginx"))
    expect(node.pids("cluster-agent") == hosts, f"agent hosts {hosts} as before", node.pids("cluster-agent"))
    expect("re-executed as" in node.journal(), "the journal says that it was re-executed", node.journal("-n", "20"))
    say(f"main pid {main} -> {node.main_pid()}, worker {worker} -> {node.pids('clusterd-worker')}, agent hosts {hosts} and nginx {nginx} untouched; "
        f"{node.unit('ActiveState', 'NRestarts')}")


def kill_worker(world):
    node = world["alpha"]
    main, worker, nginx = node.main_pid(), node.pids("clusterd-worker"), node.pids("nginx")
    probe = Probe(world, ADDRESS)
    node.signal(worker[0], signal.SIGKILL)
    wait_for("a new worker", lambda: (node.pids("clusterd-worker") or worker) != worker)
    settled(world, "alpha")
    served_all_along(probe.watch(3).stop(), "when the worker is killed")
    now = (node.main_pid(), node.pids("nginx"), node.unit("NRestarts")["NRestarts"])
    expect(now == (main, nginx, "0"), "guard and nginx as before, no restart of the unit", now)
    say(f"worker {worker} -> {node.pids('clusterd-worker')}, main pid {main} and nginx {nginx} untouched")


def journal(world):
    for node in world.nodes.values():
        entries = node.journal_objects()
        events = [each for each in entries if "CLUSTER_EVENT" in each]
        expect(events, "journalctl -u clusterd -o json has events with CLUSTER_EVENT", entries[-3:])
        complete = all(each.get("CLUSTER_NODE") and each["_SYSTEMD_UNIT"] == "clusterd.service" for each in events)
        expect(complete, "each with its node and unit", events[:3])
        guard = [each for each in entries if str(each.get("MESSAGE", "")).startswith("guard: ")]
        expect(all("<" not in each["MESSAGE"][:2] for each in guard), "the guard's lines without their priority prefix", guard[:3])
        say(f"{node.name}: {len(entries)} entries, {len(events)} of them events, {len(guard)} of the guard")
    fields = ("PRIORITY", "SYSLOG_IDENTIFIER", "CLUSTER_EVENT", "CLUSTER_NODE", "CLUSTER_GROUP", "CLUSTER_RESOURCE", "MESSAGE")
    of_group = [each for each in world["alpha"].journal_objects() if each.get("CLUSTER_GROUP") == "web"]
    expect(of_group, "events with the group they are about", "none")
    say(json.dumps({name: of_group[0].get(name) for name in fields}))


def stop_active(world):
    node = world["alpha"]
    pids = [int(each.split()[0]) for each in node.in_unit()]
    failures = len([each for each in node.journal_objects() if each.get("PRIORITY", "6") in "0123"])
    before = len(world["beta"].journal_objects())
    probe = Probe(world, ADDRESS)
    began = time.monotonic()
    node.systemctl("stop", "clusterd")
    took = time.monotonic() - began
    probe.wait_served("beta")
    moved(probe.stop())
    unit = node.unit("ActiveState", "Result", "ExecMainCode", "ExecMainStatus")
    say(f"alpha: {unit} after {took:.2f} s")
    expect(unit == {"ActiveState": "inactive", "Result": "success", "ExecMainCode": "1", "ExecMainStatus": "0"}, "a clean end (exited, 0)", unit)
    nothing_left(node, pids)
    new_failures = [each["MESSAGE"] for each in node.journal_objects() if each.get("PRIORITY", "6") in "0123"][failures:]
    expect(not new_failures, "a stop without errors in the journal", new_failures)
    status = world["beta"].status()
    expect(status["groups"][0]["owner"] == "beta" and status["groups"][0]["state"] == "online", "the group online on beta", status["groups"][0])
    moved_away(world, "alpha", before)
    say("last words: " + " | ".join(node.journal("-n", "4", "-o", "cat").splitlines()))


def moved_away(world, gone, before):
    """The group was handed over by the node that leaves; the other one didn't find it dead. before: entries of the other's journal."""
    said = [each["MESSAGE"] for each in world[gone].journal_objects() if each.get("CLUSTER_GROUP") == "web"]
    expect(any(f"it moves from {gone} to" in each for each in said[-2:]), f"{gone} hands the group over", said[-2:])
    taken = [each["MESSAGE"] for each in world[world.other(gone)].journal_objects()[before:] if "takes over" in str(each["MESSAGE"])]
    expect(not taken, "a move, no failover", taken)


def refused_start(world):
    """A start that is refused fails, says why, and is tried again until what was wrong is put right."""
    node = world["alpha"]
    node.run(["chmod", "0644", "/etc/clusterd/key"])
    done = node.systemctl("start", "clusterd", check=False)
    expect(done.returncode != 0, "systemctl start to fail", done)
    wait_for("the unit to be started again", lambda: int(node.unit("NRestarts")["NRestarts"]) >= 2, limit=30)
    why = [each["MESSAGE"] for each in node.journal_objects() if "has mode 0644" in str(each["MESSAGE"])]
    expect(why, "the journal says why", node.journal("-n", "20"))
    say(why[0])


def start_again(world):
    probe = Probe(world, ADDRESS)
    world["alpha"].run(["chmod", "0600", "/etc/clusterd/key"])  # systemd starts it by itself
    wait_active(world["alpha"])
    settled(world, "beta")
    served_all_along(probe.watch(3).stop(), "when the other node joins")


def power_cut(world):
    probe = Probe(world, ADDRESS)
    world["beta"].power_cut()
    probe.wait_served("alpha")
    moved(probe.stop())
    world["beta"].boot()  # the unit is enabled: it starts by itself
    wait_active(world["beta"])
    settled(world, "alpha")
    say("beta is on again and has joined by itself")


def shut_down(world):
    """An orderly shutdown of the active machine: the group moves away while there still is a network."""
    before = len(world["beta"].journal_objects())
    probe = Probe(world, ADDRESS)
    began = time.monotonic()
    world["alpha"].power_off()
    say(f"alpha: off after {time.monotonic() - began:.1f} s")
    probe.wait_served("beta")
    moved(probe.stop())
    world["alpha"].boot()
    wait_active(world["alpha"])
    settled(world, "beta")
    moved_away(world, "alpha", before)


def lose_guard(world, node, how, limit):
    """The guard of the active node is lost; systemd ends the rest of the unit and starts it anew."""
    main, restarts = node.main_pid(), int(node.unit("NRestarts")["NRestarts"])
    pids = [int(each.split()[0]) for each in node.in_unit()]
    probe = Probe(world, ADDRESS)
    began = time.monotonic()
    node.signal(main, how)
    wait_for("systemd to restart the unit", lambda: int(node.unit("NRestarts")["NRestarts"]) > restarts, limit=limit)
    say(f"restarted by systemd after {time.monotonic() - began:.1f} s")
    left = [pid for pid in pids if node.run(["test", "-d", f"/proc/{pid}"], check=False).returncode == 0]
    expect(not left, "none of the processes that were", [node.run(["ps", "-fp", str(pid)], check=False).stdout for pid in left])
    wait_for("the client to see it", lambda: any(each["event"] == "silent" for each in probe.history()))
    wait_active(node)
    probe.wait_served()
    owner = settled(world)
    moved(probe.stop())
    expect(node.main_pid() != main and int(node.unit("NRestarts")["NRestarts"]) == restarts + 1, "one restart", node.unit("MainPID", "NRestarts"))
    expect(owner == world.other(node.name), "the other node took over", owner)
    say(f"main pid {main} -> {node.main_pid()}; all {len(pids)} old processes gone; the group is on {owner}")
    wanted = ("watchdog", "Main process exited", "Killing process", "Failed with result", "swept", "Scheduled restart")
    lines = [str(each["MESSAGE"]) for each in node.journal_objects()]
    for each in [line for line in lines if any(word.lower() in line.lower() for word in wanted)][-8:]:
        say("journal: " + each)


def hung_guard(world):
    lose_guard(world, world["beta"], signal.SIGSTOP, limit=60)
    expect("watchdog timeout" in world["beta"].journal().lower(), "systemd says that the watchdog was missed", world["beta"].journal("-n", "20"))


def killed_guard(world):
    lose_guard(world, world[settled(world)], signal.SIGKILL, limit=30)


def stop_both(world):
    for node in world.nodes.values():
        pids = [int(each.split()[0]) for each in node.in_unit()]
        began = time.monotonic()
        node.systemctl("stop", "clusterd")
        unit = node.unit("ActiveState", "Result", "ExecMainCode", "ExecMainStatus")
        say(f"{node.name}: {unit} after {time.monotonic() - began:.2f} s")
        expect(unit == {"ActiveState": "inactive", "Result": "success", "ExecMainCode": "1", "ExecMainStatus": "0"}, "a clean end (exited, 0)", unit)
        nothing_left(node, pids)


STEPS = [
    ("systemctl start in both", start),
    ("systemctl reload of the active node", reload),
    ("kill -9 of its worker", kill_worker),
    ("the journal", journal),
    ("systemctl stop of the active node", stop_active),
    ("systemctl start that is refused", refused_start),
    ("what was wrong is put right: it joins", start_again),
    ("power cut of the active node", power_cut),
    ("orderly shutdown of the active node", shut_down),
    ("SIGSTOP of the active node's guard: the watchdog", hung_guard),
    ("kill -9 of the active node's guard", killed_guard),
    ("systemctl stop in both, one after the other", stop_both),
]


def save_logs(world, directory):
    os.makedirs(directory, exist_ok=True)
    for node in world.nodes.values():
        if node.on():
            with open(os.path.join(directory, f"{node.name}-journal.log"), "w") as file:
                file.write(node.run(["journalctl", "--no-pager", "-o", "short-precise"], check=False).stdout)
            with open(os.path.join(directory, f"{node.name}-status.log"), "w") as file:
                for arguments in (["clusterctl", "status"], ["systemctl", "status", "--no-pager", "clusterd"], ["ip", "address"]):
                    done = node.run(arguments, check=False)
                    file.write(f"$ {' '.join(arguments)}\n{done.stdout}{done.stderr}\n")
        if os.path.exists(node.console):
            shutil.copy(node.console, os.path.join(directory, f"{node.name}-console.log"))
    print(f"   the nodes' journals are in {directory}", file=sys.stderr)


def play(world, steps, logs):
    began = time.monotonic()
    title = "setting up"
    try:
        world.up()
        for title, step in steps:
            print(f"== {title}  ({time.monotonic() - began:.0f} s)", flush=True)
            step(world)
    except Exception as error:
        print(f"FAILED: {title}: {error}", file=sys.stderr, flush=True)
        if not isinstance(error, LabError):
            import traceback
            traceback.print_exc()
        save_logs(world, logs or tempfile.mkdtemp(prefix=PREFIX + "logs-", dir="/tmp"))
        return 1
    print(f"== all seen ({time.monotonic() - began:.0f} s)")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="containers.sh", description="clusterd as a systemd service in two containers")
    parser.add_argument("--bin", default=os.path.join(HERE, "../../build/release/bin"))
    parser.add_argument("--logs")
    parser.add_argument("--services", action="store_true", help="resources that are systemd units (services.py), not clusterd's own unit")
    parser.add_argument("--fileserver", action="store_true", help="shares of Samba and nfs-ganesha (fileserver.py)")
    parser.add_argument("--example", action="append", default=[], metavar="NAME", help="an example of config/examples with the software it is about (examples.py)")
    parser.add_argument("--examples", action="store_true", help="all of them, one after the other")
    options = parser.parse_args()

    def ended(number, _):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, ended)
    remove_leftovers()
    if options.example or options.examples:
        import examples
        names = options.example or list(examples.EXAMPLES)
        unknown = [name for name in names if name not in examples.EXAMPLES]
        if unknown:
            parser.error(f"no example {unknown[0]}; there are {', '.join(examples.EXAMPLES)}")
        return max(in_a_world(examples.ExampleWorld(options.bin, name), examples.STEPS, options.logs) for name in names)
    world, steps = World(options.bin), STEPS
    if options.services:
        import services
        world, steps = services.ServiceWorld(options.bin), services.STEPS
    if options.fileserver:
        import fileserver
        world, steps = fileserver.FileWorld(options.bin), fileserver.STEPS
    return in_a_world(world, steps, options.logs)


def in_a_world(world, steps, logs):
    result = 1
    try:
        result = play(world, steps, logs)
    finally:
        if not world.down():
            print("FAILED: something is left of the containers", file=sys.stderr)
            result = 1
    return result


if __name__ == "__main__":
    sys.exit(main())
