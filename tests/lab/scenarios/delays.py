"""Late, not dead: a slow disk, a daemon that is held up, a machine that is starved."""
import os
import shutil
import signal
import subprocess

from runner import PERMIT_MS, scenario
from tools import Skip, boot_ms, dies_with_us, end_process, environment, identity, wait_for

SUSPECT_MS = 300  # of the default timing


def quorum_state(run, node):
    return run.view(node)["quorum"]["state"]


@scenario()
def disk_delay(run):
    """The disk of both nodes gets slower and slower: none, enough for a warning, so much that it counts as failed, and back. With healthy
    links nothing is taken offline and not a request is lost."""
    run.start_both()
    with run.watching() as probe:
        for mode, wanted in (("slow 5", ("ok",)), ("slow 250", ("slow",)), ("slow 3000", ("failed",)), ("ok", ("ok",))):
            run.lab.disk("both", mode)
            for node in (run.alpha, run.beta):
                wait_for(f"{node.name} to call a disk that is {mode} {wanted[0]}", lambda: quorum_state(run, node) in wanted, limit=120, every=0.1)
            probe.hold(1, run.beta.runs_nothing)
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def disk_delay_in_a_split(run):
    """Links cut, then a disk that takes 120 ms for a cycle (a permit's rule allows somewhat more): the active node, alone, goes on."""
    run.start_both()
    with run.watching() as probe:
        run.lab.cut()
        wait_for("alpha to be alone", lambda: run.permit(run.alpha) == "alone", limit=20, every=0.05)
        run.lab.disk("both", "slow 60")
        probe.hold(4 * PERMIT_MS / 1000, run.beta.runs_nothing)
        run.lab.heal()
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def disk_too_slow_in_a_split(run):
    """Links cut, then a disk that takes longer than a permit lasts: neither node may go on, and the address is silent at permit end. All
    well again: the group is back."""
    run.start_both()
    with run.watching() as probe:
        run.lab.cut()
        wait_for("alpha to be alone", lambda: run.permit(run.alpha) == "alone", limit=20, every=0.05)
        run.lab.disk("both", f"slow {2 * PERMIT_MS}")
        probe.wait_silent()
        wait_for("alpha to run nothing", run.alpha.runs_nothing, limit=10)
        probe.hold(2 * PERMIT_MS / 1000, lambda: run.alpha.runs_nothing() and run.beta.runs_nothing())
        run.lab.heal()
        probe.wait_served()
        run.settled()
        run.judge(probe)


def stopped(run, node, ms):
    """The worker held up for so long, as by a SIGSTOP. What the runner adds itself is told. The milliseconds it really was."""
    worker = identity(node.the("clusterd-worker").pid)
    began = boot_ms()
    end_process(worker, signal.SIGSTOP)
    wait_for("the pause to be over", lambda: boot_ms() >= began + ms, limit=30, every=0.005)
    really = boot_ms() - began
    end_process(worker, signal.SIGCONT)
    return really


@scenario()
def daemon_delay_below_suspect(run):
    """The worker of each node held up for less than `suspect`, ten times: nothing at all happens."""
    run.start_both()
    before = run.view(run.alpha)
    with run.watching() as probe:
        longest = 0
        for _ in range(5):
            for node in (run.alpha, run.beta):
                longest = max(longest, stopped(run, node, SUSPECT_MS / 2))
                probe.hold(0.2)
        run.notes["longest_pause_ms"] = round(longest)
        run.settled("alpha")
        after = run.view(run.alpha)
        run.judge(probe, lost=0, only_by="alpha")
    if longest < SUSPECT_MS - 100:  # the machine itself held nobody up for longer
        run.expect(before["term"] == after["term"], f"a pause of {longest:.0f} ms, and term {before['term']} became {after['term']}")


@scenario()
def daemon_delay_above_suspect(run):
    """The worker of each node held up for longer than `suspect` and less than a permit: the peer suspects, and nothing moves; the node that
    was paused doesn't cast a verdict on its peer. Not a request is lost."""
    run.start_both()
    with run.watching() as probe:
        for node in (run.beta, run.alpha):
            stopped(run, node, SUSPECT_MS + 200)
            run.settled("alpha")
            probe.hold(0.5)
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def daemon_delay_above_permit(run):
    """The worker of the active node held up for longer than its permit: the guard stops what it had, the other takes over, and nothing runs
    twice when it goes on. On the standby such a pause costs nothing."""
    run.start_both()
    with run.watching() as probe:
        stopped(run, run.beta, 3 * PERMIT_MS)
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")
    with run.watching() as probe:
        worker = identity(run.alpha.the("clusterd-worker").pid)
        end_process(worker, signal.SIGSTOP)
        probe.wait_served(by="beta")
        wait_for("alpha's guard to stop what it had", run.alpha.runs_nothing, limit=10)
        end_process(worker, signal.SIGCONT)
        run.settled("beta")
        run.judge(probe, blackout_below=3 * PERMIT_MS)


# ---- a starved machine

class Load:
    """Processes that take all they can of CPU and disk; they end with the block."""

    def __init__(self, run):
        self.run, self.started = run, []

    def __enter__(self):
        for _ in range(4):
            self.start(["sh", "-c", "while :; do :; done"])
        self.file = os.path.join(self.run.lab.base, "load.dat")
        if shutil.which("fio", path="/usr/bin:/usr/local/bin"):
            self.start(["fio", "--name=load", f"--filename={self.file}", "--size=256m", "--rw=randrw", "--bs=16k", "--ioengine=psync", "--numjobs=4", "--thread",
                        "--fsync=8", "--time_based", "--runtime=86400", "--group_reporting"])
        else:
            raise Skip("fio (sudo packaging/install-deps)")
        return self

    def start(self, arguments):
        # Not before others, as the lab is: ordinary programs of the machine.
        self.started.append(subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
                                             preexec_fn=lambda: (dies_with_us(), os.setpriority(os.PRIO_PROCESS, 0, 0)), cwd=self.run.lab.base,
                                             start_new_session=True))

    def all_run(self):
        return all(each.poll() is None for each in self.started)

    def __exit__(self, *_):
        for each in self.started:
            try:
                os.killpg(each.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            each.wait()
        if os.path.exists(self.file):
            os.unlink(self.file)


@scenario(fresh=True)
def starved(run):
    """Four CPU hogs on the machine's cores and its disk busy with fio (--minutes; 20 s without it): a node that is starved isn't dead.
    No failover, no change of the pair, the group stays where it is. Told is the least that was left of a permit."""
    run.start_both()
    before = run.view(run.alpha)
    seconds = run.minutes * 60 if run.minutes else 20
    with run.watching(interval_ms=20, timeout_ms=5000) as probe, Load(run) as load:
        def looks():
            if not load.all_run():
                raise RuntimeError("a part of the load has ended: this shows nothing")
            return all(run.permit(node) == "joined" for node in (run.alpha, run.beta))
        probe.hold(seconds, looks)
    run.settled("alpha")
    after = run.view(run.alpha)
    run.expect(before["term"] == after["term"], f"the pair has parted: term {before['term']} became {after['term']}")
    for node in (run.alpha, run.beta):
        timing = node.timing()
        run.numbers[f"{node.name}_margin_ms"] = timing["worst_margin_ms"]
        run.numbers[f"{node.name}_fsync_max_ms"] = round((timing["fsync_max_us"] or 0) / 1000, 1)
        run.notes[f"{node.name}_warnings"] = run.view(node).get("warnings", [])
    run.step(", ".join(f"{name} {value}" for name, value in run.numbers.items()) + f"; warnings {run.notes}")
    run.judge(probe, only_by="alpha")
