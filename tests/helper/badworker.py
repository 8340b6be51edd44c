#!/usr/bin/python3
"""An am-worker program with a switch for each way to misbehave.

usage: badworker.py MODE [N] [MODE [N]]...

It squares like examples/square.py, but for what the modes change.
"""
import json
import os
import signal
import sys
import time

MODES = {
    "slow",              # N: answers after N ms
    "crash-on-request",  # dies by a signal in each request
    "exit-on-request",   # N: exits with N in each request
    "hang",              # never answers
    "ignore-term",       # neither TERM nor the end of fd 3 ends it
    "exit-at-once",      # N: exits with N (1) before it is ready
    "never-ready",
    "bad-ready",         # its first line is no ready message
    "garbage-stdout",    # prints to stdout; harmless
    "garbage-fd4",       # a line on fd 4 that is no JSON, instead of the answer
    "second-answer",     # answers twice
    "unknown-req",       # answers what was not asked, instead of the answer
    "huge-line",         # a line of 2 MiB instead of the answer
    "no-key",            # an answer without a key that its host knows
    "fork-and-die",      # leaves a child in a session of its own, then dies
    "fd-leak",           # opens a file per request
    "close-out",         # closes fd 4 instead of answering, and lives on
    "close-in",          # closes fd 3 and lives on
    "error",             # answers with an error
    "last-words",        # prints two lines on stderr before it exits
    "steer",             # an error and a line of log that could steer a terminal
    "long-error",        # with a message of 1,200 bytes
    "refuse",            # accept: false
    "reset-hang",        # never idle after a lease
    "no-pong",           # never answers a ping
    "no-cancel",         # says that it can cancel, and does not
    "cancel",            # hangs until it is canceled
    "progress",          # two of progress and a chunk before the answer
    "states",            # own states: Fetching around each request
    "big-number",        # an integer beyond 64 bits
    "nan",               # a float that is no number
    "half-pair",         # half of a surrogate pair
    "backslash",         # a Windows path without escapes
    "nan-chunk",         # a chunk that is no number, another one, the answer
    "deep",              # N: arrays nested so deep
    "raw",               # answers with the args' "raw" as its JSON text
    "base-state",        # adds a state that is not its own
    "big",               # N: the answer has N bytes
    "report",            # answers with what it was given by its host
    "concurrency",       # N: takes N at a time, answers the last one first
}


def parse(argv):
    modes = {}
    last = None
    for a in argv:
        if a.isdigit() and last:
            modes[last] = int(a)
        elif a in MODES:
            modes[a] = 1
            last = a
        else:
            sys.exit(f"badworker: no such mode: {a}")
    return modes


