"""A file server: Debian's own Samba and nfs-ganesha in two containers, three shares on one filesystem with one address, and clients on a
third host that read during moves, faults and a power cut. Played by containers.py --fileserver; the world and the helpers are its."""
import os
import signal
import subprocess
import time

from containers import ADDRESS, NET, World, say, settled, wait_active
from fileclients import Reader, SmbSession
from machine import Loop
from probe import expect
from tools import run, wait_for

MOUNT = "/srv/files"
INCLUDE = "/run/samba/clusterd.conf"
GANESHA = ["dbus-send", "--system", "--print-reply", "--dest=org.ganesha.nfsd"]
EXPORTS = [*GANESHA, "/org/ganesha/nfsd/ExportMgr"]
CLUSTER = f"""<cluster name="system" version="1">
  <node name="alpha"> <link address="{NET}.1"/> </node>
  <node name="beta">  <link address="{NET}.2"/> </node>
  <quorum disk="/dev/quorum"/>
  <group name="files" preferred="alpha">
    <filesystem name="files-data" device="/dev/data" mount="{MOUNT}" type="ext4" protection="permit"/>
    <file-share name="docs" protocol="smb" path="{MOUNT}/docs" comment="Documents" guest="yes" options="create mask = 0660"
                depends="files-data" affects-group="no" retry-after="2s"> <restart limit="1"/> </file-share>
    <file-share name="pictures" protocol="smb" path="{MOUNT}/pictures" read-only="yes" guest="yes" depends="files-data">
      <health type="smb" address="127.0.0.1" share="pictures" every="2s" timeout="5s"/>
    </file-share>
    <file-share name="media" protocol="nfs" path="{MOUNT}/media" clients="{NET}.0/24 127.0.0.1" export-id="77" depends="files-data">
      <health type="nfs" address="127.0.0.1" every="2s" timeout="5s"/>
    </file-share>
    <ip-address name="files-ip" address="{ADDRESS}/24" interface="host0" depends="media and (docs or pictures)"/>
  </group>
  <group name="kept" preferred="alpha" start="manual">
    <file-share name="locks" protocol="nfs" path="{MOUNT}/locks" grace="yes"/>
  </group>
</cluster>
"""
# Records of clients on the shared filesystem; a grace period as short as a test wants it.
GANESHA_CONF = f"""NFS_CORE_PARAM {{ Protocols = 4; }}
NFSV4 {{ RecoveryRoot = "{MOUNT}/.ganesha"; Grace_Period = 6; Lease_Lifetime = 4; }}
"""


class FileWorld(World):
    cluster = CLUSTER

    def up(self):
        super().up()
        image = os.path.join(self.base, "data.img")
        with open(image, "wb") as file:
            file.truncate(128 << 20)
        content = os.path.join(self.base, "content")
        for name in ("docs", "pictures", "media", "locks"):
            os.makedirs(f"{content}/{name}", mode=0o755)
            os.chmod(f"{content}/{name}", 0o777)
            with open(f"{content}/{name}/hello", "w") as file:
                file.write(f"{name} says hello\n")
        for name in ("v4recov", "v4old"):  # nfs-ganesha makes them at its start, when the filesystem isn't mounted
            os.makedirs(f"{content}/.ganesha/{name}/node0")
        run(["mkfs.ext4", "-q", "-d", content, image])
        for node in self.nodes.values():
            # The shared disk: a loop device for each node over one file, or the one kernel would hide that both have it mounted.
            self.loops.append(Loop(image))
            node.devices["/dev/data"] = self.loops[-1].device
            os.makedirs(node.root + MOUNT)
            with open(node.root + "/etc/samba/smb.conf") as file:
                debian = file.read()
            node.write("/etc/samba/smb.conf", debian.replace("[global]\n", f"[global]\n   include = {INCLUDE}\n", 1))
            node.write("/etc/ganesha/ganesha.conf", GANESHA_CONF)
            run(["systemctl", "--root", node.root, "enable", "-q", "smbd.service", "nfs-ganesha.service", "rpcbind.service", "rpcbind.socket"])

    def down(self):
        for reader in Reader.all + SmbSession.all:
            reader.end()
        return super().down()


