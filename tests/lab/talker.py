#!/usr/bin/env python3
"""A client with standing connections: every few ms a byte string over one established TCP connection and one connected UDP socket, both to a
server that sends it back. Run in the client's namespace by scenarios; runs until it is killed.

  talker.py ADDRESS PORT FILE      FILE: {"tcp": {"answers", "last_ms"}, "udp": {...}}, CLOCK_BOOTTIME; rewritten all the time
"""
import json
import os
import select
import socket
import sys
import time


def boot_ms():
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def main(address, port, path):
    where = (address, int(port))
    sockets = {"tcp": socket.create_connection(where, timeout=10), "udp": socket.socket(type=socket.SOCK_DGRAM)}
    sockets["udp"].connect(where)
    sockets["tcp"].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    seen = {name: {"answers": 0, "last_ms": 0, "error": ""} for name in sockets}
    for each in sockets.values():
        each.setblocking(False)
    while True:
        for name, each in sockets.items():
            try:
                each.send(b"%12d\n" % int(boot_ms()))
            except OSError as error:  # a full buffer, or what the network said of an earlier one
                seen[name]["error"] = os.strerror(error.errno)
        ready = select.select(list(sockets.values()), [], [], 0.005)[0]
        for name, each in sockets.items():
            if each not in ready:
                continue
            try:
                if each.recv(65536):
                    seen[name]["answers"] += 1
                    seen[name]["last_ms"] = boot_ms()
            except OSError as error:
                seen[name]["error"] = os.strerror(error.errno)
        with open(path + ".new", "w") as file:
            json.dump(seen, file)
        os.rename(path + ".new", path)
        time.sleep(0.002)


if __name__ == "__main__":
    main(*sys.argv[1:])
