"""The lab's world: a switch, two nodes, a client and a quorum disk with faults, all in namespaces. Nothing of it is outside them but
a directory (Lab.base), a cgroup per node, and loop devices where they are asked for; when the process that made a world ends,
its processes and namespaces end with it (PDEATHSIG), and `lab.py clean` takes away the rest. Called by lab.py and runner.py."""
import itertools
import json
import os
import shutil
import signal
import subprocess
import time

import config
from client import Client
from node import Node
from tools import (LabError, alive, cgroup2_mount, dies_with_us, end_process, environment, identity, namespace, remove_cgroup, run, start_time,
                   wait_for)

BASE = os.environ.get("CLUSTERD_LAB_DIR", "/tmp")
PREFIX = "clusterd-lab-"
_numbers = itertools.count(1)


class Lab:
    def __init__(self, bin_dir, *, disk="fault", keep=False, xml=None, id=None):
        """disk: fault (FUSE, faults per node), loop (a loop device per node on it), file (plain), none. keep: outlives this process."""
        self.id = id or f"{os.getpid()}-{next(_numbers)}"
        self.base = os.path.join(BASE, PREFIX + self.id)
        self.bin_dir = os.path.abspath(bin_dir)
        self.disk_kind, self.keep = disk, keep
        self.xml = xml if xml is not None else config.cluster_xml(quorum=disk != "none")
        self.cgroup_root = self._writable_cgroup()
        self.hub = self.client_holder = self.disk_process = None
        self.loops = {}
        self.faults = []  # nft rules of the switch
        self.ready = False
        self.running = False      # a pair runs in it: the next scenario may go on from that
        self.baseline = None      # file descriptors at the pair's first start (audit.py)
        self.nodes = {name: Node(self, name, number) for number, name in enumerate(config.NODES, 1)}
        self.client = Client(self)
        self._started = []  # of this process; reaped when it looks

    def __getitem__(self, name):
        return self.nodes[name]

    @staticmethod
    def _writable_cgroup():
        mount = cgroup2_mount()
        return mount if mount and os.access(mount, os.W_OK) and os.access(os.path.join(mount, "cgroup.procs"), os.W_OK) else None

    # ---- kept between calls of lab.py

    def save(self):
        if not os.path.isdir(self.base):
            return
        state = {"id": self.id, "owner": identity(os.getpid()), "keep": self.keep, "bin": self.bin_dir, "disk": self.disk_kind, "hub": self.hub,
                 "client": self.client_holder, "disk_process": self.disk_process, "loops": self.loops, "faults": self.faults, "ready": self.ready,
                 "nodes": {name: node.state() for name, node in self.nodes.items()}}
        path = os.path.join(self.base, "lab.json")
        with open(path + ".new", "w") as file:
            json.dump(state, file, indent=1)
        os.rename(path + ".new", path)

    @classmethod
    def load(cls, base):
        try:
            with open(os.path.join(base, "lab.json")) as file:
                state = json.load(file)
        except (OSError, ValueError):
            state = None
        lab = cls(state["bin"] if state else ".", disk=state["disk"] if state else "none", keep=True, id=os.path.basename(base)[len(PREFIX):])
        lab.base, lab.owner = base, state["owner"] if state else None
        for each in lab.nodes.values():
            each.directory = os.path.join(base, each.name)
        if state:
            lab.keep, lab.hub, lab.client_holder, lab.disk_process = state["keep"], state["hub"], state["client"], state["disk_process"]
            lab.loops, lab.faults, lab.ready = state["loops"], state["faults"], state["ready"]
            for name, node_state in state["nodes"].items():
                lab.nodes[name].load(node_state)
        return lab

    def program(self, name):
        path = os.path.join(self.bin_dir, name)
        if not os.access(path, os.X_OK):
            raise LabError(f"{path} is missing: build it (cmake --preset release && ninja -C build/release)")
        return path

    # ---- processes that hold namespaces

    def start_holder(self, arguments, remember, preexec=None):
        def before():
            if not self.keep:
                dies_with_us()
            if preexec:
                preexec()
        with open(os.path.join(self.base, "holders.log"), "a") as log:
            process = subprocess.Popen([str(each) for each in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=before,
                                       start_new_session=True, env=environment())
        self.reap_later(process)
        remember(identity(process.pid))
        self.save()

    def reap_later(self, process):
        self._started = [each for each in self._started if each.poll() is None] + [process]

    def _hold(self, attribute, options):
        self.start_holder(["unshare", *options, "sleep", "infinity"], lambda who: setattr(self, attribute, who))
        holder = getattr(self, attribute)
        wait_for("a new namespace", lambda: namespace(holder[0], "net") not in (None, namespace("self", "net")) and
                 os.path.basename(os.readlink(f"/proc/{holder[0]}/exe")) == "sleep", limit=10, every=0.002)

    # ---- up and down

    def up(self):
        """The world without clusterd: machines on, cables in, disk there."""
        os.makedirs(self.base, mode=0o755)
        self.save()
        self._hold("hub", ["--net", "--mount", "--propagation", "private"])
        self._make_disk()
        self.ip("".join(f"link add {net} type bridge mcast_snooping 0\nlink set {net} up\n" for net in ("service", "heartbeat")) + "link set lo up\n")
        self._hold("client_holder", ["--net"])
        self.ip(f"link add client0 type veth peer name eth0 address {config.mac(config.CLIENT_HOST)} netns {self.client_holder[0]}\n"
                "link set client0 master service up\n")
        self.client.setup()
        for node in self.nodes.values():
            node.prepare()
        self.write_config(self.xml)
        for node in self.nodes.values():
            node.boot()
        return self

    def prepare_cluster(self):
        """A key and an initialised quorum disk, as an operator would make them."""
        first = self.nodes[config.NODES[0]]
        key = os.path.join(self.base, "key")
        run([self.program("clusterctl"), "key", "new", key])
        for node in self.nodes.values():
            shutil.copy(key, os.path.join(node.directory, "key"))
            os.chmod(os.path.join(node.directory, "key"), 0o600)
        if self.disk_kind != "none":
            first.ctl("quorum", "init", "/run/quorum", "--cluster", "lab", check=True)
        self.ready = True
        self.save()

    def write_config(self, xml):
        for node in self.nodes.values():
            with open(os.path.join(node.directory, "cluster.xml"), "w") as file:
                file.write(xml)

    def down(self, keep_logs_in=None):
        """Ends and removes all of it, in whatever state it is. True: nothing is left."""
        holders = [self.hub, self.client_holder] + [node.holder for node in self.nodes.values()]
        inits = [each for node in self.nodes.values() for each in (node.init, node.entered)]
        end_process(self.disk_process)  # what hangs on the disk fails now, and can be killed
        for who in inits + holders:
            end_process(who)

        def gone():
            for process in self._started:
                process.poll()
            return not any(alive(who) for who in inits + holders + [self.disk_process])
        for process in self._started:
            end_process(identity(process.pid))
        try:
            wait_for("the lab's processes to end", gone, limit=20)
        except LabError:
            pass
        clean = gone()
        for device in self.loops.values():
            run(["losetup", "-d", device], check=False)
        for node in self.nodes.values():
            clean = self._without_cgroup(node) and clean
        if keep_logs_in and os.path.isdir(self.base):
            self.copy_logs(keep_logs_in)
        shutil.rmtree(self.base, ignore_errors=True)
        return clean and not os.path.exists(self.base)

    def _without_cgroup(self, node):
        path = node.cgroup or (os.path.join(self.cgroup_root, f"clusterd-lab-{self.id}-{node.name}") if self.cgroup_root else None)
        try:
            return wait_for("an empty cgroup", lambda: remove_cgroup(path), limit=10)
        except LabError:
            return False

    def copy_logs(self, to):
        shutil.rmtree(to, ignore_errors=True)
        os.makedirs(to)
        for directory, _, files in os.walk(self.base):
            for name in files:
                path = os.path.join(directory, name)
                if name.endswith((".log", ".json", ".jsonl", ".xml", ".conf")) and os.path.isfile(path):
                    shutil.copy(path, os.path.join(to, os.path.relpath(path, self.base).replace("/", "_")))

    # ---- the quorum disk

    def _make_disk(self):
        if self.disk_kind == "none":
            return
        image = os.path.join(self.base, "disk.img")
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        if self.disk_kind == "file":
            return
        mountpoint = os.path.join(self.base, "disk")
        os.mkdir(mountpoint)
        self.start_holder(["nsenter", "-t", self.hub[0], "-m", "--", self.program("lab-faultdisk"), mountpoint, image, *config.NODES, "data"],
                          lambda who: setattr(self, "disk_process", who))
        wait_for("the quorum disk with faults", lambda: os.path.exists(self._control()) or self._disk_ended(), limit=10)
        if self.disk_kind == "loop":
            for name in config.NODES:
                view = f"/proc/{self.hub[0]}/root{mountpoint}/{name}"
                self.loops[name] = run(["nsenter", "-t", self.hub[0], "-m", "--", "losetup", "--find", "--show", "--direct-io=on",
                                        view.split("/root", 1)[1]]).stdout.strip()
                self.save()

    def _disk_ended(self):
        if not alive(self.disk_process):
            with open(os.path.join(self.base, "holders.log")) as log:
                raise LabError(f"lab-faultdisk ended: {log.read().strip()}")
        return False

    def _control(self):
        return f"/proc/{self.hub[0]}/root{self.base}/disk/control"

    def disk_path(self, node):
        if self.disk_kind == "none":
            return None
        return self.loops.get(node.name) or os.path.join(self.base, "disk.img" if self.disk_kind == "file" else f"disk/{node.name}")

    def data_path(self):
        """A file on a disk of its own, as every node sees it."""
        return os.path.join(self.base, "disk/data")

    def data_device(self):
        """A block device on it, one for all nodes."""
        if "data" not in self.loops:
            self.loops["data"] = run(["nsenter", "-t", self.hub[0], "-m", "--", "losetup", "--find", "--show", "--direct-io=on", self.data_path()]).stdout.strip()
            self.save()
        return self.loops["data"]

    def disk(self, node, mode):
        """ok, eio, weio, reio, slow MS, hang, wlost, torn; node: a name, both, or data: what no node needs for its quorum (data_path)."""
        if self.disk_kind not in ("fault", "loop"):
            raise LabError(f"a disk of kind {self.disk_kind} has no faults")
        for name in config.NODES if node == "both" else [node]:
            with open(self._control(), "w") as file:
                file.write(f"{name} {mode}\n")

    def disk_report(self):
        with open(self._control()) as file:
            return {line.split()[0]: line.split()[1:] for line in file}

    def drop_hanging(self, name):
        """A machine without power has no I/O under way: what hangs is not done later."""
        if self.disk_kind in ("fault", "loop") and self.disk_report()[name][0] == "hang":
            self.disk(name, "eio")
            wait_for("hanging I/O to be dropped", lambda: "hanging=0" in self.disk_report()[name])
            self.disk(name, "hang")

    # ---- the switch

    def ip(self, batch):
        run(["nsenter", "-t", self.hub[0], "-n", "--", "ip", "-batch", "-"], input=batch)

    def _apply_faults(self):
        rules = "\n".join("  " + rule for rule in self.faults)
        run(["nsenter", "-t", self.hub[0], "-n", "--", "nft", "-f", "-"],
            input="add table bridge lab\ndelete table bridge lab\ntable bridge lab {\n chain faults {\n"
                  f"  type filter hook forward priority 0; policy accept;\n{rules}\n }}\n}}\n")
        self.save()

    def add_faults(self, rules):
        self.faults += rules
        self._apply_faults()

    def remove_faults(self, rules):
        self.faults = [each for each in self.faults if each not in rules]
        self._apply_faults()

    def _between(self, sender, receiver, links, verdict):
        for link in links:
            self.faults.append(f'iifname "{sender}{link}" oifname "{receiver}{link}" {verdict}')

    def cut(self, sender="alpha", receiver="beta", links=(0, 1), one_way=False):
        """Nothing from sender reaches receiver (one_way), nor back. Link 0 is eth0, the service net; 1 is eth1. The client is not cut off."""
        self._between(sender, receiver, links, "drop")
        if not one_way:
            self._between(receiver, sender, links, "drop")
        self._apply_faults()
        return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000

    def lose(self, percent, links=(0, 1)):
        """That share of all packets between the nodes, both ways."""
        for sender, receiver in (config.NODES, config.NODES[::-1]):
            self._between(sender, receiver, links, f"numgen random mod 100 < {int(percent)} drop")
        self._apply_faults()

    def heal(self):
        """All cables whole, the disk healthy."""
        self.faults = []
        self._apply_faults()
        if self.disk_kind in ("fault", "loop"):
            self.disk("both", "ok")
            self.disk("data", "ok")


# ---- worlds that are there

def all_labs():
    return [Lab.load(os.path.join(BASE, name)) for name in sorted(os.listdir(BASE)) if name.startswith(PREFIX) and os.path.isdir(os.path.join(BASE, name))]


def clean(everything=False):
    """Removes what dead labs left; everything: those that were kept, too. How many, and those that couldn't be."""
    removed, stuck = 0, []
    for lab in all_labs():
        in_use = alive(lab.owner) or (lab.owner is None and time.time() - os.stat(lab.base).st_mtime < 60)
        if (lab.keep and alive(lab.hub) and not everything) or (in_use and lab.owner and lab.owner[0] != os.getpid()):
            continue
        if lab.down():
            removed += 1
        else:
            stuck.append(lab.base)
    known = {lab.id for lab in all_labs()}
    root = cgroup2_mount()
    for name in os.listdir(root) if root else []:
        if name.startswith(PREFIX) and name[len(PREFIX):].rsplit("-", 1)[0] not in known:
            owner = name[len(PREFIX):].split("-")[0]
            if owner.isdigit() and start_time(owner) is None:
                remove_cgroup(os.path.join(root, name))
    return removed, stuck


def come_first():
    """Before what else this machine does (builds, other tests): what is measured is the cluster, not the neighbours. Nodes inherit it."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    except OSError:
        pass


def end_on_signals():
    """SIGTERM and SIGHUP end us as SIGINT does: through every finally."""
    def handler(number, _):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, handler)
