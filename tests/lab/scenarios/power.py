"""Machines without power, and starts from cold."""
from runner import PERMIT_MS, scenario
from tools import boot_ms, wait_for


@scenario()
def power_cut(run):
    """The active node loses power: the other serves after about P; the node that comes back joins and runs nothing."""
    run.start_both()
    with run.watching() as probe:
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
        probe.hold(1)
        run.judge(probe, blackout_below=3 * PERMIT_MS)
    run.alpha.power_on()
    run.settled("beta")
    run.expect(run.alpha.runs_nothing(), "alpha came back and runs the group, too")


@scenario()
def power_cut_there_and_back(run):
    """The group survives a power cut of each node in turn."""
    run.start_both()
    with run.watching() as probe:
        for down, up in ((run.alpha, run.beta), (run.beta, run.alpha)):
            when = down.power_cut()
            probe.wait_served(by=up.name, since=when)
            down.power_on()
            run.settled(up.name)
        run.judge(probe, blackout_below=3 * PERMIT_MS)


@scenario()
def power_cut_without_disk(run):
    """No disk and no peer: nothing runs. With the disk back, the survivor takes over."""
    run.start_both()
    with run.watching() as probe:
        run.lab.disk("beta", "eio")
        run.alpha.power_cut()
        probe.wait_silent()
        wait_for("beta to have no permit", lambda: run.permit(run.beta) == "none")
        probe.hold(3 * PERMIT_MS / 1000, run.beta.runs_nothing)
        when = boot_ms()
        run.lab.disk("beta", "ok")
        probe.wait_served(by="beta", since=when)
        run.judge(probe)
    run.alpha.power_on()
    run.settled("beta")


@scenario(ipv6=True)
def power_cut_ipv6(run):
    """The same for an IPv6 address: its neighbours learn where it is now."""
    from config import ADDRESS6
    run.start_both()
    with run.watching(address=ADDRESS6) as probe:
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
        probe.hold(1)
        run.judge(probe, blackout_below=3 * PERMIT_MS)
    run.alpha.power_on()
    run.settled("beta")


@scenario()
def cold_start_of_both(run):
    """Both nodes start for the first time: the group comes online on the preferred one."""
    with run.client.probe() as probe:
        began = boot_ms()
        for node in (run.beta, run.alpha):
            node.start(wait=False)
        served = probe.wait_served(by="alpha")
        run.numbers["start_ms"] = round(served["ms"] - began)
        run.settled("alpha")
        run.judge(probe, only_by="alpha")


@scenario()
def cold_start_of_one(run):
    """Both lost power and one comes back: it serves alone, with the disk; the other joins it without a lost request."""
    run.start_both()
    with run.client.probe() as probe:
        run.alpha.power_cut()
        run.beta.power_cut()
        when = boot_ms()
        run.beta.power_on()
        served = probe.wait_served(by="beta", since=when)
        run.numbers["start_ms"] = round(served["ms"] - when)
        run.judge(probe)
    with run.watching() as probe:
        run.alpha.power_on()
        run.settled("beta")
        run.judge(probe, lost=0, only_by="beta")
