#!/usr/bin/python3
"""A client of amnode in Python, on the package msgpack (Debian: python3-msgpack).

usage: client.py SOCKET|HOST:PORT [INPUT...]

Leases a worker, sends it {"input": INPUT} for each argument and prints what
comes back, one line of JSON each. What the worker's clock does meanwhile goes
to stderr. The protocol is in arpc.md; its sections are named where they count.
"""
import json
import secrets
import socket
import sys

import msgpack

CLIENT_ID = secrets.randbits(63)
RESULT = 0  # the kind of a payload
# Their responses carry an update.
MUTATIONS = ("add", "remove", "set", "toggle", "can_add", "can_remove")


class Refused(Exception):
    """An error response, a mutation that was canceled, or a bye."""


class Connection:
    def __init__(self, address, on_change=None, **hello):
        if "/" in address:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(address)
        else:
            host, port = address.rsplit(":", 1)
            self.sock = socket.create_connection((host.strip("[]"), int(port)))
        self.sock.settimeout(60)
        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=16 << 20)
        self.last_id, self.sync_id = 0, None
        self.mutations = set()
        self.replies, self.payloads = {}, []
        self.on_change = on_change
        welcome = self.call("hello", {"proto": 1, "id": CLIENT_ID, "name": "client.py", **hello})
        self.machine = welcome["id"]
        self.names = [row[0] for row in welcome["schema"]]
        self.ids = {name: i for i, name in enumerate(self.names)}
        self.take_clock(welcome)

    def take_clock(self, welcome):
        self.ticks, self.q, self.m = welcome["time"], welcome["q"], welcome["m"]

    def apply(self, update):  # section 7
        q, checksum, *pairs = update
        self.q += q
        for i, delta in zip(pairs[::2], pairs[1::2]):
            self.ticks[i] += delta
        if (sum(self.ticks) + self.q + self.m) % 256 != checksum:
            if self.sync_id is None:
                self.sync_id = self.send("sync")
        elif self.sync_id is None and self.on_change:
            for i in pairs[::2]:
                self.on_change(self.names[i], self.ticks[i])

    def send(self, method, *params):
        self.last_id = self.last_id % 65535 + 1
        if method in MUTATIONS:
            self.mutations.add(self.last_id)
        self.sock.sendall(msgpack.packb([0, self.last_id, method, params]))
        return self.last_id

    def notify(self, method, *params):
        self.sock.sendall(msgpack.packb([2, method, params]))

    def read(self):
        """Takes one frame and files it where it belongs."""
        for frame in self.unpacker:
            break
        else:
            data = self.sock.recv(65536)
            if not data:
                raise Refused("eof")
            return self.unpacker.feed(data)
        if frame[0] == 1 and frame[1] == self.sync_id:
            self.sync_id = None
            self.take_clock(frame[3])
        elif frame[0] == 1:
            self.replies[frame[1]] = frame[2:]
            if frame[1] in self.mutations and frame[2] is None:
                self.apply(frame[3][1])  # in the order of the bytes
            self.mutations.discard(frame[1])
        elif frame[1] == "t":
            self.apply(*frame[2])
        elif frame[1] == "p" and len(frame[2]) == 7:  # its data follows in parts
            *self.head, self.size = frame[2]
            self.data = b""
        elif frame[1] == "p":
            self.payloads.append(frame[2])
        elif frame[1] == "part":
            self.take_part(frame[2][1])
        elif frame[1] == "bye":
            raise Refused(frame[2][0] if frame[2] else "bye")

    def take_part(self, data):
        if data is None:
            return  # the rest does not come
        self.data += data
        if len(self.data) == self.size:
            self.payloads.append([*self.head[:5], msgpack.unpackb(self.data, raw=False)])

    def reply(self, call):
        while call not in self.replies:
            self.read()
        error, result = self.replies.pop(call)
        if error is not None:
            raise Refused(error)
        return result

    def call(self, method, *params):
        return self.reply(self.send(method, *params))

    def add(self, name, args=None, *deadline_ms):
        """Returns the id of the call, to which payloads refer."""
        call = self.send("add", [self.ids[name]], args, *deadline_ms)
        result, _, *why = self.reply(call)
        if result == 1:
            raise Refused(why[0] if why else f"{name} was canceled")
        return call

    def payload(self, req):
        """The next one about this call."""
        while True:
            for p in self.payloads:
                if p[1] == req:
                    self.payloads.remove(p)
                    return p
            self.read()

    def is_active(self, name):
        return self.ticks[self.ids[name]] % 2 == 1

    def wait(self, name):
        while self.sync_id is not None or not self.is_active(name):
            self.read()


def main():
    def show(name, tick):
        print(name, tick, file=sys.stderr)

    if len(sys.argv) < 2:
        sys.exit("usage: client.py SOCKET|HOST:PORT [INPUT...]")
    supervisor = Connection(sys.argv[1])
    supervisor.wait("PoolReady")
    asked = supervisor.add("LeaseRequested", {"request": 1, "timeout_ms": 30000})
    offer = supervisor.payload(asked)[5]  # section 9
    if "error" in offer:
        sys.exit(f"client.py: no worker: {offer['error']['message']}")
    worker = Connection(offer["address"], show, token=offer["token"])
    status = 0
    for text in sys.argv[2:]:
        try:
            req = worker.add("WorkRequested", {"input": json.loads(text)}, 10000)
        except Refused as e:
            sys.exit(f"client.py: refused: {e}")
        while True:
            seq, _, kind, name, source, data = worker.payload(req)  # section 8
            if seq:
                worker.notify("ack", [seq])
            if kind == RESULT:
                break
        status |= name != "result"
        print(json.dumps({"source": source, "name": name, "data": data}), flush=True)
    supervisor.add("ReleaseWorker", {"lease": offer["lease"], "reason": "released"})
    try:
        while True:
            worker.read()
    except Refused as bye:
        print("bye:", bye, file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
