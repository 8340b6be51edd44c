#!/usr/bin/python3
"""Many clients of TLS: those who begin a handshake and stop, and those who say
hello and are silent.

usage: 1010-tls.py HOST PORT PID     (PID: amnoded; AMCTL_TLS_*: who we are)
"""
import os
import socket
import ssl
import subprocess
import sys

import msgpack

HALF, KEPT, IDLE = 400, 256, 200
# Buffers of TLS and all that is ours; a sanitizer keeps what was freed.
EACH_KIB = 1024 if "address" in os.environ.get("BUILD", "") else 64

HOST, PORT, PID = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ctx = ssl.create_default_context(cafile=os.environ["AMCTL_TLS_CA"])
ctx.load_cert_chain(os.environ["AMCTL_TLS_CERT"], os.environ["AMCTL_TLS_KEY"])


def rss_kib():
    with open(f"/proc/{PID}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def served(what, n):
    r = subprocess.run(["amctl", "request", "input:=3"], capture_output=True, text=True, timeout=30)
    print(f"# {n} {what}: {rss_kib()} KiB, {r.stderr}")
    assert r.returncode == 0, r


def client_hello():
    out = ssl.MemoryBIO()
    try:
        ctx.wrap_bio(ssl.MemoryBIO(), out, server_hostname=HOST).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


def half():
    """They end in the middle, so that each has cost a key exchange."""
    data, peers = client_hello(), []
    for _ in range(HALF):
        peers.append(socket.create_connection((HOST, PORT)))
        peers[-1].sendall(data)
    served("half handshakes", HALF)
    for s in peers[: HALF - KEPT]:
        s.settimeout(10)
        while s.recv(65536):
            pass


def idle():
    peers = []
    for i in range(IDLE):
        s = ctx.wrap_socket(socket.create_connection((HOST, PORT)), server_hostname=HOST)
        s.sendall(msgpack.packb([0, 70000, "hello", [{"proto": 1, "id": i, "sync": {"schema": False}}]]))
        assert s.recv(1)
        peers.append(s)
    served("idle clients", IDLE)


before = rss_kib()
half()
idle()
sys.exit(rss_kib() - before > (KEPT + IDLE) * EACH_KIB)
