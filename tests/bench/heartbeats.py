#!/usr/bin/env python3
"""What health checks cost, and whether they hold up a heartbeat: two nodes in the lab, without checks and with 200 of them a second on the active
one; how long its peer waits from one heartbeat to the next, and how much CPU clusterd takes. Prints both beside each other.

  sudo tests/bench/heartbeats.py [--seconds 60] [--bin build/release/bin]

The checks: 80 http and 80 tcp of a local nginx, 20 exec (a shell each), 20 process, each once a second. Times are the kernel's, taken where the packet
arrives in the peer's namespace.
"""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))
sys.dont_write_bytecode = True

import config  # noqa: E402
from heartbeats import EDGES, counts, gaps, part  # noqa: E402
from helper import Helper  # noqa: E402
from runner import Run, Scenario  # noqa: E402
from tools import boot_ms, wait_for  # noqa: E402
from world import Lab, clean, come_first, end_on_signals  # noqa: E402

RESOURCES = 20
OURS = ("clusterd", "clusterd-worker", "cluster-agent")


def checked_groups():
    each = "".join(f'      <health type="http" url="http://{config.ADDRESS}/healthz"/>\n      <health type="tcp" address="{config.ADDRESS}" port="80"/>\n'
                   for _ in range(4))
    one = '      <health type="exec" command="/bin/sh -c \'echo -n x >>/run/lab/exec-runs\'"/>\n'
    out = '  <group name="checked" preferred="alpha" after="web">\n'
    for n in range(RESOURCES):
        out += f'    <dummy name="checked-{n}">\n{each}{one}    </dummy>\n'
        out += f'    <process name="batch-{n}" command="/bin/sleep infinity"> <health type="process"/> </process>\n'
    return out + "  </group>\n"


def cpu_ms(pid):
    """Its own, and that of its children that have ended, which are the programs that checks start."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rsplit(b")", 1)[1].split()
    tick = 1000 / os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) * tick, (int(fields[13]) + int(fields[14])) * tick


def connections_taken(node):
    with open(f"/proc/{node.init[0]}/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("PassiveOpens")])


def execs(node):
    path = os.path.join(node.directory, "exec-runs")
    return os.path.getsize(path) if os.path.exists(path) else 0


def used(node):
    own, theirs = {}, 0
    for each in node.processes(*OURS):
        mine, children = cpu_ms(each.pid)
        own[each.name] = own.get(each.name, 0) + mine
        theirs += children if each.name == "clusterd" else 0
    return {**own, "programs of checks": theirs}


def measure(arguments, checks):
    lab = Lab(arguments.bin, xml=config.cluster_xml(extra=checked_groups() if checks else "", health=False))
    try:
        lab.up()
        lab.prepare_cluster()
        run = Run(lab, Scenario(measure, "bench", "fault", True, True, {}))
        run.start_both()
        if checks:
            def all_checked():
                group = next(each for each in run.view(run.alpha)["groups"] if each["name"] == "checked")
                return all(each["state"] == "online" and each["health"] == "ok" for each in group["resources"])
            wait_for("all checks to be well", all_checked, limit=60, every=0.5)
        with Helper(lab, run.beta.init, "heartbeats.py", lambda path: ["eth1", path, "7780"]) as heard:
            began, before, opened, runs = boot_ms(), used(run.alpha), connections_taken(run.alpha), execs(run.alpha)
            wait_for("the time to be over", lambda: boot_ms() - began >= arguments.seconds * 1000, limit=arguments.seconds + 60, every=0.1)
            took = boot_ms() - began
            after = used(run.alpha)
            result = {"gaps": gaps(heard.lines()), "cpu": {name: 100 * (after[name] - before[name]) / took for name in after},
                      "connections": 1000 * (connections_taken(run.alpha) - opened) / took, "execs": 1000 * (execs(run.alpha) - runs) / took}
        if checks:
            run.expect(all_checked(), "a check failed meanwhile")
        run.settled("alpha")
        if run.wrong:
            raise SystemExit("; ".join(run.wrong))
        return result
    finally:
        lab.down()


def bar(count, most, width=24):
    return "#" * (max(1, round(width * count / most)) if count else 0)


def show(without, with_checks):
    columns = ("0 checks/s", "200 checks/s")
    results = (without, with_checks)
    print(f"\n{'ms between heartbeats':<22}" + "".join(f"{each:>14}{'':<26}" for each in columns))
    histograms = [counts(each["gaps"]) for each in results]
    labels = [f"under {EDGES[0]}"] + [f"{low} to {high}" for low, high in zip(EDGES, EDGES[1:])] + [f"{EDGES[-1]} and more"]
    for at, label in enumerate(labels):
        if any(each[at] for each in histograms):
            print(f"{label:<22}" + "".join(f"{each[at]:>14}  {bar(each[at], max(each)):<24}" for each in histograms))
    for label, value in (("heartbeats", lambda each: f"{len(each['gaps'])}"), ("median, ms", lambda each: f"{part(each['gaps'], 0.5):.2f}"),
                         ("99 %, ms", lambda each: f"{part(each['gaps'], 0.99):.2f}"), ("99.9 %, ms", lambda each: f"{part(each['gaps'], 0.999):.2f}"),
                         ("longest, ms", lambda each: f"{max(each['gaps']):.2f}"),
                         ("http and tcp checks/s", lambda each: f"{each['connections']:.1f}"), ("exec checks/s", lambda each: f"{each['execs']:.1f}")):
        print(f"{label:<22}" + "".join(f"{value(each):>14}{'':<26}" for each in results))
    print("\nCPU on the active node, % of one")
    for name in with_checks["cpu"]:
        print(f"{name:<22}" + "".join(f"{each['cpu'].get(name, 0):>14.1f}{'':<26}" for each in results))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "release", "bin"))
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("heartbeats.py: root is needed for the lab's namespaces; run it with sudo")
    end_on_signals()
    come_first()
    clean()
    show(measure(arguments, False), measure(arguments, True))


if __name__ == "__main__":
    main()
