#!/usr/bin/env python3
"""A worker that counts a text file: {"path": "/etc/services"} ->
{"path": ..., "lines": n, "words": n, "bytes": n, "top": [["tcp", 190], ...]}.

Speaks am-worker(7). What is printed to stdout goes to the log.
"""
import collections
import json
import os
import re

WORD = re.compile(r"\w+")
requests = os.fdopen(3)
answers = os.fdopen(4, "w", buffering=1)


def say(**message):
    print(json.dumps(message), file=answers)


def textstat(path):
    with open(path, "rb") as f:
        data = f.read()
    text = data.decode("utf-8", errors="replace")
    words = collections.Counter(WORD.findall(text.lower()))
    return {
        "path": path,
        "lines": data.count(b"\n"),
        "words": len(data.split()),
        "bytes": len(data),
        "top": words.most_common(10),
    }


def answer(req, args):
    path = args.get("path")
    if not isinstance(path, str):
        say(req=req, error={"code": "bad_input", "message": "path is missing"})
        return
    try:
        say(req=req, payload=textstat(path))
    except OSError as e:
        say(req=req, error={"code": "unreadable", "message": f"{path}: {e.strerror}"})
    except ValueError as e:
        say(req=req, error={"code": "bad_input", "message": f"path: {e}"})


def main():
    say(ready=1, can=["ping"])
    for line in requests:
        message = json.loads(line)
        if "req" in message:
            answer(message["req"], message["args"])
        elif "ping" in message:
            say(pong=1)


main()
