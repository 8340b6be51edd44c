#!/usr/bin/python3
"""amctl over links that break: no command loses or doubles anything.

usage: 1006-cut-links.py DIR      (AMCTL_SOCKET: the supervisor, and countworker.py as worker)

Proxies that cut stand before the supervisor, and on Unix before each worker.
Some cuts are made at one place by a relay that knows the frames.
"""
import collections
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

import msgpack

from tap import check, finish

LINES = 400
ROUNDS = 12
DIR, TARGET = sys.argv[1], os.environ["AMCTL_SOCKET"]
IS_UNIX = "/" in TARGET


def amctl(*args, at=None, data=None, timeout=60):
    env = dict(os.environ, AMCTL_SOCKET=at or TARGET)
    return subprocess.run(["amctl", *args], input=data, capture_output=True, text=True, env=env, timeout=timeout)


class Proxies:
    """faultproxy before the supervisor, at an address of its own, and before the
    workers' sockets, in their place."""

    def __init__(self, sup, worker):
        self.all = []
        self.address = self.start(f"{DIR}/cut" if IS_UNIX else "127.0.0.1:0", TARGET, *sup)
        if IS_UNIX and worker:
            for name in os.listdir(f"{DIR}/run"):
                if name.endswith(".pub"):
                    self.start("--front", f"{DIR}/run/{name}", *worker)

    def start(self, *args):
        p = subprocess.Popen(["faultproxy", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.all.append(p)
        return p.stdout.readline().strip()

    def end(self):
        count = collections.Counter()
        for p in self.all:
            words = p.communicate(timeout=10)[0].split()
            count.update({k: int(v) for k, v in zip(words[::2], words[1::2])})
        return count


class Relay:
    """Between amctl and the supervisor, frame by frame. The first connection on
    which `method` is asked for is cut: before it goes on, or before its answer
    does."""

    def __init__(self, method, before, for_good=False):
        self.method, self.before, self.for_good = method, before, for_good
        self.seen, self.cuts, self.links = 0, 0, []
        self.path = tempfile.mktemp(dir=DIR, prefix="relay")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if IS_UNIX:
                server = socket.socket(socket.AF_UNIX)
                server.connect(TARGET)
            else:
                host, port = TARGET.rsplit(":", 1)
                server = socket.create_connection((host, int(port)))
            link = {"id": None, "ends": (client, server)}
            for fn, a, b in ((self.up, client, server), (self.down, server, client)):
                threading.Thread(target=fn, args=(link, a, b), daemon=True).start()

    def cut(self, link):
        self.cuts += 1
        if self.for_good:
            os.unlink(self.path)
            self.listener.close()
        for s in link["ends"]:
            s.shutdown(socket.SHUT_RDWR)

    def frames(self, s):
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        try:
            while data := s.recv(65536):
                unpacker.feed(data)
                yield from unpacker
        except OSError:
            return

    def up(self, link, a, b):
        for frame in self.frames(a):
            if frame[0] == 0 and frame[2] == self.method:
                self.seen += 1
                link["id"] = frame[1]
                if self.cuts == 0 and self.before:
                    return self.cut(link)
            b.sendall(msgpack.packb(frame))
        self.shut(b)

    def shut(self, s):
        try:
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def down(self, link, a, b):
        for frame in self.frames(a):
            if frame[0] == 1 and frame[1] == link["id"] and self.cuts == 0 and not self.before:
                return self.cut(link)
            try:
                b.sendall(msgpack.packb(frame))
            except OSError:
                return
        self.shut(b)


def effects():
    with open(f"{DIR}/effects", encoding="ascii") as f:
        return collections.Counter(f.read().splitlines())


def stream(at, client, lines, *more):
    data = "".join(json.dumps({"id": n, "args": {"client": client, "n": n}}) + "\n" for n in range(1, lines + 1))
    r = amctl("stream", *more, at=at, data=data, timeout=120)
    answers = [json.loads(x) for x in r.stdout.splitlines()]
    final = [a for a in answers if a["status"] not in ("progress", "chunk")]
    ids = collections.Counter(a["id"] for a in final)
    done = effects()
    check(f"stream: each of {lines} lines is answered once, {' '.join(more)}", ids == {n: 1 for n in range(1, lines + 1)}, (r.returncode, r.stderr, [i for i in ids.items() if i[1] > 1][:5], len(ids)))
    check("  and ok", r.returncode == 0 and all(a["status"] == "ok" for a in final), (r.returncode, r.stderr, [a for a in final if a["status"] != "ok"][:4]))
    check("  and done once", all(done[f"{client} {n}"] == 1 for n in range(1, lines + 1)), [n for n in range(1, lines + 1) if done[f"{client} {n}"] != 1][:9])


def commands(at):
    """Each of them over cut links, and what it did."""
    bad = []
    for n in range(ROUNDS):
        r = amctl("request", "client=one", f"n:={n}", at=at)
        if r.returncode != 0:
            bad.append(("request", n, r.returncode, r.stderr))
    done = effects()
    check(f"request: {ROUNDS} of them, done once", not bad and all(done[f"one {n}"] == 1 for n in range(ROUNDS)), bad)
    bad = []
    for n in range(ROUNDS):
        for args in (["request-worker"], ["add", "WorkRequested", "client=named", f"n:={n}", "--wait", "result"], ["inspect"], ["release"]):
            r = amctl(*args, at=at)
            if r.returncode != 0:
                bad.append((args, n, r.returncode, r.stderr))
    done = effects()
    check("request-worker, add --wait, inspect, release: likewise", not bad and all(done[f"named {n}"] == 1 for n in range(ROUNDS)), bad)
    bad = []
    for n in range(ROUNDS):
        for args in (["status"], ["workers"], ["leases"], ["inspect", "--super"], ["wait", "--for=pool-ready"], ["add", "--super", "ListWorkers"]):
            r = amctl(*args, at=at)
            if r.returncode != 0:
                bad.append((args, n, r.returncode, r.stderr))
    check("what asks the supervisor only", not bad, bad)


def at_one_place():
    relay = Relay("add", True)
    r = amctl("request-worker", at=relay.path)
    check("a lease that is asked for in the cut is asked for again", r.returncode == 0 and relay.cuts == 1 and relay.seen == 2, (r, relay.seen))
    relay = Relay("add", False)
    name = f"{os.environ['XDG_RUNTIME_DIR']}/amctl/default.json"
    with open(name, encoding="utf-8") as f:
        lease = json.load(f)
    lease["supervisor"] = relay.path
    with open(name, "w", encoding="utf-8") as f:
        json.dump(lease, f)
    r = amctl("release")
    check("a release whose answer is cut off is answered from memory", r.returncode == 0 and relay.cuts == 1 and relay.seen == 2, (r, relay.seen))
    relay = Relay("add", False)
    r = amctl("request", "client=grant", "n:=1", at=relay.path)
    check("a lease whose answer is cut off is had anew", r.returncode == 0 and relay.cuts == 1 and effects()["grant 1"] == 1, (r, relay.seen))
    relay = Relay("info", False)
    r = amctl("status", "--json", at=relay.path)
    check("what only reads is read again", r.returncode == 0 and json.loads(r.stdout)["pool"] and relay.seen == 2, r)
    relay = Relay("add", False, for_good=True)
    r = amctl("add", "--super", "ListWorkers", at=relay.path)
    check("a mutation whose answer never comes is unknown: exit 8", r.returncode == 8 and "unknown" in r.stderr, r)
    relay = Relay("info", False, for_good=True)
    r = amctl("status", at=relay.path)
    check("a question without an answer: exit 69", r.returncode == 69, r)
    relay = Relay("hello", True)
    r = amctl("status", at=relay.path)
    check("a first hello that is cut is said again", r.returncode == 0 and relay.seen == 2, r)


def shut_door():
    """It takes each connection and closes it."""
    path, n = tempfile.mktemp(dir=DIR, prefix="door"), 0
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen()

    def serve():
        nonlocal n
        while True:
            s, _ = door.accept()
            n += 1
            s.close()

    threading.Thread(target=serve, daemon=True).start()
    r = amctl("status", at=path)
    check("a server that closes each connection is left in peace soon", r.returncode == 69 and 1 < n < 10, (r, n))


def main():
    open(f"{DIR}/effects", "w", encoding="ascii").close()
    at_one_place()
    shut_door()
    p = Proxies(["cut=900-2400", "split=1-900"], ["cut=1500-5000", "split=1-900"])
    stream(p.address, "narrow", LINES // 4)
    stream(p.address, "wide", LINES, "--window", "16")
    commands(p.address)
    count = p.end()
    print("#", dict(count))
    check("and that was cut off often enough", count["cuts"] >= (20 if IS_UNIX else 5), count)
    finish()


main()
