#!/usr/bin/python3
"""kill -9 on random workers while clients stream: every line is answered once.

usage: 3901-kill-rounds.py ROUNDS

Prints the counts; exits 0 iff for each client sent = the sum of the outcomes,
one final line each, and the pool was back at strength after each round.
"""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading

CLIENTS = 4


def amctl(*args):
    return subprocess.run(["amctl", *args], capture_output=True, text=True, timeout=60)


class Client(threading.Thread):
    """Streams numbered requests until told to stop; counts what comes back."""

    def __init__(self, n):
        super().__init__()
        self.n, self.sent, self.stop = n, 0, False
        self.final = collections.Counter()
        self.status = collections.Counter()
        self.bad = []
        self.room = threading.Semaphore(64)
        self.p = subprocess.Popen(["amctl", "stream", "--raw", "--window", "4", "-t", "20s"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

    def run(self):
        reader = threading.Thread(target=self.read)
        reader.start()
        try:
            while not self.stop:
                if not self.room.acquire(timeout=60):
                    self.bad.append("no answer within 60 s")
                    break
                self.sent += 1
                self.p.stdin.write('{"input":%d}\n' % self.sent)
                self.p.stdin.flush()
            self.p.stdin.close()
        except BrokenPipeError:
            self.bad.append("the stream closed its input")
        reader.join(60)
        self.rc = self.p.wait(60)

    def read(self):
        for line in self.p.stdout:
            a = json.loads(line)
            if a["status"] in ("progress", "chunk"):
                continue
            self.final[a["seq"]] += 1
            self.status[a["status"]] += 1
            if a["status"] == "ok" and a["payload"]["output"] != a["seq"] ** 2:
                self.bad.append(line)
            self.room.release()


def main():
    rounds = int(sys.argv[1])
    random.seed(20261124)
    clients = [Client(i) for i in range(CLIENTS)]
    for c in clients:
        c.start()
    bad = []
    kills = 0
    for r in range(rounds):
        pids = [w["pid"] for w in json.loads(amctl("workers", "--json").stdout) if w["pid"] > 0 and w["state"] in ("idle", "leased", "working")]
        if pids:
            try:
                os.kill(random.choice(pids), signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass
        w = amctl("wait", "--for=pool-ready", "-t", "20s")
        if w.returncode != 0:
            bad.append(f"round {r}: pool not ready: {w.stderr}")
            break
    for c in clients:
        c.stop = True
    for c in clients:
        c.join(120)
    for c in clients:
        print(f"# client {c.n}: sent {c.sent} = {sum(c.status.values())}: {dict(c.status)} exit {c.rc}")
        if c.sent != sum(c.status.values()) or any(v != 1 for v in c.final.values()) or len(c.final) != c.sent or c.bad:
            bad.append(f"client {c.n}: sent {c.sent}, answered {len(c.final)}, {c.bad[:3]}")
        if c.status["ok"] == 0:
            bad.append(f"client {c.n}: nothing was answered")
    print(f"# {kills} kills in {rounds} rounds")
    for b in bad:
        print("#", b)
    sys.exit(bool(bad) or kills < rounds // 2)


main()
