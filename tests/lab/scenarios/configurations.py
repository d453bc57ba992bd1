"""Another configuration while the cluster runs (clusterctl apply): what it doesn't touch goes on, what it moves is never in two places."""
import os

import config
from runner import scenario
from tools import LabError, wait_for

SLOW = '  <group name="slow" preferred="alpha"> <dummy name="slow-one" stop-delay="4s"/> </group>\n'


def write(run, name, xml):
    for node in (run.alpha, run.beta):
        with open(os.path.join(node.directory, name), "w") as file:
            file.write(xml)
    return f"/run/lab/{name}"


def apply(run, node, xml, code=0, says=""):
    """clusterctl apply, which must end with that code and say that."""
    done = node.ctl("apply", "--yes", write(run, "next.xml", xml), timeout=120)
    text = done.stdout + done.stderr
    run.expect(done.returncode == code and says in text, f"apply ended with {done.returncode}, not {code}, or didn't say '{says}': {text.strip()}")
    return text


def resources(run, node):
    return {r["name"]: (r["state"], g["owner"]) for g in run.view(node)["groups"] for r in g["resources"]}


def becomes(run, node, **wanted):
    """Until that node's status has these resources, and no others: NAME='state on owner'."""
    def look():
        seen = {name.replace("-", "_"): f"{state} on {owner}" for name, (state, owner) in resources(run, node).items()}
        if seen != wanted:
            raise LabError(f"{node.name} sees {seen}")
        return True
    wait_for(f"{wanted}", look, limit=60)


WEB = {"web_ip": "online on alpha", "web_server": "online on alpha"}


@scenario(fresh=True)
def applied_while_it_runs(run):
    """Another configuration: what it leaves alone loses no request; a new group comes online where it belongs; what is dropped goes offline;
    an address that goes from one group to another is never in both; what can't be changed, and a broken file, change nothing."""
    run.start_both()
    run.step("a check's pace, a restart limit and a new group, from the node that doesn't lead or does")
    with run.watching() as probe:
        for node in (run.alpha, run.beta):
            apply(run, node, config.cluster_xml(restart_limit=5 if node is run.alpha else 7, version=2), says="Nothing goes offline")
        text = apply(run, run.beta, config.cluster_xml(mail=True, version=3), says="+ mail")
        run.expect("All else goes on" in text or "Nothing goes offline" in text, f"apply didn't say what it touches: {text}")
        for node in (run.alpha, run.beta):
            becomes(run, node, **WEB, mail_ip="online on beta", mail_server="online on beta")
        run.judge(probe, lost=0, only_by="alpha")

    run.step("the address of group mail, under another name, goes to group web on the other node")
    moved = config.cluster_xml(version=4).replace("  </group>", f'    <ip-address name="second-ip" address="{config.MAIL_ADDRESS}/24" interface="eth0"/>\n  </group>', 1)
    with run.watching() as probe:
        apply(run, run.alpha, moved, says="Goes offline for good: mail-ip, mail-server")
        for node in (run.alpha, run.beta):
            becomes(run, node, **WEB, second_ip="online on alpha")
        held = {node.name: node.has_address(config.MAIL_ADDRESS) for node in (run.alpha, run.beta)}
        run.expect(held == {"alpha": True, "beta": False}, f"the address is held by {held}")
        run.judge(probe, lost=0, only_by="alpha")

    run.step("what can't be changed, and a broken file")
    with run.watching() as probe:
        before = run.alpha.ctl("show", "config", check=True).stdout
        apply(run, run.alpha, moved.replace('profile="default"', 'profile="wan"'), code=5, says="the timing")
        apply(run, run.alpha, moved.replace("<timing", "<timming"), code=1, says="did you mean")
        run.expect(run.alpha.ctl("show", "config", check=True).stdout == before, "the configuration isn't what it was")
        run.judge(probe, lost=0, only_by="alpha")

    run.step("the server's command: it is restarted, and nothing else")
    with run.watching() as probe:
        apply(run, run.alpha, moved.replace("-e stderr", "-q -e stderr"), says="Goes offline and comes back: web-server")
        becomes(run, run.alpha, **WEB, second_ip="online on alpha")
        run.judge(probe, only_by="alpha")

    run.step("beta is away meanwhile, and learns of it")
    run.expect(run.beta.terminate() == 0, "clusterd didn't end with 0")
    wait_for("alpha to go on alone", lambda: run.permit(run.alpha) == "alone", limit=30)
    apply(run, run.alpha, config.cluster_xml(version=5), says="the configuration counts now")
    run.beta.start()
    run.settled("alpha")
    becomes(run, run.beta, **WEB)
    for node in (run.alpha, run.beta):
        with open(os.path.join(node.directory, "cluster.xml"), "w") as file:
            file.write(config.cluster_xml(version=5))

    run.step("and after a power cut it is what counts")
    with run.watching() as probe:
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
        run.judge(probe)
    run.alpha.power_on()
    run.settled("beta")
    shown = [node.ctl("show", "config", check=True).stdout for node in (run.alpha, run.beta)]
    run.expect(shown[0] == shown[1] == config.cluster_xml(version=5), "the nodes don't show the configuration that was applied last")


