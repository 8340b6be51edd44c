"""A supervisor and a client in one, for tests of amnode-exec on its own."""
import collections
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

TOKEN = bytes(range(16))
WAIT_S = 5


class Raw(bytes):
    """A value that is packed already."""


def pack(v):
    if isinstance(v, Raw):
        return v
    if v is None:
        return b"\xc0"
    if isinstance(v, bool):
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        if 0 <= v < 128:
            return bytes([v])
        return struct.pack(">BQ", 0xCF, v) if v >= 0 else struct.pack(">Bq", 0xD3, v)
    if isinstance(v, float):
        return struct.pack(">Bd", 0xCB, v)
    if isinstance(v, str):
        b = v.encode()
        return struct.pack(">BI", 0xDB, len(b)) + b
    if isinstance(v, bytes):
        return struct.pack(">BI", 0xC6, len(v)) + v
    if isinstance(v, (list, tuple)):
        return struct.pack(">BI", 0xDD, len(v)) + b"".join(map(pack, v))
    return struct.pack(">BI", 0xDF, len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())


class Cut(Exception):
    pass


class Unpacker:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Cut
        self.at += n
        return self.data[self.at - n:self.at]

    def num(self, fmt):
        return struct.unpack(">" + fmt, self.take(struct.calcsize(fmt)))[0]

    def seq(self, n):
        return [self.value() for _ in range(n)]

    def map(self, n):
        return {self.value(): self.value() for _ in range(n)}

    def value(self):
        b = self.num("B")
        if b < 0x80:
            return b
        if b < 0x90:
            return self.map(b & 15)
        if b < 0xA0:
            return self.seq(b & 15)
        if b < 0xC0:
            return self.take(b & 31).decode()
        if b >= 0xE0:
            return b - 256
        simple = {0xC0: None, 0xC2: False, 0xC3: True}
        if b in simple:
            return simple[b]
        numbers = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}
        if b in numbers:
            return self.num(numbers[b])
        size = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}[b]
        n = self.num(size)
        if b <= 0xC6:
            return self.take(n)
        if b <= 0xDB:
            return self.take(n).decode()
        return self.seq(n) if b <= 0xDD else self.map(n)


class Conn:
    """One connection: requests, and the pushes in between."""

    def __init__(self, path, token=None, acks=True):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(WAIT_S)
        self.s.connect(path)
        self.data, self.id, self.acks = b"", 0, acks
        self.payloads = []
        self.replies = {}
        self.bye = None
        hello = {"proto": 1, "id": int.from_bytes(os.urandom(7), "big"), "name": "rig"}
        if token:
            hello["token"] = token
        self.call("hello", hello)

    def send(self, method, *params):
        self.id += 1
        self.s.sendall(pack([0, self.id, method, list(params)]))
        return self.id

    def note(self, method, *params):
        self.s.sendall(pack([2, method, list(params)]))

    def turn(self, timeout=WAIT_S):
        """Reads once; False at EOF or after the time."""
        if not select.select([self.s], [], [], max(timeout, 0))[0]:
            return False
        try:
            got = self.s.recv(1 << 20)
        except ConnectionResetError:
            got = b""
        if not got:
            self.bye = self.bye or "eof"
            return False
        self.data += got
        while True:
            u = Unpacker(self.data)
            try:
                frame = u.value()
            except Cut:
                return True
            self.data = self.data[u.at:]
            self.frame(frame)

    def update(self, u):
        for i in range(2, len(u), 2):
            self.time[u[i]] += u[i + 1]

    def frame(self, f):
        if f[0] == 1:
            self.replies[f[1]] = f[2:]
            if f[1] == 1 and f[3]:
                self.states = [row[0] for row in f[3]["schema"]]
                self.time = list(f[3]["time"])
            if isinstance(f[3], list) and len(f[3]) > 1 and isinstance(f[3][1], list):
                self.update(f[3][1])
        elif f[1] == "t":
            self.update(f[2][0])
        elif f[1] == "p":
            self.payloads.append(dict(zip(("seq", "req", "kind", "name", "source", "data"), f[2])))
            if self.acks and f[2][0]:
                try:
                    self.note("ack", [f[2][0]])
                except BrokenPipeError:
                    pass  # its reason is still to be read
        elif f[1] == "bye":
            self.bye = f[2][0]

    def until(self, what, timeout=WAIT_S):
        """Waits until what() is true; gives its value, or None."""
        end = time.monotonic() + timeout
        while True:
            v = what()
            if v:
                return v
            if time.monotonic() >= end or (not self.turn(end - time.monotonic()) and self.bye):
                return what() or None

    def reply(self, i, timeout=WAIT_S):
        r = self.until(lambda: self.replies.get(i), timeout)
        if r is None:
            raise RuntimeError(f"no reply, bye: {self.bye}")
        if r[0]:
            raise RuntimeError(r[0])
        return r[1]

    def refused(self, i, timeout=WAIT_S):
        """The error that answers it."""
        r = self.until(lambda: self.replies.get(i), timeout)
        return r and r[0]

    def call(self, method, *params):
        return self.reply(self.send(method, *params))

    def add(self, state, args=None, *more):
        return self.send("add", [self.states.index(state)], args, *more)

    def is_active(self, state):
        return self.time[self.states.index(state)] % 2 == 1

    def final(self, req, timeout=WAIT_S):
        """The final answer to a request: (name, data), or None."""
        def find():
            return [p for p in self.payloads if p["req"] == req and p["kind"] in (0, "result")]
        p = self.until(find, timeout)
        return (p[0]["name"], p[0]["data"]) if p else None

    def work(self, args, timeout=WAIT_S):
        return self.final(self.add("WorkRequested", args), timeout)

    def close(self):
        self.s.close()


