#!/bin/sh
# amctl stream: one final line a line whatever comes, bounded memory, signals.
. "${0%/*}/lib.sh"

# Each line has the fields that count: "seq status".
seen() { sed -n 's/.*"seq":\([0-9]*\),"status":"\([a-z_]*\)".*/\1 \2/p' "$T_OUT" | tr '\n' ';'; }
stream() { # stream OPTION...: of $T_DIR/in
	amctl stream "$@" <"$T_DIR/in"
}
next() {
	until_ok 5000 no_leases
	stop
	result $? "stops"
}

start Pool.Min=1 Pool.Warm=0
pool_ready
$PY - >"$T_DIR/in" <<'EOT'
print('{"id":"first","args":{"input":2}}')
print('{"args":{"input":2,"pad":"' + "x" * (1 << 20) + '"}}')
print('')
print('   ')
print('{"args":{"input":3}')
print('[1]')
print('{"arg":{"input":3}}')
print('{"add":["WorkReqested"]}')
print('{"add":[]}')
print('{"timeout":"soon"}')
print('{"args":{"input":18446744073709551616}}')
print('{"id":{"a":[1,null]},"args":{"input":5}}', end="")
EOT
exits 1 "good and bad lines" stream
is "  one final line each" "$(seen)" \
	"1 ok;2 failed;3 failed;4 failed;5 failed;6 failed;7 failed;8 failed;9 failed;10 failed;11 failed;12 ok;"
is "  bad_input" "$(grep -c '"code":"bad_input"' "$T_OUT")" 10
out '{"id":"first","seq":1,'
out '{"id":{"a":[1,null]},"seq":12,"status":"ok"'
out '"output":25'
out 'longer than 1 MiB'
out 'unknown key'
out 'did you mean \"WorkRequested\"?'

next

# What JSON can say comes back as it went; what it cannot is named, and the
# worker serves on.
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$(bad raw)"
pool_ready
$PY - >"$T_DIR/in" <<'EOT'
import json
deep = "[" * 31 + "]" * 31
print('{"args":{"p":"C:\\users\\bob"}}')
for raw in ('18446744073709551615', '-9223372036854775808', '1732800000.123456', '"\\u20ac\\ud83d\\ude00"', "[" * 32 + "]" * 32,
            "NaN", '"\\ud83d"', "[" * 33 + "]" * 33, '18446744073709551616'):
    print(json.dumps({"args": {"raw": raw}}))
print('{"args":{"raw":"1","deep":%s}}' % deep)
print('{"args":{"raw":"1","deep":[%s]}}' % deep)
EOT
exits 1 "all that JSON can say" stream --ordered
is "  one final line each" "$(seen)" \
	"1 failed;2 ok;3 ok;4 ok;5 ok;6 ok;7 failed;8 failed;9 failed;10 failed;11 ok;12 failed;"
out '"code":"bad_input","message":"not JSON at byte 16: \\u without four hex digits'
out '"payload":18446744073709551615,'
out '"payload":-9223372036854775808,'
out '"payload":1732800000.123456,'
out '"payload":"€😀",'
out '"payload":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],'
out '"code":"bad_payload","message":"NaN at byte 19: JSON has no number for it"'
out 'is half of a surrogate pair'
out '"code":"bad_payload","message":"nested deeper than 32 levels at byte 51"'
out '18446744073709551616 at byte 19 is an integer beyond 64 bits: send it as a string'
out '"code":"bad_input","message":"nested deeper than 32 levels at byte 57"'
is "  the same worker" "$(amctl workers --field id)" w1
ok "32 levels as a document" amctl request raw='[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]' --json
out '"data":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}'
exits 1 "an answer that cannot be carried" amctl request raw=NaN
err 'bad_payload: NaN at byte 20: JSON has no number for it'
next

# The worker takes 4 and answers the last one first.
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$(bad concurrency 4)"
pool_ready
printf '{"input":%d}\n' 1 2 3 4 5 6 7 8 >"$T_DIR/in"
ok "window 4, in order of completion" stream --raw --window 4
is "  the last one of four is first" "$(seen)" "4 ok;3 ok;2 ok;1 ok;8 ok;7 ok;6 ok;5 ok;"
ok "the same, ordered" stream --raw --window 4 --ordered
is "  in order" "$(seen)" "1 ok;2 ok;3 ok;4 ok;5 ok;6 ok;7 ok;8 ok;"
: >"$T_DIR/in"
ok "nothing in" stream
is "  nothing out" "$(wc -c <"$T_OUT")" 0
exits 2 "a line needs time" stream -t 0
exits 2 "no window of 0" stream --window 0
next

