"""What neighbours believe about the address: stale tables, strangers that answer for it, leftovers, and no gate."""
import json

import config
from config import ADDRESS
from runner import scenario
from tools import boot_ms, run as run_command, wait_for

STRANGER = config.mac(0x66)
LONG_PERMIT_MS = 1500


@scenario(fresh=True)
def stale_neighbour_after_a_split(run):
    """In a split the other node takes over, and the client never hears of it: its table is right for an hour and wrong. Soon after the
    split is healed it is served: the owner announces again."""
    run.start_both()
    # A table entry that the client would not look at again by itself.
    run.client.run(["sh", "-ec", "echo 3600000 > /proc/sys/net/ipv4/neigh/eth0/base_reachable_time_ms; ip neighbour flush dev eth0"])

    def believed():
        return run.client.run(["ip", "neighbour", "show", ADDRESS, "dev", "eth0"]).stdout
    with run.watching() as probe:
        run.expect(config.mac(1) in believed(), f"the client was to believe in alpha: {believed()}")
        run.lab.add_faults([f'iifname "beta0" oifname "client0" arp saddr ip {ADDRESS} drop'])
        run.lab.disk("alpha", "eio")
        run.lab.cut()
        wait_for("web to be online on beta", lambda: run.web(run.beta)["state"] == "online", limit=30)
        probe.hold(4)  # all that is announced at a start has been announced, to nobody
        run.expect(config.mac(1) in believed(), f"the client was to believe in alpha still (else this shows nothing): {believed()}")
        healed = boot_ms()
        run.lab.heal()
        served = probe.wait_served(by="beta", since=healed, limit=30)
        run.numbers["back_after_heal_ms"] = round(served["ms"] - healed)
        run.expect(served["ms"] - healed < 5000, f"the client was reached only {served['ms'] - healed:.0f} ms after the heal")
        run.settled("beta")
        run.judge(probe)


@scenario(fresh=True)
def stranger_takes_the_address(run):
    """A machine that is neither node answers for the address: a critical event on each node, once, with its MAC; in status as long as it
    is seen. A move and a take-over before it raise no alarm."""
    run.start_both()

    def alarms(node):
        lines = [json.loads(line) for line in node.ctl("--json", "events", "-n", "1000").stdout.splitlines() if line]
        return [each for each in lines if each["node"] == node.name and each["severity"] == "critical" and "answers for it" in each["message"]]

    def shown(node):
        return [each for each in run.view(node).get("warnings", []) if STRANGER in each]
    moved = run.alpha.ctl("move", "web", "--to", "beta", timeout=60)
    run.expect(moved.returncode == 0, f"clusterctl move: {moved.stderr.strip()}")
    run.settled("beta")
    run.alpha.ctl("move", "web", "--to", "alpha", timeout=60)
    run.settled("alpha")
    with run.watching(interval_ms=100) as probe:
        probe.hold(22)  # two rounds of questions
        run.judge(probe, lost=0, only_by="alpha")
    for node in (run.alpha, run.beta):
        run.expect(not alarms(node), f"{node.name}: a false alarm: {alarms(node)}")
    # The stranger lives in the switch: it shall answer with its own MAC only, not with the bridge's as well.
    run_command(["nsenter", "-t", run.lab.hub[0], "-n", "--", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/service/arp_ignore"])
    came = boot_ms()
    run.lab.ip(f"link add foreign0 type veth peer name foreign address {STRANGER}\nlink set foreign0 master service up\n"
               f"link set foreign up\naddress add {ADDRESS}/32 dev foreign\n")
    for node in (run.alpha, run.beta):
        wait_for(f"{node.name}'s status to name the stranger", lambda: shown(node), limit=40, every=0.2)
        run.numbers[f"{node.name}_noticed_ms"] = round(boot_ms() - came)
    wait_for("the events", lambda: alarms(run.alpha) and alarms(run.beta), limit=10)
    run.lab.ip("link delete foreign0\n")
    for node in (run.alpha, run.beta):
        wait_for(f"{node.name}'s status to be well again", lambda: not shown(node), limit=90, every=0.5)
        run.expect(len(alarms(node)) == 1, f"{node.name}: {len(alarms(node))} alarms instead of one")
    run.settled("alpha")


@scenario(fresh=True)
def leftovers_swept_at_start(run):
    """The address stands on the standby-to-be, left by a predecessor whose run directory is lost: a clean start takes it off before
    anything is decided, and leaves what isn't the cluster's."""
    run.beta.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "eth0"])
    run.beta.run(["ip", "address", "add", "10.77.0.55/24", "dev", "eth0"])
    run.beta.start()
    run.expect(run.beta.has_address("10.77.0.55"), "an address that isn't the cluster's is gone")
    with open(run.beta.log) as log:
        run.expect(any(ADDRESS in line and "removed" in line for line in log), "beta's log doesn't say that it removed the address")
    run.alpha.start()
    run.settled()  # the audit looks that the address is on its owner alone


@scenario(fresh=True, permit=f"{LONG_PERMIT_MS}ms")
def frozen_without_a_gate(run):
    """No nftables, and a permit of 1500 ms: status warns; with everything of ours frozen the kernel takes the address off by the permit's
    end, and the other node takes over."""
    for node in (run.alpha, run.beta):
        node.run(["mount", "--bind", "/dev/null", "/usr/sbin/nft"])
        node.mounts_at_boot = node.mounts()
    run.start_both()
    for node in (run.alpha, run.beta):
        warnings = run.view(node).get("warnings", [])
        run.expect(any("valid_lft" in each for each in warnings), f"{node.name} doesn't warn that there is no gate: {warnings}")
    with run.watching() as probe:
        probe.hold(5)  # several lifetimes
        when = run.alpha.freeze()
        gone = wait_for("the frozen node's address to be gone", lambda: not run.alpha.has_address() and boot_ms(), limit=10, every=0.01)
        run.numbers["address_gone_ms"] = round(gone - when)
        probe.wait_served(by="beta", since=when)
        run.alpha.thaw()
        wait_for("alpha to stop what it still had", run.alpha.runs_nothing, limit=10)
        run.settled("beta")
        run.judge(probe, blackout_below=3 * LONG_PERMIT_MS)
        run.silent_from(probe, run.alpha, when, LONG_PERMIT_MS)
