"""Starts, stops and restarts: at once, one after the other, interrupted, with an old file; and orders that come in the middle of one."""
import config
from runner import PERMIT_MS, scenario
from tools import LabError, alive, boot_ms, end_process, identity, wait_for

import signal

SLOW = "3s"  # how long `web-slow` takes to come online, where a scenario wants to meet it half-way


def stop_at_once(run):
    """SIGTERM to both nodes' clusterd in the same moment; both end with 0 and leave nothing."""
    guards = [identity(node.the("clusterd").pid) for node in (run.alpha, run.beta)]
    for each in guards:
        end_process(each, signal.SIGTERM)
    wait_for("both to end", lambda: not any(alive(each) for each in guards) and not run.alpha.ours() and not run.beta.ours(), limit=60)
    for node in (run.alpha, run.beta):
        status = node.daemon.wait(timeout=10)
        run.expect(status == 0, f"{node.name}: clusterd ended with {status} instead of 0")
        run.expect(node.runs_nothing(), f"{node.name}: clusterd ended and left something running")


@scenario()
def both_stopped_and_started_at_once(run):
    """Both nodes' clusterd stopped in the same moment (exit 0, nothing left), then started in the same moment, twice: the group comes
    back on one."""
    run.start_both()
    for _ in range(2):
        stop_at_once(run)
        with run.client.probe() as probe:
            began = boot_ms()
            for node in (run.alpha, run.beta):
                node.start(wait=False)
            served = probe.wait_served(since=began)
            run.numbers["start_ms"] = max(run.numbers.get("start_ms", 0), round(served["ms"] - began))
            run.settled()
            run.judge(probe)


@scenario()
def restarted_one_by_one(run):
    """Each node's clusterd stopped and started in turn: nothing but the blackout of a stop and a start."""
    run.start_both()
    with run.watching() as probe:
        for down, up in ((run.alpha, run.beta), (run.beta, run.alpha)):
            status = down.terminate()
            run.expect(status == 0, f"{down.name}: clusterd ended with {status} instead of 0")
            run.expect(down.runs_nothing(), f"{down.name}: clusterd ended and left something running")
            probe.wait_served(by=up.name)
            down.start()
            run.settled(up.name)
        probe.hold(0.5)
        run.judge(probe, blackout_below=2 * PERMIT_MS)


@scenario()
def cold_start_of_one_waits_for_the_disk(run):
    """Both lost power, one comes back and its disk fails: it waits, runs nothing and says so. It wins as soon as the disk is there."""
    run.start_both()
    run.alpha.power_cut()
    run.beta.power_cut()
    run.lab.disk("beta", "eio")
    with run.client.probe() as probe:
        run.beta.power_on()
        wait_for("beta to say that its disk fails", lambda: run.view(run.beta)["quorum"]["state"] == "failed", limit=20)
        probe.hold(3 * PERMIT_MS / 1000, lambda: run.beta.runs_nothing() and run.permit(run.beta) == "none")
        when = boot_ms()
        run.lab.disk("beta", "ok")
        served = probe.wait_served(by="beta", since=when)
        run.numbers["start_ms"] = round(served["ms"] - when)
        run.judge(probe)
    run.alpha.power_on()
    run.settled("beta")


@scenario()
def cold_start_of_one_waits_for_its_peer(run):
    """Both lost power, one comes back without a disk and waits; the other comes back, too: together they need no disk."""
    run.start_both()
    run.alpha.power_cut()
    run.beta.power_cut()
    run.lab.disk("both", "eio")
    with run.client.probe() as probe:
        run.beta.power_on()
        probe.hold(2 * PERMIT_MS / 1000, run.beta.runs_nothing)
        when = boot_ms()
        run.alpha.power_on()
        probe.wait_served(since=when)
        run.settled()
        run.judge(probe)
    run.lab.heal()


def pending(run, node):
    """The group's last resource is on its way online there."""
    slow = next(each for each in run.web(node)["resources"] if each["name"] == "web-slow")
    return slow["state"] == "online-pending"