# ---- what is looked at more than once

def resource(node, name):
    return next(r for g in node.status()["groups"] for r in g["resources"] if r["name"] == name)


def told(node, name):
    """What the journal says of a resource."""
    return [str(each["MESSAGE"]) for each in node.journal_objects() if each.get("CLUSTER_RESOURCE") == name]


def wait_told(node, names, text):
    said = wait_for(f"{node.name} to say \"{text}\" of {names}", lambda: [each for name in names.split() for each in told(node, name) if text in each], limit=60, every=0.2)[-1]
    say(said)


def servers(node):
    """The main processes of Samba and nfs-ganesha."""
    return {unit: node.systemctl("show", unit, "-p", "MainPID", "--value").stdout.strip() for unit in ("smbd", "nfs-ganesha")}


def mounted(node):
    return node.run(["findmnt", "-n", MOUNT], check=False).returncode == 0


def exports(node):
    return node.run([*EXPORTS, "org.ganesha.nfsd.exportmgr.ShowExports"], check=False).stdout


def offered(node):
    """What is configured there: shares of Samba's, exports of nfs-ganesha's."""
    text = node.run(["sh", "-c", f"cat {INCLUDE} 2>/dev/null"], check=False).stdout
    found = [line[1:-1] for line in text.splitlines() if line.startswith("[") and line != "[global]"]
    return sorted(found + (["media"] if "uint16 77" in exports(node) else []))


def all_well(world, owner):
    settled(world, owner)
    other = world[world.other(owner)]
    expect(offered(world[owner]) == ["docs", "media", "pictures"], f"all shares on {owner}", offered(world[owner]))
    # What a node had before it went dark, it takes away as soon as it is itself again.
    wait_for(f"none of it on {other.name}", lambda: offered(other) == [] and not mounted(other), limit=30, every=0.1)


def without_grace(world):
    for node in world.nodes.values():
        wait_for(f"{node.name}: the end of nfs-ganesha's grace period", lambda node=node: "boolean false" in node.run(
            [*GANESHA, "/org/ganesha/nfsd/admin", "org.ganesha.nfsd.admin.get_grace"]).stdout, limit=60, every=0.2)


def readers(world):
    """Who reads while something happens. After its start nfs-ganesha lets nobody open a file for its grace period, which is not what is measured."""
    without_grace(world)
    return [Reader("smb", ADDRESS), Reader("nfs", ADDRESS), Reader("nfs-handle", ADDRESS)]


def read_again(those, what):
    for reader in those:
        reader.wait_ok()
    time.sleep(1)  # goes on reading: what is lost late must be seen, too
    for reader in those:
        result = reader.stop()
        say(f"{reader.kind:<10}  {result['reads']} reads, {result['errors']} refused or in vain, blackout {result['blackout_ms']} ms ({what})")


# ---- the steps, in this order: each begins where the last one ended

def start(world):
    for node in world.nodes.values():
        node.boot()
    for node in world.nodes.values():
        wait_for(f"{node.name}: smbd and nfs-ganesha", lambda node=node: all(pid != "0" for pid in servers(node).values()), limit=60, every=0.2)
    world["alpha"].run(["clusterctl", "quorum", "init", "/dev/quorum", "--cluster", "system"])
    for node in world.nodes.values():
        node.systemctl("enable", "-q", "--now", "clusterd")
    all_well(world, "alpha")
    print(world["alpha"].run(["clusterctl", "status"]).stdout.rstrip())
    say(world["alpha"].run(["cat", INCLUDE]).stdout.replace("\n", "\n   "))
    for reader in readers(world):
        reader.wait_ok()
        reader.stop()
    listed = run(["smbclient", "-N", "-g", "-L", ADDRESS]).stdout
    expect("Disk|docs|Documents" in listed and "Disk|pictures|" in listed, "both shares listed to a client", listed)


