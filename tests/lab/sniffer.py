#!/usr/bin/env python3
"""Writes down every announcement of some addresses that comes out of a node's port: gratuitous ARP (sender = target = the address) and
neighbour advertisements nobody asked for, each with its time. Run in the switch's namespace by world.Lab.sniff; ends with SIGTERM.

  sniffer.py INTERFACE FILE ADDRESS...      a line of JSON per announcement: {"ms": CLOCK_BOOTTIME, "address": ...}
"""
import ipaddress
import json
import socket
import struct
import sys
import time

ETH_P_ALL, ETH_P_ARP, ETH_P_IPV6, ICMPV6, ADVERTISEMENT = 3, 0x0806, 0x86DD, 58, 136
SO_TIMESTAMPNS, PACKET_OUTGOING = 35, 4


def announced(frame, kind):
    """The address that a frame announces, or None. An answer to somebody's question is none, though it has the same words: it goes to him alone."""
    if kind == ETH_P_ARP and len(frame) >= 42:
        sender, target = frame[28:32], frame[38:42]
        return ipaddress.ip_address(sender) if sender == target and frame[0] & 1 else None
    if kind == ETH_P_IPV6 and len(frame) >= 78 and frame[20] == ICMPV6 and frame[54] == ADVERTISEMENT and frame[0] & 1:
        return ipaddress.ip_address(frame[62:78])
    return None


def main(interface, path, *texts):
    wanted = {ipaddress.ip_address(text) for text in texts}
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    listener.bind((interface, ETH_P_ALL))
    with open(path, "w", buffering=1) as out:
        print(json.dumps({"ms": 0, "address": "listening"}), file=out)
        while True:
            frame, control, _, who = listener.recvmsg(128, 256)
            if who[2] == PACKET_OUTGOING:  # on its way to the node
                continue
            address = announced(frame, who[1])
            if address not in wanted:
                continue
            when = time.clock_gettime(time.CLOCK_BOOTTIME)
            for level, kind, data in control:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", data)
                    when -= time.clock_gettime(time.CLOCK_REALTIME) - seconds - nanoseconds / 1e9
            print(json.dumps({"ms": round(when * 1000, 3), "address": str(address)}), file=out)


if __name__ == "__main__":
    main(*sys.argv[1:])
