#!/usr/bin/python3
"""Each fault of the fault proxy, on its own, in front of an echo server."""
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time

from tap import check, finish

DATA = bytes(range(256)) * 1200
WAIT_S = 10


def echo(listener):
    while True:
        try:
            s, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=echo_one, args=(s,), daemon=True).start()


def echo_one(s):
    try:
        while data := s.recv(65536):
            s.sendall(data)
        s.close()
    except OSError:
        pass


class Proxy:
    def __init__(self, *args):
        self.p = subprocess.Popen(["faultproxy", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.p.stdout.readline().strip()

    def end(self):
        out, _ = self.p.communicate(timeout=WAIT_S)
        assert self.p.returncode == 0, self.p.returncode
        words = out.split()
        return {k: int(v) for k, v in zip(words[::2], words[1::2])}


def connect(address):
    if "/" in address:
        s = socket.socket(socket.AF_UNIX)
        s.connect(address)
    else:
        host, port = address.rsplit(":", 1)
        s = socket.create_connection((host.strip("[]"), int(port)))
    s.settimeout(WAIT_S)
    return s


def exchange(address, data=DATA):
    """What comes back of data until the end, sent and read side by side."""
    s = connect(address)

    def send():
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    t = threading.Thread(target=send, daemon=True)
    t.start()
    got, pieces = b"", []
    try:
        while piece := s.recv(65536):
            got += piece
            pieces.append(len(piece))
    except ConnectionError:
        pass
    t.join(WAIT_S)
    return got, pieces


def cuts(address, target, *more):
    p = Proxy(address, target, "down:cut=5000-9000", *more)
    got = [len(exchange(p.address)[0]) for _ in range(8)]
    return got, p.end()


def main():
    d = sys.argv[1]
    servers = [f"{d}/echo", "127.0.0.1:0", "[::1]:0"]
    for name in servers:
        family = socket.AF_UNIX if "/" in name else socket.AF_INET6 if name[0] == "[" else socket.AF_INET
        listener = socket.socket(family)
        listener.bind(name if family == socket.AF_UNIX else (name.rsplit(":", 1)[0].strip("[]"), 0))
        listener.listen()
        target = name if family == socket.AF_UNIX else re.sub("0$", str(listener.getsockname()[1]), name)
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        where = f"{d}/proxy" if family == socket.AF_UNIX else name

        p = Proxy(where, target)
        got, _ = exchange(p.address)
        end = p.end()
        check(f"{os.path.basename(name)}: without faults all comes back", got == DATA and end["up"] == end["down"] == len(DATA), (len(got), end))
        got, end = cuts(where, target)
        check("  cut: between the two, every time", all(5000 <= x <= 9000 for x in got) and len(set(got)) > 1, got)
        check("  and counted", end["cuts"] == 8 and end["down"] == sum(got), end)
        check("  the same seed, the same places", cuts(where, target)[0] == got, got)
        check("  another one, others", cuts(where, target, "seed=2")[0] != got, got)
        got, end = cuts(where, target, "cuts=3")
        check("  three cuts and no more", [x == len(DATA) for x in got] == [False] * 3 + [True] * 5 and end["cuts"] == 3, got)
        p = Proxy(where, target, "down:split=1-7", "down:delay=1", "down:cut=200")
        got, pieces = exchange(p.address)
        check("  split: byte by byte", got == DATA[:200] and 200 / 7 <= len(pieces) and max(pieces) < 50, pieces)
        p.end()
        p = Proxy(where, target, "up:delay=60")
        t = time.monotonic()
        got, _ = exchange(p.address, b"x")
        t = time.monotonic() - t
        p.end()
        check("  delay: one way, once", got == b"x" and 0.06 <= t < 2, t)
        p = Proxy(where, target, "down:stall=1000/80", "down:cut=2500")
        t = time.monotonic()
        got, _ = exchange(p.address)
        t = time.monotonic() - t
        end = p.end()
        check("  stall: two of them on the way", got == DATA[:2500] and 0.16 <= t < 2 and end["stalls"] == 2, (len(got), t, end))
        p = Proxy(where, target, "down:stall=1000/0")
        s = connect(p.address)
        s.sendall(DATA[:5000])
        got = b""
        while len(got) < 1000:
            got += s.recv(65536)
        quiet = not select.select([s], [], [], 0.2)[0]
        end = p.end()
        check("  a link that is half open", got == DATA[:1000] and quiet and s.recv(1) == b"", (len(got), quiet, end))
        listener.close()

    path = f"{d}/front"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    threading.Thread(target=echo, args=(listener,), daemon=True).start()
    before = os.stat(path).st_ino
    p = Proxy("--front", path, "down:cut=1000")
    got, _ = exchange(path)
    check("in front of a socket in use", got == DATA[:1000] and os.stat(path).st_ino != before, len(got))
    end = p.end()
    check("  its name is given back", os.stat(path).st_ino == before and not os.path.exists(path + ".behind"), end)
    check("  and it answers as before", exchange(path)[0] == DATA, end)
    p = Proxy("--front", path)
    os.unlink(path)
    p.end()
    check("  a name that was removed stays so", not os.path.exists(path) and not os.path.exists(path + ".behind"), os.listdir(d))
    for name in (f"{d}/dead", "127.0.0.1:0"):
        listener = socket.socket(socket.AF_UNIX if "/" in name else socket.AF_INET)
        listener.bind(name if "/" in name else ("127.0.0.1", 0))
        listener.listen()
        target = name if "/" in name else f"127.0.0.1:{listener.getsockname()[1]}"
        p = Proxy("127.0.0.1:0", target, "mortal")
        connect(p.address).close()
        listener.close()
        exchange(p.address, b"x")
        try:
            end = p.p.wait(WAIT_S)
            connect(p.address)
            is_refused = False
        except ConnectionRefusedError:
            is_refused = True
        check(f"mortal: ends with {'a Unix socket' if '/' in name else 'a port'}", is_refused and end == 0, end)
        p.end()
    for args in (("--front", f"{d}/none"), (path, path, "cut=0"), (path, path, "cut=9-5"), (path, path, "stall=5"), (path, path, "x=1"), ("x", "y"), ()):
        r = subprocess.run(["faultproxy", *args], capture_output=True, stdin=subprocess.DEVNULL, timeout=WAIT_S)
        check(f"refused: {' '.join(args).replace(d, '')}", r.returncode == (1 if "none" in str(args) else 2) and r.stderr, r)
    finish()


main()
