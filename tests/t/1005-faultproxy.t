#!/bin/sh
# The fault proxy does what it says: the tests behind it count on its faults.
. "${0%/*}/lib.sh"

$PY "${0%.t}.py" "$T_DIR"
