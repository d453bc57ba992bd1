"""Plays scenarios: a world for each run, or the one the last run left well; what every scenario wants to know, the audit after it
(audit.py), and the line of results. Called by lab.py; the scenarios (scenarios/*.py) are functions of one argument, a Run."""
import contextlib
import importlib
import json
import os
import shutil
import sys
import time
import traceback

import config
from audit import audit, take_baseline
from tools import LabError, Skip, boot_ms, run, wait_for
from world import Lab, clean

SCENARIOS = {}
OWN_PROGRAMS = ["lab-probe", "lab-faultdisk", "lab-wallclock.so", "lab-watchdog.so", "lab-harm.so"]  # these and DAEMONS: CMake's target lab-programs
DAEMONS = ["clusterd", "clusterd-worker", "cluster-agent", "clusterctl"]
PERMIT_MS = 1000          # of the default timing
SILENCE_MARGIN_MS = 30    # the kernel's timer, and the client's view of it

# What a run tells besides pass or fail.
COLUMNS = ("blackout_ms", "lost", "two_owner_instants")


class Scenario:
    def __init__(self, function, name, disk, needs_daemons, fresh, options):
        self.function, self.name, self.disk, self.needs_daemons, self.fresh, self.options = function, name, disk, needs_daemons, fresh, options
        self.promise = " ".join((function.__doc__ or "").split())
        self.file = function.__module__.removeprefix("scenarios.")

    def goes_on_from(self, last):
        """The pair that scenario leaves behind will do for this one."""
        return not self.fresh and not last.fresh and self.needs_daemons and last.needs_daemons and (self.disk, self.options) == (last.disk, last.options)


def scenario(*, disk="fault", daemons=True, fresh=False, **xml_options):
    """Makes a function a scenario of its own name; xml_options go to config.cluster_xml. fresh: it wants a world of its own, and leaves
    none to the next."""
    def register(function):
        SCENARIOS[function.__name__] = Scenario(function, function.__name__, disk, daemons, fresh, xml_options)
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

    def __init__(self, lab, of, minutes=None):
        self.minutes = minutes  # how long a scenario of load shall last; None: its own short time
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
        """A pair with its group on alpha and all forgotten that was: started, or the last scenario's."""
        if self.lab.running:
            self.alpha.ctl("reset", "web", check=True)
            if self.settled() != "alpha":
                self.alpha.ctl("move", "web", "--to", "alpha", check=True)
        else:
            for node in (self.alpha, self.beta):
                node.start()
            self.lab.running = True
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
        holder = wait_for(f"both nodes up and web online{f' on {owner}' if owner else ''}", look, limit, every=0.1)
        if self.lab.baseline is None:
            self.lab.baseline = take_baseline(self, holder)
        return holder

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

    def silent_from(self, probe, node, since, permit_ms=PERMIT_MS):
        """That node's kernel answers nothing for the address from the permit's end on, which is at most P after `since`."""
        seen = probe.stop()["owners"].get(node.name)
        last = seen["last_ms"] - since if seen else 0
        self.notes[f"{node.name}_last_answer_after_ms"] = round(last, 1)
        self.expect(last <= permit_ms + SILENCE_MARGIN_MS, f"{node.name} still answered {last:.0f} ms after it, its permit was for {permit_ms} ms")


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
    wanted = OWN_PROGRAMS + (DAEMONS if of.needs_daemons else [])
    unbuilt = [each for each in wanted if not os.access(os.path.join(bin_dir, each), os.X_OK)]
    if unbuilt:
        missing.append(f"{', '.join(unbuilt)} in {bin_dir} (build them)")
    if not absent:
        tried = run(["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "nft", "add table bridge lab"], check=False)
        if tried.returncode != 0:
            missing.append(f"namespaces with nftables' bridge family ({tried.stderr.strip()})")
    if missing:
        raise Skip("; ".join(missing))


def new_world(of, arguments):
    lab = Lab(arguments.bin, disk=of.disk, xml=config.cluster_xml(quorum=of.disk != "none", **{"timing": arguments.timing, **of.options}))
    try:
        lab.up()
        if of.needs_daemons:
            lab.prepare_cluster()
        return lab
    except BaseException:
        lab.down()
        raise


def play(of, number, arguments, lab, next_of):
    """One run, in the world that was left to it (lab) or a new one. The line of results, and the world that is left to the next."""
    started = time.monotonic()
    result = {"scenario": of.name, "run": number, "ok": False}
    play_of = None
    wrong = []
    logs = os.path.join(arguments.logs, f"{of.name}-{number}") if arguments.logs else None
    left = None
    try:
        lab = lab or new_world(of, arguments)
        play_of = Run(lab, of, arguments.minutes)
        wrong = play_of.wrong
        of.function(play_of)
        if of.needs_daemons:
            wrong += [f"audit: {each}" for each in audit(play_of)]
        result["ok"] = not wrong
    except Skip:
        raise
    except Exception as error:  # whatever it is, this play has failed and the next is played
        wrong.append(f"{type(error).__name__}: {error}")
        if not isinstance(error, LabError):
            traceback.print_exc()
    finally:
        if wrong and lab and lab.hub:
            tell_what_is_there(lab)
        if result["ok"] and next_of and next_of.goes_on_from(of) and lab.running:
            left = lab
        elif lab and not lab.down(keep_logs_in=logs if not result["ok"] else None):
            wrong.append("the lab left something behind")
    result.update(play_of.numbers if play_of else {}, ok=not wrong and result["ok"], seconds=round(time.monotonic() - started, 1), wrong=wrong,
                  notes=play_of.notes if play_of else {})
    if wrong and logs:
        print(f"    logs: {logs}")
    return result, left


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
    names = [name for each in arguments.scenario for name in ([of.name for of in known.values() if each == f"{of.file}/"] or [each])] or list(known)
    unknown = [each for each in names if each not in known]
    if unknown:
        print(f"lab: no scenario {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    clean()
    code = 0
    rows = []
    plan = [(known[name], number) for name in names for number in range(1, arguments.repeat + 1)]
    world = None
    skipped = set()
    for at, (of, number) in enumerate(plan):
        if of.name in skipped:
            continue
        if number == 1:
            print(f"{of.name}: {of.promise}", flush=True)
        try:
            prerequisites(of, arguments.bin)
            lent, world = world, None
            result, world = play(of, number, arguments, lent, plan[at + 1][0] if at + 1 < len(plan) else None)
        except Skip as skip:
            skipped.add(of.name)
            if world:
                world.down()
            world = None
            print(f"SKIPPED {of.name}: this machine lacks {skip}", flush=True)
            may_skip = os.environ.get("CI", "") in ("", "0", "false") or os.environ.get("ALLOW_SKIP") == "1"
            code = max(code, 77) if may_skip and code != 1 else 1
            if not may_skip:
                print("A skip fails CI; ALLOW_SKIP=1 lets it pass.")
            continue
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
