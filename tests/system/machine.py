"""A machine with systemd: a container (systemd-nspawn) over an overlay of this machine's own files. Made by containers.py, which runs in
a mount and a network namespace of its own, so that overlays, bridge and cables are gone when it is, however it ends."""
import fcntl
import json
import os
import signal
import subprocess
import uuid

from tools import LabError, alive, children, dies_with_us, end_process, environment, identity, remove_cgroup, run, wait_for

BRIDGE = "br0"
LOOP_CLR_FD = 0x4C01


def cgroup_mounts():
    """Where a container gets cgroups of its own: cgroup2, and systemd's own hierarchy on machines that have cgroup v1, too."""
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, right = line.split(" - ")
            kind, _, options = right.split()[:3]
            if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
                found.append(left.split()[4])
    return found


class Loop:
    """A loop device that goes away by itself when nothing has it open any more, even if we are killed."""

    def __init__(self, image):
        self.device = run(["losetup", "--find", "--show", image]).stdout.strip()
        self.fd = os.open(self.device, os.O_RDWR | os.O_CLOEXEC)
        second = os.open(self.device, os.O_RDWR | os.O_CLOEXEC)  # cleared at once where only one has it open, else at the last close
        fcntl.ioctl(second, LOOP_CLR_FD)
        os.close(second)

    def close(self):
        os.close(self.fd)


