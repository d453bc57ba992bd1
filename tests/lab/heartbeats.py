#!/usr/bin/env python3
"""Writes down when each heartbeat of a node came out of its port, by the kernel's clock. Run in the switch's namespace (helper.Helper), which costs the
node nothing; and what is made of such a list.

  heartbeats.py INTERFACE FILE PORT      a line of JSON per packet: its time in ms (CLOCK_REALTIME)
"""
import json
import socket
import struct
import sys

ETH_P_ALL, ETH_P_IP, SO_TIMESTAMPNS, PACKET_OUTGOING, UDP = 3, 0x0800, 35, 4, 17
EDGES = (40, 45, 48, 49, 49.5, 49.9, 50.1, 50.5, 51, 52, 55, 60, 70, 100, 150, 200, 300)  # ms, around the default timing's 50; 300 is when a peer is suspected


def main(interface, path, port):
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    listener.bind((interface, ETH_P_ALL))  # a bridge takes what is asked for by its protocol
    with open(path, "w", buffering=1) as out:
        print("0", file=out)
        while True:
            frame, control, _, who = listener.recvmsg(64, 256)
            if who[2] == PACKET_OUTGOING or who[1] != ETH_P_IP or len(frame) < 38 or frame[23] != UDP or struct.unpack("!H", frame[36:38])[0] != int(port):
                continue  # on its way to the node, or something else
            for level, kind, data in control:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", data)
                    print(json.dumps(round(seconds * 1000 + nanoseconds / 1e6, 3)), file=out)


def gaps(times):
    """The pauses between them, in ms."""
    times = [each for each in times if each]
    return [later - earlier for earlier, later in zip(times, times[1:])]


def part(values, share):
    """The value below which that share of them is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def counts(values):
    """How many are below each edge and at or above the one before; the last: all above."""
    result = [0] * (len(EDGES) + 1)
    for value in values:
        result[next((i for i, edge in enumerate(EDGES) if value < edge), len(EDGES))] += 1
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
