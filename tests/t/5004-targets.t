#!/bin/sh
# Which amnoded, which lease: what is found, and what is said if not.
. "${0%/*}/lib.sh"

dirs=$T_DIR/dirs
mkdir -p "$dirs/one"
RUN=$dirs/one # where lib.sh has amnoded run
export RUN
export AMCTL_SOCKET="$RUN/sock"
start Pool.Min=2 Pool.Warm=0 Pool.Max=2
pool_ready
unset AMCTL_SOCKET
export AMCTL_RUN_DIRS="$T_DIR/empty:$dirs"
ok "the only instance" amctl ping
ok "  in a directory that is named twice" env AMCTL_RUN_DIRS="$dirs:$dirs" amctl ping
ok "by name" amctl -i one ping
exits 69 "another name" amctl -i two ping
err "one ($dirs/one/sock)"
mkdir "$dirs/two"
# A second one that is dead: only its socket is left.
$PY -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$dirs/two/sock"
exits 2 "two of them" amctl ping
err "one ($dirs/one/sock)"
err "two ($dirs/two/sock)"
ok "  -i chooses" amctl -i one ping
ok "  AMCTL_INSTANCE too" env AMCTL_INSTANCE=one amctl ping
exits 69 "  the dead one" amctl -i two ping
err "Connection refused"
exits 2 "no name of an instance" amctl -i ../one ping
exits 2 "no address" amctl -s nowhere ping
rm -r "$dirs/two"

# Closed descriptors are not taken for something else.
exits 1 "no stdout" sh -c 'amctl request input:=2 >&-'
err "Bad file descriptor"
exits 1 "no stdin" sh -c 'amctl stream <&-'
ok "no stderr" sh -c 'amctl request input:=2 2>&-'

ok "--sh" amctl request-worker --sh
is "  is for eval" "$(cut -d= -f1 "$T_OUT")" "export AMCTL_LEASE"
eval "$(cat "$T_OUT")"
is "  a fresh name" "$(echo "$AMCTL_LEASE" | cut -c 1-5)" "auto-"
ok "  it is in force" amctl add WorkRequested input:=3
first=$AMCTL_LEASE
ok "another one" amctl request-worker --sh
eval "$(cat "$T_OUT")"
[ "$first" != "$AMCTL_LEASE" ]
result $? "  has another name"
ok "release" amctl release
export AMCTL_LEASE="$first"
ok "release of the first" amctl release
unset AMCTL_LEASE
ok "--sh with a name" amctl request-worker --sh -l mine
out "export AMCTL_LEASE=mine"
ok "release of it" amctl release -l mine

file=$XDG_RUNTIME_DIR/amctl/mine.json
is "the file is ours alone" "$(stat -c %a "$file")" 600
is "  its directory too" "$(stat -c %a "${file%/*}")" 700
grep -q '"ended":"released"' "$file"
is "  it has the reason" $? 0
echo '{' >"$file"
exits 1 "a damaged file" amctl -l mine is Ready
err "$file is damaged"
chmod 0755 "${file%/*}"
exits 6 "a directory that others can read" amctl -l mine is Ready
err "0700"
chmod 0700 "${file%/*}"
exits 2 "no name of a lease" amctl -l ../x is Ready
rm "$file"
exits 4 "no lease" amctl -l mine is Ready
err "request-worker -l mine"
finish
