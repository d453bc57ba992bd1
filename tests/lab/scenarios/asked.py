"""What an operator asks: why it is so, and what would happen if."""
import json
import subprocess

from runner import PERMIT_MS, scenario
from tools import LabError, dies_with_us, wait_for


def why(run, node, *name):
    return json.loads(node.ctl("--json", "why", *name, check=True).stdout)


def decided(told):
    return next(e for e in told["chain"] if e["id"] == told["decided"])


@scenario()
def why_tells(run):
    """Why is the group there? After a failure, a power cut and a move, asked on both nodes: the evidence, the rule's event, the time line."""
    run.start_both()
    run.step("a server that is killed")
    run.alpha.kill_service()
    wait_for("it to be online again", lambda: any(e["kind"] == "restarted" for e in why(run, run.beta, "web-server")["since"]), limit=20)
    failure = next(e for e in why(run, run.alpha, "web-server")["since"] if e["kind"] == "restarted")
    run.expect("1 of " in failure["message"] and failure["evidence"], f"its failure is told without counters or evidence: {failure}")

    run.step("a power cut")
    with run.watching() as probe:
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
    told = why(run, run.beta, "web")
    takeover = decided(told)
    run.expect(takeover["kind"] == "takeover" and "alpha's last heartbeat" in takeover["evidence"], f"the takeover isn't told with its evidence: {takeover}")
    run.expect({"seeking", "alone"} <= {e["kind"] for e in told["chain"]}, f"what led to it isn't told: {told['chain']}")
    wait_for("its time line", lambda: why(run, run.beta, "web")["failover"], limit=20)
    text = run.beta.ctl("why", "web", check=True).stdout
    run.expect("HOW IT CAME THERE" in text and "It took" in text, f"the text lacks a part: {text}")
    run.expect("down" in run.beta.ctl("why", "alpha", check=True).stdout, "why alpha doesn't say that it is down")

    run.step("the node that was away is told of it, too")
    run.alpha.power_on()
    run.settled("beta")
    wait_for("alpha to know", lambda: why(run, run.alpha, "web")["decided"] == takeover["id"], limit=30)
    explained = run.alpha.ctl("explain", takeover["id"], check=True).stdout
    run.expect("To do:" in explained and "MESSAGE_ID=" in explained, f"explain says: {explained}")

    run.step("a move, with a reason")
    run.alpha.ctl("move", "web", "--reason", "new kernel on beta", check=True)
    for node in (run.alpha, run.beta):
        wait_for(f"{node.name} to tell of the move", lambda: "new kernel on beta" in decided(why(run, node, "web"))["message"], limit=20)
    run.expect(run.alpha.ctl("why", "wbe").returncode == 5, "an unknown name isn't refused")


@scenario()
def planned_as_it_came(run):
    """What `plan` foretells, and what then happens: the order, the owner, and the time, for a move and for a power cut, again and again."""
    run.start_both()
    owner, other = run.alpha, run.beta
    for turn in range(4):
        run.step(f"a move, turn {turn + 1}")
        plan = json.loads(owner.ctl("--json", "plan", "move", "web", check=True).stdout)
        foretold = [(s["kind"], s["resource"], s["node"]) for s in plan["steps"]]
        run.expect(("owner", None, other.name) in foretold, f"the plan doesn't hand the group over: {foretold}")
        run.expect([s for s in foretold if s[0] == "start"] == [("start", "web-ip", other.name), ("start", "web-server", other.name)], f"not in the order of its dependencies: {foretold}")
        owner.ctl("move", "web", check=True)
        line = newest(run, other)
        took = sum(p["ms"] for p in line["phases"])
        run.step(f"move: foretold {plan['groups'][0]['back_after_us'] // 1000} ms ({plan['shortest_us'][0] // 1000} to {plan['longest_us'][0] // 1000}), came {took} ms")
        owner, other = other, owner
    run.step("a power cut")
    plan = json.loads(owner.ctl("--json", "plan", "fail", owner.name, check=True).stdout)
    run.expect(plan["groups"][0]["to"] == other.name and plan["groups"][0]["is_online"], f"the plan says {plan['groups']}")
    run.expect(not any(s["kind"] == "stop" for s in plan["steps"]), "the plan stops something on a lost node")
    with run.watching() as probe:
        when = owner.power_cut()
        probe.wait_served(by=other.name, since=when)
        run.judge(probe, blackout_below=3 * PERMIT_MS)
    line = newest(run, other)
    run.step(f"power cut: foretold {plan['groups'][0]['back_after_us'] // 1000} ms, came {sum(p['ms'] for p in line['phases'])} ms")
    run.expect(other.ctl("plan", "fail", other.name).returncode == 5, "the loss of the last node is planned as if the other one were there")
    owner.power_on()
    run.settled(other.name)
    run.step("a resource that fails, and a pause")
    plan = json.loads(other.ctl("--json", "plan", "fail", "web-server", check=True).stdout)
    run.expect(plan["groups"][0]["to"] == other.name and plan["used_up"]["groups"][0]["to"] == owner.name, f"a failure is foretold as {plan}")
    plan = json.loads(other.ctl("--json", "plan", "pause", other.name, "--drain", check=True).stdout)
    run.expect(plan["groups"][0]["to"] == owner.name, f"a drain is foretold as {plan}")
    run.expect("If web were moved now" in other.ctl("plan", "move", "web", check=True).stdout, "the text lacks its question")


