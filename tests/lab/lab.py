#!/usr/bin/env python3
"""The lab: two cluster nodes, a switch, a client and a quorum disk with faults, on this one machine, in namespaces of their own.

  lab.py up --keep [--no-start]       build a world, start clusterd on both nodes, leave it running
  lab.py exec NODE COMMAND...         in a node (alpha, beta), the client (client) or the switch (switch)
  lab.py shell NODE                   a shell there; clusterctl works without options
  lab.py status                       what runs where
  lab.py cut [alpha beta] [--links 0,1] [--one-way]      no packet passes between the nodes
  lab.py lose PERCENT                 so many packets between the nodes are lost
  lab.py disk NODE|both MODE [MS]     ok, eio, weio, reio, slow MS, hang, wlost, torn
  lab.py heal                         cables whole, disks healthy
  lab.py power NODE off|on            pull the plug; push the button
  lab.py kill NODE worker|guard+worker|service
  lab.py freeze NODE | thaw NODE      SIGSTOP, SIGCONT to all of clusterd's processes
  lab.py start NODE | stop NODE       clusterd only (stop: SIGTERM)
  lab.py watch [--seconds N]          a request every 5 ms from the client, then what it saw
  lab.py down                         end and remove it
  lab.py clean [--all]                remove what dead labs left; --all: kept ones, too
  lab.py scenarios                    their names
  lab.py run [NAME...] [--repeat N]   play scenarios (default: all; FILE/ is all of scenarios/FILE.py); exit 0 passed, 1 failed, 77 this
                                      machine can't. --minutes M: how long those under load last

Everything is in namespaces: the machine's own network and mounts are not touched. Needs root. --id chooses between several worlds.
Link 0 is eth0, the service net 10.77.0.0/24; link 1 is eth1, the heartbeat net 10.78.0.0/24. The address is 10.77.0.100.
"""
import argparse
import json
import os
import sys
import time

import config
from runner import load_scenarios, run_scenarios
from tools import LabError, Skip, alive
from world import Lab, all_labs, clean, come_first, end_on_signals

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_BIN = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "release", "bin")


def the_lab(arguments):
    labs = [each for each in all_labs() if alive(each.hub) and (not arguments.id or each.id == arguments.id)]
    if not labs:
        raise LabError("no lab is up: lab.py up --keep")
    if len(labs) > 1:
        raise LabError(f"{len(labs)} labs are up; choose with --id: {', '.join(each.id for each in labs)}")
    return labs[0]


def do_up(arguments):
    clean()
    lab = Lab(arguments.bin, disk=arguments.disk, keep=arguments.keep, xml=config.cluster_xml(timing=arguments.timing, quorum=arguments.disk != "none"))
    try:
        lab.up()
        if not arguments.no_start:
            lab.prepare_cluster()
            for node in lab.nodes.values():
                node.start()
        print(f"lab {lab.id} is up: nodes alpha and beta, client, switch; files in {lab.base}")
        if arguments.keep:
            return 0
        print("Ctrl-C ends it.")
        while True:
            time.sleep(3600)
    except BaseException:
        lab.keep = False
        raise
    finally:
        if not (arguments.keep and lab.keep):
            lab.down()


def do_exec(arguments):
    lab = the_lab(arguments)
    command = arguments.command or [os.environ.get("SHELL", "/bin/bash")]
    if arguments.place in lab.nodes:
        return lab[arguments.place].interactive(command)
    if arguments.place == "client":
        os.execvp("nsenter", lab.client.command(command))
    if arguments.place == "switch":
        os.execvp("nsenter", ["nsenter", "-t", str(lab.hub[0]), "-n", "-m", "--", *command])
    raise LabError(f"{arguments.place}: alpha, beta, client or switch")


def do_status(arguments):
    lab = the_lab(arguments)
    print(f"lab {lab.id}, {lab.base}\nfaults of the switch: {lab.faults or 'none'}")
    if lab.disk_kind in ("fault", "loop"):
        print(f"quorum disk: {', '.join(f'{name} {report[0]}' for name, report in lab.disk_report().items())}")
    for node in lab.nodes.values():
        if not node.on():
            print(f"{node.name}: off")
            continue
        print(f"{node.name}: on; address {'here' if node.has_address() else 'not here'}; runs:")
        for each in node.processes():
            print(f"  {each}")
    return 0


def do_cut(arguments):
    names = arguments.nodes or list(config.NODES)
    if sorted(names) != sorted(config.NODES):
        raise LabError("cut: alpha beta, or beta alpha (the order counts with --one-way)")
    the_lab(arguments).cut(*names, links=[int(each) for each in arguments.links.split(",")], one_way=arguments.one_way)
    return 0


