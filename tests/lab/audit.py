"""The audit after every scenario: what both nodes, the disk, the kernel and the client say must be one story, and nothing may be left of
what is over. Called by runner.py, once the scenario's own promises were looked at; whatever is found fails the scenario, by name.

Everything is waited for (a settled pair needs a moment to tidy up) and told only when it stays. What is compared:
  * groups: both nodes name the same owner, the client's samples of the address come from it alone;
  * decisions: the same (term, index) on both nodes; on the disk a whole one that is not newer;
  * leftovers where the owner isn't: addresses, processes, cgroups, mounts; zombies and processes of nobody on either node;
  * file descriptors of guard, worker and agent hosts, against those of the same kind of process at the world's first start."""
import json
import os

import config
from node import OURS
from tools import LabError, open_files, wait_for, zombies_in

LIMIT = 15  # seconds for a pair to tidy up


def audit(run, limit=LIMIT):
    """The findings, as texts."""
    found = []

    def stays(what, look):
        try:
            wait_for(what, look, limit, every=0.1)
        except LabError as error:
            found.append(str(error))
    owner = None
    try:
        owner = run.settled()
    except LabError as error:
        return [str(error)]
    stays("both nodes to tell the same of groups and decisions", lambda: one_story(run))
    if run.lab.disk_kind != "none":
        stays("the disk to be of the same mind", lambda: disk_agrees(run))
    for node in (run.alpha, run.beta):
        stays(f"{node.name} to have nothing left over", lambda: nothing_left(run, node))
        stays(f"{node.name}'s file descriptors to be as at its start", lambda: no_new_files(run, node, node.name == owner))
    found.extend(client_sees_one(run, owner))
    return found


def complain(problems):
    if problems:
        raise LabError("; ".join(problems))
    return True


# ---- groups, decisions, the client

def one_story(run):
    views = {node.name: run.view(node) for node in (run.alpha, run.beta)}
    seen = [{each["name"]: (each["state"], each["owner"], each["wanted"]) for each in view["groups"]} for view in views.values()]
    problems = []
    if seen[0] != seen[1]:
        problems.append(f"alpha tells of groups {seen[0]}, beta of {seen[1]}")
    ids = {name: (view["term"], view["index"]) for name, view in views.items()}
    if len(set(ids.values())) != 1:
        problems.append(f"the newest decisions differ: {ids}")
    if views["alpha"]["leader"] != views["beta"]["leader"]:
        problems.append(f"alpha names {views['alpha']['leader']} as leader, beta {views['beta']['leader']}")
    return complain(problems)


def disk_agrees(run):
    """A joined pair writes nothing there: what stands on it is whole, and not newer than what both act on."""
    shown = run.alpha.ctl("--json", "quorum", "show", "/run/quorum", "--key", "/run/lab/key", check=True)
    disk = json.loads(shown.stdout)
    view = run.view(run.alpha)
    ours = (view["term"], view["index"])
    problems = [f"slot {number} is {slot['state']}: {slot.get('error')}" for number, slot in enumerate(disk["slots"]) if slot["state"] not in ("ok", "never-written")]
    whole = {(each["term"], each["index"]) for each in disk["decisions"] if each["state"] == "ok"}
    named = {(slot["newest_term"], slot["newest_index"]) for slot in disk["slots"] if slot["state"] == "ok"} - {(0, 0)}
    for each in sorted(named):
        if each > ours:
            problems.append(f"a slot names decision {each}, both nodes act on {ours}")
    # Of an older one the area may have been written over by the other node's; the newest must be there.
    if named and max(named) not in whole:
        problems.append(f"the slots name decision {max(named)}, whole on the disk are {sorted(whole)}")
    return complain(problems)


def client_sees_one(run, owner):
    """Half a second of samples, when all should be quiet."""
    found = []
    for address in [config.ADDRESS] + ([config.ADDRESS6] if run.scenario.options.get("ipv6") else []):
        with run.client.probe(address=address) as probe:
            probe.hold(0.5)
            seen = probe.stop()
        if seen["two_owner_instants"] or set(seen["owners"]) != {owner}:
            found.append(f"{address} is answered for by {', '.join(seen['owners']) or 'nobody'}, its owner is {owner} "
                         f"({seen['two_owner_instants']} of {seen['samples']} samples saw two)")
    return found


# ---- leftovers

def nothing_left(run, node):
    """Of groups that this node doesn't own, and of nobody's."""
    groups = run.view(node)["groups"]
    here = {each["name"] for group in groups if group["owner"] == node.name for each in group["resources"]}
    elsewhere = {each["name"] for group in groups for each in group["resources"]} - here
    problems = []
    for address, resource in config.cluster_addresses(groups).items():
        places = [interface for interface, addresses in node.all_addresses().items() if address in addresses]
        if resource in elsewhere and places:
            problems.append(f"address {address} is left over on {', '.join(places)}")
        if resource in here and places != ["eth0"]:
            problems.append(f"address {address} is on {', '.join(places) or 'no interface'} instead of eth0")
    masters = 0
    for each in node.processes():
        of = config.resource_of(each)
        if of in elsewhere:
            problems.append(f"a process of {of} is left over: {each}")
        elif of is None and each.name not in ("nsenter", *OURS):
            problems.append(f"a process of nobody: {each}")
        masters += of == "web-server" and config.is_master(each)
    if "web-server" in here and masters != 1:
        problems.append(f"{masters} nginx masters run instead of one")
    problems += [f"{len(found)} {name} run instead of one: {found}" for name in ("clusterd", "clusterd-worker") for found in [node.processes(name)] if len(found) != 1]
    problems += [f"the cgroup {path} of {name} is left over" for name, path in node.resource_cgroups() if name not in here]
    problems += [f"mount {each} is left over" for each in sorted(set(node.mounts()) - set(node.mounts_at_boot))]
    problems += [f"a zombie: {each}" for each in zombies_in(node.pid_namespace())]
    return complain(problems)


# ---- file descriptors

def kind_of(process):
    return process.name if process.name != "cluster-agent" else " ".join([process.name, *process.arguments[1:2]])


def files_of(node):
    """Without the worker's ears for strangers: there is one while its interface has a carrier, so they come and go."""
    return {kind_of(each): [file for file in open_files(each.pid) if file != "packet socket"] for each in node.ours()}


def take_baseline(run, owner):
    """Of each kind of process on the owner and on the other: the most of a few looks, since a check that is under way has a socket more."""
    baseline = {}

    def look():
        for node in (run.alpha, run.beta):
            for kind, files in files_of(node).items():
                at = (node.name, node.name == owner, kind)
                if at not in baseline or len(files) > len(baseline[at]):
                    baseline[at] = files
        look.times += 1
        return look.times >= 6
    look.times = 0
    wait_for("a look at all file descriptors", look, every=0.1)
    return baseline


def no_new_files(run, node, owns):
    """Against the same node in the same part; where it never had that part, the most that any had counts, and becomes its own."""
    problems = []
    for kind, files in files_of(node).items():
        at = (node.name, owns, kind)
        known = run.lab.baseline.get(at)
        before = known if known is not None else max((each for key, each in run.lab.baseline.items() if key[2] == kind), key=len, default=files)
        if len(files) > len(before):
            old = list(before)
            new = [each for each in files if each not in old or old.remove(each)]
            problems.append(f"{kind} has {len(files)} open, {len(before)} at its start; new are {', '.join(new)}")
        elif known is None:
            run.lab.baseline[at] = files
    return complain(problems)
