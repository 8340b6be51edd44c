#!/usr/bin/python3
"""Clients at their worst, against amnoded and a worker of it.

usage: 1015-limits.py PID RUNDIR LOG    (AMCTL_SOCKET: the supervisor)
       1015-limits.py worker            a worker program that says what it is asked for
"""
import json
import os
import resource
import select
import socket
import subprocess
import sys
import time

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import check, finish

QUICK_S = 2.0  # a whole amctl with all that it does, on a busy machine
IDLE = 10000
SANITIZED = "address" in os.environ.get("BUILD", "")


def worker():
    with os.fdopen(3, "r") as lines, os.fdopen(4, "w") as out:
        print(json.dumps({"ready": 1}), file=out, flush=True)
        for line in lines:
            m = json.loads(line)
            if "req" in m:
                said = {"output": "x" * m["args"].get("input", 0)}
                print(json.dumps({"req": m["req"], "payload": said}), file=out, flush=True)
            elif "stop" in m:
                return


def amctl(*args):
    start = time.monotonic()
    r = subprocess.run(["amctl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    return r, time.monotonic() - start


def others(what):
    """A whole request, lease and all, and it is quick."""
    r, took = amctl("request", "input:=3")
    check(f"  meanwhile a request: {what}", r.returncode == 0 and took < QUICK_S, (took, r))


class Peer:
    def __init__(self, path, rcvbuf=None):
        self.sock = socket.socket(socket.AF_UNIX)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.connect(path)
        self.sock.settimeout(10)
        self.unpacker = msgpack.Unpacker(max_buffer_size=32 << 20)

    def say(self, *frames):
        self.sock.sendall(b"".join(map(msgpack.packb, frames)))

    def hear(self):
        """Frames until the end of the stream, or None if it does not come."""
        while True:
            for f in self.unpacker:
                yield f
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                return
            if not data:
                return
            self.unpacker.feed(data)

    def bye(self):
        return next((f[2][0] for f in self.hear() if f[:2] == [2, "bye"]), None)

    def answer(self, n):
        return next(f for f in self.hear() if f[0] == 1 and f[1] == n)


def hello(n=1, **more):
    return [0, 65536, "hello", [{"proto": 1, "id": n, "sync": {"schema": False}, **more}]]


def status(pid, key):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def n_fds():
    return len(os.listdir(f"/proc/{PID}/fd"))


def refused_lines(why):
    with open(LOG, errors="replace") as f:
        return sum("client: refused" in line and why in line for line in f)


def wait_until(fn, seconds=5):
    end = time.monotonic() + seconds
    while not fn() and time.monotonic() < end:
        select.select([], [], [], 0.02)
    return fn()


def state_ids():
    p = Peer(SOCK)
    p.say([0, 65536, "hello", [{"proto": 1, "id": 2}]])
    rows = p.answer(65536)[3]["schema"]
    return {row[0]: i for i, row in enumerate(rows)}


class Slow:
    """Two who say a byte now and then, two who say nothing at all."""

    def __init__(self):
        self.start = time.monotonic()
        self.peers = [Peer(SOCK) for _ in range(4)]
        self.bytes = msgpack.packb(hello(3, name="x" * 60))
        self.n = 0

    def step(self):
        for p in self.peers[:2]:
            try:
                p.sock.send(self.bytes[self.n:self.n + 1])
            except (BrokenPipeError, ConnectionResetError):
                pass
        self.n += 1

    def end(self):
        while time.monotonic() - self.start < 4.4:
            self.step()
            select.select([], [], [], 0.2)
        byes = [p.bye() for p in self.peers]
        took = time.monotonic() - self.start
        check("a byte now and then, and nothing at all: out after 5 s",
              all(b and b.startswith("no_hello") for b in byes) and 4.5 < took < 7, (byes, took))
        check("  one line each in the log", wait_until(lambda: refused_lines("no_hello") == 4),
              refused_lines("no_hello"))


def shut_down():
    for _ in range(100):
        p = Peer(SOCK)
        p.sock.shutdown(socket.SHUT_WR)
        if p.sock.recv(1) != b"":
            return False
    return True


def slow_frame():
    """After hello a frame may take as long as it likes, it holds up nobody."""
    p = Peer(SOCK)
    p.say(hello(4))
    p.answer(65536)
    for b in msgpack.packb([0, 7, "info", ["status"]]):
        p.sock.send(bytes([b]))
    check("a frame a byte a time is answered", p.answer(7)[2] is None)
    p.say([0, 8, "add", [[0], {"x": "y" * 70000}]])
    bye = p.bye()
    check("  one of 70,000 bytes is too big", bye == "too_big: frame over 64 KiB", bye)


def each_byte(path, frames):
    data = b"".join(map(msgpack.packb, frames))[:2048]
    assert len(data) == 2048
    for n in range(len(data) + 1):
        p = Peer(path)
        try:
            p.sock.sendall(data[:n])
        except BrokenPipeError:
            pass
        p.sock.close()


def deaf(ids):
    before = status(PID, "VmRSS")
    peers = [Peer(SOCK, 4096) for _ in range(20)]
    ask = msgpack.packb([0, 70000, "info", ["workers"]]) * 200
    for i, p in enumerate(peers):
        p.say(hello(10 + i, sync={"mutations": i % 2 == 0}))
        p.sock.setblocking(False)
    sent = 0
    end = time.monotonic() + 1.5
    busy = Peer(SOCK)
    busy.say(hello(5))
    busy.answer(65536)
    while time.monotonic() < end:
        for p in peers:
            try:
                sent += p.sock.send(ask)
            except BlockingIOError:
                pass
        busy.say(*([0, n, "add", [[ids["ListWorkers"]]]] for n in range(1, 50)))
        busy.answer(49)
    others("20 clients never read")
    grown = status(PID, "VmRSS") - before
    check("20 who ask and never read cost a bounded amount", grown < (400 if SANITIZED else 64) << 10,
          f"{grown} KiB, {sent} bytes sent")


def deaf_to_payloads():
    r, _ = amctl("-l", "deaf", "request-worker")
    check("a worker for who does not read", r.returncode == 0, r)
    with open(os.environ["XDG_RUNTIME_DIR"] + "/amctl/deaf.json") as f:
        lease = json.load(f)
    token = bytes.fromhex(lease["token"])
    path = lease["address"]
    p = Peer(path, 4096)
    p.say([0, 65536, "hello", [{"proto": 1, "id": 77, "token": token}]])
    rows = p.answer(65536)[3]["schema"]
    work = next(i for i, row in enumerate(rows) if row[0] == "WorkRequested")
    p.say(*([0, n, "add", [[work], {"input": 1000000}]] for n in range(1, 21)))
    others("20 MB of payloads that nobody reads")
    got = [0]
    for f in p.hear():
        if f[:2] == [2, "p"] and f[2][2] == 0:
            got.append(f[2][1])
            if len(got) == 21:
                break
    check("20 payloads of 1 MB wait for who reads late", sorted(got) == list(range(21)), got)
    p.sock.close()
    each_byte(path, [hello(78, token=token)] + [[0, n, "add", [[work], {"input": n}]] for n in range(1, 9)] +
              [[0, n, "info", ["status"]] for n in range(70000, 70200)])
    serves = wait_until(lambda: amctl("-l", "deaf", "add", "WorkRequested", "input:=2")[0].returncode == 0)
    check("2,049 connections to a worker cut at each byte: its lease serves on when it has seen that they are gone", serves)


FLOOD = """
import socket, sys, msgpack
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(msgpack.packb([0, 65536, "hello", [{"proto": 1, "id": 6, "sync": {"schema": False}}]]))
data = b"".join(msgpack.packb([0, n, "add", [[int(sys.argv[2])]]]) for n in range(1, 500))
print("on", flush=True)
while True:
    s.sendall(data)
    n = 0
    while n < 5000:
        n += len(s.recv(1 << 20))
"""


def flood(ids):
    floods = [subprocess.Popen([sys.executable, "-c", FLOOD, SOCK, str(ids["ListWorkers"])],
                               stdout=subprocess.PIPE) for _ in range(2)]
    for f in floods:
        f.stdout.readline()
    p = Peer(SOCK)
    p.say(hello(7))
    p.answer(65536)
    took = []
    for n in range(1, 101):
        start = time.monotonic()
        p.say([0, 70000 + n, "info", ["leases"]])
        p.answer(70000 + n)
        took.append(time.monotonic() - start)
    took.sort()
    others("two clients flood it with mutations")
    check("  an answer takes no longer than a turn", took[50] < 0.1 and took[-1] < 0.5, took[-5:])
    check("  they are still served", all(f.poll() is None for f in floods))
    for f in floods:
        f.kill()
        f.wait()
        f.stdout.close()


def few_files():
    soft, hard = resource.prlimit(PID, resource.RLIMIT_NOFILE)
    resource.prlimit(PID, resource.RLIMIT_NOFILE, (n_fds() + 10, hard))
    peers = [Peer(SOCK) for _ in range(40)]
    select.select([], [], [], 0.3)
    before = cpu_s(PID)
    select.select([], [], [], 1.0)
    used = cpu_s(PID) - before
    check("no file is left for a connection: amnoded waits, and does not spin", used < 0.3, used)
    for p in peers:
        p.sock.close()
    resource.prlimit(PID, resource.RLIMIT_NOFILE, (soft, hard))
    others("files are there again")


def many_idle():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    n = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    base = n_fds()
    peers = [Peer(SOCK) for _ in range(n)]
    others(f"{n} connections that say nothing")
    check("  256 of them are kept", n_fds() <= base + 256 + 5, n_fds() - base)
    check("  the first one heard why", peers[0].bye() == "busy: too many connections before hello")
    for p in peers:
        p.sock.close()

    r, _ = amctl("-l", "kept", "request-worker")
    check("a worker is leased", r.returncode == 0, r)
    base = n_fds()
    peers = []
    for i in range(n):
        peers.append(Peer(SOCK))
        peers[-1].say(hello(100 + i))
    answers = [p.answer(65536) for p in peers]
    n_in = sum(a[2] is None for a in answers)
    check(f"{n} connections of one user that say hello: 768 are let in", 750 <= n_in <= 768, n_in)
    check("  the others hear why", all(a[2].startswith("busy: too many connections of this user (768)")
                                      for a in answers if a[2]) and peers[-1].bye().startswith("busy: too many"))
    r, took = amctl("status")
    check("  so does amctl, at once", r.returncode == 69 and "too many connections" in r.stderr and took < QUICK_S,
          (took, r))
    r, took = amctl("-l", "kept", "add", "WorkRequested", "input:=2")
    check("  whoever has a worker goes on", r.returncode == 0 and took < QUICK_S, (took, r))
    for p in peers:
        p.sock.close()
    check("  they are forgotten when they go", wait_until(lambda: n_fds() <= base + 2), (n_fds(), base))
    others("they are gone")
    amctl("-l", "kept", "release")
    check("11 lines of refusals at most", refused_lines("") <= 11, refused_lines(""))
    size = os.path.getsize(LOG)
    check("the log is short", size < 64 << 10, size)


def main():
    ids = state_ids()
    slow = Slow()
    others("4 clients are slow")
    check("100 who say nothing and shut down are gone at once", shut_down())
    slow.step()
    slow_frame()
    base = n_fds()
    each_byte(SOCK, [hello(8)] + [[0, n, "add", [[ids["ListWorkers"]]]] for n in range(1, 200)])
    check("2,049 connections cut at each byte leave nothing", wait_until(lambda: n_fds() <= base), n_fds() - base)
    others("they were cut")
    deaf(ids)
    slow.step()
    flood(ids)
    slow.end()
    deaf_to_payloads()
    amctl("-l", "deaf", "release")
    few_files()
    many_idle()
    finish()


if sys.argv[1:] == ["worker"]:
    worker()
else:
    PID, SOCK, LOG = int(sys.argv[1]), f"{sys.argv[2]}/sock", sys.argv[3]
    main()
