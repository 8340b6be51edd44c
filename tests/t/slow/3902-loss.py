#!/usr/bin/python3
"""Numbered requests over links that break: each ends once, none is done twice.

usage: 3902-loss.py DIR COUNT KILLS      (AMCTL_SOCKET, and countworker.py as worker)

4 clients send COUNT requests each. In front of each worker's socket, also of
those that come later, is a faultproxy that cuts every few kilobytes, splits and
stalls. KILLS times a random worker is killed by signal 9 meanwhile.

Asserted, by the lines that the workers left in DIR/effects:
- each request ended exactly once: sent = ok + failed + unknown;
- no request was carried out twice, and none that was not sent;
- each that ended as ok was carried out;
- without kills each ended as ok: a cut alone costs nothing. With kills what was
  in flight then may be unknown, and no more than that.
"""
import collections
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import msgpack

CLIENTS = 4
WINDOW = 16
FAULTS = ["cut=2000-12000", "split=1-2000", "stall=1500-9000/2"]
# What was being asked for or answered when a worker died.
UNKNOWN_PER_KILL = WINDOW
DEADLINE_S = 480


class Fronts:
    """A proxy before each public socket of a worker."""

    def __init__(self, run):
        self.run, self.proxies, self.seed = run, {}, 0
        self.count = collections.Counter()
        self.supervisor = os.environ["AMCTL_SOCKET"]

    def start(self, name, *args):
        """Returns its address; none if the worker was gone first."""
        self.seed += 1
        p = subprocess.Popen(["faultproxy", *args, f"seed={self.seed}", *FAULTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        address = p.stdout.readline().strip()
        if address:
            self.proxies[name] = p
        else:
            p.communicate(timeout=10)
        return address

    def look(self):
        now = {n for n in os.listdir(self.run) if n.endswith(".pub")}
        for name in now - self.proxies.keys():
            self.start(name, "--front", f"{self.run}/{name}")
        for name in self.proxies.keys() - now:
            self.end(name)

    def end(self, name):
        out, _ = self.proxies.pop(name).communicate(timeout=10)
        words = out.split()
        self.count.update({k: int(v) for k, v in zip(words[::2], words[1::2])})

    def end_all(self):
        for name in list(self.proxies):
            self.end(name)


class TcpFronts(Fronts):
    """A port cannot be taken from a worker: so what the supervisor says of its
    address is changed on the way to the client."""

    def __init__(self):
        super().__init__(None)
        host, port = self.supervisor.rsplit(":", 1)
        self.target = (host, int(port))
        self.addresses, self.lock = {}, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.supervisor = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def look(self):
        pass

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            for fn, a, b in ((self.copy, client, server), (self.change, server, client)):
                threading.Thread(target=fn, args=(a, b), daemon=True).start()

    def copy(self, a, b):
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)

    def change(self, a, b):
        unpacker = msgpack.Unpacker(raw=False)
        while data := a.recv(65536):
            unpacker.feed(data)
            for frame in unpacker:
                if frame[1] == "p" and frame[2][3] == "ProvideWorker" and "address" in frame[2][5]:
                    frame[2][5]["address"] = self.front(frame[2][5]["address"])
                b.sendall(msgpack.packb(frame))
        b.shutdown(socket.SHUT_WR)

    def front(self, address):
        with self.lock:
            # The port of a dead worker, and of its proxy, may be another's now.
            if address in self.proxies and self.proxies[address].poll() is not None:
                self.end(address)
            if address not in self.proxies:
                self.addresses[address] = self.start(address, "127.0.0.1:0", address, "mortal")
            return self.addresses[address]


def kill_one():
    r = subprocess.run(["amctl", "workers", "--json"], capture_output=True, text=True, timeout=20)
    pids = [w["pid"] for w in json.loads(r.stdout) if w["pid"] > 0 and w["state"] in ("leased", "working")]
    if not pids:
        return 0
    try:
        os.kill(random.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def run(fronts, effects, count, kills):
    """Returns what the clients print, and how many kills were made: spread over
    the work, as the growing file of effects tells."""
    fronts.look()
    total = sum(len(f"c0 {n}\n") for n in range(1, count + 1)) * CLIENTS
    clients = [subprocess.Popen(["lossclient", fronts.supervisor, f"c{i}", str(count), str(WINDOW)], stdout=subprocess.PIPE, text=True) for i in range(CLIENTS)]
    reports, killed = {}, 0
    end = time.monotonic() + DEADLINE_S
    while len(reports) < CLIENTS and time.monotonic() < end:
        waiting = [c.stdout for c in clients if c not in reports]
        ready = select.select(waiting, [], [], 0.02)[0]
        for c in clients:
            if c.stdout in ready:
                reports[c] = c.stdout.read()
                c.wait(20)
        fronts.look()
        if killed < kills and os.stat(effects).st_size > total * (killed + 1) / (kills + 2):
            killed += kill_one()
    for c in clients:
        if c not in reports:
            c.kill()
            reports[c] = ""
    return [(c.wait(20), reports[c]) for c in clients], killed


def check(reports, effects, count, killed, bad):
    unknown = 0
    for rc, text in reports:
        if not text:
            bad.append("a client did not end")
            continue
        r = json.loads(text)
        done = effects[r["client"]]
        print("#", {k: v for k, v in r.items() if not isinstance(v, list)}, "effects", sum(done.values()))
        if rc != 0 or r["sent"] != count or r["sent"] != r["ok"] + r["failed"] + r["unknown"]:
            bad.append(f"{r['client']}: exit {rc}, not every request ended exactly once")
        twice = [n for n, times in done.items() if times > 1]
        if twice:
            bad.append(f"{r['client']}: carried out twice: {twice[:10]}")
        if any(not 1 <= n <= r["sent"] for n in done):
            bad.append(f"{r['client']}: carried out what was never sent")
        lost = set(r["oks"]) - done.keys()
        if lost:
            bad.append(f"{r['client']}: ok and not carried out: {sorted(lost)[:10]}")
        if r["failed"]:
            bad.append(f"{r['client']}: {r['failed']} failed, and nothing fails here")
        unknown += r["unknown"]
        if r["ok"] == 0 or (killed == 0 and r["ok"] != count):
            bad.append(f"{r['client']}: {r['ok']} of {count} answered")
    if unknown > killed * UNKNOWN_PER_KILL:
        bad.append(f"{unknown} unknown for {killed} kills")


def main():
    d, count, kills = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(20261124)
    fronts = Fronts(f"{d}/run") if "/" in os.environ["AMCTL_SOCKET"] else TcpFronts()
    t = time.monotonic()
    reports, killed = run(fronts, f"{d}/effects", count, kills)
    t = time.monotonic() - t
    fronts.end_all()
    effects = collections.defaultdict(collections.Counter)
    with open(f"{d}/effects", encoding="ascii") as f:
        for line in f:
            client, n = line.split()
            effects[client][int(n)] += 1
    bad = []
    check(reports, effects, count, killed, bad)
    print(f"# {dict(fronts.count)}, {killed} kills, {t:.1f} s")
    if fronts.count["cuts"] < CLIENTS * count / 200:
        bad.append("too few cuts: this has shown nothing")
    if killed < kills:
        bad.append(f"{killed} kills of {kills}")
    for b in bad:
        print("#", b)
    sys.exit(bool(bad))


main()
