#!/usr/bin/python3
"""A graceful end of a lease and what was answered before it: a slow reader gets
it, one that never reads does not hold the end for longer than it may.

usage: 2005-finished.py CASE PID      (PID: amnoded's; AMCTL_SOCKET, bigworker)
"""
import json
import os
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../../examples")

from client import Connection, Refused
from tap import check, finish

BYTES = 20_000_000
CHUNKS = 50
STOPPED_S = 2
PACE_S = 0.005  # for 64 KiB: 20 MB take a second and a half
PID = int(sys.argv[2])


class Slow(Connection):
    pace_s = 0

    def read(self):
        if self.pace_s:
            select.select([], [], [], self.pace_s)
        super().read()


class Lease:
    def __init__(self, **args):
        self.super = Connection(os.environ["AMCTL_SOCKET"])
        asked = self.super.add("LeaseRequested", {"request": 1, "timeout_ms": 10000, **args})
        self.offer = self.super.payload(asked)[5]
        self.worker = Slow(self.offer["address"], token=self.offer["token"])

    def ask(self, **args):
        """The answer is finished, and on its way."""
        self.worker.pace_s = PACE_S
        self.req = self.worker.send("add", [self.worker.ids["WorkRequested"]], args)
        while not hasattr(self.worker, "head"):
            self.worker.read()

    def release(self):
        self.super.add("ReleaseWorker", {"lease": self.offer["lease"], "reason": "released"})

    def gets_all(self, reason):
        since = time.monotonic()
        seq, _, kind, name, _, data = self.worker.payload(self.req)
        took = time.monotonic() - since
        check(f"{reason}: the answer comes whole, slowly", (kind, name, len(data)) == (0, "result", BYTES))
        check("  longer than a bye takes", took > 1, took)
        self.worker.notify("ack", [seq])
        try:
            while True:
                self.worker.read()
        except Refused as bye:
            check("  then the bye", str(bye) == reason, bye)
        check("  as soon as it was acked", time.monotonic() - since - took < 2)


def drain(lease):
    os.kill(PID, signal.SIGTERM)
    lease.gets_all("drain")


def release(lease):
    lease.release()
    lease.gets_all("released")


def holds(what, start, bound_s, is_over):
    """It ends when the time is over, and not before."""
    while time.monotonic() - start < bound_s + 10 and not is_over():
        pass
    took = time.monotonic() - start
    check(f"{what}: a reader that never reads holds it for {bound_s} s", bound_s - 0.1 < took < bound_s + 4, took)


def is_gone():
    try:
        os.kill(PID, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{PID}/stat") as f:
        return f.read().split()[2] == "Z"


def is_lendable():
    return subprocess.run(["amctl", "leases", "--json"], capture_output=True, text=True).stdout.strip() == "[]"


def young():
    """amnoded does not know yet that the worker works."""
    lease = Lease()
    req = lease.worker.add("WorkRequested", {"bytes": 5, "ms": 300})
    os.kill(PID, signal.SIGTERM)
    seq, _, kind, name, _, data = lease.worker.payload(req)
    check("drain: a request that has just begun is finished", (kind, name, data) == (0, "result", "xxxxx"), data)
    lease.worker.notify("ack", [seq])
    try:
        while True:
            lease.worker.read()
    except Refused as bye:
        check("  then the bye", str(bye) == "drain", bye)


def amctl_reads_slowly():
    p = subprocess.Popen(["amctl", "stream", "--raw"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    p.stdin.write(b'{"bytes":5,"chunks":%d}\n' % CHUNKS)
    p.stdin.close()
    first = p.stdout.read1(1)
    os.kill(p.pid, signal.SIGSTOP)
    os.kill(PID, signal.SIGTERM)
    select.select([], [], [], STOPPED_S)
    os.kill(p.pid, signal.SIGCONT)
    lines = [json.loads(x) for x in (first + p.stdout.read()).splitlines()]
    is_all = [x["status"] for x in lines] == ["chunk"] * CHUNKS + ["ok"]
    check("amctl that reads late has it all", is_all, [x["status"] for x in lines])
    check("  and says so", p.wait(10) == 0, p.stderr.read())


match sys.argv[1]:
    case "drain":
        with_answer = Lease()
        with_answer.ask(bytes=BYTES)
        drain(with_answer)
    case "young":
        young()
    case "release":
        with_answer = Lease()
        with_answer.ask(bytes=BYTES)
        release(with_answer)
    case "max":
        with_answer = Lease(max_ms=500)
        with_answer.ask(bytes=BYTES)
        with_answer.gets_all("max")
    case "held-drain":
        never = Lease()
        never.ask(bytes=BYTES)
        os.kill(PID, signal.SIGTERM)
        holds("drain", time.monotonic(), 2, is_gone)
    case "held-release":
        never = Lease()
        never.ask(bytes=BYTES)
        never.release()
        holds("release", time.monotonic(), 3, is_lendable)
    case "amctl":
        amctl_reads_slowly()
finish()
