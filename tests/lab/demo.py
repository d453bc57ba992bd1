#!/usr/bin/env python3
"""What packaging/demo shows once all is built: a failover between two nodes, as an operator and as a client see it. Exit 0: it was so."""
import argparse
import json
import os
import sys
import time

import config
from runner import Run, Scenario, prerequisites
from tools import LabError, Skip
from world import Lab, clean, come_first, end_on_signals

BEGAN = time.monotonic()


def say(text):
    bold = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold[0]}== {text}{bold[1]}  ({time.monotonic() - BEGAN:.1f} s)", flush=True)


def show(node, *command):
    print(f"{node.name}$ clusterctl {' '.join(command)}", flush=True)
    status = node.stream([node.lab.program("clusterctl"), *command], lambda line: print("  " + line, flush=True))
    if status != 0:
        raise LabError(f"clusterctl {' '.join(command)}: exit {status}")


def newest_failover(node):
    done = node.ctl("--json", "failovers", check=True)
    records = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    if len(records) == 1 and isinstance(records[0], list):
        records = records[0]
    records = [each for each in records if each["from"] == "alpha" and each["to"] == "beta"]
    if not records:
        raise LabError("clusterctl failovers doesn't show the failover")
    return max(records, key=lambda each: each["start"])["id"]


def tell_client(seen):
    print(f"  {seen['requests']} requests, one every 5 ms: {seen['ok']} answered ({', '.join(f'{count} by {name}' for name, count in seen['answered_by'].items())}), "
          f"{seen['lost']} lost\n  blackout: {seen['blackout_ms']:.0f} ms\n  instants with two owners: {seen['two_owner_instants']} of {seen['samples']} looked at", flush=True)
    if seen["two_owner_instants"]:
        raise LabError("two owners were seen")


def play(lab):
    run = Run(lab, None)
    alpha, beta = run.alpha, run.beta
    say("Making the world: two nodes (alpha, beta), a switch, a client, a quorum disk, all in namespaces")
    lab.up()
    say("A key and the quorum disk (clusterctl key new, clusterctl quorum init)")
    lab.prepare_cluster()
    say(f"Starting clusterd on both nodes; group web: {config.ADDRESS} and nginx")
    for node in (alpha, beta):
        node.start()
    run.settled("alpha")
    show(alpha, "status")

    say("A client asks the address every 5 ms. Now alpha loses power")
    with run.watching() as probe:
        probe.hold(0.5)
        when = alpha.power_cut()
        served = probe.wait_served(by="beta", since=when)
        print(f"  the client is served by beta, {served['ms'] - when:.0f} ms after the plug was pulled", flush=True)
        probe.hold(0.5)
        seen = probe.stop()
    show(beta, "failovers")
    show(beta, "failovers", newest_failover(beta))
    print("What the client saw:")
    tell_client(seen)

    say("alpha gets its power back")
    alpha.power_on()
    run.settled("beta")
    print("  alpha has joined; the group stays where it runs (failback=\"never\")", flush=True)

    say("Moving the group home")
    with run.watching() as probe:
        show(beta, "move", "web", "--to", "alpha")
        run.settled("alpha")
        probe.hold(0.3)
        seen = probe.stop()
    print("What the client saw:")
    tell_client(seen)
    show(alpha, "status")


def how_to_play(lab):
    here = os.path.relpath(os.path.dirname(os.path.abspath(__file__)))
    command = f"sudo {here}/lab.py"
    print(f"""
Both nodes go on running. To play with them, from this directory:
  {command} exec alpha clusterctl status
  {command} exec beta clusterctl events --follow
  {command} exec alpha clusterctl move web
  {command} exec client curl -s http://{config.ADDRESS}/      the name of the node that answers
  {command} watch --seconds 20                        a request every 5 ms; do something meanwhile in another terminal:
  {command} power alpha off                           and: power alpha on
  {command} cut; {command} heal      the links between the nodes
  {command} disk both eio                             the quorum disk fails; heal mends it
  {command} kill alpha service                        also: worker, guard+worker
  {command} freeze alpha; {command} thaw alpha
  {command} shell alpha                               a shell on the node; clusterctl works there
  {command} --help                                    all of it
  {command} down                                      ends it and removes everything""")


def main():
    parser = argparse.ArgumentParser(prog="demo", description="A failover between two nodes, to watch.")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--keep", action="store_true", help="leave the nodes running")
    arguments = parser.parse_args()
    end_on_signals()
    come_first()
    clean()
    try:
        prerequisites(Scenario(play, "demo", "fault", needs_daemons=True, fresh=True, options={}), arguments.bin)
    except Skip as skip:
        print(f"demo: this machine lacks {skip}", file=sys.stderr)
        return 1
    lab = Lab(arguments.bin, keep=arguments.keep)
    kept = False
    try:
        play(lab)
        kept = arguments.keep
    except LabError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        for node in lab.nodes.values():
            if os.path.exists(node.log):
                with open(node.log, errors="replace") as log:
                    print("".join(f"  {node.name}| {line}" for line in log.readlines()[-15:]), end="", file=sys.stderr)
        return 1
    finally:
        if kept:
            say("Done")
            how_to_play(lab)
        else:
            say("Cleaning up")
            clean_end = lab.down()
            print("  everything that was made is gone" if clean_end else f"  NOT everything could be removed: see {lab.base}", flush=True)
    return 0 if kept or clean_end else 1


if __name__ == "__main__":
    sys.exit(main())