# Memory does not grow with the input, nor with a reader that is slow.
start Pool.Min=1 Pool.Warm=0
pool_ready
cat >"$T_DIR/rss.py" <<'EOT'
import resource, subprocess, sys
mb, slow = int(sys.argv[1]), sys.argv[2] == "slow"
line = b'{"input":1,"pad":"' + b"x" * 250000 + b'"}\n'
p = subprocess.Popen(["amctl", "stream", "--raw", "--window", "4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
import threading
def feed():
    for i in range(mb * 4):
        p.stdin.write(line)
    p.stdin.close()
t = threading.Thread(target=feed)
t.start()
if slow:
    t.join(0.3)   # meanwhile nobody takes the answers
n = sum(1 for l in p.stdout)
t.join()
assert p.wait() == 0
assert n == mb * 4, n
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
EOT
# Freed memory that the address sanitizer keeps is not ours.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
export ASAN_OPTIONS
small=$($PY "$T_DIR/rss.py" 1 fast)
result $? "1 MB through a stream"
big=$($PY "$T_DIR/rss.py" 40 fast)
result $? "40 MB through a stream"
slow=$($PY "$T_DIR/rss.py" 40 slow)
result $? "40 MB, and a slow reader"
echo "# most resident: $small KiB of 1 MB, $big KiB of 40 MB, $slow KiB with a slow reader"
[ "$big" -lt $((small + 4096)) ] && [ "$slow" -lt $((small + 4096)) ]
result $? "  no more memory than for 1 MB"

# A reader that leaves: as any other program, by SIGPIPE.
yes '{"input":2}' | { amctl stream --raw; echo $? >"$T_DIR/rc"; } | head -n 2 >"$T_OUT"
is "head gets its lines" "$(grep -c '"output":4' "$T_OUT")" 2
is "  and the stream ends by SIGPIPE" "$(cat "$T_DIR/rc")" 141

# A named lease that is taken away: no other worker, exit 7.
ok "a named lease" amctl request-worker
mkfifo "$T_DIR/pipe"
amctl -l default stream --raw <"$T_DIR/pipe" >"$T_DIR/out" 2>"$T_DIR/err" &
s=$!
exec 5>"$T_DIR/pipe"
echo '{"input":7}' >&5
answered() { grep -q '"output":49' "$T_DIR/out"; }
until_ok 10000 answered
is "  answers" $? 0
ok "  is released by another process" amctl release
wait $s
is "  the stream exits with 7" $? 7
exec 5>&-
grep -q 'released' "$T_DIR/err"
is "  and says why" $? 0
next

# Signals, and deadlines, with a worker that never answers.
start Pool.Min=1 Pool.Warm=0 Worker.StopGrace=500ms "Worker.Exec=$(bad hang)"
pool_ready
busy() { amctl workers -o ndjson --field state | grep -q working; }
for sig in INT:130 TERM:143; do
	amctl stream --raw <"$T_DIR/pipe" >"$T_OUT" 2>"$T_ERR" &
	s=$!
	exec 5>"$T_DIR/pipe"
	echo '{"input":7}' >&5
	until_ok 10000 busy >/dev/null
	kill -s ${sig%:*} $s
	wait $s
	is "${sig%:*} ends it" $? "${sig#*:}"
	exec 5>&-
	grep -qE '"seq":1,"status":"(canceled|unknown)"' "$T_DIR/cmd.out"
	is "  what was in flight has its line" $? 0
	until_ok 10000 no_leases
	pool_ready
done
printf '%s\n' '{"timeout":"200ms","args":{"input":1}}' >"$T_DIR/in"
exits 1 "a deadline of a line" stream
out '"status":"timeout"'
next

# A worker that misses a deadline does no harm to the line after it.
start Pool.Min=1 Pool.Warm=0 Worker.StopGrace=200ms "Worker.Exec=$(bad slow 700)"
pool_ready
printf '%s\n' '{"timeout":"200ms","args":{"input":1}}' '{"args":{"input":2}}' >"$T_DIR/in"
exits 1 "a line that is late, and one in time" stream
is "  each its own" "$(seen)" "1 timeout;2 ok;"
next
start Pool.Min=1 Pool.Warm=0 Worker.StopGrace=200ms "Worker.Exec=$(bad slow 2000)"
pool_ready
exits 1 "the same, and the worker is killed for it" stream
is "  the other line goes to the next worker" "$(seen)" "1 timeout;2 ok;"
next
none_left
echo "1..$T_N"
exit "$((T_BAD > 0))"
