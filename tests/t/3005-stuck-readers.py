#!/usr/bin/python3
"""amnoded with somebody who does not read behind one of its descriptors.

usage: 3005-stuck-readers.py DIR RUN HOST WHAT    (HOST: what runs a Python worker)
"""
import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

from tap import check, finish

DIR, RUN, HOST, WHAT = sys.argv[1:]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SQUARE = f"{HOST} {ROOT}/examples/square.py"
N = 50

sys.path.insert(0, f"{ROOT}/examples")
from client import Connection  # noqa: E402

# Answers like square.py, and prints all the time.
FLOOD = """
import os, threading
def flood():
    while True:
        os.write(1, b"x\\n" * 512)
threading.Thread(target=flood, daemon=True).start()
exec(open("%s/examples/square.py").read())
""" % ROOT


def fill(write):
    """Writes until it would block; returns how often that was."""
    n = 0
    try:
        while True:
            write()
            n += 1
    except (BlockingIOError, socket.timeout):
        return n


class Daemon:
    def __init__(self, worker=SQUARE, *sets):
        self.path = f"{DIR}/notify-{WHAT}"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.path)
        self.log, log_w = os.pipe()
        fcntl.fcntl(self.log, fcntl.F_SETFL, os.O_NONBLOCK)
        self.text = b""
        self.statuses, self.told = [], threading.Event()
        args = ["amnoded", "-i", "t", "--set", f"Supervisor.RuntimeDir={RUN}", "--set", f"Worker.Exec={worker}",
                "--set", "Pool.Min=2", "--set", "Pool.Warm=0"]
        for s in sets:
            args += ["--set", s]
        self.proc = subprocess.Popen(args, stderr=log_w, env=dict(os.environ, NOTIFY_SOCKET=self.path))
        self.log_w = log_w
        self.notify.settimeout(20)
        while b"READY=1" not in self.notify.recv(4096):
            pass
        self.amctl("wait", "--for=pool-ready")

    def amctl(self, *args):
        return subprocess.run(["amctl", "-s", f"{RUN}/sock", "-t", "10s", *args], capture_output=True, text=True, timeout=30)

    def read_log(self):
        try:
            while piece := os.read(self.log, 65536):
                self.text += piece
        except BlockingIOError:
            pass
        return self.text.decode(errors="replace")

    def wait_log(self, is_there, timeout=20):
        """Reads until is_there(text); False when that takes too long."""
        end = time.monotonic() + timeout
        while not is_there(self.read_log()) and time.monotonic() < end:
            select.select([self.log], [], [], 0.1)
        return is_there(self.read_log())

    def follow(self):
        """Reads log and notify socket as they ought to be."""
        self.following = True

        def run():
            self.notify.settimeout(0.05)
            while self.following:
                self.read_log()
                try:
                    message = self.notify.recv(4096)
                    if message.startswith(b"STATUS="):
                        self.statuses.append(message)
                    if b" 1 leased" in message:
                        self.told.set()
                except socket.timeout:
                    pass

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def unfollow(self):
        self.following = False
        self.thread.join()
        self.read_log()

    def stick_log(self):
        # A description of our own: amnoded's stays as it is.
        fd = os.open(f"/proc/self/fd/{self.log_w}", os.O_WRONLY | os.O_NONBLOCK)
        fill(lambda: os.write(fd, b"\n" * 512))
        os.close(fd)

    def stick_notify(self):
        other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        other.setblocking(False)
        other.connect(self.path)
        fill(lambda: other.send(b"X=1"))

    def goes_on(self):
        begin = time.monotonic()
        bad = [r.stderr for r in (self.amctl("request", f"input:={i}") for i in range(N)) if r.returncode != 0]
        check(f"{N} requests are answered", not bad, bad[:1])
        r = self.amctl("ping")
        check("and a ping", r.returncode == 0, r.stderr)
        return time.monotonic() - begin

    def pings(self, n=100):
        """How long each of n questions took, in ms, sorted."""
        c = Connection(f"{RUN}/sock")
        times = []
        for _ in range(n):
            begin = time.monotonic()
            c.call("info", "status")
            times.append((time.monotonic() - begin) * 1000)
        return sorted(times)

    def stops(self):
        self.proc.send_signal(signal.SIGTERM)
        try:
            rc = self.proc.wait(15)
        except subprocess.TimeoutExpired:
            rc = "not at all"
            self.proc.kill()
        check("it stops on TERM", rc == 0, rc)
        os.unlink(self.path)


def status(d):
    d.follow()
    begin = time.monotonic()
    d.goes_on()
    d.amctl("request-worker")
    check("STATUS= tells of a lease", d.told.wait(20), d.statuses)
    d.amctl("release")
    d.unfollow()
    seconds = time.monotonic() - begin
    most = 2 + seconds / 2
    check("STATUS= is sent every 2 s at most", len(d.statuses) <= most, f"{len(d.statuses)} in {seconds} s")
    check("every lease is in the log", d.read_log().count("lease: granted") == N + 1, d.read_log())


def log(d):
    d.stick_log()
    d.goes_on()
    # What waited comes when somebody reads again.
    is_whole = d.wait_log(lambda text: text.count("lease: granted") == N)
    check("no line of its own is lost", is_whole, d.text[-2000:])
    d.stick_log()


def notify(d):
    d.stick_notify()
    d.goes_on()


def both(d):
    d.stick_log()
    d.stick_notify()
    # More than its queue holds.
    for _ in range(40):
        d.proc.send_signal(signal.SIGUSR1)
        d.amctl("ping")
    d.goes_on()


def client(d):
    c = Connection(f"{RUN}/sock")
    c.sock.settimeout(0.2)
    frame = bytes([0x94, 0, 1, 0xa4]) + b"info" + bytes([0x91, 0xa6]) + b"status"
    try:
        n = fill(lambda: c.sock.sendall(frame * 100))
    except (ConnectionError, BrokenPipeError):
        n = "closed"
    d.goes_on()
    with open(f"/proc/{d.proc.pid}/status", encoding="ascii") as f:
        rss = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    check("its memory is bounded", rss < 100 * 1024, f"{rss} KiB after {n} times 100 questions")


def worker(d):
    first = re.search(r"worker: ready id=w1 pid=(\d+)", d.read_log())
    os.kill(int(first.group(1)), signal.SIGSTOP)
    d.goes_on()


def flood(d):
    d.follow()
    d.goes_on()
    times = d.pings()
    d.unfollow()
    check("a ping takes no longer", times[len(times) // 2] < 20, f"median {times[len(times) // 2]} ms, worst {times[-1]} ms")
    check("every lease is in the log", d.read_log().count("lease: granted") == N, d.read_log()[-2000:])


def rate(d):
    d.follow()
    begin = time.monotonic()
    d.goes_on()
    d.unfollow()
    is_told = d.wait_log(lambda text: "lines_left_out=" in text)
    check("it is told that lines are left out", is_told, d.text[-2000:])
    seconds = time.monotonic() - begin + 10
    n = d.read_log().count("| x\n")
    check("a worker's lines are limited", n < 2 * (100 + 100 * seconds), f"{n} in {seconds} s")


with open(f"{DIR}/flood.py", "w", encoding="ascii") as f:
    f.write(FLOOD)
if WHAT in ("flood", "rate"):
    limit = 0 if WHAT == "flood" else 100
    daemon = Daemon(f"{HOST} {DIR}/flood.py", f"Log.RateLimit={limit}", "Log.RateBurst=100")
else:
    daemon = Daemon()
try:
    globals()[WHAT](daemon)
    daemon.stops()
finally:
    daemon.proc.kill()
finish()
