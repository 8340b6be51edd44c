#!/bin/sh
# A client in another language, written from arpc.md: examples/client.py.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0 Pool.Max=1
ok "it waits for the pool and asks" $PY "$EX/client.py" "$RUN/sock" 12 1.5
out '"name": "result", "data": {"input": 12, "output": 144}'
out '"output": 2.25'
is "  two answers" "$(wc -l <"$T_OUT")" 2
# The base rows count: odd is active, each request is a turn of Working.
err "Working 1"
err "Working 4"
err "bye: released"
is "  Working rose and fell for each" "$(grep -c '^Working' "$T_ERR")" 4
pool_ready
exits 1 "an error answer" $PY "$EX/client.py" "$RUN/sock" '"x"' 3
out '"name": "ErrWork"'
out '"code": "bad_input"'
out '"output": 9'
exits 1 "a worker's socket wants a token" $PY "$EX/client.py" "$(find "$RUN" -name '*.pub')" 1
err "bad_token"

# The same client as a module: what a script may do with it.
cat >"$T_DIR/more.py" <<'EOT'
import sys

sys.path.insert(0, sys.argv[1])
import client

s = client.Connection(sys.argv[2])
print("can_add", s.call("can_add", [s.ids["LeaseRequested"]], {"request": 9, "timeout_ms": 0})[0])
for name, args in (("Start", None), ("KillWorker", {})):
    try:
        s.add(name, args)
    except client.Refused as e:
        print(name, e)
t = s.ticks[s.ids["ListWorkers"]]
s.add("ListWorkers")
s.apply([0, 0])
assert s.sync_id is not None
s.wait("PoolReady")
print("ListWorkers", s.ticks[s.ids["ListWorkers"]] - t, "sum", sum(s.ticks) + s.q + s.m - sum(s.call("sync")["time"]) - s.q - s.m)
print("workers", s.call("info", "workers")[0]["state"], s.call("info", "leases"))
s.unpacker.feed(client.msgpack.packb([2, "later", [1]]))
s.read()
s.notify("unheard_of", 1, 2)
try:
    s.call("hello", {"proto": 1, "id": 1})
except client.Refused as e:
    print(e)
s.notify("bye", "done")
s.sock.settimeout(5)
while s.sock.recv(65536):
    pass
print("closed")
EOT
ok "more of it" $PY "$T_DIR/more.py" "$EX" "$RUN/sock"
out 'can_add 0'
out 'Start not_permitted'
out 'ListWorkers 2 sum 0'
out 'workers idle []'
out 'bad_params'
out 'closed'
until_ok 5000 no_leases

# What arpc.md 14 says of two connections with one client id.
cat >"$T_DIR/two.py" <<'EOT'
import sys

sys.path.insert(0, sys.argv[1])
import client

s = client.Connection(sys.argv[2])
asked = s.add("LeaseRequested", {"request": 1, "timeout_ms": 30000})
offer = s.payload(asked)[5]


def link(**more):
    return client.Connection(offer["address"], token=offer["token"], **more)


def fate(c):
    try:
        while True:
            c.read()
    except client.Refused as e:
        return e


plain, other = link(), link()
req = plain.add("WorkRequested", {"input": 2})
print("both", plain.payload(req)[5]["output"], other.payload(req)[5]["output"])
first = link(resume={})
first.last_id = 100  # ids belong to the client id, not to a connection
req = first.add("WorkRequested", {"input": 3})
print("three", *(c.payload(req)[5]["output"] for c in (plain, other, first)))
second = link(resume={})
print("first", fate(first))
second.last_id = 200
print("open", second.call("info", "open"))
req = plain.add("WorkRequested", {"input": 4})
print("left", *(c.payload(req)[5]["output"] for c in (plain, other, second)))
s.add("ReleaseWorker", {"lease": offer["lease"], "reason": "released"})
for c in (plain, other, second):
    print("end", fate(c))
EOT
ok "two connections with one client id" $PY "$T_DIR/two.py" "$EX" "$RUN/sock"
out 'both 4 4'
out 'three 9 9 9'
out 'first resumed by another connection'
out 'open [2, 101]'
out 'left 16 16 16'
is "  the others end with the lease" "$(grep -c '^end released' "$T_OUT")" 3
until_ok 5000 no_leases
stop

# A payload of over 256 KiB comes in parts.
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$(bad big 1000000)"
pool_ready
ok "a large answer" $PY "$EX/client.py" "$RUN/sock" 1
big=$(wc -c <"$T_OUT")
[ "$big" -gt 1000000 ]
result $? "  whole: $big bytes"
finish
