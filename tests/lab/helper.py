"""A program of the lab's own, in a namespace of the lab's, and what it writes down. Used by scenarios and benchmarks."""
import json
import os
import subprocess

from tools import dies_with_us, environment, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))


class Helper:
    """A Python program of the lab's in a namespace of it, while the block runs."""

    def __init__(self, lab, holder, name, arguments):
        self.path = os.path.join(lab.base, f"{name}.jsonl")
        self.log = os.path.join(lab.base, f"{name}.log")
        if os.path.exists(self.path):
            os.unlink(self.path)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["nsenter", "-t", str(holder[0]), "-n", "--", "python3", "-B", os.path.join(HERE, name), *arguments(self.path)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dies_with_us, env=environment())
        lab.reap_later(self.process)

    def __enter__(self):
        def there():
            if self.process.poll() is not None:
                with open(self.log) as log:
                    raise RuntimeError(f"{self.log}: {log.read().strip()}")
            return os.path.exists(self.path) and os.path.getsize(self.path) > 0
        wait_for(f"{self.path} to be written", there, limit=20)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def lines(self):
        with open(self.path) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def whole(self):
        with open(self.path) as file:
            return json.load(file)
