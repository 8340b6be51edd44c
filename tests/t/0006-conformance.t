#!/bin/sh
# The runner of recorded cases: it tells what is wrong, and in which case.
. "${0%/*}/lib.sh"

run=$BUILD/tests/conformance
data=$T_ROOT/tests/data/machine.ndjson.gz
one=$T_DIR/one.ndjson

# changed SED-EXPRESSION: the case q-0110 with that done to it must fail.
changed() {
	zcat "$data" | grep '"id":"q-0110"' | sed "$1" >"$one"
	exits 1 "$1" "$run" "$one"
	out "0 passed, 1 failed"
	out "q-0110"
}

ok "plain and packed files" "$run" --class r "$data"
out "690 passed, 0 failed"
ok "two classes" "$run" --class l,u "$data"
out "295 passed, 0 failed"
ok "a mirror, over a connection" "$run" --rpc "$data"
out "3045 passed, 0 failed"
zcat "$data" | grep '"id":"r-' | head -n 1 |
    sed 's/"queue_tick":[0-9]*/"queue_tick":99/' >"$one"
exits 1 "a mirror with another queue tick" "$run" --rpc "$one"
out "0 passed, 1 failed"
zcat "$data" | grep '"id":"q-0110"' >"$one"
ok "one case of a plain file" "$run" "$one"
out "1 passed, 0 failed"
ok "a class that is not there" "$run" --class r "$one"
out "0 passed, 0 failed"

changed 's/"result":"canceled"/"result":"executed"/'
changed 's/"order":\[2,1,0,3\]/"order":[1,2,0,3]/'
changed 's/"clock":\[1,1,1,1,0\]/"clock":[1,1,1,3,0]/'
changed 's/"queue_tick":6/"queue_tick":7/'
changed 's/"accepted":false/"accepted":true/'
changed 's/"CEnter","AEnter"/"AEnter","CEnter"/'
changed 's/"clock_after":\[0,1,1,0,0\]/"clock_after":[0,1,1,1,0]/'
changed 's/"called":\["A","C"\]/"called":["C","A"]/'
changed 's/"reject":\["ExceptionException"\]/"reject":["AnyEnter"]/'
changed 's/"require":\["C"\]/"require":["B"]/'

exits 2 "no file" "$run"
err "usage:"
exits 2 "a file that is not there" "$run" "$T_DIR/none"
err "none: No such file"
echo '{"id":"x"}' >"$one"
exits 2 "a line that is no case" "$run" "$one"
err "one.ndjson:1: no case"
finish
