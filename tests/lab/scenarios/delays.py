"""Late, not dead: a slow disk, a daemon that is held up."""
import signal

from runner import PERMIT_MS, scenario
from tools import boot_ms, end_process, identity, wait_for

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
