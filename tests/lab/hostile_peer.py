"""What a hostile or broken machine does to a node, for scenarios/hostile.py. Runs in a namespace of the lab until its input is closed.

  record INTERFACE FILE N     keep N heartbeats that leave over it
  replay FILE FROM TO         send them again and again, from an address of this machine to a node's
  foreign FILE FROM TO        the same, in another cluster's name
  newer FILE FROM TO          the same, as of a later version
  noise FILE FROM TO          packets of any length and content
  connections FROM TO         connections to the sync channel that say nothing, nonsense, or the words of a later version
  api SOCKET                  connections to the API: silent, slow, endless, huge
"""
import os
import random
import resource
import select
import socket
import struct
import sys
import time

PORT = 7780


def over():
    """Our input was closed."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def say(text):
    print(text, flush=True)


def record(interface, path, count):
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    tap.bind((interface, 0))
    tap.settimeout(1)
    say("begun")
    kept = []
    while len(kept) < int(count) and not over():
        try:
            frame, source = tap.recvfrom(2048)
        except TimeoutError:
            continue
        if source[2] != socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
            continue
        ip = frame[14:]
        udp = ip[(ip[0] & 15) * 4:]
        if struct.unpack("!H", udp[2:4])[0] == PORT:
            kept.append(udp[8:])
    with open(path, "wb") as file:
        for each in kept:
            file.write(struct.pack("!H", len(each)) + each)
    say(f"recorded {len(kept)}")
    while not over():
        time.sleep(0.02)


def recorded(path):
    with open(path, "rb") as file:
        content = file.read()
    while content:
        size = struct.unpack("!H", content[:2])[0]
        yield content[2:2 + size]
        content = content[2 + size:]


def send_all(packets, source, to):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind((source, 0))
    say("begun")
    while not over():
        for each in packets():
            try:
                out.sendto(each, (to, PORT))
            except OSError:
                pass  # refused: nobody is there at the moment
            time.sleep(0.002)


def connections(source, to):
    words = [b"", b"CSY2" + bytes(32), b"GET / HTTP/1.1\r\n\r\n", b"CSY1" + bytes(60) + b"\xff" * 4, os.urandom(5000)]
    held, made = [], 0
    say("begun")
    while not over():
        one = socket.socket()
        one.settimeout(1)
        one.bind((source, 0))
        try:
            one.connect((to, PORT))
            one.sendall(words[made % len(words)])
        except OSError:
            pass
        held.append(one)
        made += 1
        if len(held) > 100:
            held.pop(0).close()
        if made % 100 == 0:
            say(f"{made} connections")
        time.sleep(0.02)


def api(path):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    head = b"POST /v1/commands HTTP/1.1\r\nHost: x\r\n"
    words = [b"", b"GET /v1/sta", head + b"Content-Length: 100000000000\r\n\r\n" + b"x" * 100_000, head + b"X: " + b"y" * 100_000,
             head + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"z" * 0xffff + b"\r\n", os.urandom(3000), b"GET /v1/status HTTP/1.1\r\n\r\n" * 200]
    held, made = [], 0
    say("begun")
    while not over():
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        try:
            one.connect(path)
            one.send(words[made % len(words)])
            made += 1
            if made % 500 == 0:
                say(f"{made} connections")
        except OSError:
            time.sleep(0.001)  # its queue is full
        held.append(one)
        if len(held) > 1500:
            held.pop(random.randrange(len(held))).close()


def main():
    verb, *rest = sys.argv[1:]
    if verb == "record":
        return record(*rest)
    if verb == "connections":
        return connections(*rest)
    if verb == "api":
        return api(*rest)
    path, source, to = rest
    packets = list(recorded(path))
    made = {
        "replay": lambda: packets,
        "foreign": lambda: [each[:4] + bytes(16) + each[20:] for each in packets],
        "newer": lambda: [each[:3] + b"\x02" + each[4:] + b"later" for each in packets],
        "noise": lambda: [os.urandom(random.choice((0, 1, 40, 209, 512, 1400))) for _ in range(50)],
    }[verb]
    send_all(made, source, to)


main()
