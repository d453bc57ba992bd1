"""Drivers and agents that hang in the kernel, crash, leak, never return: each costs what it hosts, and nothing else. The group web goes on, no
heartbeat is held up, other resources are driven and checked, and there is a message that says what happened."""
import os

import config
from heartbeats import gaps
from helper import Helper
from runner import PERMIT_MS, scenario
from tools import LabError, wait_for

DEVICES = """  <group name="odd" start="manual">
    <dummy name="odd-driver" state-file="/run/lab/stuck" online-timeout="2s" possible="alpha"/>
  </group>
  <group name="plain" preferred="alpha">
    <dummy name="plain-one"/>
  </group>
  <group name="shaky" preferred="alpha">
    <disk name="shaky-disk" device="/run/lab/stuck-disk" check-every="500ms" check-timeout="1s" affects-group="no"/>
    <dummy name="shaky-check"> <health type="exec" command="/usr/bin/head -c 1 /run/lab/stuck" every="500ms" timeout="500ms"/> </dummy>
    <dummy name="shaky-well"> <health type="exec" command="/bin/echo all is well" every="500ms" timeout="2s"/> </dummy>
  </group>
"""


class Beats:
    """The heartbeats that alpha sends while the block runs, on the link that carries nothing else."""

    def __init__(self, run):
        self.run = run
        self.helper = Helper(run.lab, run.lab.hub, "heartbeats.py", lambda path: [run.alpha.port(1), path, "7780"])

    def __enter__(self):
        self.helper.__enter__()
        return self

    def __exit__(self, *_):
        self.helper.__exit__()
        seen = gaps(self.helper.lines())
        self.run.numbers["heartbeats"] = len(seen)
        self.run.numbers["longest_gap_ms"] = round(max(seen, default=0), 1)
        self.run.expect(len(seen) > 20, f"only {len(seen)} heartbeats were seen: this shows nothing")
        self.run.expect(max(seen, default=0) < PERMIT_MS, f"{max(seen, default=0):.0f} ms without a heartbeat of alpha's")


def resource(run, name):
    return next(each for group in run.view(run.alpha)["groups"] for each in group["resources"] if each["name"] == name)


def said(run, text):
    with open(run.alpha.log, errors="replace") as log:
        return text in log.read()


def until(run, name, what, limit=30, **wanted):
    """Waits for a resource to be as wanted: state, health, and (message) what its message has in it."""
    def look():
        seen = resource(run, name)
        if all(text in seen["message"] if key == "message" else seen[key] == text for key, text in wanted.items()):
            return seen
        raise LabError(f"it is {seen['state']}, {seen['health']}: {seen['message']}")
    return wait_for(f"{name}: {what}", look, limit, every=0.1)


@scenario(extra=DEVICES, fresh=True)
def device_hangs(run):
    """A device that never answers: under a disk resource, under a check's program that can't be killed then, and under a driver that waits in the
    kernel with the host that all drivers share. All else is driven and checked as before; once the device answers, the state of each is found out."""
    device = run.lab.data_device()
    for node in (run.alpha, run.beta):
        for name, target in (("stuck", run.lab.data_path()), ("stuck-disk", device)):
            os.symlink(target, os.path.join(node.directory, name))
    run.start_both()
    until(run, "shaky-disk", "to be online", state="online")
    until(run, "shaky-check", "to be well", health="ok")
    until(run, "shaky-well", "to be well", health="ok")
    term = run.view(run.alpha)["term"]
    with run.watching() as probe, Beats(run):
        run.lab.disk("data", "hang")
        run.notes["disk"] = until(run, "shaky-disk", "to be told that it doesn't answer", state="failed", message="doesn't answer")["message"]
        run.notes["check"] = until(run, "shaky-check", "its program to be told of", health="unknown", message="can't be ended, even by SIGKILL")["message"]
        run.alpha.ctl("online", "odd", "--no-wait", check=True)
        wait_for("alpha to say that a host can't be killed", lambda: said(run, "another one takes its place"), limit=60)
        for verb in ("offline", "online"):
            done = run.alpha.ctl(verb, "plain", "--timeout", "30s")
            run.expect(done.returncode == 0, f"{verb} plain while a driver hangs: {done.returncode} {done.stdout} {done.stderr}")
        run.notes["driver"] = until(run, "odd-driver", "to be told that its host can't be killed", limit=60, message="can't be killed")["message"]
        probe.hold(5)
        heads = [each for each in run.alpha.processes("head")]
        run.expect(len(heads) == 1, f"one program waits for the device, not {len(heads)}")
        until(run, "shaky-well", "to be well meanwhile", health="ok")
        run.expect(run.permit(run.alpha) == "joined", "alpha's permit is gone")
        run.expect(run.view(run.alpha)["term"] == term, "the pair has parted")
        run.lab.disk("data", "ok")
        until(run, "shaky-check", "to be well again", health="ok", limit=60)
        run.alpha.ctl("reset", "shaky-disk", check=True)
        until(run, "shaky-disk", "to be online again", state="online", limit=60)
        done = run.alpha.ctl("offline", "odd", "--timeout", "60s")
        run.expect(done.returncode == 0, f"offline odd: {done.stdout} {done.stderr}")
        run.expect(resource(run, "odd-driver")["state"] == "offline", f"odd-driver: {resource(run, 'odd-driver')}")
        run.judge(probe, lost=0, only_by="alpha")
    for name in ("disk", "check", "driver"):
        run.step(f"{name}: {run.notes[name]}")