def do_power(arguments):
    node = the_lab(arguments)[arguments.node]
    node.power_cut() if arguments.state == "off" else node.power_on()
    return 0


def do_kill(arguments):
    node = the_lab(arguments)[arguments.node]
    {"worker": node.kill_worker, "guard+worker": node.kill_guard_and_worker, "service": node.kill_service}[arguments.what]()
    return 0


def do_watch(arguments):
    lab = the_lab(arguments)
    seen = 0
    end = time.monotonic() + arguments.seconds
    with lab.client.probe(address=arguments.address) as probe:
        try:
            while time.monotonic() < end:
                for event in probe.history()[seen:]:
                    print(f"{time.strftime('%H:%M:%S')} {event['event']} {event['by']}", flush=True)
                    seen += 1
                time.sleep(0.05)
        except KeyboardInterrupt:
            pass
        result = probe.stop()
    print(json.dumps(result, indent=1))
    return 0


def do_down(arguments):
    lab = the_lab(arguments)
    if not lab.down():
        raise LabError(f"something of {lab.base} is left")
    return 0


def do_clean(arguments):
    removed, stuck = clean(arguments.all)
    print(f"{removed} removed" + (f"; could not be: {', '.join(stuck)}" if stuck else ""))
    return 1 if stuck else 0


def on_node(method):
    def do(arguments):
        getattr(the_lab(arguments)[arguments.node], method)()
        return 0
    return do


def parser():
    top = argparse.ArgumentParser(prog="lab.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--id", help="which world, where several are up")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name, do, *, built=False):
        each = verbs.add_parser(name)
        each.set_defaults(do=do)
        if built:
            each.add_argument("--bin", default=DEFAULT_BIN, help="where the programs were built (default: build/release/bin)")
            each.add_argument("--timing", default="default")
        return each

    up = verb("up", do_up, built=True)
    up.add_argument("--keep", action="store_true")
    up.add_argument("--no-start", action="store_true")
    up.add_argument("--disk", default="fault", choices=("fault", "loop", "file", "none"))
    run = verb("run", run_scenarios, built=True)
    run.add_argument("scenario", nargs="*")
    run.add_argument("--repeat", type=int, default=1)
    run.add_argument("--minutes", type=float, help="how long a scenario under load lasts (default: 20 s)")
    run.add_argument("--results", help="a file to which each run's line of JSON is added")
    run.add_argument("--logs", help="a directory for the logs of failed runs")
    for name in ("exec", "shell"):
        each = verb(name, do_exec)
        each.add_argument("place")
        each.add_argument("command", nargs=argparse.REMAINDER if name == "exec" else "*")
    verb("status", do_status)
    cut = verb("cut", do_cut)
    cut.add_argument("nodes", nargs="*")
    cut.add_argument("--links", default="0,1")
    cut.add_argument("--one-way", action="store_true")
    lose = verb("lose", lambda arguments: the_lab(arguments).lose(arguments.percent) or 0)
    lose.add_argument("percent", type=int)
    disk = verb("disk", lambda arguments: the_lab(arguments).disk(arguments.node, " ".join(arguments.mode)) or 0)
    disk.add_argument("node", choices=(*config.NODES, "both"))
    disk.add_argument("mode", nargs="+")
    verb("heal", lambda arguments: the_lab(arguments).heal() or 0)
    power = verb("power", do_power)
    power.add_argument("node", choices=config.NODES)
    power.add_argument("state", choices=("off", "on"))
    kill = verb("kill", do_kill)
    kill.add_argument("node", choices=config.NODES)
    kill.add_argument("what", choices=("worker", "guard+worker", "service"))
    for name, method in (("freeze", "freeze"), ("thaw", "thaw"), ("start", "start"), ("stop", "terminate")):
        verb(name, on_node(method)).add_argument("node", choices=config.NODES)
    watch = verb("watch", do_watch)
    watch.add_argument("--seconds", type=float, default=3600)
    watch.add_argument("--address", default=config.ADDRESS)
    verb("down", do_down)
    verb("clean", do_clean).add_argument("--all", action="store_true")
    verb("scenarios", lambda _: print("\n".join(load_scenarios())) or 0)
    return top


def main():
    arguments = parser().parse_args()
    if os.geteuid() != 0 and arguments.verb not in ("scenarios", "run"):
        print("lab.py: root is needed for namespaces and addresses; run it with sudo", file=sys.stderr)
        return 1
    end_on_signals()
    come_first()
    try:
        return arguments.do(arguments)
    except (LabError, Skip) as error:
        print(f"lab.py: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
