#!/bin/sh
# TLS on TCP: who gets in, by which certificate, to the supervisor and to its
# workers, and what is said of those who do not.
. "${0%/*}/lib.sh"
. "${0%/*}/certs.sh"

ca good
ca other
cert server good /CN=server 2 DNS:localhost,IP:127.0.0.1,IP:::1
cert alice good /O=Example/CN=alice
cert root good /CN=root
cert boss good /O=Example/CN=boss
cert expired good /CN=late -1
cert stranger other /CN=stranger
# Those who only look like root. No tool makes the last one: it is signed again
# with a NUL in its name.
cert first good /CN=root/CN=mallory
cert last good /CN=mallory/CN=root
cert comma good "/CN=root,O=Example"
cert nul good /CN=root.mallory
$PY - "$T_DIR" <<'END'
import ssl, subprocess, sys

d = sys.argv[1]
der = ssl.PEM_cert_to_DER_cert(open(d + "/nul.crt").read())
length = int.from_bytes(der[6:8], "big")
assert der[4:6] == b"\x30\x82" and der.count(b"root.mallory") == 1
tbs = der[4 : 8 + length].replace(b"root.mallory", b"root\0mallory")
sig = subprocess.check_output(["openssl", "dgst", "-sha256", "-sign", d + "/good.key"], input=tbs)
ecdsa_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
body = tbs + ecdsa_sha256 + bytes([3, len(sig) + 1, 0]) + sig
open(d + "/nul.crt", "w").write(ssl.DER_cert_to_PEM_cert(b"\x30\x82" + len(body).to_bytes(2, "big") + body))
END

none_leased() { [ "$(as root good amctl leases --json)" = "[]" ]; }

PORT=$(free_port)
at=localhost:$PORT
# shellcheck disable=SC2046
start Pool.Min=2 Pool.Warm=0 Pool.Max=2 "Supervisor.Listen=$at" $(tls server good) \
	"Security.TLSAdmin=root"
export AMCTL_SOCKET="$at"

ok "the pool gets ready" as alice good amctl wait --for=pool-ready
ok "request" as alice good amctl request input:=12
out '"output":144'
ok "by options" amctl request input:=4 --tls-cert "$T_DIR/alice.crt" \
	--tls-key "$T_DIR/alice.key" --tls-ca "$T_DIR/good.crt"
out '"output":16'
ok "by the number" as alice good amctl -s "127.0.0.1:$PORT" ping
ok "request-worker" as alice good amctl request-worker --json
out '"address":"localhost:'
worker=$(sed -n 's/.*"address": *"\([^"]*\)".*/\1/p' "$XDG_RUNTIME_DIR/amctl/default.json")
ok "add, on the worker" as alice good amctl add WorkRequested input:=3
out '"output":9'

s_client() { # s_client ADDRESS OPTION...: what openssl says of the handshake
	t_at=$1
	shift
	timeout 10 openssl s_client -connect "$t_at" -CAfile "$T_DIR/good.crt" "$@" -brief </dev/null 2>&1
}
with="-cert $T_DIR/alice.crt -key $T_DIR/alice.key"
# shellcheck disable=SC2086
for a in "$at" "$worker"; do
	who=supervisor
	[ "$a" = "$at" ] || who=worker
	ok "the $who speaks TLS 1.3" sh -c "openssl s_client -connect $a -CAfile $T_DIR/good.crt $with -brief </dev/null 2>&1 | grep -q TLSv1.3"
	exits 1 "  and not 1.2" s_client "$a" $with -tls1_2
done
ok "the lease is listed" as root good amctl leases --json
lease=$(sed -n 's/.*"lease": *"\([^"]*\)".*/\1/p' "$T_OUT")

# Roles, by the certificate's subject.
exits 6 "a client's certificate ends no lease of others" as boss good amctl leases kill "$lease"
err "not your lease"
ok "an administrator's does" as root good amctl leases kill "$lease"
exits 7 "  and it is over" as alice good amctl add WorkRequested input:=3
until_ok 5000 none_leased
result $? "  and listed no more"

