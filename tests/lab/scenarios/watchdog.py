"""The machine's watchdog device. This lab has none: alpha's guard meets a stand-in (lab-watchdog.so: a file that answers the kernel's
ioctls), beta's machine has none at all."""
import os

from runner import scenario
from tools import wait_for


@scenario(fresh=True, extra='  <watchdog device="/run/lab/watchdog" timeout="1s"/>\n')
def watchdog(run):
    """Fed while all is well and while the worker is replaced; not while everything of ours is frozen, when a real one would reset the machine;
    disarmed by a clean stop. A node that has none says so and goes on."""
    device = os.path.join(run.alpha.directory, "watchdog")
    open(device, "w").close()

    def fed():
        with open(device) as file:
            return file.read().count("k")

    def goes_on():
        before = fed()
        wait_for("the watchdog to be fed", lambda: fed() >= before + 3, limit=20)

    run.alpha.start(under=("env", f"LD_PRELOAD={run.lab.program('lab-watchdog.so')}", "FAKE_WATCHDOG=/run/lab/watchdog"))
    run.beta.start()
    run.settled("alpha")
    seen = run.view(run.alpha).get("watchdog")
    run.expect(seen == {"device": "/run/lab/watchdog", "timeout_ms": 1000}, f"alpha's status has the watchdog as {seen}")
    lacking = [each for each in run.view(run.beta)["warnings"] if "watchdog" in each]
    run.expect(lacking and "watchdog" not in run.view(run.beta), f"beta, which has none, warns {lacking}")
    goes_on()
    old = run.alpha.kill_worker()
    wait_for("a new worker", lambda: run.alpha.the("clusterd-worker").pid != old.pid)
    run.settled("alpha")
    goes_on()
    with run.watching() as probe:
        when = run.alpha.freeze()
        probe.wait_served(by="beta", since=when)
        last = fed()
        probe.hold(1)
        run.expect(fed() == last, "it was fed while everything of ours was frozen")
        run.alpha.thaw()
        wait_for("alpha to stop what it still had", run.alpha.runs_nothing, limit=10)
        run.settled("beta")
        run.judge(probe)
    goes_on()
    status = run.alpha.terminate()
    with open(device) as file:
        run.expect(status == 0 and file.read().endswith("V"), f"a clean stop (exit {status}) is to disarm it")
    run.alpha.start()
    run.settled("beta")
