#!/usr/bin/python3
"""Two clients of TLS, one that says nothing and one that says a byte in a while,
are closed in time, and others are served meanwhile.

usage: 1011-tls-hosts.py HOST PORT      (AMCTL_SOCKET and AMCTL_TLS_* as well)
"""
import select
import socket
import subprocess
import sys
import time

# The record of a ClientHello that never comes to its end.
HELLO = bytes([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]) + bytes(500)
PINGS = 3
LEAST_S, MOST_S = 4, 9


def send(s, data):
    """False if it is closed."""
    try:
        s.send(data)
        return True
    except ConnectionError:
        return False


def is_closed(s):
    try:
        return not s.recv(100)
    except ConnectionError:
        return True


def main():
    start = time.monotonic()
    silent, slow = (socket.create_connection(sys.argv[1:3]) for _ in range(2))
    left, sent, served = {silent, slow}, 0, 0
    while left and time.monotonic() - start < 2 * MOST_S:
        for s in select.select(left, [], [], 0.2)[0]:
            if is_closed(s):
                left.discard(s)
        if slow in left and not send(slow, HELLO[sent : sent + 1]):
            left.discard(slow)
        sent += 1
        if served < PINGS:
            served += subprocess.run(["amctl", "ping", "-q"], timeout=10).returncode == 0
    took = time.monotonic() - start
    print(f"closed={2 - len(left)} served={served} bytes={sent} took={took:.1f}s")
    sys.exit(bool(left) or served < PINGS or not LEAST_S < took < MOST_S)


main()
