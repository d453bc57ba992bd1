"""The address gate and the guard, where they alone stand between a client and two owners: everything of ours frozen, its rules flushed by
others, workers killed and stopped at random moments."""
import os
import random
import signal
import subprocess

import config
from helper import Helper
from runner import PERMIT_MS, SILENCE_MARGIN_MS, scenario
from tools import boot_ms, dies_with_us, end_process, identity, wait_for

SEED = 20240511  # of the random moments; a failure names it
QUICK_MS = 3200  # a worker that lived so long didn't die soon, to its guard


# ---- everything frozen


@scenario(ipv6=True, announce=100)
def announcements_end_with_the_permit(run):
    """The active node is frozen while its addresses are being announced again and again, and thawed later: in the switch no announcement
    of it is seen after its permit's end, neither while it stands still nor when it wakes up (IPv4 and IPv6)."""
    run.start_both()
    lab = run.lab
    with Helper(lab, lab.hub, "sniffer.py", lambda path: [run.alpha.port(0), path, config.ADDRESS, config.ADDRESS6]) as sniffed:
        def heard(since):
            return [each for each in sniffed.lines() if each["ms"] > since]
        with run.watching() as probe:
            began = boot_ms()
            run.alpha.ctl("move", "web", "--to", "beta", check=True)
            run.alpha.ctl("move", "web", "--to", "alpha", check=True)
            wait_for("announcements of both addresses", lambda: {config.ADDRESS, config.ADDRESS6} <= {each["address"] for each in heard(began)}, limit=20)
            frozen = run.alpha.freeze()
            probe.wait_served(by="beta", since=frozen)
            probe.hold(1)
            thawed = run.alpha.thaw()
            wait_for("alpha to stop what it still had", run.alpha.runs_nothing, limit=10)
            probe.hold(1)
            run.settled("beta")
            late = [each for each in heard(frozen) if each["ms"] > frozen + PERMIT_MS]
            run.notes.update(announcements=len(heard(began)), thawed_after_ms=round(thawed - frozen))
            run.expect(not late, f"alpha still announced {late[0]['address']} {late[0]['ms'] - frozen:.0f} ms after it was frozen, its permit was for {PERMIT_MS} ms" if late else "")
            run.judge(probe, blackout_below=4 * PERMIT_MS)
            run.silent_from(probe, run.alpha, frozen)


@scenario(echo=True)
def standing_connections_end_with_the_permit(run):
    """Everything of ours on the active node is frozen, clients have a TCP connection and a UDP socket to it, and go on sending to its MAC
    (a warm ARP entry that no announcement changes): at permit end both are silent, and stay so while the other node serves."""
    run.start_both()
    lab = run.lab
    run.client.run(["ip", "neigh", "replace", config.ADDRESS, "lladdr", config.mac(run.alpha.host), "dev", "eth0", "nud", "permanent"])
    try:
        with Helper(lab, lab.client_holder, "talker.py", lambda path: [config.ADDRESS, str(config.ECHO_PORT), path]) as talker:
            wait_for("answers by TCP and UDP", lambda: all(each["answers"] > 50 for each in talker.whole().values()), limit=20)
            frozen = run.alpha.freeze()
            wait_for("beta to have the group", lambda: run.beta.has_address() and run.beta.runs_service(), limit=20)
            wait_for("four permits to pass", lambda: boot_ms() > frozen + 4 * PERMIT_MS, limit=20)
            run.expect(len([each for each in run.alpha.processes() if config.resource_of(each) == "web-echo"]) == 1,
                       "the server on the frozen node was to be still there (else this shows nothing)")
            for name, seen in talker.whole().items():
                after = seen["last_ms"] - frozen
                run.numbers[f"{name}_last_answer_ms"] = round(after)
                run.expect(after <= PERMIT_MS + SILENCE_MARGIN_MS, f"an answer by {name} came {after:.0f} ms after all was frozen, the permit was for {PERMIT_MS} ms")
                run.expect(after > 0, f"the last answer by {name} came before all was frozen")
            run.alpha.thaw()
            wait_for("alpha to stop what it still had", run.alpha.runs_nothing, limit=10)
            wait_for("the thawed node to be quiet", lambda: run.view(run.alpha)["permit"]["source"] == "joined", limit=30)
            for name, seen in talker.whole().items():
                run.expect(seen["last_ms"] - frozen <= PERMIT_MS + SILENCE_MARGIN_MS, f"{name} was answered again when alpha woke up")
    finally:
        run.client.run(["ip", "neigh", "delete", config.ADDRESS, "dev", "eth0"], check=False)
    run.settled("beta")


# ---- the rules removed by others

def gate_stands(node):
    return "table inet clusterd" in node.run(["nft", "list", "tables"]).stdout


