#!/bin/sh
# TLS over links that are cut, stalled and split, in handshakes, too: each
# request is answered once and done once.
. "${0%/*}/../lib.sh"
. "${0%/*}/../certs.sh"

ca good
cert server good /CN=server 2 DNS:localhost,IP:127.0.0.1
cert alice good /CN=alice
export AMCTL_TLS_CERT="$T_DIR/alice.crt" AMCTL_TLS_KEY="$T_DIR/alice.key" AMCTL_TLS_CA="$T_DIR/good.crt"

PORT=$(free_port)
AMCTL_SOCKET="localhost:$PORT"
# shellcheck disable=SC2046
start Pool.Min=1 Pool.Warm=0 Pool.Max=1 "Supervisor.Listen=localhost:$PORT" $(tls server good) \
	"Worker.Exec=$EXEC -- $PY $T_ROOT/tests/helper/countworker.py $T_DIR/effects"
pool_ready

N=0
proxy() { # proxy TARGET FAULT...: sets FRONT, and PROXY to its process
	N=$((N + 1))
	mkfifo "$T_DIR/stdin$N"
	faultproxy 127.0.0.1:0 "$@" <"$T_DIR/stdin$N" >"$T_DIR/front$N" &
	PROXY=$!
	exec 9>"$T_DIR/stdin$N"
	until_ok 5000 grep -q : "$T_DIR/front$N"
	FRONT=localhost:$(sed -n '1s/.*://p' "$T_DIR/front$N")
}
proxy_end() {
	exec 9>&-
	wait "$PROXY"
	diag <"$T_DIR/front$N"
}

cut_often() { # cut_often N: more than N times
	cuts=$(sed -n 's/.*cuts \([0-9]*\).*/\1/p' "$T_DIR/front$N")
	[ "${cuts:-0}" -gt "$1" ]
	result $? "the link was cut" || echo "${cuts:-no} cuts" | diag
}

# The supervisor: a lease, a request and a release each time, some 2.6 KiB. Four
# times it is cut in the handshake or at hello; five are forgiven.
proxy "$AMCTL_SOCKET" seed=7 cut=300-2200 cuts=4 split=1-700 stall=1000-3000/2
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	ok "request $i" amctl -s "$FRONT" request client=s n:=$i
done
proxy_end
is "each was done once" "$(grep -c '^s ' "$T_DIR/effects")" 12
cut_often 3
proxy "$AMCTL_SOCKET" seed=9 cut=300-2200 cuts=8 split=1-700
ok "500 of a client made with libamnode" lossclient "$FRONT" c 500 8
out '"ok":500'
proxy_end
is "each was done once" "$(grep -c '^c ' "$T_DIR/effects")" 500
cut_often 7

# The same, and its worker is killed: what was in flight then is unknown, and no
# request is done twice.
count=1500
proxy "$AMCTL_SOCKET" seed=13 cut=300-2200 cuts=4 split=1-700
lossclient "$FRONT" k $count 8 >"$T_DIR/k" &
client=$!
done_over() { [ "$(grep -c '^k ' "$T_DIR/effects")" -gt "$1" ]; }
kill_worker() { kill -KILL "$(amctl workers --json --field 0.pid)"; }
for n in 100 500 900; do
	until_ok 30000 done_over $n
	until_ok 10000 kill_worker
done
wait $client
result $? "$count with 3 workers killed: each ended once" || diag <"$T_DIR/k"
proxy_end
sed 's/,"unknowns.*//' "$T_DIR/k" | diag
unknown=$(sed -n 's/.*"unknown":\([0-9]*\),.*/\1/p' "$T_DIR/k")
[ "${unknown:-99}" -le 24 ]
result $? "  no more is unknown than was in flight"
is "  none was done twice" "$(grep '^k ' "$T_DIR/effects" | sort | uniq -d)" ""
effects=$(grep -c '^k ' "$T_DIR/effects")
[ "$effects" -le $count ] && [ "$effects" -ge $((count - unknown)) ]
result $? "  what was not unknown was done" || echo "$effects" | diag

# The worker: what the lease says of its address is changed. A cut costs a
# handshake of some 3 KiB.
ok "request-worker" amctl request-worker -l cut
file=$XDG_RUNTIME_DIR/amctl/cut.json
worker=$(sed -n 's/.*"address": *"\([^"]*\)".*/\1/p' "$file")
proxy "$worker" seed=11 cut=5000-30000 split=1-1500 stall=9000-40000/2
$PY - "$file" "$worker" "$FRONT" <<'END'
import sys

name, old, new = sys.argv[1:]
with open(name, "r+") as f:
    text = f.read()
    f.seek(0)
    f.write(text.replace(old, new).rstrip(" \n").ljust(len(text) - 1)[: len(text) - 1] + text[-1])
END
count=3000
i=0
while [ $i -lt $count ]; do
	i=$((i + 1))
	echo "{\"client\":\"w\",\"n\":$i}"
done >"$T_DIR/lines"
begin=$(now_ms)
amctl stream -l cut --raw --window 16 -t 60s <"$T_DIR/lines" >"$T_DIR/answers" 2>"$T_ERR"
result $? "stream" || diag <"$T_ERR"
echo "# $(($(now_ms) - begin)) ms"
proxy_end
is "each line has its answer" "$(grep -c '"status":"ok"' "$T_DIR/answers")" $count
is "  once" "$(sed -n 's/.*"seq":\([0-9]*\).*/\1/p' "$T_DIR/answers" | sort -u | wc -l)" $count
is "  and was done" "$(grep '^w ' "$T_DIR/effects" | sort -u | wc -l)" $count
is "  once" "$(grep -c '^w ' "$T_DIR/effects")" $count
cut_often 9
ok "release" amctl release -l cut
finish
