#!/bin/sh
# Lease files that are tampered with, raced for, and left by the killed.
. "${0%/*}/lib.sh"

start Pool.Min=1 Pool.Warm=0 Pool.Max=1
pool_ready
files=$XDG_RUNTIME_DIR/amctl
ok "a lease" amctl -l live request-worker

mkfifo "$files/fifo.json"
exits 1 "a FIFO as lease file does not hang" amctl -l fifo add WorkRequested
err "is no regular file"
exits 1 "  nor request-worker" amctl -l fifo request-worker
err "is no regular file"
ln -s "$files/live.json" "$files/link.json"
exits 1 "a link is not followed" amctl -l link add WorkRequested input:=2
err "is no regular file"
mkdir "$files/dir.json"
exits 1 "a directory" amctl -l dir request-worker
err "is no regular file"
rm "$files/fifo.json" "$files/link.json"
rmdir "$files/dir.json"

# Who waits for a worker and is killed leaves no file.
amctl run -- true >/dev/null 2>&1 &
waiter=$!
waiting() { [ "$(pool waiting)" = 1 ]; }
until_ok 5000 waiting
kill -KILL $waiter
wait $waiter
nobody_waits() { [ "$(pool waiting)" = 0 ]; }
until_ok 5000 nobody_waits
is "run, killed while it waits, leaves no file" "$(ls "$files")" live.json

# Of many who release at once one did it, and each of the others knows.
ok "one of thirty releases, the others say that it is over" "$PY" -c '
import subprocess, sys
many = [subprocess.Popen(["amctl", "-l", "live", "release"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(30)]
bad = 0
for p in many:
    _, err = p.communicate()
    bad += p.returncode not in (0, 7)
    bad += p.returncode == 7 and b"over: released" not in err
    bad += err.count(b"\n") > 1
sys.exit(bad)'

ok "a lease" amctl -l full request-worker
# shellcheck disable=SC2016
ok "no place for one more connection: 75, and the lease lives" "$PY" -c '
import subprocess, sys
many = [subprocess.Popen(["amctl", "-l", "full", "payloads", "-f"])
        for _ in range(17)]
first = next(p for p in iter(lambda: [q for q in many if q.poll() is not None], None) if p)
bad = first[0].returncode != 75
r = subprocess.run(["amctl", "-l", "full", "is", "Ready"], capture_output=True)
bad += r.returncode != 75 or b"lives, but" not in r.stderr
for p in many:
    p.terminate()
    p.wait()
sys.exit(bad)'
ok "  and is usable when one has gone" amctl -l full add WorkRequested input:=3
worker=$(amctl workers --json --field 0.pid)
kill -STOP "$worker"
exits 124 "a worker that stands still is no lost lease" amctl -l full is Ready
kill -CONT "$worker"
ok "  it goes on" amctl -l full add WorkRequested input:=3
ok "release" amctl -l full release
finish
