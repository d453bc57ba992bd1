"""The client of the two containers, who is what the service is for, and what it must have seen. Used by containers.py."""
import json
import os
import signal
import subprocess
import time

from machine import BRIDGE
from tools import LabError, dies_with_us, environment, wait_for


def expect(condition, what, seen):
    if not condition:
        raise LabError(f"expected: {what}; seen: {seen}")


class Probe:
    """The client: asks the address every 10 ms and looks who answers for it (lab-probe)."""

    def __init__(self, world, address):
        self.world, self.path = world, os.path.join(world.base, f"probe-{len(world.probes)}")
        arguments = [os.path.join(world.bin_dir, "lab-probe"), "--address", address, "--interval-ms", "10", "--json", self.path + ".json", "--events",
                     self.path + ".jsonl", "--interface", BRIDGE, "--sample-from", address.rsplit(".", 1)[0] + ".200"]
        for node in world.nodes.values():
            arguments += ["--node", f"{node.name}={node.mac}"]
        with open(self.path + ".log", "w") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dies_with_us, env=environment())
        world.probes.append(self)
        self.wait_served(limit=30)

    def history(self):
        if self.process.poll() is not None:
            with open(self.path + ".log") as log:
                raise RuntimeError(f"lab-probe ended: {log.read().strip()}")
        try:
            with open(self.path + ".jsonl") as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def wait_served(self, by=None, limit=60):
        def look():
            last = (self.history() or [{"event": "nothing"}])[-1]
            if last["event"] == "served" and by in (None, last["by"]):
                return last
            raise LabError(f"the client last saw: {last}")
        return wait_for(f"the client to be served{' by ' + by if by else ''}", look, limit)

    def stop(self):
        self.end(signal.SIGTERM)
        with open(self.path + ".json") as file:
            result = json.load(file)
        expect(result["two_owner_instants"] == 0, f"no instant with two owners in {result['samples']} samples", result)
        expect(result["samples"] > 0, "the client sampled the address's owners", result)
        return result

    def watch(self, seconds):
        """Goes on for so long: what would be lost late (at the permit's end, by a check) must be seen, too."""
        end = time.monotonic() + seconds
        wait_for(f"{seconds} s of watching", lambda: self.history() and time.monotonic() > end, limit=seconds + 30)
        return self

    def end(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=30)
