"""Plays scenarios: a world for each run, what every scenario wants to know, the audit after it, and the line of results. Called by
lab.py; the scenarios (scenarios/*.py) are functions of one argument, a Run."""
import contextlib
import importlib
import json
import os
import shutil
import sys
import time
import traceback

import config
from node import OURS
from tools import LabError, Skip, boot_ms, run, wait_for
from world import Lab, clean

SCENARIOS = {}
PERMIT_MS = 1000          # of the default timing
SILENCE_MARGIN_MS = 30    # the kernel's timer, and the client's view of it

# What a run tells besides pass or fail.
COLUMNS = ("blackout_ms", "lost", "two_owner_instants")


class Scenario:
    def __init__(self, function, name, disk, needs_daemons, options):
        self.function, self.name, self.disk, self.needs_daemons, self.options = function, name, disk, needs_daemons, options
        self.promise = " ".join((function.__doc__ or "").split())


def scenario(*, disk="fault", daemons=True, **xml_options):
    """Makes a function a scenario of its own name; xml_options go to config.cluster_xml."""
    def register(function):
        SCENARIOS[function.__name__] = Scenario(function, function.__name__, disk, daemons, xml_options)
        return function
    return register


def load_scenarios():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenarios")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            importlib.import_module(f"scenarios.{name[:-3]}")
    return SCENARIOS