# Each of these is told why, and so is the log, once.
exits 6 "an expired certificate" as expired good amctl ping
err "refused our certificate"
one_line "who and why" 'refused .*peer=127.0.0.1:[0-9]* .*subject="CN=late" why=.*expired'
exits 6 "one of another CA" as stranger good amctl ping
err "refused our certificate"
one_line "who and why" 'refused .*peer=.*subject="CN=stranger" why=.*issuer'
ok "no certificate" sh -c "timeout 10 openssl s_client -connect $at -CAfile $T_DIR/good.crt -quiet 2>&1 </dev/null | grep -q 'certificate required'"
one_line "why" 'refused .*peer=127.0.0.1:[0-9]* .*subject="" why=.*presented no certificate'
exits 69 "we do not know its CA" as alice other amctl ping
err "the certificate of the server"
one_line "the server is told" 'refused .*peer=127.0.0.1:[0-9]* .*refused our certificate'
ok "a plain client" amtest "connect 127.0.0.1:$PORT" 'send [0,70000,"hello",[{"proto":1,"id":1}]]' "eof"
one_line "what it is" 'does not speak TLS 1.3 here: wrong version'
# It cannot tell this from a link that was cut, and tries a few times.
exits 69 "amctl without TLS" amctl ping
err "--tls-cert is missing"
exits 2 "TLS takes three files" amctl ping --tls-cert "$T_DIR/alice.crt"
err "--tls-key"
exits 2 "the key of another" amctl ping --tls-cert "$T_DIR/alice.crt" --tls-key "$T_DIR/root.key" --tls-ca "$T_DIR/good.crt"
err "root.key"
exits 2 "a file that is not there" amctl ping --tls-cert "$T_DIR/none.crt" --tls-key "$T_DIR/root.key" --tls-ca "$T_DIR/good.crt"
err "none.crt: No such file"
exits 2 "the module is not there" env AMNODE_TLS_MODULE="$T_DIR/none.so" \
	AMCTL_TLS_CERT="$T_DIR/alice.crt" AMCTL_TLS_KEY="$T_DIR/alice.key" AMCTL_TLS_CA="$T_DIR/good.crt" amctl ping
err "none.so"
ok "the others go on" as alice good amctl request input:=5
out '"output":25'
is "no key is in the environment or arguments of a worker" \
	"$(cat /proc/"$(as alice good amctl workers --json --field 0.pid)"/environ "/proc/$T_PID/cmdline" "$LOG" | tr '\0' '\n' | grep -c 'PRIVATE KEY')" 0
ok "a worker got them by descriptor" sh -c "tr '\0' '\n' </proc/$(as alice good amctl workers --json --field 0.pid)/environ | grep -qx AM_TLS_KEY_FD=6"

exits 7 "a lease without our certificate" sh -c '
	t=$1; shift
	export AMCTL_TLS_CERT=$t/alice.crt AMCTL_TLS_KEY=$t/alice.key AMCTL_TLS_CA=$t/good.crt
	amctl request-worker -l mine -q && unset AMCTL_TLS_CERT AMCTL_TLS_KEY AMCTL_TLS_CA && amctl add -l mine WorkRequested' - "$T_DIR"
err "eof"
ok "  is released with it" as alice good amctl release -l mine

ok "a lease" as alice good amctl request-worker -l hers
lease=$(as root good amctl leases --json --field 0.lease | tr -d '"')
for who in first last comma nul; do
	exits 6 "  is ended by none who looks like root ($who)" as $who good amctl leases kill "$lease"
	err "not your lease"
done
ok "  but by root" as root good amctl leases kill "$lease"

ok "many who say nothing cost a bounded amount" as alice good $PY "$T_ROOT/tests/t/1010-tls.py" localhost "$PORT" "$T_PID"
diag <"$T_OUT"

# For the end of the test: who can list all leases.
export AMCTL_TLS_CERT="$T_DIR/root.crt" AMCTL_TLS_KEY="$T_DIR/root.key" AMCTL_TLS_CA="$T_DIR/good.crt"
finish
