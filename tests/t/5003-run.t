#!/bin/sh
# amctl run: a command with a lease of its own.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0 Pool.Max=1
pool_ready
files() { find "$XDG_RUNTIME_DIR/amctl" -name '*.json' 2>/dev/null | wc -l; }

# shellcheck disable=SC2016
ok "its amctl calls use the lease" amctl run -- sh -c 'amctl is Leased && amctl add WorkRequested input:=6 --field output'
out 36
ok "  options of the command are its own" amctl run echo -t --json
is "  and nothing else" "$(cat "$T_OUT")" "-t --json"
is "  no lease file is left" "$(files)" 0
exits 127 "no such command" amctl run no-such-command
err "no-such-command"
exits 126 "not executable" amctl run /etc/passwd
exits 137 "killed" sh -c 'amctl run -- sh -c "kill -KILL \$\$"'
exits 124 "a timeout" amctl run -t 200ms -- amtest hold

# What a process sends to amctl reaches the command.
cat >"$T_DIR/cmd" <<'EOT'
trap 'exit 33' TERM
echo "$AMCTL_LEASE" >"$1"
while :; do amctl --super when ErrPool -t 200ms; done >/dev/null 2>&1
EOT
started() { [ -s "$T_DIR/started" ]; }
amctl run -- sh "$T_DIR/cmd" "$T_DIR/started" 2>"$T_ERR" &
r=$!
until_ok 10000 started
exits 75 "no other worker meanwhile" amctl request-worker --no-wait
kill -TERM $r
wait $r
is "TERM is passed on" $? 33

# The lease is taken away.
rm -f "$T_DIR/started"
amctl run -- sh "$T_DIR/cmd" "$T_DIR/started" 2>"$T_ERR" &
r=$!
until_ok 10000 started
id=$(amctl leases --json | sed 's/.*"lease":"\([^"]*\)".*/\1/')
ok "leases kill" amctl leases kill "$id"
wait $r
is "the command gets TERM, run exits with 7" $? 7
err "admin"
is "  no lease file is left" "$(files)" 0

# amctl run itself is killed: the lease is bound to it.
rm -f "$T_DIR/started"
# shellcheck disable=SC2016
amctl run -- sh -c 'echo $$ >"$1"; exec amtest hold' - "$T_DIR/started" >/dev/null &
r=$!
until_ok 10000 started
kill -KILL $r
ok "killed: the worker is free again" amctl --super when WorkersAvailable -t 5s
kill -KILL "$(cat "$T_DIR/started")"
finish