def agents(world):
    """The agents against the real servers, as an operator tries them."""
    node = world["beta"]

    def attempt(*words):
        done = node.run(["clusterctl", "agent", "try", *words], check=False)
        say(" ".join(words) + ": " + (done.stdout + done.stderr).strip())
        return done.stdout.split()[0] if done.stdout else done.stderr
    expect(attempt("smb", f"address={ADDRESS}") == "ok", "smb: ok", "not so")
    expect(attempt("smb", f"address={ADDRESS}", "share=docs") == "ok", "smb with a share: ok", "not so")
    expect(attempt("smb", f"address={ADDRESS}", "share=nothing") == "failed", "smb without that share: failed", "not so")
    expect(attempt("smb", f"address={NET}.2", "share=docs") == "failed", "smb on the standby: failed", "not so")
    expect(attempt("nfs", f"address={ADDRESS}") == "ok", "nfs: ok", "not so")
    expect(attempt("nfs", f"address={ADDRESS}", "version=3") == "failed", "nfs version 3, which isn't served: failed", "not so")


def move(world):
    before = {node.name: servers(node) for node in world.nodes.values()}
    for to in ("beta", "alpha"):
        those = readers(world)
        done = world["alpha"].run(["clusterctl", "move", "files", "--to", to])
        say(done.stdout.strip().splitlines()[-1])
        all_well(world, to)
        read_again(those, f"move to {to}")
    now = {node.name: servers(node) for node in world.nodes.values()}
    expect(now == before, "smbd and nfs-ganesha untouched on both nodes", (before, now))


def one_offline(world):
    """A share goes while a client reads another in a session of its own, which isn't touched."""
    node, other = world["alpha"], SmbSession(ADDRESS, "pictures")
    mine = SmbSession(ADDRESS, "docs")
    address_since = resource(node, "files-ip")["since"]
    node.run(["clusterctl", "offline", "docs"])
    expect(resource(node, "docs")["state"] == "offline" and resource(node, "pictures")["state"] == "online", "docs offline, pictures online", node.status())
    expect(resource(node, "files-ip")["since"] == address_since, "the address untouched", resource(node, "files-ip"))
    wait_for("the session of docs to have lost its share", lambda: mine.refused(), limit=30)
    node.run(["clusterctl", "online", "docs"])
    all_well(world, "alpha")
    say(f"its own client saw {mine.stop()['status']}")
    result = other.stop()
    expect(result["status"] == "" and result["reads"] > 5, "not one error in the other session", result)
    say(f"the other share's client: {result['reads']} reads in one session, no error, longest gap {result['gap_ms']} ms")


def busy(world):
    """Clients that hold files open don't hinder a move."""
    node, big = world["alpha"], f"{MOUNT}/media/big"
    node.run(["sh", "-c", f"head -c 40000000 /dev/zero >{big}; ln -f {big} {MOUNT}/docs/big"])
    before = servers(node)
    streams = [subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for arguments in
               (["smbclient", "-N", f"//{ADDRESS}/docs", "-c", "get big -"], ["nfs-cat", f"nfs://{ADDRESS}/media/big?version=4"])]
    try:
        for stream in streams:
            stream.stdout.read(1)  # and no more: the pipe is full, the file is open
        held = wait_for("both files to be open", lambda: node.run(["sh", "-c", f"ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c '{MOUNT}/.*/big'"], check=False).stdout.strip(), limit=20)
        done = node.run(["clusterctl", "move", "files", "--to", "beta"])
        say(f"{held} open files; " + done.stdout.strip().splitlines()[-1])
        all_well(world, "beta")
        expect(servers(node) == before, "smbd and nfs-ganesha untouched", (before, servers(node)))
        killed = [each for each in told(node, "files-data") if "held by" in each]
        expect(not killed, "the filesystem was free at once", killed)
    finally:
        for stream in streams:
            stream.kill()
            stream.wait()
    node.run(["clusterctl", "move", "files", "--to", "alpha"])
    all_well(world, "alpha")