class Rig:
    """amnode-exec with its sockets; private and public connections to it."""

    def __init__(self, *cmd, schema=None, env=None, window=8):
        self.dir = tempfile.mkdtemp(prefix="amrig.")
        self.log_path = self.dir + "/log"
        self.private_path, self.public_path = self.dir + "/priv", self.dir + "/pub"
        socks = [self.listen(self.private_path), self.listen(self.public_path)]
        e = dict(os.environ, AM_PRIVATE_FD=str(socks[0].fileno()), AM_PUBLIC_FD=str(socks[1].fileno()), AM_WORKER_ID="w1",
                 AM_KIND="rig", AM_WINDOW=str(window), AM_REQUEST_TIMEOUT_MS="5000", AM_STOP_GRACE_MS="1000", AM_START_TIMEOUT_MS="3000")
        e.update(env or {})
        argv = [os.environ.get("EXEC", "build/amnode-exec")]
        if schema:
            argv += ["--schema", schema]
        self.conns = []
        with open(self.log_path, "wb") as log:
            self.p = subprocess.Popen(argv + ["--"] + list(cmd), pass_fds=[s.fileno() for s in socks], env=e, stdout=log, stderr=log,
                                      start_new_session=True)
        for s in socks:
            s.close()

    @staticmethod
    def listen(path):
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen(16)
        return s

    def supervise(self):
        self.super = Conn(self.private_path)
        self.conns.append(self.super)
        self.super.until(lambda: self.super.is_active("Ready") and self.super.is_active("Idle"))
        return self.super

    def lease(self, name="L1", **how):
        r = self.super.call("lease_begin", {"lease": name, "token": TOKEN, "client": "rig \"1\"", "ttl_ms": 60000, "max_ms": 60000})
        if r[0] != 0:
            raise RuntimeError(f"lease_begin: {r}")
        c = Conn(self.public_path, TOKEN, **how)
        self.conns.append(c)
        return c

    def end_lease(self, name="L1"):
        self.super.add("LeaseEnding", {"lease": name, "reason": "released"})
        return self.super.until(lambda: not self.super.is_active("Leased"))

    def wait(self, timeout=WAIT_S):
        """The exit status; None: it lives."""
        try:
            return self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def close(self):
        for c in self.conns:
            c.close()
        try:
            os.killpg(self.p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait()
        shutil.rmtree(self.dir)
