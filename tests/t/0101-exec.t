#!/usr/bin/python3
"""amnode-exec on its own: this test is its supervisor and its client."""
import contextlib
import json
import os
import signal
import stat
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT + "/tests/helper")
from execrig import Raw, Rig  # noqa: E402
from tap import check, finish  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
os.environ["EXEC"] = BUILD + "/amnode-exec"
os.environ["AMTEST_MARK"] = f"exec-{os.getpid()}"
PY = "/usr/bin/python3"


def is_(what, got, want=True):
    check(what, got == want, f"got {str(got)[:2000]}\nwanted {want}")


def has(what, text, part):
    is_(what, part if part in str(text) else text, part)


@contextlib.contextmanager
def rig(*cmd, **how):
    r = Rig(*cmd, **how)
    try:
        yield r
    except Exception as e:  # the other tests are worth running, too
        is_(f"{' '.join(cmd[-3:])}: {type(e).__name__} {e} log: {r.log()[:1000]}", False)
    finally:
        r.close()


def bad(*modes, **how):
    return rig(PY, ROOT + "/tests/helper/badworker.py", *modes, **how)


def marked():
    """Processes that inherited our mark, but for this one."""
    mark = f"AMTEST_MARK={os.environ['AMTEST_MARK']}".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if mark in f.read().split(b"\0") and int(pid) != os.getpid():
                    found.append(pid)
        except OSError:
            pass
    return found


def examples():
    for cmd in ([PY, ROOT + "/examples/square.py"], ["/bin/sh", ROOT + "/examples/square.sh"]):
        name = os.path.basename(cmd[-1])
        with rig(*cmd) as r:
            r.supervise()
            c = r.lease()
            is_(f"{name}: squares", c.work({"input": 12}), ("result", {"input": 12, "output": 144}))
            is_(f"{name}: no number is an error", c.work({"input": "x"})[1]["code"], "bad_input")
            is_(f"{name}: no input is an error", c.work({})[1]["code"], "bad_input")
            reqs = [c.add("WorkRequested", {"input": i}) for i in range(8)]
            is_(f"{name}: eight in the window", [c.final(q)[1]["output"] for q in reqs], [i * i for i in range(8)])
            is_(f"{name}: the lease ends", r.end_lease())
            is_(f"{name}: and the next begins", r.lease("L2").work({"input": 3})[1]["output"], 9)
            r.p.terminate()
            is_(f"{name}: leaves on TERM", r.wait(), 0)
    with rig(PY, ROOT + "/examples/textstat.py") as r:
        r.supervise()
        c = r.lease()
        got = c.work({"path": "/etc/services"})[1]
        with open("/etc/services", "rb") as f:
            data = f.read()
        is_("textstat.py: counts", [got["lines"], got["words"], got["bytes"], len(got["top"])],
            [data.count(b"\n"), len(data.split()), len(data), 10])
        is_("textstat.py: an unreadable path", c.work({"path": "/no/such"}),
            ("ErrWork", {"code": "unreadable", "message": "/no/such: No such file or directory"}))


def what_it_gets():
    with bad("report", env={"AM_X_FD": "7"}) as r:
        s = r.supervise()
        c = r.lease()
        got = c.work({})[1]
        is_("the program's environment", {k: v for k, v in got["env"].items() if k not in (
            "AM_WINDOW", "AM_REQUEST_TIMEOUT_MS", "AM_STOP_GRACE_MS", "AM_START_TIMEOUT_MS")},
            {"AM_FD_IN": "3", "AM_FD_OUT": "4", "AM_PROTOCOL": "1", "AM_KIND": "rig", "AM_WORKER_ID": "w1"})
        is_("nothing else is open", got["fds"], [0, 1, 2, 3, 4])
        is_("stdin", got["stdin"], "/dev/null")
        is_("no signal is blocked", got["blocked"], False)
        is_("the lease's begin", got["heard"], [{"lease": "begin", "client": 'rig "1"'}])
        s.call("add", [s.states.index("Healthcheck")])
        is_("a ping is answered", s.until(lambda: not s.is_active("Healthcheck")))
        r.end_lease()
        got = r.lease("L2").work({})[1]
        is_("ping, end and begin", [list(m)[0] + str(list(m.values())[0]) for m in got["heard"]],
            ["leasebegin", "ping1", "leaseend", "leasebegin"])
        is_("args of nearly 16 MiB are taken", r.conns[-1].work({"input": "x" * 16700000})[0], "result")
    with bad("report", env={"AM_LINE_MAX": str(1 << 20)}) as r:
        r.supervise()
        r.lease()
        is_("args over Worker.LineMax are refused", "too_big" in str(
            c2_add(r, {"input": "x" * (1 << 20)})), True)
        is_("those of nearly as much are not", r.conns[-1].work({"input": "x" * 1048000})[0], "result")
        is_("the program knows it", r.conns[-1].work({})[1]["env"]["AM_LINE_MAX"], str(1 << 20))
        before = peak_mib(r)
        has("args of which 75 MiB of JSON would be made", c2_add(r, {"input": Raw(NILS)}), "too_big")
        is_("  they are not made", peak_mib(r) - before < 64, True)


