"""Interfaces set down and up again, as ifdown and ifup do: the heartbeat's, the service net's, both; on either node."""
from runner import PERMIT_MS, scenario
from tools import wait_for


def ifdown(node, *links):
    node.run(["sh", "-c", "; ".join(f"ip link set eth{link} down" for link in links)])


def ifup(node, *links):
    """With its addresses again, as ifup does: IPv6 ones went with the interface."""
    commands = [f"ip link set eth{link} up" for link in links]
    if 0 in links:
        commands.append(f"ip address replace fd77::{node.host}/64 dev eth0 nodad")
    node.run(["sh", "-c", "; ".join(commands)])


def link_down(run, node):
    return any(link["state"] == "down" for each in run.view(node)["nodes"] for link in each["links"])


@scenario()
def ifdown_heartbeat(run):
    """The heartbeat's interface down and up on each node in turn: the other link carries on, not a request is lost."""
    run.start_both()
    with run.watching() as probe:
        for node in (run.alpha, run.beta):
            ifdown(node, 1)
            wait_for("the link to be seen down", lambda: link_down(run, run.alpha), limit=20, every=0.1)
            probe.hold(2)
            ifup(node, 1)
            wait_for("the link to be seen up", lambda: not link_down(run, run.alpha), limit=20, every=0.1)
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def ifdown_service_of_the_standby(run):
    """The service interface down and up on the standby: not a request is lost."""
    run.start_both()
    with run.watching() as probe:
        ifdown(run.beta, 0)
        wait_for("the link to be seen down", lambda: link_down(run, run.alpha), limit=20, every=0.1)
        probe.hold(2, run.beta.runs_nothing)
        ifup(run.beta, 0)
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def ifdown_service_of_the_active(run):
    """The service interface down on the active node: the group comes online on the other, and stays there when it is up again."""
    run.start_both()
    with run.watching() as probe:
        ifdown(run.alpha, 0)
        probe.wait_served(by="beta", limit=60)
        ifup(run.alpha, 0)
        run.settled("beta")
        run.judge(probe)


@scenario()
def ifdown_both_of_the_standby(run):
    """Both interfaces down and up on the standby: the active node goes on by the disk, not a request is lost."""
    run.start_both()
    with run.watching() as probe:
        ifdown(run.beta, 0, 1)
        wait_for("alpha to be alone", lambda: run.permit(run.alpha) == "alone", limit=20, every=0.05)
        probe.hold(2 * PERMIT_MS / 1000, run.beta.runs_nothing)
        ifup(run.beta, 0, 1)
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def ifdown_both_of_the_active(run):
    """Both interfaces down on the active node, the disk well on both: whoever wins the disk, never two; with the interfaces up again the
    client is served."""
    run.start_both()
    with run.watching() as probe:
        ifdown(run.alpha, 1, 0)  # in this order: with the heartbeat link alone they would still agree on a move
        probe.wait_silent()
        probe.hold(4 * PERMIT_MS / 1000)
        run.notes["permits"] = {node.name: run.permit(node) for node in (run.alpha, run.beta)}
        run.notes["groups"] = {node.name: (run.web(node)["state"], run.web(node)["owner"]) for node in (run.alpha, run.beta)}
        run.step(f"with alpha cut off: permits {run.notes['permits']}, web {run.notes['groups']}")
        ifup(run.alpha, 0, 1)
        run.settled(limit=90)
        run.judge(probe)
