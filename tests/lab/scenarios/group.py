"""The group itself: moved by an operator, hurt by hand, failing its check."""
import os

from config import ADDRESS
from runner import PERMIT_MS, scenario
from tools import wait_for


@scenario()
def planned_move(run):
    """clusterctl move, there and back: no error but the blackout of a stop and a start."""
    run.start_both()
    with run.watching() as probe:
        for owner, to in ((run.alpha, run.beta), (run.beta, run.alpha)):
            moved = owner.ctl("move", "web", "--to", to.name, timeout=60)
            run.expect(moved.returncode == 0, f"clusterctl move: exit {moved.returncode}: {moved.stderr.strip() or moved.stdout.strip()}")
            run.settled(to.name)
        probe.hold(0.5)
        run.judge(probe, blackout_below=2 * PERMIT_MS)


@scenario()
def address_removed_by_hand(run):
    """Somebody deletes the address on the active node: noticed at once, and back on the same node."""
    run.start_both()
    with run.watching() as probe:
        run.alpha.run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])
        wait_for("the address to be back", run.alpha.has_address)
        run.settled("alpha")
        run.judge(probe, blackout_below=3 * PERMIT_MS, only_by="alpha")


@scenario(restart_limit=1)
def health_check_fails(run):
    """The page of the check is an error on the active node only: one restart there, which doesn't help, then the group fails over."""
    run.start_both()
    unhealthy = os.path.join(run.alpha.directory, "unhealthy")
    with run.watching() as probe:
        with open(unhealthy, "w"):
            pass
        probe.wait_served(by="beta", limit=60)
        run.settled("beta")
        run.judge(probe, blackout_below=5 * PERMIT_MS)
    os.unlink(unhealthy)


@scenario()
def ruleset_flushed(run):
    """nft flush ruleset on each node (a firewall's reload): the gate is put back at once, and no request is lost."""
    run.start_both()

    def gate_stands(node):
        return "table inet clusterd" in node.run(["nft", "list", "tables"]).stdout
    run.expect(gate_stands(run.alpha) and gate_stands(run.beta), "there is no address gate")
    with run.watching() as probe:
        for node in (run.alpha, run.beta):
            node.run(["nft", "flush", "ruleset"])
            wait_for(f"{node.name}'s gate to be back", lambda: gate_stands(node), limit=10)
        probe.hold(1)
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def cable_out_of_the_active(run):
    """The active node's service cable is pulled; the heartbeat link and the disk are healthy. Its address has no carrier: the group
    comes online on the other node."""
    run.start_both()
    with run.watching() as probe:
        run.alpha.plug(0, up=False)
        probe.wait_served(by="beta", limit=60)
        run.alpha.plug(0)
        run.settled("beta")
        run.judge(probe)
