#!/bin/sh
# The pages of section 3: each public function is there, as the headers have it,
# and the programs in them compile, run and print what they say.
. "${0%/*}/lib.sh"
cd "$T_ROOT" || exit 1

agree() {
	$PY tests/t/0007-manuals.py >"$T_DIR/agree" || {
		grep -v '^ok' "$T_DIR/agree"
		return 1
	}
}
ok "pages and headers agree" agree

dest=$T_DIR/dest
programs=$T_DIR/programs
mkdir "$programs"
ok "the library is installed" make -s -o all install BUILD="$BUILD" DESTDIR="$dest" prefix=/usr
ok "the programs are taken out" $PY tests/t/0007-manuals.py --programs "$programs"
flags="-std=c11 -O1 -g -Wall -Wextra -Wpedantic -Werror -I$dest/usr/include"
case $BUILD in *address*) flags="$flags -fsanitize=address,undefined" ;; esac

compiles() { # compiles NAME
	# shellcheck disable=SC2086
	${CC:-cc} $flags -pthread -o "$programs/$1" "$programs/$1.c" \
		-L"$dest/usr/lib" -Wl,-rpath,"$dest/usr/lib" -lamnode
}
prints() { # prints NAME [ARG]
	timeout 20 "$programs/$1" "${2:-}" | diff -u "$programs/$1.out" -
}

for c in "$programs"/*.c; do
	p=$(basename "$c" .c)
	ok "$p compiles" compiles "$p"
	case $p in
	worker | client) ;;
	*) ok "$p prints what its page says" prints "$p" ;;
	esac
done
[ -x "$programs/worker" ] || finish
exits 2 "the worker says how it is started" "$programs/worker"
start Pool.Min=1 Pool.Warm=0 "Worker.Exec=$programs/worker"
pool_ready
ok "the client prints what its page says" prints client "$RUN/sock"
exits 5 "the worker refuses" amctl request text:=1
err "no text of less than 64 bytes"
finish
