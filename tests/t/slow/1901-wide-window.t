#!/bin/sh
# A window of lines that are together more than a connection may hold back: the
# stream sends no more than its worker reads.
. "${0%/*}/../lib.sh"

start Pool.Min=1 Pool.Warm=0 Worker.Window=200
pool_ready
$PY -c 'for i in range(130): print("{\"input\":%d,\"pad\":\"%s\"}" % (i, "y" * 1000000))' >"$T_DIR/in"
# shellcheck disable=SC2016
ok "130 MB in one window" sh -c 'amctl stream --raw --window 130 <"$1" >"$2"' - "$T_DIR/in" "$T_DIR/answers"
ok "  all are answered" test "$(grep -c '"status":"ok"' "$T_DIR/answers")" -eq 130
finish