def removed_by_hand(world):
    node = world["alpha"]
    reader = Reader("smb", ADDRESS)
    node.run(["sh", "-c", f"echo '[global]' >{INCLUDE} && smbcontrol smbd reload-config"])
    wait_told(node, "docs pictures", "it was removed from")  # by the first that looks: it writes the file anew for both
    all_well(world, "alpha")
    read_again([reader], "share removed by hand")


def export_vanished(world):
    node = world["alpha"]
    reader = Reader("nfs", ADDRESS)
    node.run([*EXPORTS, "org.ganesha.nfsd.exportmgr.RemoveExport", "uint16:77"])
    wait_told(node, "media", "has vanished from nfs-ganesha")
    all_well(world, "alpha")
    read_again([reader], "export vanished")


def path_missing(world):
    """A directory is gone: its share fails alone, as affects-group="no" says, and is back once the directory is."""
    node = world["alpha"]
    node.run(["mv", f"{MOUNT}/docs", f"{MOUNT}/docs.gone"])
    wait_told(node, "docs", "isn't there")
    wait_for("docs to be failed and the rest online", lambda: [resource(node, name)["state"] for name in ("docs", "pictures", "files-ip")] == ["failed", "online", "online"], limit=30)
    node.run(["mv", f"{MOUNT}/docs.gone", f"{MOUNT}/docs"])
    all_well(world, "alpha")
    node.run(["clusterctl", "reset", "files"])


def not_included(world):
    """Somebody takes the line out of smb.conf: noticed, not started there again, and the group goes where all is well."""
    node = world["alpha"]
    node.run(["sed", "-i", "/clusterd.conf/d", "/etc/samba/smb.conf"])
    wait_told(node, "pictures", "doesn't include the cluster's shares")
    all_well(world, "beta")
    node.run(["sed", "-i", f"s,^\\[global\\],[global]\\n   include = {INCLUDE},", "/etc/samba/smb.conf"])
    home(world)


def home(world):
    world["alpha"].run(["clusterctl", "reset", "files"])
    world["alpha"].run(["clusterctl", "move", "files", "--to", "alpha"])
    all_well(world, "alpha")


def smbd_killed(world):
    node = world["alpha"]
    those = readers(world)
    node.run(["kill", "-9", servers(node)["smbd"]])
    wait_told(node, "pictures", "smbd isn't running on this node")
    all_well(world, "beta")
    read_again(those, "smbd killed, its node left")
    node.systemctl("reset-failed", "smbd")
    node.systemctl("start", "smbd")
    home(world)


def smbd_restarted(world):
    """An administrator's systemctl restart smbd, as after an update, is no failure."""
    node = world["alpha"]
    before = resource(node, "pictures")["restarts_in_window"], servers(node)["smbd"]
    began = time.monotonic()
    node.systemctl("restart", "smbd")
    took = time.monotonic() - began
    expect(servers(node)["smbd"] != before[1], "another smbd", before)
    time.sleep(4)  # longer than a glance and its patience
    all_well(world, "alpha")
    restarts = resource(node, "pictures")["restarts_in_window"] - before[0]
    say(f"systemctl restart smbd took {took:.2f} s; the share was restarted {restarts} times")
    expect(restarts == 0 or took > 1, "no restart of the share where smbd was back within a second", resource(node, "pictures"))


def ganesha_killed(world):
    node = world["alpha"]
    node.run(["kill", "-9", servers(node)["nfs-ganesha"]])
    wait_told(node, "media", "nfs-ganesha isn't running on this node")
    all_well(world, "beta")
    node.systemctl("reset-failed", "nfs-ganesha", check=False)
    node.systemctl("start", "nfs-ganesha")
    home(world)


