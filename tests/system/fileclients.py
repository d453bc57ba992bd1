"""The clients of fileserver.py, on the third host: they read the same small file again and again, and know the longest time without an answer."""
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time

PATIENCE = 1.0  # s for one read; new ones begin meanwhile, so that one that waits in vain doesn't hide that another is served
EVERY = 0.1
AT_ONCE = 12


class Reader:
    """smb: smbclient, a process and a connection for each read; nfs: nfs-cat, likewise; nfs-handle: a connection for each read, but the file handle
    that it got at the beginning is good for all of them, as a client that has it mounted expects."""
    all = []

    def __init__(self, kind, address):
        self.kind, self.address = kind, address
        self.read = {"smb": self._smbclient, "nfs": self._nfs_cat, "nfs-handle": self._by_handle}[kind]
        self.reads = self.errors = self.under_way = 0
        self.longest = 0.0
        self.handle = None
        self.said = ""    # of the last read that was refused
        self.last = None  # when the last read was answered
        self.ending = threading.Event()
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._go_on, daemon=True)
        Reader.all.append(self)
        self.thread.start()
        self.wait_ok()

    def _go_on(self):
        while not self.ending.wait(EVERY):
            with self.changed:
                if self.under_way == AT_ONCE:
                    continue
                self.under_way += 1
            threading.Thread(target=self._attempt, daemon=True).start()

    def _attempt(self):
        try:
            said = self.read()
        except subprocess.TimeoutExpired:
            said = "no answer in time"
        except (OSError, NfsError) as error:
            said = str(error)
        with self.changed:
            self.under_way -= 1
            if said == f"{'docs' if self.kind == 'smb' else 'media'} says hello\n":
                now = time.monotonic()
                if self.last is not None:
                    self.longest = max(self.longest, now - self.last)
                self.last = now
                self.reads += 1
            else:
                self.errors, self.said = self.errors + 1, said
            self.changed.notify_all()

    @staticmethod
    def _output(command):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, text=True)
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def _smbclient(self):
        return self._output(["smbclient", "-N", f"//{self.address}/docs", "-c", "get hello -"])

    def _nfs_cat(self):
        return self._output(["nfs-cat", f"nfs://{self.address}/media/hello?version=4"])

    def _by_handle(self):
        with NfsConnection(self.address) as server:
            if self.handle is None:
                self.handle = server.handle_of(b"media", b"hello")
            return server.read(self.handle).decode()

    def wait_ok(self, limit=90):
        """A read was answered from now on."""
        with self.changed:
            before = self.reads
            if not self.changed.wait_for(lambda: self.reads > before, timeout=limit):
                raise RuntimeError(f"the {self.kind} client reads nothing for {limit} s ({self.reads} reads, {self.errors} errors before): {self.said!r}")

    def stop(self):
        self.end()
        return {"reads": self.reads, "errors": self.errors, "blackout_ms": round(self.longest * 1000)}

    def end(self):
        self.ending.set()
        self.thread.join()
        with self.changed:
            self.changed.wait_for(lambda: self.under_way == 0, timeout=10 * PATIENCE)


class NfsError(Exception):
    pass


class NfsConnection:
    """NFSv4.0 (RFC 7530) in as many words as it takes to find a file and to read it by its handle."""
    PUTFH, PUTROOTFH, LOOKUP, GETFH, READ = 22, 24, 15, 10, 25

    def __init__(self, address):
        self.socket = socket.create_connection((address, 2049), timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @staticmethod
    def _opaque(data):
        return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)

    def _compound(self, *operations):
        """The bytes of the last operation's result, after its status."""
        user = struct.pack(">IIIII", 0, 0, 0, 0, 0)  # stamp, empty machine name, uid, gid, no more groups
        call = struct.pack(">IIIIII", 7, 0, 2, 100003, 4, 1) + struct.pack(">I", 1) + self._opaque(user) + struct.pack(">II", 0, 0)
        call += self._opaque(b"") + struct.pack(">II", 0, len(operations)) + b"".join(operations)
        self.socket.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
        size = struct.unpack(">I", self._receive(4))[0] & 0x7fffffff
        reply = self._receive(size)
        if reply[4:24] != struct.pack(">IIIII", 1, 0, 0, 0, 0):
            raise NfsError(f"no reply: {reply[:24].hex()}")
        status, _, count = struct.unpack(">III", reply[24:36])
        if status != 0:
            raise NfsError(f"NFS status {status}, at operation {count}")
        at = 36
        for number, operation in enumerate(operations):
            code, each = struct.unpack(">II", reply[at:at + 8])
            if (code, each) != (struct.unpack(">I", operation[:4])[0], 0):
                raise NfsError(f"operation {code}: {each}")
            at += 8  # of all but the last: no result beside their status
        return reply[at:]

    def _receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise NfsError("the server closed the connection")
            data += more
        return data

    def handle_of(self, *names):
        result = self._compound(struct.pack(">I", self.PUTROOTFH), *(struct.pack(">I", self.LOOKUP) + self._opaque(name) for name in names), struct.pack(">I", self.GETFH))
        return result[4:4 + struct.unpack(">I", result[:4])[0]]

    def read(self, handle):
        result = self._compound(struct.pack(">I", self.PUTFH) + self._opaque(handle), struct.pack(">I", self.READ) + b"\0" * 16 + struct.pack(">QI", 0, 4096))
        return result[8:8 + struct.unpack(">I", result[4:8])[0]]


class SmbSession:
    """One smbclient that stays connected to a share and reads from it ten times a second."""
    all = []

    def __init__(self, address, share):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(["smbclient", "-N", f"//{address}/{share}"], stdin=subprocess.PIPE, stdout=self.output, stderr=self.output)
        self.share, self.longest, self.asked, self.ending = share, 0.0, 0, threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)
        SmbSession.all.append(self)
        self.thread.start()
        begun = time.monotonic()
        while not self._text().count(b"says hello"):
            if time.monotonic() > begun + 20:
                raise RuntimeError(f"no session with share {share}: {self._text()!r}")
            time.sleep(0.05)

    def _text(self):
        return os.pread(self.output.fileno(), 1 << 24, 0)

    def _ask(self):
        seen, since = 0, time.monotonic()
        try:
            while not self.ending.is_set():
                self.process.stdin.write(b"get hello -\n")
                self.process.stdin.flush()
                self.asked += 1
                self.ending.wait(0.1)
                now, count = time.monotonic(), self._text().count(b"says hello")
                if count > seen:
                    self.longest, seen, since = max(self.longest, now - since), count, now
        except BrokenPipeError:
            pass

    def refused(self):
        text = self._text()
        return b"NT_STATUS_" in text

    def stop(self):
        self.end()
        text = self._text().decode(errors="replace")
        at = text.find("NT_STATUS_")
        return {"reads": text.count("says hello"), "asked": self.asked, "status": text[at:].split()[0].strip(")") if at >= 0 else "", "gap_ms": round(self.longest * 1000)}

    def end(self):
        self.ending.set()
        self.thread.join(timeout=10)
        try:
            self.process.stdin.close()
            self.process.wait(timeout=5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
