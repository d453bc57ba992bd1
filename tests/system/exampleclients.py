"""The clients of examples.py, on the third host: they ask again and again and know the longest time without an answer, or write and know what was
acknowledged."""
import socket
import struct
import subprocess
import threading
import time

from tools import LabError, dies_with_us, wait_for

EVERY, PATIENCE, AT_ONCE = 0.02, 1.5, 100  # s between two questions, s for an answer, questions that may wait at a time

def ask(address, port, question, answered):
    with socket.create_connection((address, port), PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        connection.sendall(question)
        said = b""
        while not answered(said):
            more = connection.recv(4096)
            if not more:
                return False
            said += more
        return True


def http(address, port, path, text):
    return lambda: ask(address, port, f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode(), lambda said: b" 200 " in said[:20] and text.encode() in said)


def postgres(address):
    words = b"user\0clusterd\0database\0postgres\0\0"
    return lambda: ask(address, 5432, struct.pack("!ii", 8 + len(words), 196608) + words, lambda said: said[-6:-5] == b"Z")  # ready for a query


def redis(address):
    return lambda: ask(address, 6379, b"PING\r\n", lambda said: said.startswith(b"+PONG"))


class Client:
    """Asks every EVERY s, whether or not an earlier question still waits; knows the longest time between two answers."""

    def __init__(self, question):
        self.question = question
        self.ending, self.lock = threading.Event(), threading.Lock()
        self.last, self.longest, self.answers, self.waiting = None, 0.0, 0, 0
        self.thread = threading.Thread(target=self._go_on, daemon=True)
        self.thread.start()
        self.wait_answer()

    def _go_on(self):
        while not self.ending.wait(EVERY):
            with self.lock:
                if self.waiting >= AT_ONCE:
                    continue
                self.waiting += 1
            threading.Thread(target=self._attempt, daemon=True).start()

    def _attempt(self):
        try:
            answered = self.question()
        except OSError:
            answered = False
        with self.lock:
            self.waiting -= 1
            if answered:
                now = time.monotonic()
                self.longest = max(self.longest, now - (self.last or now))
                self.last, self.answers = now, self.answers + 1

    def wait_answer(self):
        """One to a question that is asked from now on."""
        since = time.monotonic()
        wait_for("the client to be answered", lambda: self.last and self.last > since + EVERY, limit=90)

    def stop(self):
        time.sleep(1)  # what is lost late must be seen, too
        self.wait_answer()
        self.ending.set()
        self.thread.join()
        return round(self.longest * 1000)


class Ledger:
    """Writes row after row into PostgreSQL in one session, each a transaction of its own, and keeps the ids that were acknowledged."""

    def __init__(self, address):
        self.acknowledged = []
        self.psql = subprocess.Popen(["psql", "-h", address, "-U", "postgres", "-d", "postgres", "-qAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True, bufsize=1, preexec_fn=dies_with_us)
        self.thread = threading.Thread(target=self._go_on, daemon=True)
        self.thread.start()

    def _go_on(self):
        try:
            while True:
                self.psql.stdin.write("INSERT INTO ledger DEFAULT VALUES RETURNING id;\n")
                line = self.psql.stdout.readline()
                if not line.endswith("\n"):
                    return
                self.acknowledged.append(int(line))
        except (OSError, ValueError):
            pass

    def wait_rows(self, number):
        def look():
            if not self.thread.is_alive():
                raise LabError(f"the session has ended after {len(self.acknowledged)} rows")
            return len(self.acknowledged) >= number
        wait_for(f"{number} acknowledged rows", look, limit=60)

    def end(self):
        """The ids. A session whose server has no power any more would wait for long."""
        self.psql.kill()
        self.psql.wait()
        self.thread.join()
        return self.acknowledged
