#!/bin/sh
# Worker programs that do not start: status and log say why, who waits is told
# at once, and the pool mends itself when the program appears.
. "${0%/*}/../lib.sh"

broken() { # broken REASON: the pool is, and says why
	ok "ErrPool comes" amctl --super when ErrPool -t 20s
	ok "status" amctl status
	out "$1"
	grep -q "$1" "$LOG"
	is "the log says: $1" $? 0
	exits 75 "who asks is told at once" amctl request a=1 -t 10s
	err "$1"
}

prog=$T_DIR/prog
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$prog"
ok "READY=1 although the program is missing" amctl ping
broken "No such file"
kill -0 "$T_PID"
is "amnoded lives" $? 0
# A real program appears: a trial start finds it.
printf '#!/bin/sh\nexec %s\n' "$SQUARE" >"$prog.new"
chmod +x "$prog.new"
mv "$prog.new" "$prog"
ok "recovers" amctl wait --for=pool-ready -t 60s
ok "serves" amctl request input:=4
until_ok 5000 no_leases
stop
none_left

: >"$prog.plain"
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$prog.plain"
broken "Permission denied"
stop
none_left

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$EXEC -- $prog.plain"
broken "its program cannot be executed"
stop
none_left

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$EXEC -- $prog.missing"
broken "its program was not found"
stop
none_left

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$(bad exit-at-once)"
broken "it printed nothing on stderr"
stop
none_left

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$(bad exit-at-once last-words)"
broken "status=1; last words: KeyError: 'text'"
stop
none_left

start Pool.Min=1 Pool.Warm=0 Worker.StartTimeout=300ms "Worker.Exec=$(bad never-ready)"
broken "StartTimeout"
# The back-off grows, and the first death is answered at once. The pauses are
# jittered by a quarter at most, so each second one is longer for sure.
pauses=$(sed -n 's/.*retry_in=\([0-9]*\)ms.*/\1/p' "$LOG" | head -n 5 | tr '\n' ' ')
echo "# pauses: $pauses ms"
# shellcheck disable=SC2086
set -- $pauses
[ $# -eq 5 ] && [ "$1" -eq 0 ] && [ "$2" -gt 0 ] && [ "$4" -gt "$2" ] && [ "$5" -gt "$3" ]
result $? "the back-off grows"
finish
