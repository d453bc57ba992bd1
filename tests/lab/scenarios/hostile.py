"""Hostile and broken input: wrong keys, foreign and recorded packets, somebody else's or an old disk, no room, no files, no time, floods.
In each the service goes on where it may, status says what is wrong and what to do, and nothing is lost."""
import json
import os
import shutil
import struct
import subprocess

import config
from runner import PERMIT_MS, scenario
from tools import LabError, Skip, boot_ms, environment, run as run_command, wait_for

HOSTILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hostile_peer.py")
YEAR = 365 * 86400


# ---- what status says, to programs and to people

def complaints(run, node):
    """All that status has to say against something, in one text."""
    status = run.view(node)
    return "\n".join([*status["warnings"], status["quorum"]["message"]])


def complains(run, node, *parts, limit=30):
    """Until status says all of that, as JSON and as text (whose lines are wrapped)."""
    def look():
        said = complaints(run, node)
        if not all(part in said for part in parts):
            raise LabError(f"{node.name} complains: {said!r}")
        text = " ".join(node.ctl("status").stdout.split())
        if not all(part in text for part in parts):
            raise LabError(f"{node.name}'s clusterctl status says: {text}")
        return True
    wait_for(f"{node.name} to complain of {', '.join(parts)}", look, limit, every=0.2)


def told(run, node, *parts, limit=30):
    """Until the events have one that says all of that."""
    def look():
        events = node.ctl("events").stdout
        if not any(all(part in line for part in parts) for line in events.splitlines()):
            raise LabError(f"{node.name}'s events: {events[-800:]}")
        return True
    wait_for(f"an event of {node.name} that says {', '.join(parts)}", look, limit, every=0.2)


def refused(run, node, *parts):
    """clusterd doesn't start, says why, and exits with 1."""
    code, said = node.refuses_to_start()
    run.expect(code == 1, f"{node.name}: clusterd's exit status is {code}; a start refused is 1")
    for part in ("start refused", *parts):
        run.expect(part in said, f"{node.name}: clusterd doesn't say '{part}' but: {said.strip()[-600:]}")


class Attack:
    """hostile_peer.py in a node's namespaces: a process of its own until stop()."""

    def __init__(self, node, *arguments):
        self.log = os.path.join(node.lab.base, f"attack-{node.name}-{boot_ms():.0f}.log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(node._command(["python3", "-B", HOSTILE, *arguments]), stdin=subprocess.PIPE, stdout=log, stderr=log,
                                            preexec_fn=node._enter_cgroup, env=environment())
        node.lab.reap_later(self.process)

    def __enter__(self):
        wait_for("the attack to begin", lambda: "begun" in self.said(), limit=30)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()  # its end is its sign to stop: a signal to nsenter would not reach it
        self.process.wait(timeout=30)

    def said(self):
        with open(self.log) as log:
            text = log.read()
        if self.process.poll() not in (None, 0):
            raise RuntimeError(f"the attack ended: {text[-800:]}")
        return text


# ---- the network

