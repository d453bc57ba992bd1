"""Groups among groups: which starts after which, and which is kept apart from which."""
from runner import scenario
from tools import LabError, wait_for

# db takes its time; front waits for it, wherever that is; rear shares no node with front while there are two.
GROUPS = """  <group name="db" preferred="alpha" failback="immediate" priority="10"> <dummy name="db-engine" start-delay="1s"/> </group>
  <group name="front" preferred="beta" after="db"> <dummy name="front-one"/> </group>
  <group name="rear" apart="front" failback="immediate"> <dummy name="rear-one"/> </group>
"""


def resource(status, name):
    return next(r for group in status["groups"] for r in group["resources"] if r["name"] == name)


def owners(run, node, **wanted):
    """Waits until every group of `wanted` is online on that node."""
    def look():
        groups = {g["name"]: (g["state"], g["owner"]) for g in run.view(node)["groups"]}
        if any(groups[name] != ("online", owner) for name, owner in wanted.items()):
            raise LabError(f"{node.name} sees {groups}")
        return True
    wait_for(f"{wanted}", look, limit=60)


@scenario(extra=GROUPS)
def groups_among_groups(run):
    """A group that comes after another waits for it on whichever node it is, at the cluster's start and at a takeover; two that are kept
    apart share the last node and part again when the other one is back."""
    run.start_both()
    owners(run, run.alpha, db="alpha", front="beta", rear="alpha")
    with run.watching() as probe:
        run.alpha.power_cut()
        owners(run, run.beta, web="beta", db="beta", front="beta", rear="beta")
        run.alpha.power_on()
        owners(run, run.beta, web="beta", db="alpha", front="beta", rear="alpha")
        run.settled("beta")
        run.judge(probe)
    done = run.beta.ctl("offline", "front", timeout=60)
    run.expect(done.returncode == 0, f"clusterctl offline front: {done.stderr.strip()}")
    run.beta.ctl("--no-wait", "move", "db", timeout=60)
    wait_for("db to move", lambda: resource(run.view(run.beta), "db-engine")["state"] == "online-pending", limit=30)
    run.beta.ctl("--no-wait", "online", "front", timeout=60)
    wait_for("front to say what it waits for", lambda: "waits for group db" in (resource(run.view(run.beta), "front-one")["message"] or ""), limit=30)
    owners(run, run.beta, db="beta", front="beta")
    seen = run.view(run.beta)
    run.expect(resource(seen, "front-one")["since"] >= resource(seen, "db-engine")["since"],
               f"front is online since {resource(seen, 'front-one')['since']}, db only since {resource(seen, 'db-engine')['since']}")
    run.beta.ctl("resume", "alpha", timeout=60)  # forgets that it was lost: after the third time nothing would fail back to it
    run.beta.ctl("move", "db", "--to", "alpha", timeout=60)  # as it was: the next scenario goes on from here
    owners(run, run.beta, db="alpha")
