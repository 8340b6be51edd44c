#!/bin/sh
# TCP on loopback: the supervisor's and the workers' public sockets.
. "${0%/*}/lib.sh"

port=$(free_port)
start Pool.Min=1 Pool.Warm=0 Pool.Max=1 "Supervisor.Listen=127.0.0.1:$port"
export AMCTL_SOCKET="127.0.0.1:$port"
pool_ready
ok "request" amctl request input:=12
out '"output":144'
ok "request-worker" amctl request-worker --json
out '"address":"127.0.0.1:'
ok "add" amctl add WorkRequested input:=3
worker=$(sed -n 's/.*"address": *"\([^"]*\)".*/\1/p' "$XDG_RUNTIME_DIR/amctl/default.json")
ok "the worker without its token" amtest "connect $worker" 'send [0,1,"hello",[{"proto":1,"id":1}]]' \
	"expect bad_token" "eof bad_token"
exits 6 "nobody is an administrator by plain TCP" amctl leases kill L2
err "not your lease"
ok "release, by its token" amctl release
# shellcheck disable=SC2016
ok "1,000 requests through a stream" sh -c 'i=0; while [ $i -lt 1000 ]; do echo "{\"input\":$i}"; i=$((i + 1)); done |
	amctl stream --raw --window 16 | grep -c "\"status\":\"ok\""'
is "  all answered" "$(cat "$T_OUT")" 1000
ok "garbage" amtest "connect 127.0.0.1:$port" "raw c1c1c1c1" "eof bad_frame"
stop
result $? "amnoded stops"

# What Debian calls a host by its own name: its clients come from 127.0.0.1.
start Pool.Min=1 Pool.Warm=0 Pool.Max=1 "Supervisor.Listen=127.0.1.1:$port"
AMCTL_SOCKET="127.0.1.1:$port"
pool_ready
ok "another address of loopback is this host" amctl request-worker --bind-pid $$
ok "  released" amctl release
finish