AGENTS = f"""  <group name="odd" preferred="alpha">
    <dummy name="odd-agent" isolate="yes"> <health type="tcp" address="{config.ADDRESS}" port="80" every="200ms" timeout="1s"/> </dummy>
    <dummy name="odd-beside"> <health type="exec" command="/bin/echo all is well" every="200ms" timeout="2s"/> </dummy>
  </group>
"""


@scenario(extra=AGENTS, fresh=True)
def agent_misbehaves(run):
    """An agent that crashes its host, that leaks, that never returns and spins: its host ends and is started again each time. Agents elsewhere don't
    notice, and neither do those beside it once it behaves."""
    orders = {node.name: os.path.join(node.directory, "harm") for node in (run.alpha, run.beta)}
    for node in (run.alpha, run.beta):
        node.start(under=("env", f"LD_PRELOAD={run.lab.program('lab-harm.so')}", "CLUSTERD_TEST_HARM=/run/lab/harm"))
    run.lab.running = True
    run.settled("alpha")
    until(run, "odd-agent", "to be well", health="ok")

    def order(text):
        with open(orders["alpha"] + ".new", "w") as file:
            file.write(text)
        os.rename(orders["alpha"] + ".new", orders["alpha"])

    def host(name):
        found = [each.pid for each in run.alpha.processes("cluster-agent") if each.arguments[-1] == name]
        if len(found) != 1:
            raise LabError(f"{len(found)} hosts {name}")
        return found[0]

    with run.watching() as probe, Beats(run):
        for name, beside in (("r-odd-agent", "checks"), ("checks", "r-odd-agent")):
            other = wait_for(f"host {beside}", lambda b=beside: host(b), limit=30)
            well = "odd-beside" if name == "r-odd-agent" else "odd-agent"
            for word, text in (("crash", f"agent host {name} (pid "), ("leak 64", f"cluster-agent {name}: it has used up the ")):
                before = wait_for(f"host {name}", lambda n=name: host(n), limit=30)
                order(f"{name} {word}")
                wait_for(f"host {name} to end ({word})", lambda n=name, b=before: not is_there(b), limit=60)
                run.expect(said(run, text), f"no word of host {name} and its {word}")
                probe.hold(2)
                until(run, well, f"to be well while host {name} ends of a {word}", health="ok")
                os.unlink(orders["alpha"])
                until(run, "odd-agent", f"to be well after the {word}", health="ok")
                until(run, "web-server", f"to be well after the {word}", health="ok")
            run.expect(host(beside) == other, f"host {beside} ended, too")
        before = host("checks")
        order("checks spin")
        until(run, "web-server", "its check to be told of", health="unknown", message="didn't come back within its timeout")
        until(run, "odd-beside", "to be well beside a check that spins", health="ok")
        wait_for("host checks to end of it", lambda: not is_there(before), limit=150)
        os.unlink(orders["alpha"])
        run.expect(said(run, "the http check of web-server never came back"), "no word of why host checks ended")
        until(run, "web-server", "to be well again", health="ok")
        run.judge(probe, lost=0, only_by="alpha")


def is_there(pid):
    return os.path.exists(f"/proc/{pid}")
