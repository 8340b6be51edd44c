#!/bin/sh
# The examples: workers in C, sh and Python, and a client in C.
. "${0%/*}/lib.sh"

next() {
	until_ok 5000 no_leases
	stop
	result $? "stops"
}

ok "machine.c" "$BUILD/examples/machine"
out 'no light: Lamp requires Power'
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$BUILD/examples/square"
pool_ready
ok "square.c" amctl request input:=12
out '"output":144'
ok "its own state" amctl request-worker
ok "  is in the schema" amctl schema --json
out '"name":"Squaring"'
exits 5 "square.c refuses what is no number" amctl add WorkRequested input=x
ok "  release" amctl release
ok "client.c" "$BUILD/examples/client" "$RUN/sock"
out '49'
ok "a level of its own" amctl request-worker
exits 3 "  is not active before the first request" amctl is Used
ok "  and after two" amctl add WorkRequested input:=1 --wait result
ok "  " amctl add WorkRequested input:=2 --wait result
ok "  is still active" amctl is Used
ok "  release" amctl release
next

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$BUILD/examples/echo"
pool_ready
ok "echo.c" amctl request hello=world
out '"hello":"world"'
next

for w in square.py square.sh; do
	case $w in *.sh) cmd="/bin/sh $EX/$w" ;; *) cmd="$PY $EX/$w" ;; esac
	start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$EXEC -- $cmd"
	pool_ready
	ok "$w" amctl request input:=12
	out '"output":144'
	ok "client.c with $w" "$BUILD/examples/client" "$RUN/sock"
	out '49'
	next
done

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$EXEC -- $PY $EX/textstat.py"
pool_ready
printf 'one two\ntwo\n' >"$T_DIR/text"
ok "textstat.py" amctl request path="$T_DIR/text"
is "  counts" "$(cat "$T_OUT")" \
	"{\"path\":\"$T_DIR/text\",\"lines\":2,\"words\":3,\"bytes\":12,\"top\":[[\"two\",2],[\"one\",1]]}"
exits 1 "  an unreadable path is an error answer" amctl request path="$T_DIR/none"
err "none"
echo '{"states":[{"name":"Fetching","require":["Ready"]}]}' >"$T_DIR/schema.json"
next

start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$EXEC --schema $T_DIR/schema.json -- $PY $EX/square.py"
pool_ready
ok "own states from --schema" amctl request-worker
ok "  add" amctl add Fetching
is "  prints" "$(cat "$T_OUT")" executed
ok "  is" amctl is Fetching
ok "  remove" amctl remove Fetching
exits 3 "  gone" amctl is Fetching
ok "  release" amctl release
finish