def grace(world):
    """An export with grace="yes": nfs-ganesha reads the clients' records of the shared filesystem, and refuses who isn't among them for a while."""
    node = world["alpha"]
    records = node.run(["find", f"{MOUNT}/.ganesha/v4recov", "-mindepth", "2", "-type", "d"]).stdout
    expect("Libnfs" in records, "the clients that have read are recorded on the shared filesystem", records)
    node.run(["clusterctl", "online", "kept"])
    log = node.run(["cat", "/var/log/ganesha/ganesha.log"]).stdout
    seen = [line for line in log.splitlines() if "NFS Server recovery event 3" in line or "Recovery for nodeid" in line]
    expect(len(seen) >= 2 and f"{MOUNT}/.ganesha" in seen[-1], "nfs-ganesha begins a grace period with those records", log[-2000:])
    say(seen[-1].split(" :")[-1])
    refused = run(["nfs-cat", f"nfs://{ADDRESS}/media/hello?version=4"], check=False).stderr
    expect("NFS4ERR_GRACE" in refused, "a new client isn't let in during the grace period", refused)
    say(refused.splitlines()[0])
    node.run(["clusterctl", "offline", "kept"])
    expect(f"{MOUNT}/locks" not in exports(node), "the export is gone", exports(node))


def power_cut(world):
    those = readers(world)
    world["alpha"].power_cut()
    for reader in those:
        reader.wait_ok()
    read_again(those, "power cut of alpha")
    world["alpha"].boot()
    wait_active(world["alpha"])
    all_well(world, "beta")


def found_on_the_standby(world):
    """A share that is configured on the node that has nothing to offer, as a guard that was killed leaves it: it is taken away."""
    node = world["alpha"]
    node.systemctl("stop", "clusterd")
    node.run(["sh", "-c", f"mkdir -p /run/samba/clusterd && printf '# resource docs\\n[docs]\\n\\tpath = {MOUNT}\\n' >/run/samba/clusterd/docs.conf && "
                          f"cat /run/samba/clusterd/docs.conf >{INCLUDE} && smbcontrol smbd reload-config"])
    expect(offered(node) == ["docs"], "it is offered there", offered(node))
    node.systemctl("start", "clusterd")
    wait_for("it to be taken away", lambda: offered(node) == [], limit=30, every=0.2)
    all_well(world, "beta")


def frozen_worker(world):
    """The worker is frozen: at the permit's end the guard ends who uses the filesystem, nfs-ganesha among them, and unmounts it."""
    node = world["beta"]
    worker = node.pids("clusterd-worker")[0]
    those = readers(world)
    session = SmbSession(ADDRESS, "docs")
    node.signal(worker, signal.SIGSTOP)
    wait_for("the filesystem to be unmounted", lambda: not mounted(node))
    say([str(each["MESSAGE"]) for each in node.journal_objects() if "everything has ended" in str(each["MESSAGE"])][-1])
    for reader in those:
        reader.wait_ok()
    read_again(those, "worker frozen")
    session.end()
    node.signal(worker, signal.SIGCONT)
    state = node.systemctl("is-active", "smbd", "nfs-ganesha", check=False).stdout.split()
    say(f"smbd and nfs-ganesha on beta afterwards: {' '.join(state)}")
    expect(state[0] == "active", "smbd itself goes on", state)
    node.systemctl("reset-failed", "nfs-ganesha", check=False)
    node.systemctl("start", "nfs-ganesha")
    all_well(world, "alpha")


def stop(world):
    for node in world.nodes.values():
        node.systemctl("stop", "clusterd")
        expect(offered(node) == [] and not mounted(node), f"nothing of it on {node.name}", (offered(node), mounted(node)))


STEPS = [
    ("two nodes with Samba and nfs-ganesha: three shares on one", start),
    ("the agents smb and nfs", agents),
    ("a move there and back, while clients read", move),
    ("one share offline, while a client reads another", one_offline),
    ("a move while clients have files open", busy),
    ("a share removed from Samba's configuration by hand", removed_by_hand),
    ("an export that vanished from nfs-ganesha", export_vanished),
    ("a directory that is missing", path_missing),
    ("smb.conf without the include line", not_included),
    ("kill -9 of smbd", smbd_killed),
    ("systemctl restart smbd", smbd_restarted),
    ("kill -9 of nfs-ganesha", ganesha_killed),
    ("an export with a grace period", grace),
    ("power cut of the active node", power_cut),
    ("a share found on the standby", found_on_the_standby),
    ("SIGSTOP of the worker", frozen_worker),
    ("systemctl stop in both", stop),
]
