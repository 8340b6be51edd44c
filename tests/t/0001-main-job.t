#!/bin/sh
# The main job: a pool, a lease, work by hand, and back.
. "${0%/*}/lib.sh"

start Pool.Min=2 Pool.Warm=0 Pool.Max=3
pool_ready
ok "ping" amctl ping
ok "status" amctl status --json
for key in instance kind machine ready pool min warm max idle leased starting waiting uptime_s version; do
	out "\"$key\":"
done
ok "workers" amctl workers --json
out '"id":"w1"'
out '"state":"idle"'
ok "the supervisor's machine" amctl --super is Start Ready PoolReady

ok "request-worker" amctl request-worker --json
for key in lease name worker pid address ttl_s max_s; do
	out "\"$key\":"
done
grep -q token "$T_OUT"
is "  and no token" $? 1
lease=$(sed 's/.*"lease":"\([^"]*\)".*/\1/' "$T_OUT")
ok "leases shows it" amctl leases --json
out "\"lease\":\"$lease\""
ok "add WorkRequested prints the data" amctl add WorkRequested input:=12
is "  one line of JSON" "$(cat "$T_OUT")" '{"input":12,"output":144}'
ok "add --json" amctl add WorkRequested input:=3 --json
out '"status":"ok"'
out '"result":"executed"'
out '"output":9'
out '"WorkRequested":'
ok "is" amctl is Idle Leased
exits 3 "is, false" amctl is Working
ok "not" amctl not Working
ok "when, true already" amctl when Idle
ok "when-not" amctl when-not Working
exits 124 "when, never" amctl when Working -t 50ms
ok "time" amctl time --json
out '"WorkRequested":4'
ok "inspect" amctl inspect
out '1 Idle'
ok "schema" amctl schema --json
out '"name":"WorkRequested"'
ok "payloads" amctl payloads --json
ok "release" amctl release
exits 7 "after release" amctl add WorkRequested input:=1
err 'released'
ok "request has a lease of its own" amctl request input:=5
out '"output":25'
printf '%s\n' '{"input":2}' '{"input":3}' >"$T_DIR/in"
# shellcheck disable=SC2016
ok "stream" sh -c 'amctl stream --raw <"$1"' - "$T_DIR/in"
out '"seq":1'
out '"output":9'
# shellcheck disable=SC2016
ok "run" amctl run -- sh -c 'amctl add WorkRequested input:=6'
out '"output":36'
exits 9 "run exits as its command" amctl run -- sh -c 'exit 9'
ok "version" amctl version
ok "help" amctl help
ok "help exit-codes" amctl help exit-codes
finish
