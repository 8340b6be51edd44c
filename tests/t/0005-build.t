#!/bin/sh
# What is built: the symbols, what is linked, what is installed, the header.
. "${0%/*}/lib.sh"
cd "$T_ROOT" || exit 1
cc=${CC:-cc}
# A sanitizer's runtime exports and links what it likes.
case $BUILD in *address*) instrumented=1 ;; *) instrumented= ;; esac

foreign_symbols() {
	nm -D --defined-only "$BUILD/libamnode.so" | awk '$3 !~ /^am_/ { print $3 }'
}
[ -n "$instrumented" ] || is "libamnode.so exports am_* only" "$(foreign_symbols)" ""

links_none_of() { # links_none_of FILE PATTERN
	test -e "$1" && ! readelf -d "$1" | grep NEEDED | grep -E "$2"
}
for f in libamnode.so amctl amnode-exec examples/square; do
	ok "$f links neither libsystemd nor OpenSSL" \
		links_none_of "$BUILD/$f" 'systemd|ssl|crypto|ini_config|libevent-2|libevent_(extra|openssl|pthreads)'
done

# Only these link what they are there for.
ok "amnoded does not link OpenSSL" links_none_of "$BUILD/amnoded" 'ssl|crypto'
[ -n "$instrumented" ] ||
	is "the module of TLS links OpenSSL and nothing of ours" \
		"$(readelf -d "$BUILD/amnode-tls.so" | sed -n 's/.*NEEDED.*\[\(.*\)\.so.*/\1/p' | sort | tr '\n' ' ')" \
		"libc libcrypto libssl "
loaded() { # loaded CMD...: which libraries of TLS it has in memory
	LD_DEBUG=files "$@" 2>&1 >/dev/null | grep -cE 'calling init: .*(libssl|libcrypto|amnode-tls)'
}
is "amctl loads none of them without TLS" "$(loaded amctl version)" 0

cat >"$T_DIR/user.c" <<'END'
#include <amnode.h>

enum {
#define STATE(name, ...) My_##name,
#include <amnode/worker.tbl.h>
STATE(Squaring, "level")
#undef STATE
	My__COUNT
};

#define S(...) AM_LIST(My_, __VA_ARGS__)
static const struct am_state rows[] = {
#define STATE(n, d, ...) [My_##n] = { .name = #n, .doc = d, __VA_ARGS__ },
#include <amnode/worker.tbl.h>
STATE(Squaring, "level: at work", .require = S(Working))
#undef STATE
};

int
main(void)
{
	struct am_states states = { .name = "mine", .row = rows, .len = My__COUNT };
	struct am_schema *schema = am_schema_new(&states, NULL);
	int id = am_schema_id(schema, "Squaring", 8);

	am_schema_unref(schema);
	return id == My_Squaring ? 0 : 1;
}
END
cat >"$T_DIR/user.cc" <<'END'
#include <amnode.h>
#include <amnode_log.h>
#include <amnode_pipe.h>
#include <amnode_wait.h>
#include <amnode/client.h>
#include <amnode/supervisor.h>
#include <amnode/worker.h>

static void
on_payload(am_client *, const am_payload *p, void *arg)
{
	*static_cast<int *>(arg) = p->status == AM_STATUS_OK ? 0 : 1;
}

int
main()
{
	am_schema *schema = am_schema_new(&am_worker_states, nullptr);
	am_machine *m = am_machine_new(schema, "m");
	am_buf b = AM_BUF_INIT;
	am_client_conf conf = {};
	int r = am_add1(m, Wrk_Start, AM_NONE) == AM_EXECUTED ? 0 : 1;

	conf.size = sizeof(conf);
	conf.on_payload = on_payload;
	conf.arg = &r;
	am_put_int(&b, 1);
	am_buf_done(&b);
	am_machine_free(m);
	am_schema_unref(schema);
	return r + (am_supervisor_states.len == Sup__COUNT ? 0 : 1) +
	    (am_client_states.len == Cli__COUNT ? 0 : 1);
}
END
for h in amnode.h amnode_log.h amnode_pipe.h amnode_wait.h amnode/api.h amnode/client.h amnode/code.h \
	amnode/schema.h amnode/supervisor.h amnode/value.h amnode/worker.h; do
	printf "#include <%s>\\nextern int alone;\\n" "$h" >"$T_DIR/alone-$(echo "$h" | tr / -).c"
done

dest=$T_DIR/dest
ok "make install works without rights" \
	make -s -o all install BUILD="$BUILD" DESTDIR="$dest" prefix=/usr
for f in bin/amctl sbin/amnoded libexec/amnode/amnode-exec include/amnode.h \
	include/amnode_log.h include/amnode_pipe.h include/amnode_wait.h \
	include/amnode/worker.tbl.h include/amnode/worker.h \
	include/amnode/client.h include/amnode/supervisor.h lib/libamnode.so lib/libamnode.a lib/amnode/amnode-tls.so \
	lib/pkgconfig/amnode.pc lib/amnode/square.py lib/amnode/square \
	lib/systemd/system/amnoded.service lib/systemd/system/amnoded@.service \
	share/man/man1/amctl.1 share/man/man3/libamnode.3 share/man/man8/amnoded.8 \
	share/doc/amnode/semantics.md share/doc/amnode/arpc.md \
	share/doc/amnode/flows.md; do
	ok "  $f" test -e "$dest/usr/$f"
done
leftover_marks() { grep -rn '@[a-z]*dir@' "$dest/usr/lib/systemd" "$dest/usr/lib/pkgconfig"; }
exits 1 "no placeholder is left in what was installed" leftover_marks
is "the pc file knows its prefix" \
	"$(sed -n 's/^prefix=//p' "$dest/usr/lib/pkgconfig/amnode.pc")" /usr

flags="-I$dest/usr/include"
if [ -z "$instrumented" ]; then
	ok "a program is built from what was installed" \
		"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror $flags \
		-o "$T_DIR/user" "$T_DIR/user.c" -L"$dest/usr/lib" -lamnode
	ok "  and runs" env LD_LIBRARY_PATH="$dest/usr/lib" "$T_DIR/user"
	if command -v c++ >/dev/null; then
		ok "a program in C++ is built from all headers" \
			c++ -std=c++17 -pedantic -Wall -Wextra -Werror $flags \
			-o "$T_DIR/user++" "$T_DIR/user.cc" -L"$dest/usr/lib" -lamnode
		ok "  and runs" env LD_LIBRARY_PATH="$dest/usr/lib" "$T_DIR/user++"
	fi
fi

for f in "$T_DIR"/alone-*.c; do
	ok "$(sed 's/.*<\(.*\)>/\1/' "$f") stands alone" \
		"$cc" -std=c11 -pedantic -Wall -Wextra -Werror $flags -fsyntax-only "$f"
done
for f in client machine square echo; do
	ok "the example $f.c is built from what was installed" \
		"$cc" -std=c11 -Wall -Wextra -pedantic -Werror $flags -fsyntax-only "examples/$f.c"
done

ok "make uninstall works" make -s uninstall BUILD="$BUILD" DESTDIR="$dest" prefix=/usr
is "  and leaves no file" "$(find "$dest" ! -type d)" ""
finish