class Busy:
    """Two processes that take what they can of the CPUs, as a machine with work has them."""

    def __enter__(self):
        self.hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"], preexec_fn=lambda: (dies_with_us(), os.setpriority(os.PRIO_PROCESS, 0, 0)))
                     for _ in range(os.cpu_count() or 2)]
        return self

    def __exit__(self, *_):
        for each in self.hogs:
            each.kill()
            each.wait()


@scenario()
def ruleset_flushed_ten_times(run):
    """nft flush ruleset on the active node ten times on a busy machine: the gate is put back each time, and not a request is lost."""
    run.start_both()
    run.expect(gate_stands(run.alpha), "there is no address gate")
    with run.watching() as probe, Busy():
        for _ in range(10):
            run.alpha.run(["nft", "flush", "ruleset"])
            wait_for("the gate to be back", lambda: gate_stands(run.alpha), limit=10)
            probe.hold(0.3)
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def firewall_reloaded(run):
    """Debian's nftables.service reloaded on both nodes (nft -f of a file that begins with `flush ruleset`): the gate is back, beside the
    firewall's own rules, and not a request is lost."""
    run.start_both()
    with open(os.path.join(run.lab.base, "nftables.conf"), "w") as file:
        file.write("#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter;\n\t}\n"
                   "\tchain forward {\n\t\ttype filter hook forward priority filter;\n\t}\n\tchain output {\n\t\ttype filter hook output priority filter;\n\t}\n}\n")
    with run.watching() as probe:
        for node in (run.alpha, run.beta, run.alpha):
            node.run(["nft", "-f", os.path.join(run.lab.base, "nftables.conf")])
            wait_for(f"{node.name}'s gate to be back", lambda: gate_stands(node), limit=10)
            run.expect("table inet filter" in node.run(["nft", "list", "tables"]).stdout, "the firewall's own table is gone")
            probe.hold(0.5)
        run.judge(probe, lost=0, only_by="alpha")
        # And closed again where it has to be: the standby answers for nothing, though the address is put there by hand.
    run.beta.run(["ip", "address", "add", f"{config.ADDRESS}/32", "dev", "eth0"])
    try:
        with run.client.probe() as probe:
            probe.hold(0.5)
            run.judge(probe, only_by="alpha", served=False)
            run.expect("beta" not in probe.stop()["owners"], "beta answered for an address that its gate had to close")
    finally:
        run.beta.run(["ip", "address", "delete", f"{config.ADDRESS}/32", "dev", "eth0"], check=False)
    for node in (run.alpha, run.beta):
        node.run(["nft", "delete", "table", "inet", "filter"])
    run.settled("alpha")


# ---- the worker at random moments

def at_a_random_moment(moments):
    until = boot_ms() + moments.uniform(20, 500)
    wait_for("the next moment", lambda: boot_ms() >= until, limit=10, every=0.002)


def renewed(node, old):
    def look():
        return any(each.pid != old for each in node.processes("clusterd-worker")) and node.status() is not None
    wait_for(f"{node.name}'s new worker", look)


@scenario()
def worker_killed_at_random(run):
    """kill -9 of a worker at 21 random moments, three in a row on one node and then on the other (the guard lets one that dies again and
    again wait longer and longer, so each node gets a rest): no request is lost, no second owner."""
    run.start_both()
    moments = random.Random(SEED)
    run.notes["seed"] = SEED
    rested = {run.alpha.name: 0.0, run.beta.name: 0.0}
    with run.watching() as probe:
        for burst in range(7):
            node = run.beta if burst % 2 else run.alpha
            wait_for("the guard to have forgotten the last ones", lambda: boot_ms() > rested[node.name], limit=10)
            for _ in range(3):
                at_a_random_moment(moments)
                renewed(node, node.kill_worker().pid)
            rested[node.name] = boot_ms() + QUICK_MS
        probe.hold(PERMIT_MS / 1000)
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario()
def worker_stopped_at_random(run):
    """SIGSTOP of a worker at 20 random moments for random times up to twice a permit: whatever the guard had to stop or the other node took
    over, never a second owner, and all is well when they go on."""
    run.start_both()

    moments = random.Random(SEED)
    run.notes["seed"] = SEED
    with run.watching() as probe:
        for number in range(20):
            at_a_random_moment(moments)
            worker = identity((run.alpha if number % 4 else run.beta).the("clusterd-worker").pid)
            end_process(worker, signal.SIGSTOP)
            until = boot_ms() + moments.uniform(0.02, 2) * PERMIT_MS
            wait_for("the pause to be over", lambda: boot_ms() >= until, limit=10, every=0.005)
            end_process(worker, signal.SIGCONT)
        run.settled()
        probe.wait_served()
        run.judge(probe)
