"""What can't be killed: a process that waits for a disk that never answers. The kernel keeps it whatever is sent to it."""
import os

from runner import PERMIT_MS, scenario
from tools import wait_for

STUCK = """  <group name="batch" preferred="alpha">
    <process name="batch-job" command="/bin/sh /run/lab/batch.sh" stop-timeout="1s" offline-timeout="3s"/>
  </group>
"""


@scenario(extra=STUCK)
def unkillable_process(run):
    """A process of a moved group waits for a dead disk and can't be killed: the other group moves away in order, then the node gives up
    its permit, and its peer takes over what is blocked. Once the process is gone the node takes part again."""
    for node in (run.alpha, run.beta):
        with open(os.path.join(node.directory, "batch.sh"), "w") as file:
            file.write(f"trap 'read -r x <{run.lab.data_path()}' TERM\nwhile :; do sleep 1; done\n")
    run.start_both()

    def states(node):
        found = ""
        for each in node.processes():
            with open(f"/proc/{each.pid}/stat", "rb") as file:
                found += file.read().rsplit(b")", 1)[1].split()[0].decode()
        return found

    def group(node, name):
        return next(each for each in run.view(node)["groups"] if each["name"] == name)
    wait_for("batch online on alpha", lambda: group(run.alpha, "batch")["state"] == "online", limit=30)
    with run.watching() as probe:
        run.lab.disk("data", "hang")
        moving = run.alpha.ctl("move", "batch", "--to", "beta", "--no-wait")
        run.expect(moving.returncode == 0, f"move batch: {moving.returncode} {moving.stderr}")
        wait_for("alpha to give up its permit", lambda: run.permit(run.alpha) == "none", limit=60)
        wait_for("batch online on beta", lambda: group(run.beta, "batch")["state"] == "online" and group(run.beta, "batch")["owner"] == "beta", limit=30)
        run.expect(run.permit(run.beta) == "alone", "beta is to go on by the quorum disk")
        said = run.alpha.ctl("status").stdout
        run.expect("gave up its permit" in said and "batch-job" in said, f"alpha's status doesn't say why:\n{said}")
        run.expect("D" in states(run.alpha), "nothing on alpha waits for the disk (else this shows nothing)")
        run.lab.disk("data", "ok")
        run.settled("beta")
        run.beta.ctl("offline", "batch", check=True)
        run.judge(probe, blackout_below=3 * PERMIT_MS)