def move_begun(run):
    """alpha gives the group to beta, and beta is in the middle of starting it."""
    run.alpha.ctl("move", "web", "--to", "beta", "--no-wait", check=True)
    wait_for("web-slow to be on its way online on beta", lambda: run.web(run.beta)["owner"] == "beta" and pending(run, run.beta), limit=20)


@scenario(start_delay=SLOW)
def moved_while_pending(run):
    """A move back while the group is still coming online on the other node: it ends online where it was last sent."""
    run.start_both()
    with run.watching() as probe:
        move_begun(run)
        moved = run.beta.ctl("move", "web", "--to", "alpha", timeout=60)
        run.expect(moved.returncode == 0, f"clusterctl move: exit {moved.returncode}: {moved.stderr.strip() or moved.stdout.strip()}")
        run.settled("alpha")
        run.judge(probe)


@scenario(start_delay=SLOW)
def start_interrupted(run):
    """kill -9 of guard and worker while the group comes online: the other node takes over, and started again the node sweeps what it had
    begun."""
    run.start_both()
    with run.watching() as probe:
        move_begun(run)
        when = run.beta.kill_guard_and_worker()
        probe.wait_served(by="alpha", since=when)
        run.beta.start()
        wait_for("beta to sweep what it had begun", run.beta.runs_nothing, limit=10)
        run.settled("alpha")
        run.judge(probe)
        run.silent_from(probe, run.beta, when)


@scenario(start_delay=SLOW)
def start_interrupted_by_a_power_cut(run):
    """Power lost while the group comes online: the other node takes over."""
    run.start_both()
    with run.watching() as probe:
        move_begun(run)
        when = run.beta.power_cut()
        probe.wait_served(by="alpha", since=when)
        run.beta.power_on()
        run.settled("alpha")
        run.judge(probe)


@scenario(start_delay=SLOW)
def worker_killed_while_pending(run):
    """kill -9 of the worker while the group comes online: the next one brings it to its end on the same node."""
    run.start_both()
    with run.watching() as probe:
        move_begun(run)
        old = run.beta.kill_worker()
        wait_for("a new worker", lambda: run.beta.the("clusterd-worker").pid != old.pid)
        run.settled("beta")
        run.judge(probe)


@scenario(fresh=True, version=2)
def joins_with_another_configuration(run):
    """A node comes back with a cluster.xml that isn't the committed one (older, and with other contents): it joins, what was committed
    counts on both, and its status says so."""
    run.start_both()
    old = config.cluster_xml(version=1, restart_limit=1, preferred="beta", health=False)
    with run.watching() as probe:
        run.expect(run.beta.terminate() == 0, "clusterd didn't end with 0")
        with open(f"{run.beta.directory}/cluster.xml", "w") as file:
            file.write(old)
        run.beta.start()
        run.settled("alpha")
        warned = " ".join(run.view(run.beta).get("warnings", []))
        run.expect("differs from the committed configuration" in warned, f"beta's status doesn't say that its file counts for nothing: {warned or 'no warnings'}")
        shown = [node.ctl("show", "config", check=True).stdout for node in (run.alpha, run.beta)]
        run.expect(shown[0] == shown[1] and 'preferred="alpha"' in shown[1], "the nodes don't show the same, committed configuration")
        run.judge(probe, lost=0, only_by="alpha")
    # And where it takes over, it goes by what was committed.
    with run.watching() as probe:
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
        run.judge(probe)
    run.alpha.power_on()
    run.settled("beta")


@scenario()
def upgraded_one_by_one(run):
    """SIGHUP, as a package's upgrade sends it, to one node after the other while the service runs: new workers under the same guards, and no
    request lost."""
    run.start_both()
    with run.watching() as probe:
        for node in (run.beta, run.alpha):
            guard, worker = node.the("clusterd").pid, node.the("clusterd-worker").pid
            node.reload()

            def renewed():
                if node.the("clusterd").pid != guard:
                    raise LabError(f"the guard of {node.name} has another pid")
                return node.the("clusterd-worker").pid != worker
            wait_for(f"{node.name}'s new worker", renewed)
            run.settled("alpha")
        probe.hold(2 * PERMIT_MS / 1000)
        run.judge(probe, lost=0, only_by="alpha")
