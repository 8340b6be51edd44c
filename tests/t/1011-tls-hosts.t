#!/bin/sh
# TLS: hosts and their names, what the configuration refuses, who says nothing.
. "${0%/*}/lib.sh"
. "${0%/*}/certs.sh"

ca good
cert server good /CN=server 2 DNS:localhost,IP:127.0.0.1,IP:::1
cert elsewhere good /CN=elsewhere 2 DNS:example.org
cert alice good /CN=alice

# ---- configuration ----

conf() { # conf KEY=VALUE...: the lines of [Security]
	{
		echo "[Security]"
		for t_kv in "$@"; do echo "$t_kv"; done
	} >"$T_DIR/a.conf"
}
check() { amnoded -i t -c "$T_DIR/a.conf" --set "Worker.Exec=$SQUARE" --check; }

all="TLSCert=$T_DIR/server.crt TLSKey=$T_DIR/server.key TLSClientCA=$T_DIR/good.crt"
# shellcheck disable=SC2086
conf $all
ok "a good configuration" check
ok "  is printed" amnoded -i t -c "$T_DIR/a.conf" --print-config
out "TLSKey=$T_DIR/server.key"
conf "TLSCert=$T_DIR/server.crt" "TLSKey=$T_DIR/server.key"
exits 2 "without a CA" check
err "a.conf:3: Security.TLSKey is set, but Security.TLSClientCA is not"
conf "TLSCert=$T_DIR/none.crt" "TLSKey=$T_DIR/server.key" "TLSClientCA=$T_DIR"
exits 2 "files that cannot be read" check
err "a.conf:2: Security.TLSCert: $T_DIR/none.crt: No such file"
err "a.conf:4: Security.TLSClientCA: $T_DIR: is not a regular file"
chmod 0644 "$T_DIR/server.key"
# shellcheck disable=SC2086
conf $all
exits 2 "a key that others can read" check
err "a.conf:3: Security.TLSKey: $T_DIR/server.key: others may read it"
chmod 0640 "$T_DIR/server.key"
ok "its group may" check
conf "TLSCert=$T_DIR/server.crt" "TLSKey=$T_DIR/alice.key" "TLSClientCA=$T_DIR/good.crt"
exits 2 "the key of another certificate" check
err "alice.key: does not match the certificate"
# shellcheck disable=SC2086
conf $all 'TLSAdmin="alice'
exits 2 "an open quote" check
err "a.conf:5: Security.TLSAdmin"
# shellcheck disable=SC2086
conf $all
exits 2 "without the module" env AMNODE_TLS_MODULE="$T_DIR/none.so" amnoded -i t -c "$T_DIR/a.conf" --check
err "none.so"

refused() { # refused LISTEN WHAT WHY STATUS
	exits "$4" "$2" timeout 20 amnoded -i t --set "Supervisor.RuntimeDir=$RUN" --set "Supervisor.Listen=$1"
	err "$3"
}
refused 192.0.2.1:4710 "another host without TLS" "requires TLS: set Security.TLSCert" 2
refused 0.0.0.0:4710 "an address that nobody can be told" "is not an address that clients could be given" 2
refused no-such-host.invalid:4710 "a name that is none" 'cannot resolve "no-such-host.invalid"' 1
exits 2 "amctl, another host without TLS" amctl -s 192.0.2.1:4710 ping
err "requires TLS"
exits 69 "amctl, a name that is none" amctl -s no-such-host.invalid:4710 ping
err 'cannot resolve "no-such-host.invalid"'

# ---- IPv6, and a worker that is made with libamnode ----

next() {
	stop
	result $? "amnoded stops"
	: >"$LOG"
}

PORT=$(free_port)
# shellcheck disable=SC2046
start Pool.Min=1 Pool.Warm=0 Pool.Max=1 "Supervisor.Listen=[::1]:$PORT" $(tls server good) \
	"Worker.Exec=$BUILD/examples/square"
AMCTL_SOCKET="[::1]:$PORT"
ok "the pool gets ready, by IPv6" as alice good amctl wait --for=pool-ready
ok "request" as alice good amctl request input:=12
out '"output":144'
ok "request-worker" as alice good amctl request-worker --json
out '"address":"[::1]:'
ok "release" as alice good amctl release
ok "localhost is both" as alice good amctl -s "localhost:$PORT" ping

# Each costs its 5 s, and so does one that says hello to TLS only, and changes
# its keys meanwhile.
mkfifo "$T_DIR/keyboard"
exec 9<>"$T_DIR/keyboard"
timeout 20 openssl s_client -connect "[::1]:$PORT" -CAfile "$T_DIR/good.crt" \
	-cert "$T_DIR/alice.crt" -key "$T_DIR/alice.key" <&9 >"$T_DIR/keys" 2>&1 9>&- &
keys=$!
echo K >&9
ok "who says nothing, or little, is closed; others are served" \
	as alice good $PY "$T_ROOT/tests/t/1011-tls-hosts.py" ::1 "$PORT"
diag <"$T_OUT"
until_ok 5000 sh -c "[ \$(grep -c 'refused .*no_hello' '$LOG') -eq 3 ]"
result $? "  with a line in the log for each"
wait "$keys"
exec 9>&-
is "keys were changed" "$(grep -c KEYUPDATE "$T_DIR/keys")" 1
grep -aq 'no_hello: no hello within 5 s' "$T_DIR/keys"
result $? "  and the bye came with the new ones"
next

# ---- the wrong host ----

PORT=$(free_port)
AMCTL_SOCKET="localhost:$PORT"
# shellcheck disable=SC2046
start Pool.Min=1 Pool.Warm=0 Pool.Max=1 "Supervisor.Listen=localhost:$PORT" $(tls elsewhere good)
exits 69 "a certificate for another host" as alice good amctl ping
err "hostname mismatch"
one_line "the server is told" 'refused .*peer=127.0.0.1:[0-9]* .*refused our certificate'
next

# ---- TLS to a plain port ----

PORT=$(free_port)
AMCTL_SOCKET="127.0.0.1:$PORT"
start Pool.Min=1 Pool.Warm=0 Pool.Max=1 "Supervisor.Listen=127.0.0.1:$PORT"
exits 69 "a server that does not speak TLS" as alice good amctl ping
err "does not speak TLS 1.3"
one_line "what came" 'refused .*peer=127.0.0.1:[0-9]* .*bad_frame'
pool_ready
ok "the others go on" amctl request input:=5
out '"output":25'
finish