@scenario(fresh=True)
def wrong_key(run):
    """The standby has another key file: it gets no permit and writes nothing, both nodes say so and what to do, and the active node goes on
    without a lost request. With the right key it joins."""
    run.start_both()
    key = os.path.join(run.beta.directory, "key")
    with run.watching() as probe:
        run.beta.terminate()
        shutil.copy(key, key + ".right")
        with open(key, "w") as file:
            file.write("1c" * 32 + "\n")
        run.beta.start()
        for node in (run.alpha, run.beta):
            complains(run, node, "packets were dropped", "both nodes need the same key file")
        complains(run, run.beta, "Both nodes need the same key")  # of the quorum disk's slots
        probe.hold(2 * PERMIT_MS / 1000, run.beta.runs_nothing)
        run.expect(run.permit(run.beta) == "none", "a node with another key has a permit")
        run.expect(run.permit(run.alpha) == "alone", "the active node doesn't hold the quorum disk")
        run.beta.terminate()
        os.replace(key + ".right", key)
        run.beta.start()
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario(fresh=True)
def strange_packets(run):
    """Recorded packets of the peer, another cluster's, those of a newer version, of a stranger, and nonsense: counted, told with what to
    do, and of no other effect."""
    run.start_both()
    recorded = os.path.join(run.beta.directory, "recorded")
    with run.watching() as probe:
        with Attack(run.beta, "record", "eth1", recorded, "40") as attack:
            wait_for("packets to be recorded", lambda: "recorded" in attack.said())
        for kind, words in (("replay", "that came before"), ("foreign", "clusters on one network need addresses or ports of their own"),
                            ("newer", "version 2")):
            with Attack(run.beta, kind, recorded, f"{config.HEARTBEAT_NET}.2", f"{config.HEARTBEAT_NET}.1"):
                complains(run, run.alpha, "packets were dropped", words)
        told(run, run.alpha, "clusters on one network")
        with Attack(run.beta, "noise", recorded, f"{config.SERVICE_NET}.2", f"{config.SERVICE_NET}.1"):
            complains(run, run.alpha, "not a heartbeat")
        stranger = subprocess.Popen(run.client.command(["python3", "-B", HOSTILE, "replay", recorded, f"{config.SERVICE_NET}.{config.CLIENT_HOST}",
                                                        f"{config.SERVICE_NET}.1"]), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            complains(run, run.alpha, "expects only its peer")
        finally:
            stranger.stdin.close()
            stranger.wait(timeout=30)
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario(fresh=True)
def strange_connections(run):
    """Connections to the sync channel that say nothing, nonsense, or the words of a newer version, all the time: refused and told, while
    the two nodes go on deciding."""
    run.start_both()
    with run.watching() as probe:
        with Attack(run.beta, "connections", f"{config.HEARTBEAT_NET}.2", f"{config.HEARTBEAT_NET}.1") as attack:
            wait_for("two hundred connections", lambda: "200 connections" in attack.said(), limit=60)
            told(run, run.alpha, "sync channel", "doesn't speak clusterd's sync protocol of version 1")
            paused = run.alpha.ctl("pause", "beta")
            run.expect(paused.returncode == 0, f"pause: exit {paused.returncode}: {paused.stderr}")
            # A session that ends meanwhile finds its way back between them.
            run.beta.kill_worker()
            wait_for("beta's next worker", lambda: run.beta.status())
            resumed = run.alpha.ctl("resume", "beta")
            run.expect(resumed.returncode == 0, f"resume: exit {resumed.returncode}: {resumed.stderr}")
        run.settled("alpha")
        run.judge(probe, lost=0, only_by="alpha")


@scenario(fresh=True)
def recorded_peer_is_no_peer(run):
    """The peer is dead and its recorded packets come in for ever: nobody takes them for it. The active node goes on alone, and, started
    anew among them, comes back."""
    run.start_both()
    recorded = os.path.join(run.beta.directory, "recorded")
    with run.watching() as probe:
        with Attack(run.beta, "record", "eth1", recorded, "200") as attack:
            wait_for("packets to be recorded", lambda: "recorded" in attack.said())
        run.beta.kill_guard_and_worker()
        with Attack(run.beta, "replay", recorded, f"{config.HEARTBEAT_NET}.2", f"{config.HEARTBEAT_NET}.1"):
            wait_for("alpha to hold the quorum disk", lambda: run.permit(run.alpha) == "alone")
            probe.hold(3 * PERMIT_MS / 1000)
            states = {each["name"]: each["state"] for each in run.view(run.alpha)["nodes"]}
            run.expect(states["beta"] in ("down", "unknown"), f"a dead beta is {states['beta']}, by its recorded packets")
            run.judge(probe, lost=0, only_by="alpha")
            run.alpha.terminate()
            run.alpha.start()
            with run.client.probe() as again:
                again.wait_served(by="alpha")
                run.expect(run.permit(run.alpha) == "alone", "alpha came back by the word of recorded packets")
                run.judge(again)
    run.beta.start()
    run.settled("alpha")


# ---- the quorum disk

def disk_image(run):
    return os.path.join(run.lab.base, "disk.img")


@scenario(disk="file")
def disk_of_another_cluster(run):
    """Somebody initialises the quorum disk for another cluster: nothing goes offline, nothing is written there, both nodes say whose it is.
    With the right one back all is well."""
    run.start_both()
    image = disk_image(run)
    with run.watching() as probe:
        shutil.copy(image, image + ".right")
        run.alpha.ctl("quorum", "init", "/run/quorum", "--cluster", "other", "--force", "/run/quorum", check=True)
        with open(image, "rb") as file:
            theirs = file.read()
        for node in (run.alpha, run.beta):
            complains(run, node, "belongs to the cluster 'other'", "check <quorum disk=...>")
            run.expect(run.view(node)["quorum"]["state"] == "failed", f"{node.name} takes another cluster's disk for its own")
        # Without it and the link nobody may run anything; and even then nobody writes to it.
        run.lab.cut()
        probe.wait_silent()
        wait_for("alpha to run nothing", run.alpha.runs_nothing, limit=10)
        probe.hold(2, lambda: run.alpha.runs_nothing() and run.beta.runs_nothing())
        with open(image, "rb") as file:
            run.expect(file.read() == theirs, "something was written to another cluster's disk")
        with open(image + ".right", "rb") as right, open(image, "r+b") as file:
            file.write(right.read())
        healed = boot_ms()
        run.lab.heal()
        probe.wait_served(since=healed)
        owner = run.settled()
        for node in (run.alpha, run.beta):
            wait_for(f"{node.name}'s quorum disk to be well", lambda: run.view(node)["quorum"]["state"] == "ok")
        run.judge(probe, only_by=owner if owner == "alpha" else None)  # who takes it after both had nothing is open


@scenario(disk="file")
def disk_rolled_back(run):
    """The quorum disk is set back to an old copy (a snapshot of its storage): with a healthy link nothing goes offline, both nodes say so and
    what to do, and doing it helps. A decision that the old copy doesn't know is not lost."""
    run.start_both()
    image = disk_image(run)
    with run.watching() as probe:
        shutil.copy(image, image + ".old")
        run.lab.cut()
        wait_for("alpha to hold the quorum disk", lambda: run.permit(run.alpha) == "alone" and run.permit(run.beta) == "none")
        paused = run.alpha.ctl("pause", "beta")  # on alpha's own disk and this one only, at this moment
        run.expect(paused.returncode == 0, f"pause: exit {paused.returncode}: {paused.stderr}")
        run.lab.heal()
        wait_for("both to be joined", lambda: "joined" == run.permit(run.alpha) == run.permit(run.beta))
        with open(image + ".old", "rb") as old, open(image, "r+b") as file:
            file.write(old.read())
        for node in (run.alpha, run.beta):
            complains(run, node, "the disk lost a write or was set back", "systemctl reload clusterd")
            run.expect(run.view(node)["quorum"]["state"] == "failed", f"{node.name} trusts a disk that was set back")
        probe.hold(1, run.beta.runs_nothing)
        for node in (run.alpha, run.beta):
            node.reload()
            wait_for(f"{node.name}'s quorum disk to be well", lambda: run.view(node)["quorum"]["state"] == "ok")
            paused = {each["name"]: each["paused"] for each in run.view(node)["nodes"]}
            run.expect(paused["beta"], f"{node.name} forgot that beta is paused")
        run.judge(probe, lost=0, only_by="alpha")
    run.alpha.ctl("resume", "beta", check=True)


# ---- the node's own machine

def mount_state(node, *arguments):
    state = "/run/lab/state"
    node.run(["mount", *arguments, state])
    node.run(["chmod", "700", state])
    node.mounts_at_boot = node.mounts()
    return state


def fill(node, directory):
    """Not a byte is left."""
    node.run(["python3", "-c", "import sys\nfile = open(sys.argv[1], 'wb', 0)\nfor size in (65536, 1):\n  try:\n    while file.write(b'x' * size): pass\n"
              "  except OSError: pass", os.path.join(directory, "fill")])


@scenario(fresh=True)
def state_directory_full(run):
    """No byte is left in both state directories: status says so, nothing goes offline, and even a failover works, since the room for it was
    taken at the first start. With room again it is said no more."""
    for node in (run.alpha, run.beta):
        mount_state(node, "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs")
    run.start_both()
    with run.watching() as probe:
        for node in (run.alpha, run.beta):
            fill(node, "/run/lab/state")

        def told_by_both():
            for verb in ("pause", "resume"):  # decided and recorded, until the last block of the history is full, too
                run.alpha.ctl(verb, "beta", check=True)
            return all("events and failovers are not kept over a restart" in complaints(run, node) for node in (run.alpha, run.beta))
        wait_for("both nodes to complain of no room", told_by_both, limit=90)
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
        run.beta.run(["rm", "/run/lab/state/fill"])
        run.alpha.power_on()
        run.settled("beta")
        wait_for("beta to complain no more", lambda: "are not kept" not in complaints(run, run.beta))
        run.judge(probe, blackout_below=3 * PERMIT_MS)


@scenario(fresh=True)
def state_directory_read_only(run):
    """The active node's state directory turns read-only, as ext4 does after an error: what runs goes on, new decisions are refused or wait and
    status says why. The other node can take over, and the broken one comes back with a new disk."""
    if not shutil.which("mkfs.ext4", path=environment()["PATH"]):
        raise Skip("mkfs.ext4 (sudo packaging/install-deps)")
    image = os.path.join(run.alpha.directory, "state.ext4")
    run.alpha.run(["sh", "-ec", "truncate -s 16M /run/lab/state.ext4; mkfs.ext4 -q /run/lab/state.ext4"])
    state = mount_state(run.alpha, "-o", "loop", "/run/lab/state.ext4")
    run.start_both()
    with run.watching() as probe:
        run.alpha.run(["mount", "-o", "remount,abort", state])  # what an error in its journal would do
        run.expect(run.alpha.run(["touch", f"{state}/x"], check=False).returncode != 0, "the state directory can still be written")
        asked = run.alpha.ctl("pause", "beta", "--timeout", "3s")
        run.expect(asked.returncode != 0, "a decision that its leader can't store was committed")
        complains(run, run.alpha, "the state directory can't be written", "Read-only file system")
        probe.hold(2 * PERMIT_MS / 1000)
        run.judge(probe, lost=0, only_by="alpha")
    with run.watching() as probe:
        when = run.alpha.power_cut()
        probe.wait_served(by="beta", since=when)
        run.alpha.power_on()  # on an empty directory
        run.settled("beta")
        run.judge(probe, blackout_below=3 * PERMIT_MS)
    os.unlink(image)


@scenario(fresh=True)
def starts_that_are_refused(run):
    """A configuration without end, a state directory that is full or read-only from the start: clusterd says which and why, and exits with 1;
    the other node serves meanwhile."""
    run.beta.start()
    with run.client.probe() as first:
        first.wait_served(by="beta")
    with run.watching() as probe:
        xml = os.path.join(run.alpha.directory, "cluster.xml")
        os.rename(xml, xml + ".right")
        os.symlink("/dev/zero", xml)
        refused(run, run.alpha, "cluster.xml", "at most 4194304")
        os.unlink(xml)
        os.rename(xml + ".right", xml)
        state = mount_state(run.alpha, "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs")
        refused(run, run.alpha, state, "No space left on device")
        run.alpha.run(["umount", state])
        mount_state(run.alpha, "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs")
        run.alpha.run(["mount", "-o", "remount,ro", state])
        refused(run, run.alpha, state, "Read-only file system")
        run.alpha.run(["umount", state])
        run.alpha.start()
        run.settled("beta")
        run.judge(probe, lost=0, only_by="beta")


@scenario(fresh=True)
def no_files_left(run):
    """The active node's worker may open no more files, and its sync channel breaks: no lost request, the same worker. With files again the
    nodes decide together as before."""
    run.start_both()
    worker = run.alpha.the("clusterd-worker")
    limits = run_command(["prlimit", "--nofile", "--raw", "--noheadings", "--output", "SOFT,HARD", "--pid", worker.pid]).stdout.split()

    def allow(soft):
        run_command(["prlimit", f"--nofile={soft}:{limits[1]}", "--pid", worker.pid])
    with run.watching() as probe:
        allow(3)  # those it has stay open; not one more
        run.beta.kill_worker()  # so the channel's connection ends; its next one can't be taken
        probe.hold(3 * PERMIT_MS / 1000)
        run.expect(run.alpha.the("clusterd-worker").pid == worker.pid, "the worker died for want of a file")
        run.expect(run.alpha.ctl("status", timeout=60).returncode != 0, "the API answered without a file for the connection")
        allow(limits[0])
        run.settled("alpha")
        moved = run.alpha.ctl("pause", "beta"), run.alpha.ctl("resume", "beta")
        run.expect(all(each.returncode == 0 for each in moved), f"pause, resume: {[each.stderr for each in moved]}")
        run.judge(probe, lost=0, only_by="alpha")


@scenario(fresh=True)
def wall_clock_jumps(run):
    """The active node's wall clock is set back a year, the standby's ahead a year, and back: no lost request and no failover; a move and a
    power cut work as ever, and the history stays in its order."""
    clocks = {}
    for node in (run.alpha, run.beta):
        clocks[node.name] = os.path.join(node.directory, "wallclock")
        set_clock(clocks[node.name], 0)
        node.start(under=("env", f"LD_PRELOAD={run.lab.program('lab-wallclock.so')}", "LAB_WALLCLOCK=/run/lab/wallclock"))
    run.settled("alpha")
    with run.watching() as probe:
        set_clock(clocks["alpha"], -YEAR)
        set_clock(clocks["beta"], YEAR)
        paused, resumed = run.alpha.ctl("pause", "beta"), run.alpha.ctl("resume", "beta")
        run.expect(paused.returncode == 0 == resumed.returncode, f"pause, resume: {paused.stderr} {resumed.stderr}")
        probe.hold(4)
        run.judge(probe, lost=0, only_by="alpha")
    with run.watching() as probe:
        moved = run.alpha.ctl("move", "web", "--to", "beta")
        run.expect(moved.returncode == 0, f"move: exit {moved.returncode}: {moved.stderr}")
        for name in clocks:
            set_clock(clocks[name], 0)
        run.settled("beta")
        set_clock(clocks["alpha"], -YEAR)
        when = run.beta.power_cut()
        probe.wait_served(by="alpha", since=when)
        events = [json.loads(line) for line in run.alpha.ctl("--json", "events").stdout.splitlines()]
        numbers = [int(each["id"].removeprefix("alpha-")) for each in events if each["node"] == "alpha"]
        run.expect(numbers == sorted(numbers) and numbers, f"alpha's events are not in their order: {numbers}")
        run.judge(probe, blackout_below=3 * PERMIT_MS)
    run.beta.power_on()
    run.settled("alpha")


def set_clock(path, seconds):
    with open(path + ".new", "wb") as new:
        new.write(struct.pack("=q", seconds))
    if os.path.exists(path):  # in place: it is mapped
        with open(path, "r+b") as file:
            file.write(struct.pack("=q", seconds))
        os.unlink(path + ".new")
    else:
        os.rename(path + ".new", path)


# ---- the API and the checks

@scenario(fresh=True)
def api_flooded(run):
    """Thousands of connections to the API, silent, slow, endless or huge: no lost request, bounded memory, and clusterctl has an answer as
    soon as they are gone."""
    run.start_both()
    worker = run.alpha.the("clusterd-worker")
    before = run.alpha.memory_kib(worker.pid)
    most = before
    with run.watching() as probe:
        with Attack(run.alpha, "api", "/run/clusterd/clusterd.sock") as attack:
            def flooded():
                nonlocal most
                most = max(most, run.alpha.memory_kib(worker.pid))
                return "3000 connections" in attack.said()
            wait_for("some thousand connections", flooded, limit=120, every=0.1)
            run.expect(run.permit(run.beta) == "joined", "the standby lost its peer meanwhile")
        run.numbers["worker_grew_mib"] = round((most - before) / 1024, 1)
        run.expect(most - before < 64 * 1024, f"the worker grew by {most - before} KiB, less than 64 MiB is allowed")
        run.settled("alpha")
        run.expect(run.alpha.the("clusterd-worker").pid == worker.pid, "the worker died of it")
        run.judge(probe, lost=0, only_by="alpha")


ENDLESS = """  <group name="odd">
    <dummy name="odd-random"> <health type="exec" command="cat /dev/urandom" every="1s" timeout="900ms"/> </dummy>
    <dummy name="odd-line"> <health type="exec" command="head -c 100000000000 /dev/zero" every="1s" timeout="900ms"/> </dummy>
    <dummy name="odd-deaf"> <health type="exec" command="/bin/sh -c 'trap : PIPE; while :; do echo still here; done'" every="1s" timeout="900ms"/> </dummy>
    <dummy name="odd-silent"> <health type="exec" command="sleep 1000" every="1s" timeout="900ms"/> </dummy>
  </group>
"""


@scenario(extra=ENDLESS)
def endless_checks(run):
    """Checks that write random bytes, one line without end, or go on although nobody reads, or say nothing: unknown, never more; memory stays
    bounded, they are ended, and the other group is not disturbed."""
    run.start_both()
    watched = [(each.pid, run.alpha.memory_kib(each.pid)) for each in run.alpha.processes("cluster-agent", "clusterd-worker")]
    grown = 0
    with run.watching() as probe:
        def health():
            odd = next(group for group in run.view(run.alpha)["groups"] if group["name"] == "odd")
            return {each["name"]: (each["state"], each["health"], each["message"]) for each in odd["resources"]}

        def all_unknown():
            seen = health()
            if any(each[:2] != ("online", "unknown") for each in seen.values()):
                raise LabError(str(seen))
            return seen
        run.notes["health"] = wait_for("all odd checks to be unknown", all_unknown, every=0.2)
        for _ in range(8):
            probe.hold(1)
            grown = max(grown, *(run.alpha.memory_kib(pid) - before for pid, before in watched))
        run.expect(all(each[:2] == ("online", "unknown") for each in health().values()), f"an odd check did something: {health()}")
        run.numbers["grew_mib"] = round(grown / 1024, 1)
        run.expect(grown < 32 * 1024, f"a process grew by {grown} KiB, less than 32 MiB is allowed")
        run.judge(probe, lost=0, only_by="alpha")
    run.alpha.ctl("offline", "odd", check=True)
    wait_for("the odd checks to be ended", lambda: not run.alpha.processes("cat", "head", "dash", "sleep"), limit=10)