class Worker:
    def __init__(self, modes):
        self.modes = modes
        self.requests = os.fdopen(3)
        self.answers = os.fdopen(4, "w", buffering=1)
        self.leaked = []
        self.held = []
        self.heard = []  # messages that were no requests

    def raw(self, text):
        print(text, file=self.answers)

    def say(self, **message):
        self.raw(json.dumps(message))

    def ready(self):
        m = self.modes
        if "exit-at-once" in m:
            self.last_words()
            sys.exit(m["exit-at-once"])
        if "never-ready" in m:
            self.wait_forever()
        if "bad-ready" in m:
            self.raw("Traceback (most recent call last):")
        message = {"ready": 1, "can": ["ping", "reset"]}
        if "cancel" in m or "no-cancel" in m:
            message["can"].append("cancel")
        if "concurrency" in m:
            message["concurrency"] = m["concurrency"]
        if "states" in m:
            message["states"] = [{"name": "Fetching", "require": ["Ready"]}]
        self.say(**message)

    def last_words(self):
        if "last-words" in self.modes:
            os.write(2, b"Traceback (most recent call last):\n  KeyError: 'text'")

    def wait_forever(self):
        while True:
            signal.pause()

    def request(self, req, args):
        m = self.modes
        if "slow" in m:
            time.sleep(m["slow"] / 1000)
        if "fork-and-die" in m:
            self.fork_and_die()
        if "crash-on-request" in m:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "exit-on-request" in m:
            self.last_words()
            os._exit(m["exit-on-request"])
        if "hang" in m:
            self.wait_forever()
        if "fd-leak" in m:
            self.leaked.append(open("/dev/null"))
        if "garbage-stdout" in m:
            print("garbage on stdout \x01\x02", flush=True)
        if "close-out" in m:
            self.answers.close()
            self.wait_forever()
        if "close-in" in m:
            os.close(3)
            self.say(req=req, progress="closed")
            self.wait_forever()
        if "cancel" in m or "no-cancel" in m:
            return
        if "concurrency" in m:
            self.held.append((req, args))
            if len(self.held) < m["concurrency"]:
                return
            while self.held:
                self.answer(*self.held.pop())
            return
        self.answer(req, args)

    def fork_and_die(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                self.wait_forever()
            os._exit(0)
        os.wait()
        os._exit(3)

    def answer(self, req, args):
        m = self.modes
        if "garbage-fd4" in m:
            self.raw("garbage on fd 4 \x01\x02")
        elif "unknown-req" in m:
            self.say(req=req + 1000, payload={})
        elif "huge-line" in m:
            self.say(req=req, payload="x" * (2 * 1024 * 1024))
        elif "no-key" in m:
            self.say(req=req, result=1)
        elif "error" in m:
            self.say(req=req, error={"code": "bad_luck", "message": "it did not work out"})
        elif "steer" in m:
            print("steer \x1b[31m \u202e \x85", file=sys.stderr, flush=True)
            self.say(req=req, error={"code": "bad\x1b[2J", "message": "\x1b]0;x\x07 \u202e \u009b2J\namctl: forged"})
        elif "long-error" in m:
            self.say(req=req, error={"code": "long", "message": "é" * 600})
        elif "refuse" in m:
            self.say(req=req, accept=False, reason="not today")
        elif "big" in m:
            self.say(req=req, payload="x" * m["big"])
        elif "report" in m:
            self.say(req=req, payload=self.report())
        elif "nan" in m:
            self.say(req=req, payload={"x": float("nan")})
        elif "half-pair" in m:
            self.say(req=req, payload=os.fsdecode(b"caf\xe9"))
        elif "backslash" in m:
            self.raw('{"req":%d,"payload":{"p":"C:\\users\\bob"}}' % req)
        elif "nan-chunk" in m:
            self.say(req=req, chunk=float("inf"))
            self.say(req=req, chunk="more")
            self.say(req=req, payload="all")
        elif "deep" in m:
            self.raw('{"req":%d,"payload":%s%s}' % (req, "[" * m["deep"], "]" * m["deep"]))
        elif "raw" in m:
            self.raw('{"req":%d,"payload":%s}' % (req, args["raw"]))
        elif "big-number" in m:
            self.say(req=req, payload={"output": 2**64})
        else:
            self.good_answer(req, args)

    def report(self):
        return {
            "env": {k: v for k, v in os.environ.items() if k.startswith("AM_")},
            # One of them is that of the directory that is being read.
            "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
            "stdin": os.readlink("/proc/self/fd/0"),
            "blocked": bool(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            "heard": self.heard,
        }

    def good_answer(self, req, args):
        m = self.modes
        if "states" in m:
            self.say(add=["Fetching"], args={"req": req})
        if "base-state" in m:
            self.say(remove=["Ready"])
        if "progress" in m:
            self.say(req=req, progress=[1, 2])
            self.say(req=req, progress=[2, 2])
            self.say(req=req, chunk="part")
        x = args.get("input", 0)
        x = x if isinstance(x, (int, float)) else 0
        self.say(req=req, payload={"input": x, "output": x * x})
        if "second-answer" in m:
            self.say(req=req, payload={})
        if "states" in m:
            self.say(remove=["Fetching"])

    def message(self, message):
        m = self.modes
        if "req" not in message:
            self.heard.append(message)
        if "req" in message:
            self.request(message["req"], message["args"])
        elif "ping" in message and "no-pong" not in m:
            self.say(pong=1)
        elif message.get("lease") == "end" and "reset-hang" not in m:
            self.say(idle=1)
        elif "cancel" in message and "no-cancel" not in m:
            self.say(req=message["cancel"], error={"code": "canceled", "message": "as asked"})

    def run(self):
        if "ignore-term" in self.modes:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.ready()
        for line in self.requests:
            self.message(json.loads(line))
        if "ignore-term" in self.modes:
            self.wait_forever()


Worker(parse(sys.argv[1:])).run()
