#!/bin/sh
# Behind each descriptor that amnoded writes to stands somebody who does not
# read: its log, the socket of systemd, a client, a worker. It goes on, and stops
# when it is told to.
. "${0%/*}/lib.sh"

for what in status log notify both client worker flood rate; do
	ok "stuck reader: $what" $PY "$T_ROOT/tests/t/3005-stuck-readers.py" "$T_DIR" "$RUN" "$EXEC -- $PY" "$what"
done
finish