class Machine:
    def __init__(self, base, run_name, name, number, quorum):
        self.name, self.number, self.quorum = name, number, quorum
        self.directory = os.path.join(base, name)
        self.root = os.path.join(self.directory, "root")
        self.console = os.path.join(self.directory, "console.log")
        self.machine = f"{run_name}-{name}"
        self.mac = f"02:79:00:00:00:{number:02x}"
        self.address = f"10.79.0.{number}"
        self.cgroups = [os.path.join(mount, self.machine) for mount in cgroup_mounts()]
        self.nspawn = self.init = None
        self.devices = {"/dev/quorum": quorum}  # what it sees: this machine's device

    # ---- its disk

    def make_disk(self):
        """The overlay: all of this machine's files, without what its services are and where it mounts what."""
        for each in ("up", "work", "root"):
            os.makedirs(os.path.join(self.directory, each))
        run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={self.directory}/up,workdir={self.directory}/work", self.root])
        self.write("/etc/machine-id", uuid.uuid4().hex + "\n")
        self.write("/etc/fstab", "")
        self.write("/etc/hostname", self.name + "\n")
        system = os.path.join(self.root, "etc/systemd/system")
        for directory in os.listdir(system):
            if directory.endswith((".wants", ".requires")):
                self._empty(os.path.join(system, directory))
        for level in range(7):
            self._empty(os.path.join(self.root, f"etc/rc{level}.d"))
        # Nothing but clusterd has an address on the service net; the cable is the container's own.
        self.write("/etc/systemd/network/10-host0.network", f"[Match]\nName=host0\n\n[Link]\nMACAddress={self.mac}\nRequiredForOnline=yes\n\n"
                   f"[Network]\nAddress={self.address}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n")
        run(["systemctl", "--root", self.root, "enable", "systemd-networkd.service"])

    @staticmethod
    def _empty(directory):
        for name in os.listdir(directory) if os.path.isdir(directory) else []:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                os.unlink(path)

    def write(self, path, text, mode=0o644):
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(text)

    # ---- on and off

    def boot(self):
        def before():
            dies_with_us()
            for each in self.cgroups:
                with open(os.path.join(each, "cgroup.procs"), "w") as file:
                    file.write("0")
        for each in self.cgroups:
            os.makedirs(each, exist_ok=True)
        with open(self.console, "a") as log:
            self.nspawn = subprocess.Popen(
                # In a pid namespace of nspawn's own: a container outlives an nspawn that is killed, and isn't to outlive us.
                ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc",
                 "systemd-nspawn", "-q", "-b", "-D", self.root, f"--machine={self.machine}", f"--hostname={self.name}",
                 "--register=no", "--keep-unit", f"--network-bridge={BRIDGE}", "--console=pipe", "--link-journal=no",
                 "--resolv-conf=off", "--timezone=off", "--capability=all",
                 "--system-call-filter=open_by_handle_at",  # what nfs-ganesha opens files with
                 *(f"--bind={there}:{here}" for here, there in self.devices.items())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=before, start_new_session=True,
                env=environment({"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}))
        self.init = identity(wait_for(f"{self.name}'s systemd", self._find_init))
        wait_for(f"{self.name} to have booted", lambda: self.run(["systemctl", "is-active", "multi-user.target"], check=False).stdout == "active\n", limit=60,
                 every=0.1)

    def _find_init(self):
        if self.nspawn.poll() is not None:
            raise LabError(f"systemd-nspawn ended ({self.nspawn.returncode}): {self.console_tail()}")
        for pid in (init for each in children(self.nspawn.pid) for init in children(each)):
            try:
                with open(f"/proc/{pid}/cmdline") as file, open(f"/proc/{pid}/status") as status:
                    if "systemd" in file.read().split("\0")[0] and [each for each in status if each.startswith("NSpid:")][0].split()[-1] == "1":
                        return pid
            except OSError:
                pass
        return None

    def console_tail(self, lines=15):
        with open(self.console, errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def on(self):
        return alive(self.init)

    def power_cut(self):
        """Every process dies in the same instant, and the network with them."""
        end_process(self.init)
        self.nspawn.wait(timeout=30)

    def power_off(self):
        """As the machine's button does: every unit is stopped first."""
        os.kill(self.init[0], signal.SIGRTMIN + 4)
        self.nspawn.wait(timeout=120)

    def down(self):
        """Off, in whatever state it is, and its cgroups gone. True: nothing is left."""
        end_process(self.init)
        if self.nspawn:
            try:
                self.nspawn.wait(timeout=10)  # ends with the container
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait(timeout=30)
        try:
            wait_for(f"{self.name}'s cgroups to be empty", lambda: all([remove_cgroup(each) for each in self.cgroups]), limit=15)
            return True
        except LabError:
            return False

    # ---- in it

    def run(self, arguments, **options):
        if not self.on():
            raise LabError(f"{self.name} is off")
        return run(["nsenter", "-t", self.init[0], "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", "env", "-i", "LANG=C.UTF-8",
                    "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *arguments], **options)

    def systemctl(self, *arguments, **options):
        return self.run(["systemctl", *arguments], **options)

    def unit(self, *properties):
        """`systemctl show` of the unit, as a dictionary."""
        shown = self.systemctl("show", "clusterd.service", "-p", ",".join(properties)).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def main_pid(self):
        return int(self.unit("MainPID")["MainPID"])

    def pids(self, *names):
        """By the container's own numbers, of programs by name."""
        return sorted(int(each) for name in names for each in self.run(["pidof", name], check=False).stdout.split())

    def cgroup_of(self, pid):
        lines = self.run(["cat", f"/proc/{pid}/cgroup"]).stdout.splitlines()
        return next(line[3:] for line in lines if line.startswith("0::"))

    def in_unit(self):
        """Everything that runs in the unit's cgroup, as "pid name"."""
        return self.run(["sh", "-c", "cat $(find /sys/fs/cgroup/system.slice/clusterd.service -name cgroup.procs 2>/dev/null) /dev/null | "
                                     "while read p; do echo $p $(cat /proc/$p/comm); done"]).stdout.splitlines()

    def has_address(self, address):
        listed = json.loads(self.run(["ip", "-j", "address", "show", "dev", "host0"]).stdout)
        return any(each.get("local") == address for item in listed for each in item.get("addr_info", []))

    def signal(self, pid, number):
        self.run(["kill", f"-{signal.Signals(number).name[3:]}", pid])

    def status(self):
        done = self.run(["clusterctl", "--json", "status"], check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def journal(self, *arguments):
        return self.run(["journalctl", "-u", "clusterd", "--no-pager", *arguments], check=False).stdout

    def journal_objects(self):
        return [json.loads(line) for line in self.journal("-o", "json").splitlines()]
