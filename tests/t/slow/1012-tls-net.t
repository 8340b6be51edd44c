#!/bin/sh
# TLS between two hosts, which are network namespaces: addresses outside
# loopback, names with several of them, a client that is somewhere else.
if [ -z "${T_NETNS:-}" ]; then
	if ! unshare -rnm ip link set lo up 2>/dev/null; then
		echo "1..0 # SKIP no network namespaces here"
		exit 0
	fi
	exec env T_NETNS=1 unshare -rnm "$0"
fi
. "${0%/*}/../lib.sh"
. "${0%/*}/../certs.sh"

ca good
cert server good /CN=server 2 DNS:pool.test,IP:10.9.8.1
cert alice good /CN=alice

# The other host: its namespace lives until this shell ends, and with it the link.
ip link set lo up
mkfifo "$T_DIR/hold"
unshare -n sh -c 'ip link set lo up; echo up; read -r _ <"$1"' - "$T_DIR/hold" >"$T_DIR/up" &
other=$!
exec 9<>"$T_DIR/hold"
until_ok 5000 grep -q up "$T_DIR/up"
far() { nsenter -t "$other" -n "$@"; }
ip link add near type veth peer name far netns "$other"
ip addr add 10.9.8.1/24 dev near
ip link set near up
far ip addr add 10.9.8.2/24 dev far
far ip link set far up
# Nobody has the first address, and the second is not the server's.
printf '127.0.0.1 localhost\n10.9.8.77 pool.test\n10.9.8.2 pool.test\n10.9.8.1 pool.test\n' >"$T_DIR/hosts"
printf '127.0.0.1 localhost\n10.9.8.1 pool.test\n' >"$T_DIR/hosts.here"
mount --bind "$T_DIR/hosts.here" /etc/hosts

# shellcheck disable=SC2046
start Pool.Min=1 Pool.Warm=0 Pool.Max=1 Supervisor.Listen=pool.test:4710 $(tls server good)
AMCTL_SOCKET=pool.test:4710
ok "the pool gets ready" as alice good amctl wait --for=pool-ready
ok "request, from this host" as alice good amctl request input:=12
out '"output":144'
ok "by the number" as alice good amctl -s 10.9.8.1:4710 request input:=3
exits 2 "plain, by the number" amctl -s 10.9.8.1:4710 ping
err "requires TLS"
exits 69 "plain, by the name" amctl ping
err '"pool.test" is not on loopback, which requires TLS'

ok "request, from the other host" as alice good far amctl request input:=5
out '"output":25'
ok "request-worker, likewise" as alice good far amctl request-worker --json
out '"address":"pool.test:'
ok "add" as alice good far amctl add WorkRequested input:=6
out '"output":36'
ok "release" as alice good far amctl release
exits 2 "no process is seen from another host" as alice good far amctl request-worker --bind-pid $$
err "another host"

# A host that is gone says nothing: whoever was there is forgotten all the same.
cat >"$T_DIR/gone.py" <<'END'
import socket, ssl, sys, time
import msgpack

d = sys.argv[1]
tls = ssl.create_default_context(cafile=d + "/good.crt")
tls.load_cert_chain(d + "/alice.crt", d + "/alice.key")
s = tls.wrap_socket(socket.create_connection(("10.9.8.1", 4710)), server_hostname="pool.test")
s.sendall(msgpack.packb([0, 70000, "hello", [{"proto": 1, "id": 1, "name": "gone"}]]))
u = msgpack.Unpacker()


def answer(n):
    while True:
        for f in u:
            if f[:2] == [1, n]:
                return f[3]
        u.feed(s.recv(65536))


asked = [row[0] for row in answer(70000)["schema"]].index("LeaseRequested")
s.sendall(msgpack.packb([0, 70001, "add", [[asked], {"request": 1, "timeout_ms": 0, "pid": 1}]]))
print("in", answer(70001)[2], flush=True)
time.sleep(300)
END
from_gone() { ss -Htn state established src 10.9.8.1:4710 dst 10.9.8.3 | grep -q 10.9.8.3; }
all_gone() { # all_gone SECONDS
	$PY -c '
import select, subprocess, sys, time
end = time.monotonic() + int(sys.argv[1])
while b"10.9.8.3" in subprocess.check_output(["ss", "-Htn", "state", "established"]):
    select.select([], [], [], 0.3)
    assert time.monotonic() < end' "$1"
}
far ip addr add 10.9.8.3/24 dev far
far ip route add 10.9.8.1 dev far src 10.9.8.3
nsenter -t "$other" -n $PY "$T_DIR/gone.py" "$T_DIR" >"$T_DIR/gone" &
gone=$!
until_ok 10000 grep -q in "$T_DIR/gone"
result $? "a client of that host"
is "  may not bind to a process of ours" "$(cat "$T_DIR/gone")" "in LeaseRequestedEnter: pid 1 is of another host: leave it out"
ok "  has a connection" from_gone
far ip route del 10.9.8.1 dev far src 10.9.8.3
far ip addr del 10.9.8.3/24 dev far
gone_ms=$(now_ms)

# An address that does not answer has its share of the time, not all of it.
mount --bind "$T_DIR/hosts" /etc/hosts
begin=$(now_ms)
ok "a name's addresses are tried in order" as alice good far amctl request input:=7
out '"output":49'
took=$(($(now_ms) - begin))
[ "$took" -lt 12000 ]
result $? "  in time" || echo "$took ms" | diag
ok "the host that is gone is seen to be" all_gone 40
echo "# $(($(now_ms) - gone_ms)) ms"
kill "$gone"
wait "$gone" 2>/dev/null
export AMCTL_TLS_CERT="$T_DIR/alice.crt" AMCTL_TLS_KEY="$T_DIR/alice.key" AMCTL_TLS_CA="$T_DIR/good.crt"
umount /etc/hosts
finish
