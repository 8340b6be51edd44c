#!/bin/sh
# Who may connect and what he may do; refusals exit with 6 and are one line in
# the log; tokens are seen nowhere.
. "${0%/*}/lib.sh"

chmod 0711 "$T_DIR"
mkdir "$T_DIR/bin"
printf '#!/bin/sh\nexec "%s/amnoded" --debug "$@"\n' "$BUILD" >"$T_DIR/bin/amnoded"
chmod +x "$T_DIR/bin/amnoded"
PATH=$T_DIR/bin:$PATH

denied() { grep -cE "denied|refused client" "$LOG"; }
add_of() { echo "send [0,7,\"add\",[[$1]]]"; }

start Pool.Min=1 Pool.Warm=0 Pool.Max=2
pool_ready
pub=$(find "$RUN" -name '*.pub')
start_id=$($PY -c 'import sys; sys.path[:0] = [sys.argv[1]]; from client import Connection; print(Connection(sys.argv[2]).ids["Start"])' "$EX" "$RUN/sock")

# What nobody may.
ok "nobody adds Start" amtest "connect $RUN/sock" hello "$(add_of "$start_id")" "expect not_permitted" close
is "  one line in the log" "$(denied)" 1
ok "  with who and what" grep -qE "warning: client: denied client=c[0-9]+ uid=$(id -u) pid=[0-9]+ .*: add of .*Start" "$LOG"
ok "a worker: no token, no entry" amtest "connect $pub" "hello token 000102030405060708090a0b0c0d0e0f" "expect bad_token" "eof bad_token"
ok "  one line in its log" until_ok 5000 grep -qE "denied client=[0-9]+ peer=unix uid=$(id -u) pid=[0-9]+ .*bad_token" "$LOG"
n=$(denied)
ok "a flood of 5,000 refusals" $PY - "$RUN/sock" "$start_id" <<'EOT'
import socket, sys, msgpack
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(msgpack.packb([0, 70000, "hello", [{"proto": 1, "id": 9}]]))
u, n, sent = msgpack.Unpacker(), 0, 0
while n < 5000:
    while sent < 5000 and sent - n < 500:
        s.sendall(msgpack.packb([0, 100000 + sent, "add", [[int(sys.argv[2])]]]))
        sent += 1
    u.feed(s.recv(65536))
    n += sum(1 for f in u if f[0] == 1 and f[1] >= 100000 and f[2].startswith("not_permitted"))
EOT
n=$(($(denied) - n))
[ "$n" -le 10 ]
result $? "  10 lines at most" || echo "# $n"

# The token.
ok "a lease" amctl -l mine request-worker
token=$($PY -c 'import json, os; print(json.load(open(os.environ["XDG_RUNTIME_DIR"] + "/amctl/mine.json"))["token"])')
is "  its token is 128 bits" "${#token}" 32
ok "  works" amctl -l mine add WorkRequested input:=3
start_w=$($PY -c 'import sys; sys.path[:0] = [sys.argv[1]]; from client import Connection; print(Connection(sys.argv[2], token=bytes.fromhex(sys.argv[3])).ids["Start"])' "$EX" "$pub" "$token")
ok "its client adds no Start" amtest "connect $pub" "hello token $token" "$(add_of "$start_w")" "expect not_permitted" close
ok "  one line in the worker's log" until_ok 5000 grep -qE "denied client=[0-9]+ peer=unix uid=$(id -u) pid=[0-9]+ .*: add of .*Start" "$LOG"
exits 6 "  amctl says 6" amctl -l mine add Start
all=$T_DIR/all
for topic in status workers leases; do amctl "$topic" --json; done >"$all" 2>&1
amctl inspect --super --json >>"$all" 2>&1
amctl -l mine inspect --json >>"$all" 2>&1
kill -USR1 "$T_PID"
ok "the dump is in the log" until_ok 5000 grep -q "dump: " "$LOG"
for p in $(amctl workers --json | $PY -c 'import json, sys; [print(w["pid"]) for w in json.load(sys.stdin)]'); do
	cat "/proc/$p/cmdline" "/proc/$p/environ"
done >>"$all" 2>/dev/null
ok "the token is in no answer, no log, no environment" $PY - "$token" "$all" "$LOG" <<'EOT'
import base64, sys
token = bytes.fromhex(sys.argv[1])
data = b"".join(open(p, "rb").read() for p in sys.argv[2:])
assert len(data) > 2000
for form in token, sys.argv[1].encode(), sys.argv[1].upper().encode(), base64.b64encode(token).rstrip(b"="):
    assert form not in data, form
EOT
ok "the lease is given back" amctl -l mine release

# Other users: if we may become them, and they can run what was built.
if setpriv --reuid=65533 --regid=65533 --clear-groups test -x "$BUILD/amctl" 2>/dev/null; then
	other() { setpriv --reuid=65533 --regid=65533 --clear-groups env "XDG_RUNTIME_DIR=$T_DIR" "$@"; }
	member() { setpriv --reuid=65533 --regid=65533 --groups=65532,4711 env "XDG_RUNTIME_DIR=$T_DIR" "$@"; }

	exits 6 "the socket is 0660: another user cannot open it" other amctl status
	stop
	start Pool.Min=1 Pool.Warm=0 Pool.Max=2 Security.AllowUser=65533 Security.AllowGroup=65531
	pool_ready
	ok "an allowed user" other amctl request input:=3
	out '"output":9'
	ok "a lease of root" amctl -l his request-worker
	lease=$(amctl leases --json | $PY -c 'import json, sys; print(json.load(sys.stdin)[0]["lease"])')
	n=$(denied)
	exits 6 "  he may not kill it" other amctl leases kill "$lease"
	is "  one line" "$(($(denied) - n))" 1
	ok "  root may give it back" amctl -l his release
	stop
	start Pool.Min=1 Pool.Warm=0 Pool.Max=2 Security.AllowGroup=4711
	pool_ready
	n=$(denied)
	exits 6 "a user of no allowed group" other amctl status
	is "  one line" "$(($(denied) - n))" 1
	ok "  with who and what" grep -qE "client: refused client=c[0-9]+ peer=unix uid=65533 pid=[0-9]+ .*AllowGroup" "$LOG"
	ok "a member by a supplementary group" member amctl request input:=4
	out '"output":16'
	ok "root always" amctl status
fi
T_FDS=
finish
