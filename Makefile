# amnode - one Makefile, not recursive. Overrides go to config.mak, for example
# DEVELOPER = 1. See README.md for the targets.

-include config.mak

version = 0.1.0
CC ?= cc
CFLAGS ?= -O2 -g
INSTALL ?= install
jobs ?= 2

prefix ?= /usr/local
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
libdir ?= $(prefix)/lib
libexecdir ?= $(prefix)/libexec
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/amnode
unitdir ?= $(prefix)/lib/systemd/system
workerdir ?= $(prefix)/lib/amnode

# Variants coexist: build, build-clang, build-address-undefined.
comma := ,
define newline


endef
BUILD ?= build$(if $(findstring clang,$(notdir $(CC))),-clang)$(if \
	$(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
obj := $(BUILD)/obj

cflags := -std=gnu11 -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wformat=2 -Wundef \
	-Wimplicit-fallthrough -Wpointer-arith -Wcast-qual -fno-common -fPIC \
	-fvisibility=hidden -fno-semantic-interposition \
	-fstack-protector-strong -D_GNU_SOURCE -DAM_VERSION=\"$(version)\"
ldflags := -Wl,--as-needed -Wl,-z,relro,-z,now
ifdef DEVELOPER
cflags += -Werror -Wpedantic -DAM_CHECK
endif
ifdef SANITIZE
cflags += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -DAM_CHECK
ldflags += -fsanitize=$(SANITIZE)
else
CPPFLAGS ?= -D_FORTIFY_SOURCE=2
endif

pc_lib := libevent_core msgpack
pc_daemon := libsystemd
pc_test := check libcjson
pc_cflags := $(shell pkg-config --cflags $(pc_lib) $(pc_daemon) $(pc_test) 2>/dev/null)
lib_libs := $(shell pkg-config --libs $(pc_lib) 2>/dev/null) -lm
daemon_libs := $(shell pkg-config --libs $(pc_daemon) 2>/dev/null)
test_libs := $(shell pkg-config --libs $(pc_test) 2>/dev/null)
tls_libs := $(shell pkg-config --libs openssl 2>/dev/null)

# They go by a file, so that the commands are short and a change is seen.
flags = $(cflags) $(pc_cflags) $(CPPFLAGS) $(CFLAGS)
link = $(CC) $(ldflags) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^)
objs = $(patsubst %.c,$(obj)/%.o,$(wildcard $(1)))
bins = $(patsubst %.c,$(BUILD)/%,$(wildcard $(1)))

lib_o := $(call objs,proto/*.c lib/base/*.c lib/machine/*.c lib/loop/*.c lib/proc/*.c lib/rpc/*.c lib/node/*.c)
daemon_o := $(call objs,daemon/*.c daemon/config/*.c daemon/sys/*.c daemon/net/*.c)
exec_o := $(call objs,daemon/exec/*.c)
tls_o := $(call objs,lib/tls/*.c)
cli_o := $(call objs,cli/*.c)
conformance_o := $(call objs,tests/conformance/*.c)
bench_o := $(call objs,tests/bench/*.c)

lib := $(BUILD)/libamnode.a
so := $(BUILD)/libamnode.so.0
# The only one that links OpenSSL; found by its path in lib/rpc/tls.c.
tls := $(BUILD)/amnode-tls.so
export AMNODE_TLS_MODULE := $(abspath $(tls))
programs := $(if $(daemon_o),$(BUILD)/amnoded) $(if $(cli_o),$(BUILD)/amctl) \
	$(if $(exec_o),$(BUILD)/amnode-exec)
examples := $(call bins,examples/*.c)
unit := $(call bins,tests/unit/test_*.c)
helper := $(call bins,tests/helper/*.c)
fuzz := $(call bins,tests/fuzz/fuzz_*.c)
conformance := $(if $(conformance_o),$(BUILD)/tests/conformance)
generated := $(patsubst %.in,$(BUILD)/%,$(wildcard systemd/*.in lib/*.in))

all: $(lib) $(BUILD)/libamnode.so $(tls) $(programs) $(examples) $(generated)
tests: all $(unit) $(helper) $(fuzz) $(conformance)

$(obj)/%.o: %.c $(BUILD)/flags | $(BUILD)/include/amnode
	@mkdir -p $(@D)
	$(CC) @$(BUILD)/flags $(inc) -MMD -MP -c -o $@ $<
inc = -I. -Ilib -I$(BUILD)/include
# What people copy must build against the public header alone.
$(obj)/examples/%.o: inc = -Ilib -I$(BUILD)/include

$(obj)/lib/rpc/tls.o: inc += -DAM_LIBDIR=\"$(libdir)\"
$(obj)/daemon/config/config_key.o: inc += -DAM_LIBEXECDIR=\"$(libexecdir)\" \
	-DAM_WORKERDIR=\"$(workerdir)\"
$(obj)/lib/rpc/tls.o $(obj)/daemon/config/config_key.o: $(BUILD)/dirs

$(BUILD)/dirs: FORCE
	@mkdir -p $(@D)
	@echo '$(libdir) $(libexecdir) $(workerdir)' | cmp -s - $@ || \
		echo '$(libdir) $(libexecdir) $(workerdir)' >$@
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@pkg-config --exists $(pc_lib) openssl || { echo 'make: libraries are missing:' \
		'run "make deps" as root first' >&2; exit 2; }
	@printf '%s\n' '$(flags)' | cmp -s - $@ || printf '%s\n' '$(flags)' >$@
$(BUILD)/include/amnode:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR)/proto $@

$(lib): $(lib_o)
	rm -f $@
	$(AR) rcs $@ $^
$(so): $(lib_o)
	$(link) -shared -Wl,-soname,libamnode.so.0 $(lib_libs)
$(tls): $(tls_o)
	$(link) -shared $(tls_libs)
$(BUILD)/libamnode.so: $(so)
	ln -sf libamnode.so.0 $@
$(BUILD)/amnoded: $(daemon_o) $(lib)
	$(link) -pie $(lib_libs) $(daemon_libs)
$(BUILD)/amnode-exec: $(exec_o) $(lib)
	$(link) -pie $(lib_libs)
$(BUILD)/amctl: $(cli_o) $(lib)
	$(link) -pie $(lib_libs)
$(examples): $(BUILD)/%: $(obj)/%.o $(lib)
	@mkdir -p $(@D)
	$(link) -pie $(lib_libs)

$(filter $(BUILD)/tests/unit/test_daemon_%,$(unit)): $(filter-out %/main.o,$(daemon_o)) \
	$(obj)/tests/unit/super_rig.o $(obj)/tests/unit/flows.o
$(filter $(BUILD)/tests/unit/test_exec_%,$(unit)): $(filter-out %/main.o,$(exec_o))
$(filter $(BUILD)/tests/unit/test_cli_%,$(unit)): $(filter-out %/main.o,$(cli_o))
node_tests := $(filter %/test_worker %/test_worker_lease %/test_client %/test_payloads \
	%/test_values %/test_cost %/test_view %/test_supervisors %/test_free %/test_nomem_client \
	%/test_flows_worker %/test_flows_client,$(unit))
$(node_tests): $(obj)/tests/unit/flows.o $(obj)/tests/unit/world.o \
	$(obj)/tests/unit/world_client.o
$(BUILD)/tests/unit/test_nomem: ldflags += -Wl,--wrap=malloc,--wrap=calloc \
	-Wl,--wrap=realloc,--wrap=strdup
$(BUILD)/tests/unit/test_nomem_client: ldflags += -Wl,--wrap=malloc,--wrap=calloc \
	-Wl,--wrap=realloc,--wrap=reallocarray,--wrap=_mark_point
$(BUILD)/tests/unit/test_large: ldflags += -Wl,--wrap=recv
$(BUILD)/tests/unit/test_resolve: ldflags += -Wl,--wrap=getaddrinfo \
	-Wl,--wrap=freeaddrinfo,--wrap=addr_connect
$(fuzz): $(obj)/tests/fuzz/replay.o
# What a target tests beyond the library.
fuzz_objs_config = $(wildcard daemon/config/*.c) daemon/sys/runtime.c
fuzz_objs_lines = daemon/exec/lines.c daemon/exec/line_in.c
fuzz_objs_leasefile = cli/leasefile.c
$(foreach t,$(patsubst $(BUILD)/tests/fuzz/fuzz_%,%,$(fuzz)),$(eval \
	$(BUILD)/tests/fuzz/fuzz_$t: $(fuzz_objs_$t:%.c=$(obj)/%.o)))
$(unit) $(helper) $(fuzz): $(BUILD)/%: $(obj)/%.o $(lib)
	@mkdir -p $(@D)
	$(link) -pie $(lib_libs) $(if $(findstring /test_daemon_,$@),$(daemon_libs)) \
		$(if $(findstring /unit/,$@),$(test_libs))
$(BUILD)/tests/conformance: $(conformance_o) $(lib)
	@mkdir -p $(@D)
	$(link) -pie $(lib_libs) $(test_libs) -lz
$(BUILD)/tests/bench: $(bench_o) $(lib)
	@mkdir -p $(@D)
	$(link) -pie $(lib_libs) $(test_libs) -lm -lz

$(generated): $(BUILD)/%: %.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@prefix@|$(prefix)|g; s|@bindir@|$(bindir)|g; s|@sbindir@|$(sbindir)|g' \
	    -e 's|@libdir@|$(libdir)|g; s|@libexecdir@|$(libexecdir)|g' \
	    -e 's|@includedir@|$(includedir)|g; s|@workerdir@|$(workerdir)|g' \
	    -e 's|@version@|$(version)|g' $< >$@

# Tests. tests/run gathers the counts of all stages in $(tally); its --sum is
# the last line and the verdict, so that a failed stage does not hide the next.
tally ?= $(CURDIR)/$(BUILD)/tally
run = @TALLY=$(tally) BUILD=$(BUILD) tests/run -j $(jobs)
# Without BUILD: a step builds a variant in a directory of its own.
step = @TALLY=$(tally) tests/run --step
inner = $(MAKE) --no-print-directory DEVELOPER=1 tally=$(tally)
conformance_cases ?= tests/data/machine.ndjson.gz tests/data/model.ndjson.gz

tap-unit: $(unit) $(fuzz)
	$(run) $(unit)
	$(foreach f,$(fuzz),$(run) --count $(f) \
		$(patsubst fuzz_%,tests/fuzz/corpus/%,$(notdir $(f)))$(newline))
tap-conformance: $(conformance)
	$(run) --count $(conformance) $(conformance_cases)
	$(run) --count $(conformance) --sparse $(conformance_cases)
	$(run) --count $(conformance) --untraced $(conformance_cases)
	$(run) --count $(conformance) --sparse --untraced $(conformance_cases)
	$(run) --count $(conformance) --rpc tests/data/machine.ndjson.gz
tap-t: tests
	$(run) $(wildcard tests/t/*.t)
tap-slow: tests
	$(run) -j 1 $(wildcard tests/t/slow/*.t)
# Plans of transitions, and loggers, compared for longer than in each quick run.
tap-same: $(BUILD)/tests/unit/test_machine_same
	@SAME_STEPS=1000000 TALLY=$(tally) BUILD=$(BUILD) tests/run -j 1 $<
tap-systemd: tests
	$(run) -j 1 $(wildcard tests/systemd/*.t)
tap-quick: tap-unit tap-conformance tap-t

quick:
	@mkdir -p $(BUILD)
	@rm -f $(tally)
	@$(inner) tests
	@$(inner) tap-quick
	@tests/run --sum $(tally)

check: deps
	@mkdir -p $(BUILD)
	@rm -f $(tally)
	$(step) build $(inner) tests
	-@$(inner) tap-quick tap-slow tap-same
	$(step) build-sanitized $(inner) SANITIZE=address,undefined tests
	-@$(inner) SANITIZE=address,undefined tap-quick tap-slow
	$(step) build-clang $(inner) CC=clang tests
	-@$(inner) CC=clang tap-unit tap-conformance
	-@$(inner) BUILD=build-slow CPPFLAGS=-DMACHINE_FAST=0 tap-conformance
	$(step) lint $(inner) lint
	-@$(inner) tap-systemd
	@tests/run --sum $(tally)

# Every package that building and testing needs; perl has prove.
packages = gcc make pkgconf perl python3 libevent-dev libmsgpack-dev \
	libcjson-dev libssl-dev libsystemd-dev zlib1g-dev \
	check clang clang-format mandoc shellcheck systemd systemd-container \
	netbase procps iproute2 openssl python3-msgpack neovim locales
deps:
	@tests/deps $(packages)

sources = $(shell find $(wildcard proto lib daemon cli examples tests) \
	-name '*.[ch]' ! -name '*.tbl.h')
scripts = $(shell grep -rlE '^\#!/bin/(ba)?sh' .ci $(wildcard examples) tests)
lint:
	clang-format --dry-run -Werror $(sources)
	$(if $(wildcard man/*),mandoc -T lint -W warning $(wildcard man/*))
	shellcheck -x -P SCRIPTDIR -S warning $(scripts)
	@# A debugger shows a struct by its name: no two of one name.
	! grep -hoE '^struct [a-z_]+ \{' $(filter-out tests/%,$(sources)) | \
		sort | uniq -d | grep .
	@$(MAKE) --no-print-directory $(lib) $(daemon_o)
	tests/layers $(obj)
format:
	clang-format -i $(sources)

bench: all $(if $(bench_o),$(BUILD)/tests/bench)
	BUILD=$(BUILD) $(BUILD)/tests/bench
# Instructions a round against a committed baseline; needs valgrind. After a
# change that is meant: tests/bench/gate build-bench/tests/bench \
# tests/bench/baseline --update
bench-gate:
	@$(MAKE) --no-print-directory DEVELOPER= BUILD=build-bench \
		build-bench/tests/bench
	tests/bench/gate build-bench/tests/bench tests/bench/baseline
# Lines of the machine that its tests run; needs lcov. Those that none runs are
# explained in tests/coverage.why.
coverage_tests = $(patsubst %.c,build-coverage/%,$(wildcard tests/unit/test_machine*.c) \
	$(addprefix tests/unit/test_,schema.c restore.c help.c manual.c nomem.c \
	netmach.c watch.c mirror.c when_args.c client.c values.c) tests/fuzz/fuzz_machine.c) build-coverage/tests/conformance
coverage:
	@$(MAKE) --no-print-directory DEVELOPER= BUILD=build-coverage CPPFLAGS= \
		CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage $(coverage_tests)
	tests/coverage build-coverage
demo: deps
	@$(MAKE) --no-print-directory tests
	@BUILD=$(BUILD) tests/demo
soak: tests
	BUILD=$(BUILD) tests/soak

# libFuzzer on one target: make fuzz target=codec seconds=60, or runs=10000000
# (seconds=0 for as long as they take). Inputs of the ends of a connection are
# to be short: the more of them in a second.
target ?= codec
seconds ?= 60
runs ?= -1
input_max ?= $(if $(filter server client,$(target)),600,4096)
fuzz_objects = $(patsubst %.c,build-fuzz/obj/%.o,tests/fuzz/fuzz_$(target).c \
	$(fuzz_objs_$(target)))
fuzz:
	$(MAKE) CC=clang SANITIZE=fuzzer-no-link,address,undefined BUILD=build-fuzz \
		build-fuzz/libamnode.a $(fuzz_objects)
	clang -fsanitize=fuzzer,address,undefined -o build-fuzz/fuzz_$(target) \
		$(fuzz_objects) build-fuzz/libamnode.a $(lib_libs)
	mkdir -p build-fuzz/corpus/$(target)
	ASAN_OPTIONS=quarantine_size_mb=16 build-fuzz/fuzz_$(target) \
		-max_total_time=$(seconds) -runs=$(runs) -timeout=5 \
		-max_len=$(input_max) -malloc_limit_mb=128 \
		-artifact_prefix=build-fuzz/ -print_final_stats=1 \
		build-fuzz/corpus/$(target) tests/fuzz/corpus/$(target)

# install: one line a destination, "mode directory files...".
define places
755 $(sbindir) $(filter %/amnoded,$(programs))
755 $(bindir) $(filter %/amctl,$(programs))
755 $(libexecdir)/amnode $(filter %/amnode-exec,$(programs))
755 $(workerdir) $(filter-out %/client.py,$(wildcard examples/*.py examples/*.sh)) \
	$(filter %/square,$(examples))
644 $(libdir) $(lib) $(so)
644 $(libdir)/amnode $(tls)
644 $(libdir)/pkgconfig $(filter %.pc,$(generated))
644 $(includedir) $(wildcard lib/amnode*.h)
644 $(includedir)/amnode $(addprefix proto/,api.h code.h schema.h value.h) \
	$(foreach a,client supervisor worker,proto/$a.h proto/$a.tbl.h)
644 $(docdir) lib/machine/semantics.md proto/arpc.md proto/flows.md \
	examples/client.py
644 $(docdir)/go $(wildcard examples/go/*)
644 $(mandir)/man1 $(wildcard man/*.1)
644 $(mandir)/man3 $(wildcard man/*.3)
644 $(mandir)/man5 $(wildcard man/*.5)
644 $(mandir)/man7 $(wildcard man/*.7)
644 $(mandir)/man8 $(wildcard man/*.8)
644 $(unitdir) $(filter %.service %.socket,$(generated) $(wildcard systemd/*))
endef
export places
install: all $(generated)
	@echo "$$places" | while read -r mode dir files; do \
		for f in $$files; do \
			$(INSTALL) -D -m $$mode $$f $(DESTDIR)$$dir/$${f##*/} || exit 1; \
		done; done
	ln -sf libamnode.so.0 $(DESTDIR)$(libdir)/libamnode.so
	$(if $(wildcard systemd/amnoded.sysusers),$(INSTALL) -D -m 644 \
		systemd/amnoded.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/amnode.conf)
	$(if $(wildcard systemd/amnoded.tmpfiles),$(INSTALL) -D -m 644 \
		systemd/amnoded.tmpfiles $(DESTDIR)$(prefix)/lib/tmpfiles.d/amnode.conf)
uninstall:
	@echo "$$places" | while read -r mode dir files; do \
		for f in $$files; do rm -f $(DESTDIR)$$dir/$${f##*/}; done; done
	rm -f $(DESTDIR)$(libdir)/libamnode.so $(DESTDIR)$(prefix)/lib/sysusers.d/amnode.conf \
		$(DESTDIR)$(prefix)/lib/tmpfiles.d/amnode.conf
	-rmdir $(DESTDIR)$(docdir)/go $(DESTDIR)$(docdir) $(DESTDIR)$(workerdir) $(DESTDIR)$(libexecdir)/amnode $(DESTDIR)$(includedir)/amnode

dist:
	git archive --prefix=amnode-$(version)/ -o amnode-$(version).tar.gz HEAD
clean:
	rm -rf build build-*
FORCE:

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
.PHONY: all tests quick check lint format bench bench-gate coverage demo soak fuzz deps install \
	uninstall dist clean FORCE tap-unit tap-conformance tap-t tap-slow \
	tap-same tap-systemd tap-quick
-include $(shell test -d $(obj) && find $(obj) -name '*.d')