def newest(run, node):
    """The newest time line that this node knows, once it is about its own group."""
    def look():
        lines = [json.loads(line) for line in node.ctl("--json", "failovers", check=True).stdout.splitlines()]
        if not lines or lines[-1]["to"] != node.name:
            raise LabError("no time line yet")
        return lines[-1]
    return wait_for("the time line", look, limit=20)


@scenario(fresh=True)
def standby_that_lacks(run):
    """Defects planted on the standby, one at a time, each told by check-standby on both nodes, and by status, before a failover needs it."""
    run.start_both()
    done = run.alpha.ctl("check-standby")
    run.expect(done.returncode == 0 and "beta could take over: web-ip, web-server" in done.stdout, f"a sound standby isn't ready: {done.stdout}{done.stderr}")

    def told(what, words):
        for node in (run.alpha, run.beta):
            done = node.ctl("check-standby")
            run.expect(done.returncode == 1 and words in done.stdout, f"{what}: {node.name} says {done.stdout}{done.stderr}")
            run.expect(words in node.ctl("status").stdout.replace("\n  ", " "), f"{what}: {node.name}'s status doesn't say '{words}'")

    def well(what):
        done = run.alpha.ctl("check-standby")
        run.expect(done.returncode == 0, f"{what} is mended, and it still says {done.stdout}")

    run.step("its interface is down")
    run.beta.run(["ip", "link", "set", "eth0", "down"], check=True)
    told("interface", "interface eth0 is down")
    run.beta.run(["ip", "link", "set", "eth0", "up"], check=True)
    wait_for("the pair to be whole again", lambda: run.alpha.ctl("check-standby").returncode == 0, limit=30)

    run.step("another program has its port")
    taker = subprocess.Popen(run.beta._command(["python3", "-c", "import socket,sys; s=socket.socket(); s.setsockopt(1,2,1); s.bind(('',80)); s.listen(); sys.stdin.read()"]),
                             stdin=subprocess.PIPE, preexec_fn=dies_with_us)
    try:
        wait_for("the port to be taken", lambda: ":80 " in run.beta.run(["ss", "-ltn"]).stdout, limit=10)
        told("port", "port 80")
    finally:
        taker.stdin.close()  # it ends by that: what nsenter started isn't ended with nsenter
        taker.wait()
    well("the port")

    run.step("the quorum disk can't be read there")
    run.lab.disk("beta", "eio")
    wait_for("beta to see it", lambda: run.view(run.beta)["quorum"]["state"] == "failed", limit=20)
    told("quorum disk", "the quorum disk can't be used")
    run.lab.disk("beta", "ok")
    wait_for("beta to see it", lambda: run.view(run.beta)["quorum"]["state"] in ("ok", "slow"), limit=20)
    well("the disk")

    run.step("clusterd isn't there")
    run.expect(run.beta.terminate() == 0, "clusterd didn't end with 0")
    done = run.alpha.ctl("check-standby")
    run.expect(done.returncode == 1 and "beta is not up" in done.stdout, f"of a standby that is down: {done.stdout}")
    run.beta.start()
    run.settled("alpha")
    wait_for("it to be ready again", lambda: run.alpha.ctl("check-standby").returncode == 0, limit=30)


@scenario()
def drilled(run):
    """A drill: there and back as moves, and the hard one, in which the owner hangs; what it measured is what the client saw."""
    run.start_both()
    for hard in (False, True):
        run.step("the owner hangs" if hard else "moves")
        with run.watching() as probe:
            done = run.alpha.ctl("--json", "drill", "web", "--yes", *(["--hard"] if hard else []), timeout=180)
            run.expect(done.returncode == 0, f"drill ended with {done.returncode}: {done.stdout}{done.stderr}")
            there, back = json.loads(done.stdout.splitlines()[-1])["legs"]
            run.judge(probe, blackout_below=3 * PERMIT_MS)
        run.expect((there["to"], back["to"]) == ("beta", "alpha") and there["failover"] and back["failover"], f"the legs are {there}, {back}")
        run.step(f"measured {there['client_ms']} and {back['client_ms']} ms")
        run.expect(0 < there["client_ms"] < 3 * PERMIT_MS and 0 < back["client_ms"] < 3 * PERMIT_MS, "the gaps aren't within three permits")
        if hard:
            run.expect(there["failover"]["cause"] == "alpha is gone", f"it was no takeover: {there['failover']}")
        run.settled("alpha")
    run.expect(run.beta.ctl("drill", "web", "--yes", "--hard").returncode == 5, "a hard drill on the standby isn't refused")
