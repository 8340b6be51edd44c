#!/bin/sh
# Configuration: every error at once, with file and line.
. "${0%/*}/lib.sh"

c=$T_DIR/a.conf
cat >"$c" <<EOT
[Pool]
Min=2
Mxa=3
Min=4
Warm=many
[Nope]
X=1
EOT
exits 2 "a bad file" amnoded -i t -c "$c" --check
err "a.conf:3:"
err "Mxa"
err "a.conf:4:"
err "a.conf:5:"
err "Nope"
exits 2 "a file that is not there" amnoded -i t -c "$T_DIR/none.conf" --check
err "none.conf"
printf '[Pool]\nMin=3\n' >"$c"
mkdir "$c.d"
printf '[Pool]\nMin=1\n' >"$c.d/10-less.conf"
ok "a drop-in wins" amnoded -i t -c "$c" --print-config
out "Min=1"
out "10-less.conf:2"
ok "--set wins over all" amnoded -i t -c "$c" --set Pool.Min=7 --print-config
out "Min=7"
printf '[Pool]\nMax=0x\n' >"$c.d/20-bad.conf"
exits 2 "a bad drop-in" amnoded -i t -c "$c" --check
err "20-bad.conf:2:"
exits 2 "a bad --set" amnoded -i t --set Pool.Mni=1 --check
err "Pool.Mni"
printf '[Security]\nAllowUser=root, nobody-of-us\nAllowGroup=4294967295\n' >"$T_DIR/b.conf"
exits 2 "an unknown user" amnoded -i t -c "$T_DIR/b.conf" --check
err 'b.conf:2: Security.AllowUser: user "nobody-of-us": no such name'
err 'b.conf:3: Security.AllowGroup: "4294967295"'
exits 2 "users over TCP" amnoded -i t --set Security.AllowUser=root --set Supervisor.Listen=127.0.0.1:4000 --check
err "Unix socket"
ok "users and groups" amnoded -i t --set "Security.AllowUser=root 4711" --set Security.AllowGroup=root --print-config
out "AllowUser=root 4711"
# What the start would refuse is found before.
exits 2 "no address for clients" amnoded -i t --set Supervisor.Listen=0.0.0.0:4000 --check
err 'Supervisor.Listen: "0.0.0.0:4000": is not an address'
exits 2 "  nor does it start" amnoded -i t --set Supervisor.Listen=0.0.0.0:4000 --set "Supervisor.RuntimeDir=$RUN"
exits 2 "a host that does not exist" amnoded -i t --set Supervisor.Listen=no.such.host.invalid:4000 --check
err "no.such.host.invalid"
exits 2 "a program that is not there" amnoded -i t --set "Worker.Exec=/no/such/program x" --check
err 'cannot run "/no/such/program": No such file'
exits 2 "nor one behind amnode-exec" amnoded -i t --set "Worker.Exec=$EXEC --schema /no/schema -- no-such-program x" --check
err 'cannot run "no-such-program": No such file'
err 'cannot read the schema "/no/schema": No such file'
exits 2 "a program that nobody may run" amnoded -i t --set "Worker.Exec=$EXEC -- $T_ROOT/README.md" --check
err "README.md\": Permission denied"
exits 2 "a directory that is not there" amnoded -i t --set Supervisor.Listen=/no/such/dir/sock --check
err "/no/such/dir/sock"
ok "a configuration without a fault" amnoded -i t --set "Worker.Exec=$SQUARE" --set "Supervisor.RuntimeDir=$RUN" --check
mkdir "$T_DIR/c.conf.d"
mkfifo "$T_DIR/c.conf.d/10.conf" "$T_DIR/fifo.conf"
: >"$T_DIR/c.conf"
exits 2 "a FIFO among the drop-ins does not stop it" timeout 10 amnoded -i t -c "$T_DIR/c.conf" --check
err "10.conf: is not a regular file"
exits 2 "nor does one for a file" timeout 10 amnoded -i t -c "$T_DIR/fifo.conf" --check
printf '[Security]\nAllowUser=root\n\000' >"$T_DIR/d.conf"
exits 2 "a file of bytes is not silently left out" amnoded -i t -c "$T_DIR/d.conf" --set "Supervisor.RuntimeDir=$RUN"
err "d.conf:3: is not text"
exits 2 "Min over Max" amnoded -i t --set Pool.Min=11 --set Pool.Max=3 --check
err "Min"
exits 2 "a bad instance name" amnoded -i 'No_Good' --check
err "No_Good"
exits 2 "an unknown option" amnoded --frobnicate
exits 2 "open quotes in Exec" amnoded --set 'Worker.Exec=/bin/x "y' --check
err "Exec"
long=$(printf '%0120d' 0)
exits 2 "a path too long for a socket, checked" amnoded -i t --set "Supervisor.RuntimeDir=$T_DIR/$long" --check
err "too long"
exits 1 "a path too long for a socket" amnoded -i t --set "Supervisor.RuntimeDir=$T_DIR/$long"
err "too long"
none_left
echo "1..$T_N"
exit "$((T_BAD > 0))"
