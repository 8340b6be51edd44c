#!/bin/sh
# 10,000 requests through one stream: all right, and how fast beside the same
# worker over bare pipes.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0
pool_ready
$PY -c 'for i in range(10000): print("{\"input\":%d}" % i)' >"$T_DIR/in"
t0=$(now_ms)
# shellcheck disable=SC2016
ok "10,000 requests" sh -c 'amctl stream --raw <"$1" >"$2"' - "$T_DIR/in" "$T_DIR/answers"
t1=$(now_ms)
cat >"$T_DIR/check.py" <<'EOT'
import json, sys
seen = set()
for line in open(sys.argv[1]):
    a = json.loads(line)
    assert a["status"] == "ok", line
    assert a["payload"] == {"input": a["seq"] - 1, "output": (a["seq"] - 1) ** 2}, line
    seen.add(a["seq"])
assert seen == set(range(1, 10001)), len(seen)
EOT
ok "all answers are right, each once" $PY "$T_DIR/check.py" "$T_DIR/answers"
cat >"$T_DIR/pipes.py" <<'EOT'
# The same program over bare pipes, one request at a time, from C-like raw I/O.
import os, sys, subprocess, time
ar, aw = os.pipe(); br, bw = os.pipe()
def fds():
    os.dup2(ar, 30); os.dup2(bw, 31); os.dup2(30, 3); os.dup2(31, 4)
p = subprocess.Popen(sys.argv[1:], pass_fds=(3, 4), preexec_fn=fds)
os.close(ar); os.close(bw)
while not os.read(br, 65536).endswith(b"\n"): pass
t0 = time.monotonic()
for i in range(10000):
    os.write(aw, b'{"req":%d,"add":["WorkRequested"],"args":{"input":%d},"deadline_ms":5000}\n' % (i, i))
    while not os.read(br, 65536).endswith(b"\n"): pass
print("%.1f" % ((time.monotonic() - t0) * 100))
os.close(aw); p.wait()
EOT
pipes=$($PY "$T_DIR/pipes.py" $PY "$EX/square.py")
result $? "the same worker over bare pipes"
echo "# a request: $(((t1 - t0) / 10)).$(((t1 - t0) % 10)) us by stream (amctl's start included), $pipes us over bare pipes"
finish
