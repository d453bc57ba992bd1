"""The lab's client: a host on the service net that asks the cluster's address all the time (lab-probe). Used by scenarios."""
import json
import os
import signal
import subprocess

import config
from tools import LabError, boot_ms, dies_with_us, environment, run, wait_for


class Client:
    def __init__(self, lab):
        self.lab = lab
        self._probes = 0

    def setup(self):
        self.run(["ip", "-batch", "-"], input=f"link set lo up\naddress add {config.SERVICE_NET}.{config.CLIENT_HOST}/24 dev eth0\n"
                 f"address add {config.SERVICE_NET6}:{config.CLIENT_HOST}/64 dev eth0 nodad\nlink set eth0 up\n")

    def command(self, arguments):
        return ["nsenter", "-t", str(self.lab.client_holder[0]), "-n", "--", *map(str, arguments)]

    def run(self, arguments, **options):
        return run(self.command(arguments), **options)

    def probe(self, **options):
        self._probes += 1
        return Probe(self, os.path.join(self.lab.base, f"probe-{os.getpid()}-{self._probes}"), **options)


class Probe:
    """Runs from its making to stop(). A `with` block stops it."""

    def __init__(self, client, path, address=config.ADDRESS, port=80, interval_ms=5, timeout_ms=1000):
        v6 = ":" in address
        self.json, self.events, self.log = path + ".json", path + ".jsonl", path + ".log"
        self.result = None
        arguments = [client.lab.program("lab-probe"), "--address", address, "--port", port, "--interval-ms", interval_ms, "--timeout-ms", timeout_ms,
                     "--json", self.json, "--events", self.events, "--interface", "eth0",
                     "--sample-from", config.SAMPLES_FROM6 if v6 else config.SAMPLES_FROM]
        for number, name in enumerate(config.NODES, 1):
            arguments += ["--node", f"{name}={config.mac(number)}"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(client.command(arguments), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dies_with_us,
                                            env=environment())
        client.lab.reap_later(self.process)
        wait_for("the client's first request", self.history, limit=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def history(self):
        """What changed so far: {ms, event: started | served | silent, by}."""
        if self.process.poll() is not None and self.result is None:
            with open(self.log) as log:
                raise RuntimeError(f"lab-probe ended: {log.read().strip()}")
        try:
            with open(self.events) as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def wait_served(self, by=None, since=0.0, limit=30.0):
        """Until a change to `served` (by that node) after `since` is the newest; that event."""
        def look():
            last = self.history()[-1]
            if last["event"] == "served" and last["ms"] >= since and by in (None, last["by"]):
                return last
            raise LabError(f"the client last saw: {last}")
        return wait_for(f"the client to be served{f' by {by}' if by else ''}", look, limit)

    def wait_silent(self, limit=30.0):
        return wait_for("the client to be without an answer", lambda: self.history()[-1]["event"] == "silent" and self.history()[-1], limit)

    def hold(self, seconds, condition=None):
        """Watches for so long; LabError as soon as condition (what it must not cease to be) is false."""
        end = boot_ms() + seconds * 1000
        def look():
            if condition and not condition():
                raise RuntimeError("what had to stay true while the client watched is no longer")
            return boot_ms() >= end
        wait_for(f"{seconds} s of watching", look, limit=seconds + 30, every=0.1)

    def stop(self):
        """The summary (probe.cpp)."""
        if self.result is None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
            try:
                with open(self.json) as file:
                    self.result = json.load(file)
            except (OSError, ValueError) as error:
                with open(self.log) as log:
                    raise LabError(f"lab-probe left no summary: {error}; {log.read().strip()}") from None
        return self.result