@scenario(fresh=True)
def applied_on_trial(run):
    """apply --confirm: confirmed in time it stays; unconfirmed it comes back, also where the one who typed it, its clusterctl and its node are
    gone; the history names who and why, and brings one back."""
    run.start_both()
    revision = lambda node: run.view(node)["revision"]
    file = write(run, "next.xml", config.cluster_xml(version=2, mail=True))
    run.step("confirmed, from the other node")
    said = run.alpha.ctl("apply", "--yes", "--confirm", "60s", "--reason", "a second group", file, check=True).stdout
    run.expect("clusterctl confirm" in said, f"apply doesn't say what to do: {said}")
    run.expect(run.view(run.beta)["confirm_until"] is not None and "waits to be confirmed" in run.beta.ctl("status").stdout, "status doesn't show the trial")
    run.expect(run.beta.ctl("confirm").returncode == 0, "confirm failed")
    run.expect(run.view(run.alpha)["confirm_until"] is None, "it waits still")
    becomes(run, run.beta, **WEB, mail_ip="online on beta", mail_server="online on beta")

    run.step("not confirmed: what counted before is back, and web lost no request")
    bad = write(run, "bad.xml", config.cluster_xml(version=3))
    with run.watching() as probe:
        run.alpha.ctl("apply", "--yes", "--confirm", "2s", bad, check=True)
        for node in (run.alpha, run.beta):
            becomes(run, node, **WEB, mail_ip="online on beta", mail_server="online on beta")
            wait_for("the revision before", lambda: revision(node) == 3, limit=30)
        run.judge(probe, lost=0, only_by="alpha")
    run.expect(run.alpha.ctl("confirm").returncode == 5, "a word that comes too late isn't refused")

    run.step("the node where it was typed loses its power within the time")
    run.alpha.ctl("apply", "--yes", "--confirm", "6s", bad, check=True)
    run.alpha.power_cut()
    wait_for("beta to take it back", lambda: "mail-ip" in resources(run, run.beta), limit=60)
    run.alpha.power_on()
    run.settled("beta")
    becomes(run, run.alpha, web_ip="online on beta", web_server="online on beta", mail_ip="online on beta", mail_server="online on beta")

    run.step("the history, and back to the first")
    lines = run.beta.ctl("show", "config", "--history", check=True).stdout
    run.expect("a second group" in lines and "not confirmed in time" in lines and "first start" in lines, f"the history lacks a part: {lines}")
    run.beta.ctl("apply", "--yes", "--revision", "0", check=True)
    becomes(run, run.alpha, web_ip="online on beta", web_server="online on beta")
    shown = run.alpha.ctl("show", "config", check=True).stdout
    run.expect(shown == run.beta.ctl("show", "config", "--revision", "0", check=True).stdout, "the first configuration isn't what counts")
    events = run.alpha.ctl("events", check=True).stdout
    run.expect("was not confirmed in time" in events, "no event tells that it was taken back")


@scenario(fresh=True, extra=SLOW)
def leader_lost_while_applying(run):
    """The leader loses its power while what the new configuration drops is still stopping: nothing was changed, and the survivor runs all
    of what counted before."""
    run.start_both()
    leader = run.node(run.view(run.alpha)["leader"])
    other = run.beta if leader is run.alpha else run.alpha
    run.expect(other.ctl("move", "slow", "--to", other.name, timeout=60).returncode == 0, "group slow didn't move")
    file = write(run, "next.xml", config.cluster_xml(version=2))
    leader.ctl("--no-wait", "apply", "--yes", file, check=True)
    wait_for("slow-one to be stopping", lambda: resources(run, other)["slow-one"][0] == "offline-pending", limit=30)
    leader.power_cut()
    wait_for("all of it online on the survivor", lambda: set(resources(run, other).values()) == {("online", other.name)} and len(resources(run, other)) == 3, limit=60)
    leader.power_on()
    run.settled(other.name)
    run.expect('name="slow"' in leader.ctl("show", "config", check=True).stdout, "the configuration was changed all the same")
