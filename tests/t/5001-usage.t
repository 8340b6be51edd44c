#!/bin/sh
# What amctl says to wrong usage, and to no daemon.
. "${0%/*}/lib.sh"

exits 69 "no daemon" amctl ping
err "$RUN/sock"
exits 69 "no daemon, any command" amctl request a=1
unset AMCTL_SOCKET
exits 69 "no instance at all" env AMCTL_RUN_DIRS="$T_DIR/none" amctl ping
export AMCTL_SOCKET="$RUN/sock"
exits 2 "unknown command" amctl frobnicate
err "frobnicate"
exits 2 "unknown option" amctl ping --frob
exits 2 "a bad duration" amctl ping -t 5x
err "5x"
start Pool.Min=1 Pool.Warm=0
pool_ready
exits 2 "bad JSON" amctl request a:=nope
err "a"
exits 2 "beyond 64 bits" amctl request a:=18446744073709551616
err "18446744073709551616"
exits 2 "NUL" amctl request 'a:="x\u0000y"'
err "NUL"
exits 2 "duplicate keys" amctl request 'a:={"k":1,"k":2}'
err "k"
exits 2 "infinite" amctl request 'a:=1e400'
exits 2 "a Windows path" amctl request --args '{"p":"C:\users\bob"}'
err '--args: not JSON at byte 8: \u without four hex digits'
exits 2 "  as a value" amctl request 'p:="C:\users\bob"'
err 'not JSON at byte 3: \u without four hex digits'
exits 2 "half of a surrogate pair" amctl request 'a:="\ud83d!"'
err 'half of a surrogate pair'
printf '\357\273\277{"input":7}' >"$T_DIR/bom"
exits 2 "a byte order mark" amctl request --args "@$T_DIR/bom"
err 'byte order mark (BOM)'
exits 2 "digits that would be lost" amctl request 'a:=0.12345678901234567890'
err '0.12345678901234567890 at byte 0 has digits that a double cannot hold'
exits 2 "text that is not UTF-8" amctl request a="$(printf 'caf\351')"
err 'not UTF-8 at byte 5'
ok "JSON by --args" amctl request --args '{"input":7}'
out '"output":49'
ok "--field" amctl request input:=7 --field output
is "  only that" "$(cat "$T_OUT")" 49
ok "--field of each, as one document" amctl inspect --super --json --field states.name
is "  an array" "$(grep -c '^\["Exception",.*"LeaseOffered"\]$' "$T_OUT")" 1
ok "request-worker" amctl request-worker
ok "--wait done is about the mutation" amctl add WorkRequested input:=3 --wait "done"
is "  and says just that" "$(cat "$T_OUT")" executed
ok "--wait none --json is a document, too" amctl add WorkRequested input:=3 --wait none --json
out '"result":null'
ok "both results are done" amctl when-time ClientSendPayload=4 -t 10s
ok "they wait in the outbox" amctl payloads --field data.output
is "  both" "$(tr '\n' ' ' <"$T_OUT")" "9 9 "
exits 124 "--follow has no timeout but -t" env AMCTL_TIMEOUT=bad amctl payloads --follow -t 10ms
err "over"
exits 2 "a bad number" amctl payloads --since -1
err "0 or more"
exits 124 "--wait STATE that does not come" amctl add WorkRequested input:=3 --wait LeaseEnding -t 100ms --json
out '"status":"timeout"'
err "LeaseEnding"
ok "--wait STATE that comes" amctl add WorkRequested input:=3 --wait Working
ok "release" amctl release
exits 2 "run has a lease of its own" amctl run -l mine -- true
err "AMCTL_LEASE"
printf '%s\n' '{"input":1}' 'nope' '' '{"input":2}' >"$T_DIR/in"
# shellcheck disable=SC2016
exits 1 "a stream with bad lines" sh -c 'amctl stream --raw <"$1"' - "$T_DIR/in"
is "  one line each" "$(wc -l <"$T_OUT")" 4
is "  bad ones" "$(grep -c bad_input "$T_OUT")" 2
ok "stream --ordered, window 4" sh -c 'for i in 1 2 3 4 5 6; do echo "{\"input\":$i}"; done | amctl stream --raw --ordered --window 4'
is "  in order" "$(sed 's/.*"seq":\([0-9]*\).*/\1/' "$T_OUT" | tr -d '\n')" 123456
finish
