#!/bin/sh
# Garbage on the sockets: that connection is closed with a reason, nothing else
# is disturbed.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0
pool_ready
priv=$(find "$RUN" -name '*.priv')
pub=$(find "$RUN" -name '*.pub')

for s in "$RUN/sock" "$pub" "$priv"; do
	n=${s##*/}
	ok "$n: garbage" amtest "connect $s" "raw c1c1c1c1" "eof bad_frame"
	ok "$n: not a message" amtest "connect $s" "raw 93a161a162a163" "eof bad_frame"
	ok "$n: 17 MiB" amtest "connect $s" "raw 940001a3616464c601100000" "fill 17825792 00" "eof too_big"
	ok "$n: 40 levels" amtest "connect $s" "raw 940001a3616464" "nest 40" "eof too_deep"
	ok "$n: before hello" amtest "connect $s" 'send [0,1,"add",[[3]]]' "eof no_hello"
	ok "$n: a truncated frame, then nothing" amtest "connect $s" "raw 9400" "close"
	ok "$n: a wrong version" amtest "connect $s" 'send [0,1,"hello",[{"proto":99,"id":1}]]' "expect bad_proto" "eof bad_proto"
done
ok "an unknown method is an error, the connection lives" amtest "connect $RUN/sock" hello \
	'send [0,7,"frobnicate",[]]' "expect no_method" 'send [0,8,"info",["status"]]' "expect instance" close
ok "an unknown notification is ignored" amtest "connect $RUN/sock" hello \
	'send [2,"nvim_error_event",[1,"x"]]' 'send [0,8,"info",["status"]]' "expect instance" close
ok "bad params" amtest "connect $RUN/sock" hello 'send [0,7,"add",[["x"]]]' "expect bad_params" close
ok "a state out of range" amtest "connect $RUN/sock" hello 'send [0,7,"add",[[9999]]]' "expect no_state" close
ok "worker, no token" amtest "connect $pub" 'send [0,1,"hello",[{"proto":1,"id":1}]]' "expect bad_token" "eof bad_token"
ok "worker, a wrong token" amtest "connect $pub" "hello token 000102030405060708090a0b0c0d0e0f" "expect bad_token" "eof bad_token"
ok "a lease" amctl -l quiet request-worker
ok "20 connections that say nothing take no place from its holder" "$PY" -c '
import socket, subprocess, sys
quiet = [socket.socket(socket.AF_UNIX) for _ in range(20)]
for s in quiet:
    s.connect(sys.argv[1])
sys.exit(subprocess.call(sys.argv[2:]))' "$pub" amctl -l quiet add WorkRequested input:=3
ok "  and it is given back" amctl -l quiet release
ok "all is well" amctl request input:=3
out '"output":9'
finish
