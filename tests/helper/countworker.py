#!/usr/bin/python3
"""A worker whose work leaves a trace: one line "CLIENT N" in a file for each
request {"client", "n"}, written before it is answered.

usage: countworker.py FILE
"""
import json
import os
import sys


def main():
    effects = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    answers = os.fdopen(4, "w", buffering=1)
    print(json.dumps({"ready": 1, "can": ["ping", "reset", "cancel"]}), file=answers)
    for line in os.fdopen(3):
        message = json.loads(line)
        if "req" in message:
            args = message["args"]
            os.write(effects, f"{args['client']} {args['n']}\n".encode())
            print(json.dumps({"req": message["req"], "payload": args}), file=answers)
        elif "ping" in message:
            print('{"pong":1}', file=answers)
        elif message.get("lease") == "end":
            print('{"idle":1}', file=answers)


main()