class Run:
    """One play of one scenario. expect() collects what was wrong; anything raised ends the play."""

    def __init__(self, lab, of):
        self.lab, self.scenario, self.client = lab, of, lab.client
        self.alpha, self.beta = lab["alpha"], lab["beta"]
        self.wrong, self.numbers, self.notes = [], {}, {}

    def expect(self, true, text):
        if not true:
            self.wrong.append(text)
            print(f"    WRONG: {text}", flush=True)
        return true

    def step(self, text):
        print(f"    {text}", flush=True)

    def node(self, name):
        return self.lab[name]

    # ---- the cluster's state

    def start_both(self):
        for node in (self.alpha, self.beta):
            node.start()
        self.settled("alpha")

    def view(self, node):
        status = node.status()
        if status is None:
            raise LabError(f"{node.name}: clusterctl status: nothing answers")
        return status

    def web(self, node):
        return next(group for group in self.view(node)["groups"] if group["name"] == "web")

    def settled(self, owner=None, limit=60):
        """Both nodes joined, both see the group online on that owner, and the kernel agrees. The owner's name."""
        def look():
            seen = []
            for node in (self.alpha, self.beta):
                status = self.view(node)
                states = {each["name"]: each["state"] for each in status["nodes"]}
                web = next(group for group in status["groups"] if group["name"] == "web")
                seen.append((web["state"], web["owner"]))
                if set(states.values()) != {"up"} or status["permit"]["source"] != "joined":
                    raise LabError(f"{node.name} sees nodes {states}, permit {status['permit']}")
            if seen[0] != seen[1] or seen[0][0] != "online" or owner not in (None, seen[0][1]):
                raise LabError(f"group web: alpha sees {seen[0]}, beta sees {seen[1]}")
            holder = self.node(seen[0][1])
            if not holder.has_address() or not holder.runs_service():
                raise LabError(f"{holder.name} doesn't run it")
            return holder.name
        return wait_for(f"both nodes up and web online{f' on {owner}' if owner else ''}", look, limit, every=0.1)

    def permit(self, node):
        return self.view(node)["permit"]["source"]

    # ---- what the client saw

    @contextlib.contextmanager
    def watching(self, **options):
        """A client while the block runs. Where the block fails, what the client saw until then is told, too."""
        probe = self.client.probe(**options)
        try:
            probe.wait_served()
            yield probe
        except Exception:
            self.judge(probe, served=False)
            raise
        finally:
            probe.stop()

    def judge(self, probe, *, lost=None, blackout_below=None, only_by=None, served=True):
        """Never two owners; the rest as this scenario promises."""
        if served:
            probe.wait_served()  # a busy machine answers late; the blackout is measured all the same
        seen = probe.stop()
        for name in ("lost", "two_owner_instants", "requests"):
            self.numbers[name] = self.numbers.get(name, 0) + seen[name]
        self.numbers["blackout_ms"] = max(self.numbers.get("blackout_ms", 0), seen["blackout_ms"])
        self.notes.update(gaps=seen["gaps"][:8], answered_by=seen["answered_by"], lost_because=seen["lost_because"], owners=seen["owners"])
        self.expect(seen["two_owner_instants"] == 0, f"{seen['two_owner_instants']} instants with two owners, first at {seen['first_two_owners_ms']}")
        self.expect(seen["samples"] > 0, "the owners were never sampled")
        if lost is not None:
            self.expect(seen["lost"] <= lost, f"{seen['lost']} requests lost ({seen['lost_because']}), at most {lost} are allowed")
        if blackout_below is not None:
            self.expect(seen["blackout_ms"] < blackout_below, f"blackout of {seen['blackout_ms']} ms, less than {blackout_below} was promised")
        if only_by is not None:
            self.expect(set(seen["answered_by"]) <= {only_by}, f"answered by {seen['answered_by']}, only {only_by} may")
        self.expect(not served or seen["served_at_the_end"], "the client isn't served at the end")
        return seen

    def silent_from(self, probe, node, since):
        """That node's kernel answers nothing for the address from the permit's end on, which is at most P after `since`."""
        seen = probe.stop()["owners"].get(node.name)
        last = seen["last_ms"] - since if seen else 0
        self.notes[f"{node.name}_last_answer_after_ms"] = round(last, 1)
        self.expect(last <= PERMIT_MS + SILENCE_MARGIN_MS, f"{node.name} still answered {last:.0f} ms after it, its permit was for {PERMIT_MS} ms")

    # ---- afterwards

    def audit(self):
        """One owner, and nothing of the group anywhere else."""
        owner = self.settled()
        for node in (self.alpha, self.beta):
            if not node.on() or node.name == owner:
                continue
            wait_for(f"nothing of the group on {node.name}", node.runs_nothing, limit=10)
        for node in (self.alpha, self.beta):
            if node.on():
                new = set(node.mounts()) - set(node.mounts_at_boot)
                self.expect(not new, f"{node.name}: mounts are left over: {sorted(new)}")
                self._no_other_processes(node)

    def _no_other_processes(self, node):
        def look():
            others = [each for each in node.processes() if each.name not in ("nginx", "nsenter", *OURS)]
            if others:
                raise LabError(f"{node.name}: processes are left over: {others}")
            return True
        wait_for(f"nothing but clusterd and the group on {node.name}", look, limit=10)


