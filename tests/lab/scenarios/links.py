"""Links and the quorum disk: cut, lossy, one-way, slow, hanging, gone."""
from config import MAIL_ADDRESS, MAIL_PORT
from runner import PERMIT_MS, scenario
from tools import boot_ms, wait_for


def quorum_state(run, node):
    return run.view(node)["quorum"]["state"]


def goes_on_here(run, fault, seconds=4.0, wait=lambda: True):
    """alpha serves on through the fault and its end, without a lost request, and beta runs nothing."""
    run.start_both()
    with run.watching() as probe:
        fault()
        wait_for("the fault to be noticed", wait, limit=30, every=0.1)
        probe.hold(seconds, run.beta.runs_nothing)
        healed = boot_ms()
        run.lab.heal()
        run.settled("alpha")
        run.numbers["settled_ms"] = round(boot_ms() - healed)
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def link_cut(run):
    """Both links cut, the disk healthy: the active node goes on without a lost request, the other has no permit and runs nothing."""
    goes_on_here(run, run.lab.cut, wait=lambda: run.permit(run.alpha) == "alone" and run.permit(run.beta) == "none")


@scenario()
def link_cut_with_a_slow_disk(run):
    """The same with a disk that takes 40 ms for a cycle."""
    def fault():
        run.lab.disk("both", "slow 20")
        run.lab.cut()
    goes_on_here(run, fault, wait=lambda: run.permit(run.alpha) == "alone" and run.permit(run.beta) == "none")


@scenario()
def one_link_cut(run):
    """One of two links cut: nothing but a line in status."""
    def noticed():
        return any(link["state"] == "down" for node in run.view(run.alpha)["nodes"] for link in node["links"])
    goes_on_here(run, lambda: run.lab.cut(links=(1,)), wait=noticed)


@scenario()
def one_way_cut_from_the_active(run):
    """Nothing of the active node's arrives, the other way all does: the active node goes on."""
    goes_on_here(run, lambda: run.lab.cut("alpha", "beta", one_way=True), wait=lambda: run.permit(run.beta) == "none")


@scenario()
def one_way_cut_to_the_active(run):
    """Nothing of the standby's arrives, the other way all does: the active node goes on."""
    goes_on_here(run, lambda: run.lab.cut("beta", "alpha", one_way=True), wait=lambda: run.permit(run.beta) == "none")


@scenario()
def packet_loss(run):
    """A fifth of all packets between the nodes is lost for 10 s: no lost request, no failover."""
    goes_on_here(run, lambda: run.lab.lose(20), seconds=10)


@scenario()
def disk_gone_for_the_active(run):
    """With healthy links a disk that fails for one node takes nothing offline."""
    goes_on_here(run, lambda: run.lab.disk("alpha", "eio"), wait=lambda: quorum_state(run, run.alpha) == "failed")


@scenario()
def disk_gone_for_the_standby(run):
    """With healthy links a disk that fails for the standby takes nothing offline."""
    goes_on_here(run, lambda: run.lab.disk("beta", "eio"), wait=lambda: quorum_state(run, run.beta) == "failed")


@scenario()
def disk_gone_for_both(run):
    """With healthy links a disk that fails for both takes nothing offline."""
    goes_on_here(run, lambda: run.lab.disk("both", "eio"), wait=lambda: "failed" == quorum_state(run, run.alpha) == quorum_state(run, run.beta))


@scenario()
def disk_hangs_for_the_active(run):
    """With healthy links a disk that hangs for one node takes nothing offline and blocks nothing."""
    goes_on_here(run, lambda: run.lab.disk("alpha", "hang"), wait=lambda: quorum_state(run, run.alpha) in ("slow", "failed"))


@scenario()
def link_and_disk_cut(run):
    """Links and disk cut: neither node runs anything, and the address is silent at permit end. All whole again: the group is back."""
    run.start_both()
    with run.watching() as probe:
        run.lab.disk("both", "eio")
        when = run.lab.cut()
        probe.wait_silent()
        wait_for("neither node to have a permit", lambda: "none" == run.permit(run.alpha) == run.permit(run.beta))
        wait_for("alpha to run nothing", run.alpha.runs_nothing, limit=10)
        probe.hold(3 * PERMIT_MS / 1000, lambda: run.alpha.runs_nothing() and run.beta.runs_nothing())
        run.judge(probe, only_by="alpha", served=False)
        run.silent_from(probe, run.alpha, when)
    with run.client.probe() as probe:
        healed = boot_ms()
        run.lab.heal()
        served = probe.wait_served(since=healed)
        run.numbers["back_ms"] = round(served["ms"] - healed)
        run.settled()
        run.judge(probe)


@scenario()
def link_cut_and_disk_gone_for_the_standby(run):
    """Only the active node has the disk: it goes on."""
    def fault():
        run.lab.disk("beta", "eio")
        run.lab.cut()
    goes_on_here(run, fault, wait=lambda: run.permit(run.alpha) == "alone" and run.permit(run.beta) == "none")


@scenario()
def link_cut_and_disk_gone_for_the_active(run):
    """Only the standby has the disk: it takes over, and the other is silent at permit end."""
    run.start_both()
    with run.watching() as probe:
        run.lab.disk("alpha", "eio")
        when = run.lab.cut()
        probe.wait_served(by="beta", since=when)
        wait_for("alpha to run nothing", run.alpha.runs_nothing, limit=10)
        run.lab.heal()
        run.settled("beta")
        run.judge(probe, blackout_below=3 * PERMIT_MS)
        run.silent_from(probe, run.alpha, when)


def online_on(run, group, node):
    view = next(each for each in run.view(node)["groups"] if each["name"] == group)
    return view["state"] == "online" and view["owner"] == node.name


@scenario(mail=True)
def both_arbitrate_at_once(run):
    """Both nodes are active, each with a group, and both links are cut: both go for the disk in the same moment, one wins and takes the
    other's group at its permit's end. Never two owners of either address; all whole again: both groups are online."""
    run.start_both()
    run.alpha.ctl("move", "mail", "--to", "beta", check=True)
    wait_for("mail to be online on beta", lambda: online_on(run, "mail", run.beta), limit=20)
    with run.watching() as web, run.client.probe(address=MAIL_ADDRESS, port=MAIL_PORT, interval_ms=20) as mail:
        when = run.lab.cut()

        def winner():
            permits = {node.name: run.permit(node) for node in (run.alpha, run.beta)}
            return sorted(permits.values()) == ["alone", "none"] and max(permits, key=lambda name: permits[name] == "alone")
        won = run.node(wait_for("one node to be alone, and the other without a permit", winner, limit=20))
        lost = run.beta if won is run.alpha else run.alpha
        wait_for(f"{won.name} to have both groups", lambda: online_on(run, "web", won) and online_on(run, "mail", won), limit=20)
        run.notes["won"] = won.name
        run.expect(lost.runs_nothing(), f"{lost.name} lost, and still runs something")
        run.lab.heal()
        run.settled(won.name)
        run.judge(web, blackout_below=3 * PERMIT_MS)
        run.judge(mail, served=False)  # who answers for the address is what counts here
        run.silent_from(web if won is run.beta else mail, lost, when)
    for each in ("web", "mail"):
        wait_for(f"{each} to be online on {won.name}", lambda: online_on(run, each, won), limit=20)
