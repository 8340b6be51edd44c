# lib.sh - what every black-box test begins with: a private directory, an
# amnoded in it, TAP, and at the end the proof that nothing is left behind.
# shellcheck shell=sh
#
#   . "${0%/*}/lib.sh"        (slow tests: "${0%/*}/../lib.sh")
#   start [SECTION.KEY=VALUE...]     amnoded with square.py, until READY=1
#   pool_ready                       waits until the pool is
#   ok WHAT CMD...                   passes iff CMD exits with 0
#   exits N WHAT CMD...              passes iff CMD exits with N
#   out TEXT / err TEXT              of the last CMD: has TEXT in it
#   one_line WHAT PATTERN            the log has exactly one such line, soon
#   free_port                        prints a TCP port of loopback
#   finish                           stops the daemon, checks, prints the plan
#
# No test sleeps: what has to be waited for is waited for by amctl or amtest,
# with a deadline.

set -u
T_ROOT=$(cd "$(dirname "$0")" && while [ ! -f Makefile ]; do cd ..; done && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$T_ROOT/$BUILD ;; esac
T_DIR=$(mktemp -d "${TMPDIR:-/tmp}/amt.XXXXXX")
T_N=0
T_BAD=0
T_PID=
T_FDS=
T_ERR=$T_DIR/cmd.err
T_OUT=$T_DIR/cmd.out
LOG=$T_DIR/amnoded.log
RUN=$T_DIR/run
# Whatever this test starts inherits the mark; see left_processes.
export AMTEST_MARK="amt-$$-${T_DIR##*.}"
export XDG_RUNTIME_DIR="$T_DIR/xdg"
mkdir -m 0700 "$XDG_RUNTIME_DIR"
export AMCTL_SOCKET="$RUN/sock"
export AMCTL_TIMEOUT=20s
export NO_COLOR=1
unset AMCTL_TLS_CERT AMCTL_TLS_KEY AMCTL_TLS_CA AMCTL_LEASE AMCTL_INSTANCE RUNTIME_DIRECTORY NOTIFY_SOCKET JOURNAL_STREAM 2>/dev/null || :
PATH=$BUILD:$BUILD/tests/helper:$PATH
export PATH BUILD
export AMNODE_TLS_MODULE="$BUILD/amnode-tls.so"

PY=/usr/bin/python3
EXEC=$BUILD/amnode-exec
EX=$T_ROOT/examples
SQUARE="$EXEC -- $PY $EX/square.py"
# badworker MODE...: a worker program that misbehaves.
bad() { echo "$EXEC -- $PY $T_ROOT/tests/helper/badworker.py $*"; }

diag() { sed 's/^/# /'; }

result() { # result RC WHAT
	T_N=$((T_N + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $T_N - $2"
	else
		T_BAD=$((T_BAD + 1))
		echo "not ok $T_N - $2"
	fi
	return "$1"
}

exits() { # exits N WHAT CMD...
	t_want=$1 t_what=$2
	shift 2
	"$@" >"$T_OUT" 2>"$T_ERR" </dev/null
	t_rc=$?
	[ "$t_rc" -eq "$t_want" ]
	result $? "$t_what" || {
		echo "exit $t_rc, not $t_want: $*"
		cat "$T_OUT" "$T_ERR"
	} | head -c 4000 | diag
}

ok() { exits 0 "$@"; }

out() {
	grep -qF -- "$1" "$T_OUT"
	result $? "  prints: $1" || { cat "$T_OUT" "$T_ERR" | head -c 4000 | diag; }
}

err() {
	grep -qF -- "$1" "$T_ERR"
	result $? "  says: $1" || head -c 4000 "$T_ERR" | diag
}

is() { # is WHAT GOT WANTED
	[ "$2" = "$3" ]
	result $? "$1" || echo "got '$2', wanted '$3'" | diag
}

# until_ok MS CMD...: tries again until CMD succeeds or the deadline is over.
until_ok() {
	t_end=$(($(now_ms) + $1))
	shift
	until "$@" >"$T_OUT" 2>"$T_ERR" </dev/null; do
		[ "$(now_ms)" -lt "$t_end" ] || return 1
	done
}

one_line() {
	until_ok 5000 grep -q -- "$2" "$LOG"
	is "one log line: $1" "$(grep -c -- "$2" "$LOG")" 1
}

free_port() { $PY -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

now_ms() { echo $(($(date +%s%N) / 1000000)); }

start_only() { # start_only SECTION.KEY=VALUE...: does not wait for READY
	t_args=
	for t_kv in "$@"; do
		case $t_kv in Worker.Exec=*) t_exec=${t_kv#*=} ;; *) t_args="$t_args --set $t_kv" ;; esac
	done
	# shellcheck disable=SC2086,SC2016
	T_PID=$(amtest notify "$T_DIR/notify" -- sh -c 'log=$1; shift; exec "$@" >>"$log" 2>&1' - "$LOG" \
		amnoded -i t --set "Supervisor.RuntimeDir=$RUN" --set "Worker.Exec=${t_exec:-$SQUARE}" $t_args)
}

start() { # READY=1 came, so the public socket listens
	t_exec=
	T_FDS=
	start_only "$@" || {
		result 1 "amnoded starts"
		diag <"$LOG"
		exit 1
	}
}

pool_ready() {
	amctl wait --for=pool-ready -t 20s >"$T_OUT" 2>"$T_ERR" || {
		result 1 "the pool gets ready"
		cat "$T_ERR" "$LOG" | tail -n 40 | diag
		exit 1
	}
	[ -z "$T_FDS" ] || return 0
	until_ok 10000 none_starting
	T_FDS=$(fds)
	T_WORKERS=$(pool ready)
}

fds() { find "/proc/$T_PID/fd" -mindepth 1 2>/dev/null | wc -l; }
pool() { amctl status --json --field "pool.$1"; }
none_starting() { [ "$(pool starting)" = 0 ]; }
# As many workers as when the pool was ready first, and no fd more.
settled() { [ "$(pool ready)" = "$T_WORKERS" ] && [ "$(fds)" -le "$T_FDS" ]; }

# Processes with our mark, but for this shell and its children at work here.
left_processes() {
	for t_p in /proc/[0-9]*; do
		t_id=${t_p#/proc/}
		[ "$t_id" != $$ ] || continue
		if tr '\0' '\n' 2>/dev/null <"$t_p/environ" | grep -qx "AMTEST_MARK=$AMTEST_MARK"; then
			case $(readlink "$t_p/exe" 2>/dev/null) in
			*/amnoded | */amctl | */amnode-exec | */python3* | */examples/* | */helper/*) echo "$t_id $(tr '\0' ' ' <"$t_p/cmdline")" ;;
			esac
		fi
	done 2>/dev/null
}

no_leases() { [ "$(amctl leases --json)" = "[]" ]; }

stop() { # TERM, and it must be gone in time; before that, nothing may be held
	[ -n "$T_PID" ] || return 0
	if [ -n "$T_FDS" ]; then
		until_ok 10000 settled
		result $? "no fd is left: as many as before" || echo "$(fds) fds, $(pool ready) workers; before: $T_FDS, $T_WORKERS" | diag
	fi
	kill -TERM "$T_PID" 2>/dev/null
	amtest wait-gone "$T_PID" 30000
	t_rc=$?
	T_PID=
	return $t_rc
}

none_left() {
	left=$(left_processes)
	[ -z "$left" ]
	result $? "no process is left behind" || echo "$left" | diag
	left=$(find "$RUN" -mindepth 1 ! -name lock 2>/dev/null)
	[ -z "$left" ]
	result $? "no socket or FIFO is left behind" || echo "$left" | diag
	! grep -nE 'Sanitizer|runtime error:|Assertion' "$LOG" >"$T_OUT" 2>&1
	result $? "no finding of a sanitizer, no failed assertion" || head -c 4000 "$T_OUT" | diag
}

finish() {
	if [ -n "$T_PID" ]; then
		until_ok 5000 no_leases
		result $? "no lease is left" || { cat "$T_OUT" "$T_ERR" | diag; }
		stop
		result $? "amnoded stops on TERM"
	fi
	none_left
	echo "1..$T_N"
	[ "$T_BAD" -eq 0 ] || tail -n 60 "$LOG" 2>/dev/null | diag
	exit "$((T_BAD > 0))"
}

cleanup() {
	t_rc=$?
	trap - EXIT
	[ -z "$T_PID" ] || kill -KILL "$T_PID" 2>/dev/null
	left_processes | while read -r t_id _; do kill -KILL "$t_id" 2>/dev/null; done
	[ -n "${KEEP:-}" ] || rm -rf "$T_DIR"
	exit $t_rc
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