# An array of as many nils as a frame carries.
NILS = b"\xdd" + (15 << 20).to_bytes(4, "big") + b"\xc0" * (15 << 20)


def peak_mib(r):
    with open(f"/proc/{r.p.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) // 1024


def c2_add(r, args):
    c = r.conns[-1]
    return c.reply(c.add("WorkRequested", args))


def order():
    with bad("concurrency", "3", window=6) as r:
        r.supervise()
        c = r.lease()
        reqs = [c.add("WorkRequested", {"input": i}) for i in range(6)]
        for q in reqs:
            c.final(q)
        got = [p["data"]["input"] for p in c.payloads]
        is_("three at a time, the last first", got, [2, 1, 0, 5, 4, 3])
    with bad("slow", "20", window=4) as r:
        s = r.supervise()
        c = r.lease()
        reqs = [c.add("WorkRequested", {"input": i}) for i in range(5)]
        for q in reqs[:4]:
            c.final(q)
        is_("one at a time, in order", [p["data"]["input"] for p in c.payloads], [0, 1, 2, 3])
        is_("over the window", c.refused(reqs[4]), "busy: window full (4)")
        is_("idle again", s.until(lambda: s.is_active("Idle")))
    with bad("progress") as r:
        r.supervise()
        c = r.lease()
        c.work({"input": 2})
        is_("progress and chunk come before", [p["data"] for p in c.payloads], [[1, 2], [2, 2], "part", {"input": 2, "output": 4}])
    with bad("refuse") as r:
        r.supervise()
        is_("accept: false", r.lease().work({}), ("refused", {"code": "refused", "message": "not today"}))


def spoiled():
    """Answers that cannot be carried: their request fails, the worker serves on."""
    for mode, code, why in (
        (("big-number",), "bad_payload", "number 18446744073709551616 at byte 33 is an integer beyond 64 bits"),
        (("nan",), "bad_payload", "NaN at byte 28: JSON has no number for it"),
        (("half-pair",), "bad_payload", "\\udce9 at byte 26 is half of a surrogate pair"),
        (("deep", "33"), "bad_payload", "nested deeper than 32 levels at byte 51"),
        (("deep", "5000"), "bad_payload", "nested deeper than 32 levels"),
        (("huge-line",), "too_big", "a line is longer than 1048576 bytes (Worker.LineMax)"),
        (("no-key",), "bad_answer", 'none of "payload", "error", "accept", "progress" and "chunk"'),
        (("nan-chunk",), "bad_payload", "Infinity at byte 20: JSON has no number for it"),
    ):
        with bad(*mode, env={"AM_LINE_MAX": str(1 << 20)}) as r:
            s = r.supervise()
            c = r.lease()
            what = " ".join(mode)
            for n in range(3):
                kind, data = c.work({})
                is_(f"{what}: request {n} fails", (kind, data["code"]), ("ErrWork", code))
                if n == 0:
                    has("  and says why", data["message"], why)
            is_("  with nothing but that", len(c.payloads), 3)
            is_("  it is idle again", s.until(lambda: s.is_active("Idle")))
            is_("  it serves on", r.p.poll(), None)
    with bad("deep", "32") as r:
        r.supervise()
        kind, data = r.lease().work({})
        is_("32 levels are an answer", (kind, json.dumps(data)), ("result", "[" * 32 + "]" * 32))
    with bad("raw") as r:
        r.supervise()
        c = r.lease()
        for text in ("18446744073709551615", "-9223372036854775808", "1732800000123456789", "1732800000.123456", "5e-324", '"\\ud83d\\ude00"'):
            kind, data = c.work({"raw": text})
            is_(f"{text} comes back", (kind, data), ("result", json.loads(text)))


def own_states():
    with bad("states", "base-state") as r:
        r.supervise()
        c = r.lease()
        i = c.states.index("Fetching")
        is_("an own state of the ready message", i, len(c.states) - 1)
        c.work({"input": 1})
        is_("it came and went", c.until(lambda: c.time[i] == 2))
        is_("a base state is not the program's", c.is_active("Ready"))
        has("which is logged", r.log(), 'ignored: remove "Ready"')
    with tempfile.TemporaryDirectory() as d:
        def schema(*rows):
            path = f"{d}/s{len(os.listdir(d))}.json"
            with open(path, "w") as f:
                json.dump({"states": rows}, f)
            return path
        good = schema({"name": "Fetching", "require": ["Ready"]}, {"name": "Other", "remove": ["Fetching"], "multi": True})
        with bad(schema=good) as r:
            is_("--schema", r.supervise().states[-2:], ["Fetching", "Other"])
        for what, path, code, why in (
            ("adds a base state", schema({"name": "A", "add": ["Ready"]}), 78, '"Ready"'),
            ("removes a base state", schema({"name": "A", "remove": ["Idle"]}), 78, '"Idle"'),
            ("repeats a base state", schema({"name": "Ready"}), 78, "Ready"),
            ("names no state", schema({"name": "A", "require": ["Nope"]}), 78, "Nope"),
            ("is not there", d + "/none", 78, "No such file"),
        ):
            with bad(schema=path) as r:
                is_(f"a schema that {what}", r.wait(), code)
                has("  says so", r.log(), why)
        with bad("states", schema=good) as r:
            is_("both schemas", r.wait(), 78)


def cancels():
    with bad("cancel", window=3) as r:
        r.supervise()
        c = r.lease()
        a, b = c.add("WorkRequested", {"input": 1}), c.add("WorkRequested", {"input": 2})
        c.reply(b)
        c.add("CancelWork", {"req": b})
        is_("one that waits is canceled here", c.final(b)[0], "canceled")
        is_("the first still runs", c.final(a, 0.05), None)
        c.add("CancelWork", {"req": a})
        is_("the program is told", c.final(a)[0], "canceled")
        d = c.send("add", [c.states.index("WorkRequested")], {"input": 1}, 100)
        is_("its deadline passed", c.final(d)[0], "ErrWorkTimeout")
        e = c.add("WorkRequested", {"input": 1})
        c.reply(e)
        is_("the lease ends in a request", r.end_lease())
        is_("which is canceled", c.final(e)[0], "canceled")
        is_("the program serves on", r.lease("L2").is_active("Idle"))
    with bad("hang") as r:
        s = r.supervise()
        c = r.lease()
        d = c.send("add", [c.states.index("WorkRequested")], {"input": 1}, 100)
        is_("a program that hangs", c.final(d)[0], "ErrWorkTimeout")
        got = s.until(lambda: [p for p in s.payloads if p["name"] == "Error"])[0]["data"]
        is_("the supervisor hears it", [got["err"], got["stuck"]], ["ErrWorkTimeout", True])
    with bad("reset-hang", "no-pong") as r:
        s = r.supervise()
        r.lease()
        s.call("add", [s.states.index("Healthcheck")])
        is_("no pong, no health", s.until(lambda: not s.is_active("Healthcheck"), 0.2), None)
        s.add("LeaseEnding", {"lease": "L1", "reason": "released"})
        is_("not idle, not free", s.until(lambda: not s.is_active("Leased"), 0.2), None)


def protocol_errors():
    for mode, first, log in (("garbage-fd4", "ErrWork", 'garbage on fd 4 \\x01\\x02'), ("second-answer", "result", "a second answer to request 1"),
                             ("unknown-req", "ErrWork", "request 1001, which it never got"), ("backslash", "ErrWork", "not JSON at byte 27: \\u without four hex digits"),
                             ("close-out", "ErrWork", "fd 4 was closed"), ("close-in", "ErrWork", "fd 3 was closed")):
        with bad(mode) as r:
            s = r.supervise()
            c = r.lease()
            q = c.add("WorkRequested", {"input": 2})
            if mode == "close-in":
                # Found when something is written to it.
                c.until(lambda: [p for p in c.payloads if p["data"] == "closed"])
                s.call("add", [s.states.index("Healthcheck")])
            got = c.final(q) or (None, {"code": None})
            is_(f"{mode}: the request", got[0], first)
            if first == "ErrWork":
                is_("  its code", got[1]["code"], "protocol")
                has("  the client reads why", got[1]["message"], log if mode != "garbage-fd4" else "not JSON at byte 0")
            err = s.until(lambda: [p for p in s.payloads if p["name"] == "Error"])[0]["data"]
            is_("  the supervisor hears it", [err["err"], err["stuck"]], ["protocol", True])
            is_("  it leaves by itself", r.wait(), 76)
            has("  the log", r.log(), log)
            is_("  a line of it is bounded", max(map(len, r.log().splitlines())) < 1000)
    with bad("garbage-stdout") as r:
        r.supervise()
        is_("garbage on stdout is harmless", r.lease().work({"input": 2})[0], "result")
        has("  and logged", r.log(), "garbage on stdout")


def ends():
    for modes, code in ((("exit-on-request", "3"), 3), (("crash-on-request",), 139), (("fork-and-die",), 3)):
        with bad(*modes) as r:
            r.supervise()
            c = r.lease()
            q = c.add("WorkRequested", {"input": 2})
            is_(f"{modes[0]}: its status is the worker's", r.wait(), code)
            is_("  no answer was made up", c.final(q), None)
            is_("  nothing is left", marked(), [])
    for modes, code, why in ((("exit-at-once", "5"), 5, "exit=5"), (("exit-at-once", "0"), 70, "before it was ready"), (("never-ready",), 124, "StartTimeout"),
                             (("bad-ready",), 76, "Traceback")):
        with bad(*modes, env={"AM_START_TIMEOUT_MS": "300"} if code == 124 else None) as r:
            is_(f"{' '.join(modes)}: exit", r.wait(), code)
            has("  the log", r.log(), why)
            is_("  nothing is left", marked(), [])
    with rig("/no/such/program") as r:
        is_("a missing program", r.wait(), 127)
        has("  the log", r.log(), "/no/such/program: No such file or directory")
    with tempfile.NamedTemporaryFile() as f, rig(f.name) as r:
        os.chmod(f.name, stat.S_IRUSR)
        is_("not executable", r.wait(), 126)
        has("  the log", r.log(), "Permission denied")
    with bad("ignore-term", "hang") as r:
        r.supervise()
        c = r.lease()
        c.reply(c.add("WorkRequested", {}))
        t = time.monotonic()
        r.p.terminate()
        is_("it ignores TERM: killed", r.wait(), 128 + signal.SIGKILL)
        is_("  within StopGrace", time.monotonic() - t < 1)
    with bad("never-ready") as r:
        # Its signals are watched when its child is there.
        path = f"/proc/{r.p.pid}/task/{r.p.pid}/children"
        end = time.monotonic() + 5
        while not open(path).read() and time.monotonic() < end:
            pass
        r.p.terminate()
        is_("TERM before it is ready", r.wait(), 128 + signal.SIGTERM)
    with bad() as r:
        r.supervise()
        r.p.kill()
        r.wait()
        end = time.monotonic() + 5
        while marked() and time.monotonic() < end:
            pass
        is_("the host is killed: the program leaves at the end of fd 3", marked(), [])


def outbox():
    with bad("big", "1000000", window=16) as r:
        r.supervise()
        c = r.lease(acks=False)
        reqs, acked = [], 0
        for _ in range(56):
            reqs.append(c.add("WorkRequested", {}))
            c.final(reqs[-1])
        # From here on there is room for some of them only.
        reqs += [c.add("WorkRequested", {}) for _ in range(16)]
        for q in reqs[-16:]:
            c.reply(q)
        got = lambda: sum(p["kind"] in (0, "result") for p in c.payloads)  # noqa: E731
        c.until(lambda: got() == 72, 1)
        is_("the outbox is full", 60 <= got() < 72)
        c.note("ack", [p["seq"] for p in c.payloads])
        is_("what was acked makes room: nothing is lost", c.until(lambda: got() == 72))
        is_("  nor doubled", sorted(p["req"] for p in c.payloads), sorted(reqs))


for test in (examples, what_it_gets, order, spoiled, own_states, cancels, protocol_errors, ends, outbox):
    try:
        test()
    except Exception as e:
        is_(f"{test.__name__}: {type(e).__name__}: {e}", False)
finish()