def prerequisites(of, bin_dir):
    """Skip, with all that is missing."""
    missing = []
    if os.geteuid() != 0:
        raise Skip("root is needed: namespaces, addresses, nftables (sudo)")
    tools = ("ip", "nft", "nsenter", "unshare", "nginx")
    absent = [each for each in tools if not shutil.which(each, path="/usr/sbin:/sbin:/usr/bin:/bin")]
    if absent:
        missing.append(f"{', '.join(absent)} (sudo packaging/install-deps)")
    if of.disk in ("fault", "loop") and not os.path.exists("/dev/fuse"):
        missing.append("/dev/fuse (a disk with faults)")
    wanted = ["lab-probe", "lab-faultdisk"] + (["clusterd", "clusterd-worker", "cluster-agent", "clusterctl"] if of.needs_daemons else [])
    unbuilt = [each for each in wanted if not os.access(os.path.join(bin_dir, each), os.X_OK)]
    if unbuilt:
        missing.append(f"{', '.join(unbuilt)} in {bin_dir} (build them)")
    if not absent:
        tried = run(["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "nft", "add table bridge lab"], check=False)
        if tried.returncode != 0:
            missing.append(f"namespaces with nftables' bridge family ({tried.stderr.strip()})")
    if missing:
        raise Skip("; ".join(missing))


def play(of, number, arguments):
    """One run. The line of results, a dict."""
    started = time.monotonic()
    result = {"scenario": of.name, "run": number, "ok": False}
    lab = Lab(arguments.bin, disk=of.disk, xml=config.cluster_xml(quorum=of.disk != "none", **{"timing": arguments.timing, **of.options}))
    play_of = Run(lab, of)
    logs = os.path.join(arguments.logs, f"{of.name}-{number}") if arguments.logs else None
    try:
        lab.up()
        if of.needs_daemons:
            lab.prepare_cluster()
        of.function(play_of)
        if of.needs_daemons:
            play_of.audit()
        result["ok"] = not play_of.wrong
    except Skip:
        raise
    except Exception as error:  # whatever it is, this play has failed and the next is played
        play_of.wrong.append(f"{type(error).__name__}: {error}")
        if not isinstance(error, LabError):
            traceback.print_exc()
    finally:
        if play_of.wrong and lab.hub:
            tell_what_is_there(lab)
        if not lab.down(keep_logs_in=logs if play_of.wrong or not result["ok"] else None):
            play_of.wrong.append("the lab left something behind")
    result.update(play_of.numbers, ok=not play_of.wrong and result["ok"], seconds=round(time.monotonic() - started, 1), wrong=play_of.wrong,
                  notes=play_of.notes)
    if play_of.wrong and logs:
        print(f"    logs: {logs}")
    return result


def tell_what_is_there(lab):
    """For whoever reads a failed run: each node's processes and addresses, and the end of its log."""
    for node in lab.nodes.values():
        try:
            print(f"    {node.name}: addresses {sorted(node.addresses())}; processes {[each.name for each in node.processes()]}" if node.on() else f"    {node.name}: off")
            if os.path.exists(node.log):
                with open(node.log, errors="replace") as log:
                    print("".join(f"      {node.name}| {line}" for line in log.readlines()[-25:]), end="")
        except (LabError, OSError) as error:
            print(f"    {node.name}: {error}")


def row(result):
    cells = [result["scenario"], str(result["run"]), "pass" if result["ok"] else "FAIL"]
    cells += [str(result.get(each, "-")) for each in COLUMNS] + [f"{result['seconds']}"]
    return "| " + " | ".join(cells) + " |"


def run_scenarios(arguments):
    """The exit code: 0 all passed, 1 not, 77 skipped."""
    known = load_scenarios()
    names = arguments.scenario or list(known)
    unknown = [each for each in names if each not in known]
    if unknown:
        print(f"lab: no scenario {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    clean()
    code = 0
    rows = []
    for name in names:
        of = known[name]
        print(f"{name}: {of.promise}", flush=True)
        for number in range(1, arguments.repeat + 1):
            try:
                prerequisites(of, arguments.bin)
                result = play(of, number, arguments)
            except Skip as skip:
                print(f"SKIPPED {name}: this machine lacks {skip}", flush=True)
                may_skip = os.environ.get("CI", "") in ("", "0", "false") or os.environ.get("ALLOW_SKIP") == "1"
                code = max(code, 77) if may_skip and code != 1 else 1
                if not may_skip:
                    print("A skip fails CI; ALLOW_SKIP=1 lets it pass.")
                break
            rows.append(row(result))
            print(rows[-1], flush=True)
            for each in result["wrong"]:
                print(f"    wrong: {each}")
            if arguments.results:
                with open(arguments.results, "a") as file:
                    file.write(json.dumps(result) + "\n")
            if not result["ok"]:
                code = 1
    if len(rows) > 1:
        print("\n| scenario | run | result | blackout ms | lost | two owners | seconds |\n|---|---|---|---|---|---|---|\n" + "\n".join(rows))
    return code


__all__ = ["Run", "boot_ms", "scenario"]
