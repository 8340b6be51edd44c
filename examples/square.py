#!/usr/bin/env python3
"""A worker that squares numbers: {"input": 12} -> {"input": 12, "output": 144}.

Speaks am-worker(7). What is printed to stdout goes to the log.
"""
import json
import os

requests = os.fdopen(3)
answers = os.fdopen(4, "w", buffering=1)


def say(**message):
    print(json.dumps(message, allow_nan=False), file=answers)


def work(args):
    x = args.get("input")
    if isinstance(x, bool) or not isinstance(x, (int, float)):
        raise ValueError("input is not a number")
    return {"input": x, "output": x * x}


def main():
    say(ready=1, can=["ping", "reset", "cancel"])
    for line in requests:
        message = json.loads(line)
        if "req" in message:
            try:
                say(req=message["req"], payload=work(message["args"]))
            except (ValueError, OverflowError) as e:
                say(req=message["req"], error={"code": "bad_input", "message": str(e)})
        elif "ping" in message:
            say(pong=1)
        elif message.get("lease") == "end":
            # Nothing to forget: no request leaves anything behind.
            say(idle=1)
        # "cancel" needs nothing either: whatever was asked for is answered
        # before the next line is read.


main()
