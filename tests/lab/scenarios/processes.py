"""Our own processes and the service's: killed, frozen, stopped, restarted; and what they cost."""
import os
import signal

import config
from runner import PERMIT_MS, scenario
from tools import boot_ms, wait_for

FROZEN_MS = 10_000


@scenario()
def idle_cost(run):
    """What clusterd costs a node while nothing happens: CPU time and memory of all its processes, the service's not counted."""
    run.start_both()

    def cpu_ms(node):
        total = 0
        for each in node.ours():
            with open(f"/proc/{each.pid}/stat", "rb") as file:
                fields = file.read().rsplit(b")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
        return total

    def memory_kib(node):
        total = 0
        for each in node.ours():
            with open(f"/proc/{each.pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total

    seconds = 10
    before = {node.name: cpu_ms(node) for node in (run.alpha, run.beta)}
    with run.watching(interval_ms=100) as probe:
        probe.hold(seconds)
        for node in (run.alpha, run.beta):
            share, memory = (cpu_ms(node) - before[node.name]) / seconds / 10, memory_kib(node)
            run.numbers[f"{node.name}_cpu_percent"], run.numbers[f"{node.name}_memory_mib"] = round(share, 2), round(memory / 1024, 1)
            run.step(f"{node.name}: {share:.2f} % of one core, {memory / 1024:.1f} MiB in {len(node.ours())} processes")
            run.expect(share < 10, f"{node.name}: {share:.1f} % of one core while idle, less than 10 is allowed")
            run.expect(memory < 200 * 1024, f"{node.name}: {memory} KiB while idle, less than 200 MiB is allowed")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def frozen_active_node(run):
    """SIGSTOP of everything of ours on the active node for 10 s: the other takes over, the kernel silences the frozen node at permit
    end, and after SIGCONT it stops what it still had before anything else."""
    run.start_both()
    with run.watching() as probe:
        when = run.alpha.freeze()
        probe.wait_served(by="beta", since=when)
        run.expect(run.alpha.runs_service(), "what a frozen node had was to be still there (else this shows nothing)")
        probe.hold(max(0.0, (when + FROZEN_MS - boot_ms()) / 1000))
        thawed = run.alpha.thaw()
        wait_for("alpha to stop what it still had", run.alpha.runs_nothing, limit=10)
        run.numbers["stopped_after_thaw_ms"] = round(boot_ms() - thawed)
        run.settled("beta")
        run.judge(probe, blackout_below=3 * PERMIT_MS)
        run.silent_from(probe, run.alpha, when)


@scenario()
def worker_killed(run):
    """kill -9 of the worker: the next one goes on as the same incarnation, and no request is lost."""
    run.start_both()

    def incarnation():
        return next(node["incarnation"] for node in run.view(run.alpha)["nodes"] if node["name"] == "alpha")
    before = incarnation()
    with run.watching() as probe:
        for _ in range(3):
            old = run.alpha.kill_worker()
            wait_for("a new worker", lambda: run.alpha.the("clusterd-worker").pid != old.pid)
            run.settled("alpha")
        probe.hold(2 * PERMIT_MS / 1000)
        run.expect(incarnation() == before, "the new worker has another incarnation")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def guard_and_worker_killed(run):
    """kill -9 of guard and worker: the other node takes over, the address is silent at permit end; started again, the node sweeps what
    was left before it joins."""
    run.start_both()
    with run.watching() as probe:
        when = run.alpha.kill_guard_and_worker()
        probe.wait_served(by="beta", since=when)
        wait_for("alpha's hosts to end with their guard", lambda: not run.alpha.ours(), limit=10)
        run.alpha.start()
        wait_for("alpha to sweep what was left", run.alpha.runs_nothing, limit=10)
        run.settled("beta")
        run.judge(probe, blackout_below=3 * PERMIT_MS)
        run.silent_from(probe, run.alpha, when)


def restarted_in_place(run, kill, begun=False):
    if not begun:
        run.start_both()
    with run.watching() as probe:
        old = run.alpha.the("nginx").pid
        kill()
        wait_for("another nginx", lambda: run.alpha.the("nginx").pid != old)
        run.settled("alpha")
        server = next(each for each in run.web(run.alpha)["resources"] if each["name"] == "web-server")
        run.expect(server["restarts_in_window"] == 1, f"restarts in the window: {server['restarts_in_window']} instead of 1")
        probe.hold(0.5)
        # A check every second that must fail twice would take longer: its exit was noticed.
        run.judge(probe, blackout_below=900, only_by="alpha")


@scenario()
def service_killed(run):
    """kill -9 of nginx: back on the same node without waiting for a poll."""
    restarted_in_place(run, run.alpha.kill_service)


@scenario()
def service_master_killed(run):
    """kill -9 of nginx's master alone: its workers are ended, too, and it is back on the same node."""
    restarted_in_place(run, lambda: run.alpha.kill_service(only_master=True))


@scenario()
def service_killed_after_the_workers(run):
    """kill -9 of both nodes' workers, the leader's among them, and then of nginx: who goes on still starts again what fails."""
    run.start_both()
    for node in (run.alpha, run.beta):
        old = node.kill_worker()
        wait_for("a new worker", lambda: node.the("clusterd-worker").pid != old.pid)
        run.settled("alpha")
    restarted_in_place(run, run.alpha.kill_service, begun=True)  # not one command in between: it would be a decision


@scenario()
def active_stopped(run):
    """SIGTERM to the active node's clusterd: the group moves away, exit 0, nothing is left behind."""
    run.start_both()
    with run.watching() as probe:
        when = boot_ms()
        status = run.alpha.terminate()
        run.expect(status == 0, f"clusterd ended with {status} instead of 0")
        run.expect(run.alpha.runs_nothing(), "clusterd ended and left something running")
        probe.wait_served(by="beta", since=when)
        run.judge(probe, blackout_below=3 * PERMIT_MS)
    run.alpha.start()
    run.settled("beta")


@scenario()
def standby_restarted(run):
    """SIGTERM to the standby's clusterd, and a start: no lost request."""
    run.start_both()
    with run.watching() as probe:
        status = run.beta.terminate()
        run.expect(status == 0, f"clusterd ended with {status} instead of 0")
        run.beta.start()
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def reloaded(run):
    """SIGHUP (reload, package upgrade) on the active node: a new worker, the same guard, no lost request."""
    run.start_both()
    with run.watching() as probe:
        guard, worker = run.alpha.the("clusterd").pid, run.alpha.the("clusterd-worker").pid
        run.alpha.reload()
        wait_for("a new worker", lambda: run.alpha.the("clusterd-worker").pid != worker)
        run.settled("alpha")
        run.expect(run.alpha.the("clusterd").pid == guard, "the guard has another pid")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def maintenance_leaves_alone(run):
    """A group in maintenance: nginx killed stays down and nothing moves; status says so; with the maintenance over it is back here, and no
    failover was counted. A power cut is taken over from all the same, and ends it."""
    run.start_both()
    with run.watching() as probe:
        run.expect(run.beta.ctl("maintenance", "on", "web", "--for", "10min").returncode == 0, "maintenance on failed")
        os.kill(next(each.pid for each in run.alpha.processes("nginx") if config.is_master(each)), signal.SIGKILL)
        wait_for("the server to be seen failed", lambda: any(r["name"] == "web-server" and r["state"] != "online" for r in run.web(run.alpha)["resources"]), limit=30)
        told = run.alpha.ctl("status").stdout
        run.expect("is in maintenance until" in told and "maintenance off web" in told, f"status doesn't say it: {told}")
        wait_for("it to be looked at again and left alone", lambda: any("left as it is" in line for line in run.alpha.ctl("events").stdout.splitlines()), limit=30)
        run.expect(run.web(run.beta)["owner"] == "alpha" and not run.beta.runs_service(), "something moved")
        run.expect(run.beta.ctl("maintenance", "off", "web").returncode == 0, "maintenance off failed")
        run.settled("alpha")
        run.judge(probe, only_by="alpha")
    run.alpha.ctl("maintenance", "on", check=True)
    with run.watching() as probe:
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
        run.judge(probe)
    run.alpha.power_on()
    run.settled("beta")
    run.expect(not any(g["maintenance"] for g in run.view(run.beta)["groups"]), "it is in maintenance still")
