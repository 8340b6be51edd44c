#!/bin/sh
# Installed into a real systemd: start, lease, work, release, stop, nothing left.
. "${0%/*}/../t/lib.sh"
. "${0%/*}/../t/certs.sh"

[ "$(id -u)" -eq 0 ] || {
	echo "1..0 # SKIP a systemd box needs root"
	exit 0
}
SDBOX=$T_ROOT/tests/systemd/sdbox
box=amt$$
stage=$T_DIR/stage
ok "make install" make -C "$T_ROOT" --no-print-directory BUILD="$BUILD" prefix=/usr DESTDIR="$stage" install
for f in sbin/amnoded bin/amctl libexec/amnode/amnode-exec include/amnode.h include/amnode/worker.tbl.h \
	lib/amnode/square.py lib/amnode/amnode-tls.so lib/systemd/system/amnoded.service lib/systemd/system/amnoded@.service share/man/man8/amnoded.8; do
	[ -f "$stage/usr/$f" ]
	result $? "  /usr/$f" || :
done
grep -q '^prefix=/usr$' "$stage/usr/lib/pkgconfig/amnode.pc"
is "  amnode.pc knows its prefix" $? 0

# What comes into the box is under /usr.
certs=$stage/usr/share/amt
ca good
cert server good /CN=server 2 DNS:localhost
cert alice good /CN=alice
mkdir -p "$certs"
cp "$T_DIR/good.crt" "$T_DIR/server.crt" "$T_DIR/server.key" "$T_DIR/alice.crt" "$T_DIR/alice.key" "$certs"

box_down() {
	"$SDBOX" down $box
	cleanup
}
trap box_down EXIT
ok "the box boots" "$SDBOX" up $box "--overlay-ro=/usr:$stage/usr:/usr"
in_box() { "$SDBOX" run $box "$@"; }
ok "the user" in_box systemd-sysusers amnode.conf
ok "the units are right" in_box systemd-analyze verify --man=no /usr/lib/systemd/system/amnoded.service
in_box systemd-analyze security --no-pager amnoded.service 2>/dev/null | tail -n 1 | diag
ok "systemctl start amnoded" in_box systemctl start amnoded
ok "it is active" in_box systemctl is-active amnoded
ok "the pool gets ready" in_box amctl wait --for=pool-ready -t 30s
in_box systemctl show -P StatusText amnoded >"$T_OUT"
out "ready"
in_box systemctl show -P MainPID amnoded >"$T_DIR/pid"
ok "it may open all files that the unit gives it" in_box awk '/Max open files/ { exit $4 == $5 ? 0 : 1 }' "/proc/$(cat "$T_DIR/pid")/limits"
ok "request-worker" in_box amctl request-worker
ok "add WorkRequested" in_box amctl add WorkRequested input:=12
out '"output":144'
ok "release" in_box amctl release
ok "a worker's print is in the journal" in_box sh -c 'journalctl --sync; journalctl -u amnoded -o cat | grep -q "worker:"'

# A crash: systemd starts it again, and it is the pid that is new.
in_box kill -KILL "$(cat "$T_DIR/pid")"
again() { in_box amctl wait --for=pool-ready -t 30s; }
until_ok 20000 again
is "kill -9: it is back" $? 0
ok "  and serves" in_box amctl request input:=3
out '"output":9'

ok "systemctl stop amnoded" in_box systemctl stop amnoded
in_box systemctl show -P Result amnoded >"$T_OUT"
out "success"
in_box sh -c 'pgrep -u amnode -a' >"$T_DIR/left"
# What a killed supervisor left runs until OrphanTTL: it was told to stop by
# nobody. Only those of the second life must be gone at once.
in_box sh -c 'ls -A /run/amnode 2>/dev/null' >>"$T_DIR/left"
[ ! -s "$T_DIR/left" ]
result $? "nothing is left" || diag <"$T_DIR/left"

ok "an instance of its own" in_box sh -c 'mkdir -p /etc/amnode && printf "[Pool]\nMin=1\nWarm=0\n" >/etc/amnode/two.conf && systemctl start amnoded@two && amctl -i two request input:=5 -t 20s'
out '"output":25'
ok "  stops" in_box systemctl stop amnoded@two

# TLS: the module and the files are found by the unit's user, who may not write them.
cat >"$certs/tls.conf" <<'END'
[Supervisor]
Listen=localhost:4710
[Pool]
Min=1
Warm=0
[Security]
TLSCert=/etc/amnode/server.crt
TLSKey=/etc/amnode/server.key
TLSClientCA=/etc/amnode/good.crt
END
ok "an instance that speaks TLS" in_box sh -c 'cd /usr/share/amt && cp good.crt server.crt tls.conf /etc/amnode &&
	install -g amnode -m 0640 server.key /etc/amnode && systemctl start amnoded@tls'
tls="--tls-cert /usr/share/amt/alice.crt --tls-key /usr/share/amt/alice.key --tls-ca /usr/share/amt/good.crt"
# shellcheck disable=SC2086
unset AMNODE_TLS_MODULE
ok "  serves" in_box amctl -s localhost:4710 $tls request input:=6 -t 20s
out '"output":36'
exits 69 "  nobody without a certificate" in_box amctl -s localhost:4710 ping
err "--tls-cert is missing"
ok "  stops" in_box systemctl stop amnoded@tls
none_left
echo "1..$T_N"
exit "$((T_BAD > 0))"
