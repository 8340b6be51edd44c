#!/bin/sh
# A client in Go, written from arpc.md alone: examples/go/client.go.
. "${0%/*}/lib.sh"

skip() {
	echo "1..0 # SKIP $1"
	exit 0
}

export GOTOOLCHAIN=local
CLIENT=$T_DIR/client
command -v go >"$T_OUT" || skip "go is not installed"
cp "$EX"/go/* "$T_DIR"
(cd "$T_DIR" && timeout 60 go mod download) >"$T_OUT" 2>&1 ||
	skip "go cannot get github.com/vmihailenco/msgpack/v5: $(tail -n 1 "$T_OUT" | cut -c 1-100)"
ok "it builds without warnings" sh -c 'cd "$1" && go vet . && go build -o client .' - "$T_DIR"

start Pool.Min=1 Pool.Warm=0 Pool.Max=1
pool_ready
ok "it leases, asks, acks and releases" "$CLIENT" "$RUN/sock" 12 1.5
out '"data":{"input":12,"output":144},"name":"result"'
out '"output":2.25'
err 'bye: released'
taken() { amctl workers --json --field 0.requests; }
before=$(taken)
# shellcheck disable=SC2046
ok "it resumes when its connection is cut" "$CLIENT" -cut 40 "$RUN/sock" $(seq 1 100)
is "  each has one answer" "$(wc -l <"$T_OUT")" 100
is "  the right one" "$(sed 's/.*"output":\([0-9]*\).*/\1/' "$T_OUT" | sort -n | tr '\n' ' ')" \
	"$(seq 1 100 | while read -r i; do echo $((i * i)); done | tr '\n' ' ')"
is "  after each cut" "$(grep -c '^resumed' "$T_ERR")" 40
is "  and none ran twice" $(($(taken) - before)) 100
exits 1 "an error answer" "$CLIENT" "$RUN/sock" '"x"' 3
out '"name":"ErrWork"'
out '"output":9'
exits 1 "a worker's socket wants a token" "$CLIENT" "$(find "$RUN" -name '*.pub')" 1
err "bad_token"
stop

# A payload of over 256 KiB comes in parts, and anew after a cut.
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$(bad big 1000000)"
pool_ready
ok "a large answer" "$CLIENT" -cut 5 "$RUN/sock" 1
big=$(wc -c <"$T_OUT")
[ "$big" -gt 1000000 ]
result $? "  whole: $big bytes"
finish
