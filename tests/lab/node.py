"""One node of the lab: a machine made of network, mount, pid and uts namespaces and a cgroup. Made by world.Lab; used by scenarios."""
import json
import os
import shlex
import signal
import subprocess

import config
from tools import LabError, alive, boot_ms, children, end_process, environment, identity, namespace, processes_in, remove_cgroup, run, signal_process, wait_for

OURS = ("clusterd", "clusterd-worker", "cluster-agent")
# PID 1 of a node: sleeps, and reaps what it inherits, because a child of who ignores SIGCHLD leaves no zombie.
INIT = "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp('sleep', ['lab-init', 'infinity'])"


class Node:
    def __init__(self, lab, name, host):
        self.lab, self.name, self.host = lab, name, host
        self.directory = os.path.join(lab.base, name)  # /run/lab in the node
        self.holder = self.init = None                 # unshare(1), and the node's PID 1, by our numbers
        self.cgroup = None
        self.mounts_at_boot = []
        self.daemon = self.entered = None              # nsenter(1) around clusterd, whose exit status is clusterd's; its number
        self.log = os.path.join(self.directory, "clusterd.log")

    # ---- saved and loaded, so that `lab.py exec` and the like work on a world that another call made

    def state(self):
        return {"holder": self.holder, "init": self.init, "entered": self.entered, "cgroup": self.cgroup, "mounts": self.mounts_at_boot}

    def load(self, state):
        self.holder, self.init, self.entered = state["holder"], state["init"], state["entered"]
        self.cgroup, self.mounts_at_boot = state["cgroup"], state["mounts"]

    def on(self):
        return alive(self.init)

    # ---- the machine

    def prepare(self):
        """What is on its own disk; lasts over power cuts."""
        for each in ("state", "nginx/tmp"):
            os.makedirs(os.path.join(self.directory, each), exist_ok=True)
        with open(os.path.join(self.directory, "nginx/nginx.conf"), "w") as file:
            file.write(config.nginx_conf(self.name))
        with open(os.path.join(self.directory, "echo.py"), "w") as file:
            file.write(config.ECHO)

    def boot(self):
        if self.on():
            raise LabError(f"{self.name} is on already")
        self._make_cgroup()
        self.lab.start_holder(["nsenter", "-t", self.lab.hub[0], "-m", "--", "unshare", "--net", "--mount", "--pid", "--uts", "--fork",
                               "--kill-child=SIGKILL", "--mount-proc", "--propagation", "private", "python3", "-c", INIT],
                              lambda who: setattr(self, "holder", who), self._enter_cgroup)
        pid = wait_for(f"{self.name}'s first process", self._find_init)
        self.init = identity(pid)
        self.lab.save()
        hub = self.lab.hub[0]
        for link, net in enumerate(("service", "heartbeat")):
            run(["nsenter", "-t", hub, "-n", "--", "ip", "-batch", "-"],
                input=f"link add {self.port(link)} type veth peer name eth{link} address {config.mac(self.host + 16 * link)} netns {pid}\n"
                      f"link set {self.port(link)} master {net} up\n")
        self.run(["sh", "-ec", self._setup()])
        self.mounts_at_boot = self.mounts()
        self.lab.save()

    def _find_init(self):
        for pid in children(self.holder[0]) if alive(self.holder) else []:
            with open(f"/proc/{pid}/cmdline") as file:
                if file.read().startswith("lab-init"):
                    return pid
        if not alive(self.holder):
            raise LabError("unshare ended: see holders.log")
        return None

    def _setup(self):
        quorum = self.lab.disk_path(self)
        lines = ["mount -t tmpfs -o mode=755 tmpfs /run", "mkdir -p /run/lab /run/clusterd", f"mount --bind {shlex.quote(self.directory)} /run/lab",
                 f"hostname {self.name}", "ip link set lo up"]
        if quorum:
            lines += [f"touch /run/quorum; mount --bind {shlex.quote(quorum)} /run/quorum"]
        for link, net in enumerate((config.SERVICE_NET, config.HEARTBEAT_NET)):
            lines += [f"ip address add {net}.{self.host}/24 dev eth{link}", f"ip link set eth{link} up"]
        lines += [f"ip address add {config.SERVICE_NET6}:{self.host}/64 dev eth0 nodad"]
        return "\n".join(lines)

    def port(self, link):
        return f"{self.name}{link}"

    def _make_cgroup(self):
        if self.lab.cgroup_root:
            self.cgroup = os.path.join(self.lab.cgroup_root, f"clusterd-lab-{self.lab.id}-{self.name}")
            remove_cgroup(self.cgroup)
            os.makedirs(self.cgroup, exist_ok=True)

    def _enter_cgroup(self):
        if self.cgroup:
            with open(os.path.join(self.cgroup, "cgroup.procs"), "w") as file:
                file.write("0")

    def power_cut(self):
        """Its cables are dead and its processes gone in the same instant, without a last word. The time of it (boot_ms).
        The packets are dropped in the switch, in one transaction: a port set down is carrier loss, which a live node still tells the other."""
        dead = [f'{direction} "{self.port(link)}" drop' for link in (0, 1) for direction in ("iifname", "oifname")]
        when = boot_ms()
        self.lab.add_faults(dead)
        end_process(self.init)
        self.lab.drop_hanging(self.name)
        wait_for(f"{self.name} to be off", lambda: not alive(self.init) and not alive(self.holder))
        # The kernel takes its time to tear a namespace down; the cables go now.
        run(["nsenter", "-t", self.lab.hub[0], "-n", "--", "ip", "-force", "-batch", "-"], check=False,
            input="".join(f"link delete {self.port(link)}\n" for link in (0, 1)))
        self.lab.remove_faults(dead)
        self.init = None
        self.lab.save()
        return when

    def power_on(self):
        self.boot()
        self.start()

    def plug(self, link, up=True):
        """The cable of one link: out means carrier loss in the node."""
        self.lab.ip(f"link set {self.port(link)} {'up' if up else 'down'}\n")

    # ---- commands in it

    def _command(self, arguments):
        if not self.on():
            raise LabError(f"{self.name} is off")
        return ["nsenter", "-t", str(self.init[0]), "-m", "-n", "-p", "-u", "--", *map(str, arguments)]

    def run(self, arguments, **options):
        return run(self._command(arguments), preexec=self._enter_cgroup, **options)

    def interactive(self, arguments):
        return subprocess.call(self._command(arguments), preexec_fn=self._enter_cgroup, env=environment({"PATH": self.lab.bin_dir + ":" + environment()["PATH"]}))

    def stream(self, arguments, each_line):
        """Runs it and hands each line of its output over at once. The exit status."""
        with subprocess.Popen(self._command(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              preexec_fn=self._enter_cgroup, env=environment()) as process:
            for line in process.stdout:
                each_line(line.rstrip("\n"))
        return process.returncode

    def ctl(self, *arguments, check=False, timeout=60):
        return self.run([self.lab.program("clusterctl"), *arguments], check=check, timeout=timeout)

    def status(self):
        """clusterctl status --json, or None where nothing answers."""
        if not self.on():
            return None
        done = self.ctl("--json", "status", timeout=30)
        if done.returncode != 0:
            return None
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise LabError(f"{self.name}: status --json is not JSON: {error}: {done.stdout[:200]}") from None

    # ---- the daemon

    def start(self, wait=True, under=()):
        """clusterd, as its unit would start it; waits until its socket answers. under: a command that executes it (env, prlimit)."""
        with open(self.log, "a") as log:
            self.daemon = subprocess.Popen(
                self._command([*under, self.lab.program("clusterd"), "--node", self.name, "--config", "/run/lab/cluster.xml", "--state-dir", "/run/lab/state",
                               "--run-dir", "/run/clusterd", "--key", "/run/lab/key", "--log-format", "text"]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self._enter_cgroup, env=environment(), start_new_session=True)
        self.entered = identity(self.daemon.pid)
        self.lab.reap_later(self.daemon)
        self.lab.save()
        if wait:
            wait_for(f"{self.name}'s clusterd to answer", self.status, every=0.05)

    def refuses_to_start(self, limit=60):
        """Starts clusterd, which must say why it doesn't: its exit status and what it said."""
        began = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.start(wait=False)
        try:
            code = self.daemon.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            self.terminate()
            raise LabError(f"{self.name}: clusterd was to refuse its start, and runs") from None
        with open(self.log, errors="replace") as log:
            log.seek(began)
            return code, log.read()

    def processes(self, *names):
        if not self.on():
            return []
        return [each for each in processes_in(namespace(self.init[0], "pid")) if each.pid != self.init[0] and (not names or each.name in names)]

    def ours(self):
        return self.processes(*OURS)

    def timing(self):
        """clusterctl show timing --json"""
        return json.loads(self.ctl("--json", "show", "timing", check=True).stdout)

    def the(self, name):
        """The one process of that program (nginx: its master)."""
        found = self.processes(name)
        pids = {each.pid for each in found}
        found = [each for each in found if each.parent not in pids]
        if len(found) != 1:
            raise LabError(f"{self.name}: {len(found)} processes of {name} instead of one: {found}")
        return found[0]

    def terminate(self):
        """SIGTERM to the guard, as systemctl stop does; waits for its end. The exit status, None where another process started it."""
        guard = identity(self.the("clusterd").pid)
        end_process(guard, signal.SIGTERM)
        wait_for(f"{self.name}'s clusterd to end", lambda: not alive(guard) and not self.ours(), limit=60)
        return self.daemon.wait(timeout=10) if self.daemon else None

    def memory_kib(self, pid):
        """Resident memory of a process."""
        with open(f"/proc/{pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def reload(self):
        os.kill(self.the("clusterd").pid, signal.SIGHUP)

    def kill_worker(self):
        worker = self.the("clusterd-worker")
        os.kill(worker.pid, signal.SIGKILL)
        return worker

    def kill_guard_and_worker(self):
        """As near to the same instant as two signals can be: both are stopped first."""
        both = [self.the("clusterd"), self.the("clusterd-worker")]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for each in both:
                signal_process(each.pid, number)
        when = boot_ms()

        def entered_ended():  # nsenter may have stopped with its child; standing, it would never wait for it
            end_process(self.entered, signal.SIGCONT)
            return not alive(self.entered)
        wait_for("nsenter to end with the guard", entered_ended, limit=10)
        return when

    def kill_service(self, only_master=False):
        """kill -9 of nginx: of all its processes, or of its master alone (its workers then go on answering for a while)."""
        for each in [self.the("nginx")] if only_master else self.processes("nginx"):
            signal_process(each.pid, signal.SIGKILL)
        return boot_ms()

    def freeze(self):
        """SIGSTOP to everything of ours, not to what it runs; again until nothing new appears."""
        stopped = set()
        while True:
            new = [each for each in self.ours() if each.pid not in stopped]
            if not new:
                return boot_ms()
            for each in new:
                signal_process(each.pid, signal.SIGSTOP)
                stopped.add(each.pid)

    def thaw(self):
        when = boot_ms()
        # Workers and hosts first: the guard that wakes up last must not find them still standing.
        for each in sorted(self.ours(), key=lambda process: process.name == "clusterd"):
            signal_process(each.pid, signal.SIGCONT)
        end_process(self.entered, signal.SIGCONT)  # nsenter stops with its child
        return when

    # ---- what is really there, by the kernel's word

    def addresses(self, interface="eth0"):
        if not self.on():
            return set()
        listed = json.loads(self.run(["ip", "-j", "address", "show", "dev", interface]).stdout or "[]")
        return {each["local"] for item in listed for each in item.get("addr_info", []) if "local" in each}

    def all_addresses(self):
        """interface -> its addresses"""
        listed = json.loads(self.run(["ip", "-j", "address", "show"]).stdout or "[]")
        return {item["ifname"]: {each["local"] for each in item.get("addr_info", []) if "local" in each} for item in listed}

    def has_address(self, address=config.ADDRESS):
        return address in self.addresses()

    def runs_service(self):
        return bool(self.processes("nginx"))

    def runs_nothing(self):
        """No address and no process of any group."""
        return not any(map(config.resource_of, self.processes())) and not self.addresses() & {config.ADDRESS, config.ADDRESS6, config.MAIL_ADDRESS}

    def pid_namespace(self):
        return namespace(self.init[0], "pid")

    def resource_cgroups(self):
        """(resource, path) of each group that the guard made for one."""
        found = []
        for directory, names, _ in os.walk(self.cgroup) if self.cgroup else []:
            found += [(name[len("res-"):], os.path.join(directory, name)) for name in names if name.startswith("res-")]
        return sorted(found)

    def mounts(self):
        with open(f"/proc/{self.init[0]}/mountinfo") as file:
            return sorted(line.split()[4] for line in file)

    def process_listing(self):
        return [str(each) for each in self.processes()]
