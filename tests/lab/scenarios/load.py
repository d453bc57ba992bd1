"""A machine that is starved: the scenario that nothing else may run beside."""
import os
import shutil
import signal
import subprocess

from runner import scenario
from tools import Skip, dies_with_us, environment


class Load:
    """Processes that take all they can of CPU and disk; they end with the block."""

    def __init__(self, run):
        self.run, self.started = run, []

    def __enter__(self):
        for _ in range(4):
            self.start(["sh", "-c", "while :; do :; done"])
        self.file = os.path.join(self.run.lab.base, "load.dat")
        if shutil.which("fio", path="/usr/bin:/usr/local/bin"):
            self.start(["fio", "--name=load", f"--filename={self.file}", "--size=256m", "--rw=randrw", "--bs=16k", "--ioengine=psync", "--numjobs=4", "--thread",
                        "--fsync=8", "--time_based", "--runtime=86400", "--group_reporting"])
        else:
            raise Skip("fio (sudo packaging/install-deps)")
        return self

    def start(self, arguments):
        # Not before others, as the lab is: ordinary programs of the machine.
        self.started.append(subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
                                             preexec_fn=lambda: (dies_with_us(), os.setpriority(os.PRIO_PROCESS, 0, 0)), cwd=self.run.lab.base,
                                             start_new_session=True))

    def all_run(self):
        return all(each.poll() is None for each in self.started)

    def __exit__(self, *_):
        for each in self.started:
            try:
                os.killpg(each.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            each.wait()
        if os.path.exists(self.file):
            os.unlink(self.file)


@scenario(fresh=True)
def starved(run):
    """Four CPU hogs on the machine's cores and its disk busy with fio (--minutes; 20 s without it): a node that is starved isn't dead.
    No failover, no change of the pair, the group stays where it is. Told is the least that was left of a permit."""
    run.start_both()
    before = run.view(run.alpha)
    seconds = run.minutes * 60 if run.minutes else 20
    with run.watching(interval_ms=20, timeout_ms=5000) as probe, Load(run) as load:
        def looks():
            if not load.all_run():
                raise RuntimeError("a part of the load has ended: this shows nothing")
            return all(run.permit(node) == "joined" for node in (run.alpha, run.beta))
        probe.hold(seconds, looks)
    run.settled("alpha")
    after = run.view(run.alpha)
    run.expect(before["term"] == after["term"], f"the pair has parted: term {before['term']} became {after['term']}")
    for node in (run.alpha, run.beta):
        timing = node.timing()
        run.numbers[f"{node.name}_margin_ms"] = timing["worst_margin_ms"]
        run.numbers[f"{node.name}_fsync_max_ms"] = round((timing["fsync_max_us"] or 0) / 1000, 1)
        run.notes[f"{node.name}_warnings"] = run.view(node).get("warnings", [])
    run.step(", ".join(f"{name} {value}" for name, value in run.numbers.items()) + f"; warnings {run.notes}")
    run.judge(probe, only_by="alpha")
