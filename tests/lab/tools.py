"""Small things the lab is made of: running commands, waiting for conditions, looking at processes. Called by every other file here."""
import ctypes
import os
import re
import signal
import subprocess
import time

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LabError(Exception):
    """Something of the lab's own, or what a scenario waited for, didn't work."""


class Skip(Exception):
    """This machine can't do it; the text says what is missing and how to get it."""


def run(arguments, *, input=None, check=True, timeout=60, preexec=None, env=None):
    """Runs a command to its end; output as text. check: LabError with its output where it fails."""
    try:
        done = subprocess.run([str(a) for a in arguments], input=input, text=True, capture_output=True, timeout=timeout, preexec_fn=preexec,
                              stdin=None if input is not None else subprocess.DEVNULL, env=environment(env))
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(map(str, arguments))}: not done after {timeout} s") from None
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, arguments))}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done


def environment(extra=None):
    kept = {name: os.environ[name] for name in ("HOME", "TERM", "TMPDIR") if name in os.environ}
    return {"PATH": PATH, "LANG": "C.UTF-8", **kept, **(extra or {})}


def boot_ms():
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def wait_for(what, condition, limit=30.0, every=0.02):
    """Until condition() is true; its value. A condition that raises LabError counts as false, and its text is told at the end."""
    end = time.monotonic() + limit
    last = ""
    while True:
        try:
            value = condition()
            if value:
                return value
        except LabError as error:
            last = f" ({error})"
        if time.monotonic() > end:
            raise LabError(f"waited {limit:g} s for: {what}{last}")
        time.sleep(every)


def dies_with_us():
    """For preexec: the child is killed when this process ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


# ---- processes, by number and start time, so that a number used again is not mistaken

def start_time(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def identity(pid):
    return [pid, start_time(pid)]


def alive(who):
    return bool(who) and who[1] is not None and start_time(who[0]) == who[1]


def signal_process(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # gone already, with its parent perhaps


def end_process(who, number=signal.SIGKILL):
    if alive(who):
        signal_process(who[0], number)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(each) for each in file.read().split()]
    except OSError:
        return []


def namespace(pid, kind):
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None


class Process:
    def __init__(self, pid, name, parent, arguments):
        self.pid, self.name, self.parent, self.arguments = pid, name, parent, arguments

    def __repr__(self):
        return f"{self.pid} {' '.join(self.arguments) or self.name}"


def processes_in(pid_namespace):
    """Everything alive in a pid namespace, by the numbers of ours."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or namespace(entry, "pid") != pid_namespace:
            continue
        try:
            name = os.path.basename(os.readlink(f"/proc/{entry}/exe")).removesuffix(" (deleted)")
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                arguments = [each.decode(errors="replace") for each in file.read().split(b"\0") if each]
            with open(f"/proc/{entry}/stat", "rb") as file:
                parent = int(file.read().rsplit(b")", 1)[1].split()[1])
        except OSError:
            continue  # gone, or a zombie
        found.append(Process(int(entry), name, parent, arguments))
    return found


def zombies_in(pid_namespace):
    """What has ended there and was never waited for, with who should have."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                head, tail = file.read().rsplit(b")", 1)
            state, parent = tail.split()[:2]
            if state != b"Z" or namespace(int(parent), "pid") != pid_namespace:
                continue
            with open(f"/proc/{int(parent)}/comm") as file:
                found.append(f"{entry} {head.split(b'(', 1)[1].decode(errors='replace')}, child of {file.read().strip()}")
        except (OSError, ValueError):
            continue
    return found


def open_files(pid):
    """What each open file descriptor of a process is: a path, or a kind (socket, packet socket, pipe, anon_inode:[eventpoll])."""
    found = []
    try:
        with open(f"/proc/{pid}/net/packet") as file:
            packet = {f"socket:[{line.split()[-1]}]" for line in file.readlines()[1:]}
        for each in os.listdir(f"/proc/{pid}/fd"):
            try:
                is_open = os.readlink(f"/proc/{pid}/fd/{each}")
                found.append("packet socket" if is_open in packet else re.sub(r"^(socket|pipe):.*", r"\1", is_open))
            except OSError:
                pass  # closed meanwhile
    except OSError:
        pass
    return sorted(found)


# ---- cgroup v2

def cgroup2_mount():
    with open("/proc/self/mountinfo") as file:
        for line in file:
            match = re.match(r"\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 ", line)
            if match:
                return match.group(2)
    return None


def remove_cgroup(path):
    """With all groups below it; False where something still runs in one."""
    if not path or not os.path.isdir(path):
        return True
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            pass
    return not os.path.isdir(path)
