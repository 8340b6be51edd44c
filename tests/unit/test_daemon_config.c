/* Configuration: what is taken, what is refused, and where it stands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/config.h"
#include "daemon/config/words.h"
#include "lib/node/worker.h"
#include "tests/unit/unit.h"

struct dir {
	char path[64];
	char file[128];
	struct config config;
	struct config_errors errors;
};

static void
setup(struct dir *d)
{
	*d = (struct dir){ .path = "/tmp/amconf.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(d->path));
	(void)snprintf(d->file, sizeof(d->file), "%s/a.conf", d->path);
}

static void
teardown(struct dir *d)
{
	char cmd[128];

	config_done(&d->config);
	config_errors_done(&d->errors);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", d->path);
	ck_assert_int_eq(system(cmd), 0);
}

static void
put(const struct dir *d, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", d->path, name);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static int
load(struct dir *d, const char *set)
{
	config_done(&d->config);
	config_errors_done(&d->errors);
	return config_load(&d->config,
	    &(struct config_source){ .file = d->file,
		.must_exist = 1,
		.set = &set,
		.n_set = set != NULL },
	    &d->errors);
}

/* The errors hold one line with both texts. */
static void
complains(const struct dir *d, const char *where, const char *what)
{
	for (size_t i = 0; i < d->errors.n; i++)
		if (strstr(d->errors.line[i], where) != NULL &&
		    strstr(d->errors.line[i], what) != NULL)
			return;
	ck_abort_msg("no error at %s about %s (of %zu: %s)", where, what,
	    d->errors.n, d->errors.n > 0 ? d->errors.line[0] : "none");
}

START_TEST(defaults_are_those_of_the_design)
{
	struct config c;
	struct config_errors e = { .n = 0 };

	ck_assert_int_eq(config_load(&c,
			     &(struct config_source){ .file = NULL }, &e),
	    0);
	ck_assert_int_eq(c.pool_min, 2);
	ck_assert_int_eq(c.pool_warm, 0);
	ck_assert_str_eq(c.kind, "square");
	ck_assert_int_eq(c.pool_max, 10);
	ck_assert_int_eq(c.idle_ttl_ms, 60000);
	ck_assert_int_eq(c.lease_max_ms, 3600000);
	ck_assert_int_eq(c.on_release, ON_RELEASE_RESET);
	ck_assert_uint_eq(c.exec.n, 3);
	ck_assert_ptr_nonnull(
	    strstr(c.exec.word[0], "/libexec/amnode/amnode-exec"));
	ck_assert_str_eq(c.exec.word[1], "--");
	ck_assert_ptr_null(c.exec.word[3]);
	ck_assert_str_eq(c.value[CONFIG_Pool_Min].origin, "default");
	config_done(&c);
}
END_TEST

START_TEST(later_ones_win_and_know_their_line)
{
	struct dir d;
	char path[160];

	setup(&d);
	put(&d, "a.conf", "# x\n[Pool]\nMin=3\nMax = 20\n\n[Lease]\nTTL=1m\n");
	(void)snprintf(path, sizeof(path), "%s.d", d.file);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	put(&d, "a.conf.d/20.conf", "[Pool]\nMin=5\n");
	put(&d, "a.conf.d/10.conf", "[Pool]\nMin=4\n[Lease]\nTTL=2m\n");
	put(&d, "a.conf.d/ignored.txt", "nonsense\n");
	ck_assert_int_eq(load(&d, "Pool.Max=30"), 0);
	ck_assert_int_eq(d.config.pool_min, 5);
	ck_assert_int_eq(d.config.lease_ttl_ms, 120000);
	ck_assert_int_eq(d.config.pool_max, 30);
	ck_assert_ptr_nonnull(strstr(d.config.value[CONFIG_Pool_Min].origin,
	    "a.conf.d/20.conf:2"));
	ck_assert_ptr_nonnull(strstr(d.config.value[CONFIG_Lease_TTL].origin,
	    "a.conf.d/10.conf:4"));
	ck_assert_str_eq(d.config.value[CONFIG_Pool_Max].origin, "--set");
	teardown(&d);
}
END_TEST

START_TEST(all_errors_are_told_at_once)
{
	struct dir d;

	setup(&d);
	put(&d, "a.conf",
	    "Kind=x\n[Pool]\nMin=2\nMxa=3\nMin=4\nWarm=many\nno sense\n"
	    "[Nope]\nX=1\n[Lease]\nTTL=5y\nMax=1ms\n[Worker]\nOnRelease=drop\n"
	    "Exec=/bin/x 'y\n[Broken\n");
	ck_assert_int_lt(load(&d, "Pool.Mni=1"), 0);
	complains(&d, "a.conf:1:", "before any");
	complains(&d, "a.conf:4:", "Mxa");
	complains(&d, "a.conf:5:", "is already set on line 3");
	complains(&d, "a.conf:6:", "many");
	complains(&d, "a.conf:7:", "");
	complains(&d, "a.conf:8:", "Nope");
	complains(&d, "a.conf:11:", "5y");
	complains(&d, "a.conf:12:", "out of bounds");
	complains(&d, "a.conf:14:", "keep|reset|recycle");
	complains(&d, "a.conf:15:", "quote");
	complains(&d, "a.conf:16:", "");
	complains(&d, "--set", "Pool.Mni");
	ck_assert_uint_eq(d.errors.n, 12);
	teardown(&d);
}
END_TEST

START_TEST(a_named_file_must_exist)
{
	struct dir d;

	setup(&d);
	ck_assert_int_lt(load(&d, NULL), 0);
	complains(&d, "a.conf", "No such file");
	teardown(&d);
}
END_TEST

START_TEST(a_default_file_that_cannot_be_looked_for_is_not_missing)
{
	struct config c;
	struct config_errors e = { .n = 0 };

	ck_assert_int_eq(config_load(&c,
			     &(struct config_source){
				 .file = "/dev/null/a.conf" },
			     &e),
	    -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.line[0], "/dev/null/a.conf: "));
	config_done(&c);
	config_errors_done(&e);
	ck_assert_int_eq(config_load(&c,
			     &(struct config_source){
				 .file = "/nowhere/a.conf" },
			     &e),
	    0);
	config_done(&c);
}
END_TEST

START_TEST(words_are_bounded_and_may_be_none_where_the_table_says_so)
{
	struct dir d;
	char set[70000] = "Security.TLSAdmin=";
	size_t len = strlen(set);

	setup(&d);
	put(&d, "a.conf", "[Security]\nTLSAdmin=x y\n");
	ck_assert_int_eq(load(&d, set), 0);
	ck_assert_uint_eq(d.config.tls_admin.n, 0);
	teardown(&d);
	setup(&d);
	put(&d, "a.conf", "[Worker]\nExec=\n[Security]\nTLSAdmin=\"x\n");
	memset(set + len, 'a', sizeof(set) - 1 - len);
	set[sizeof(set) - 1] = '\0';
	ck_assert_int_lt(load(&d, set), 0);
	complains(&d, "a.conf:2:", "no word");
	complains(&d, "a.conf:4:", "a quote is not closed");
	complains(&d, "--set", "out of bounds");
	teardown(&d);
}
END_TEST

START_TEST(an_override_is_held_to_the_text_of_files)
{
	struct dir d;

	setup(&d);
	put(&d, "a.conf", "");
	ck_assert_int_lt(load(&d, "Supervisor.Kind=a\nb"), 0);
	complains(&d, "--set: Supervisor.Kind", "0x0a");
	ck_assert_int_lt(load(&d, "Supervisor.Kind=\x80"), 0);
	complains(&d, "--set: Supervisor.Kind", "0x80");
	ck_assert_int_lt(load(&d, "Supervisor.Kind=a\\"), 0);
	complains(&d, "--set: Supervisor.Kind", "backslash");
	ck_assert_int_eq(load(&d, "Supervisor.Kind= a b "), 0);
	ck_assert_str_eq(d.config.kind, "a b");
	teardown(&d);
}
END_TEST

START_TEST(what_no_worker_takes_is_refused)
{
	struct dir d;
	char set[64];

	setup(&d);
	put(&d, "a.conf", "");
	(void)snprintf(set, sizeof(set), "Worker.Window=%d", WORKER_WINDOW_MAX);
	ck_assert_int_eq(load(&d, set), 0);
	(void)snprintf(set, sizeof(set), "Worker.Window=%d",
	    WORKER_WINDOW_MAX + 1);
	ck_assert_int_lt(load(&d, set), 0);
	complains(&d, "--set", "out of bounds");
	teardown(&d);
}
END_TEST

START_TEST(a_file_is_read_as_systemd_reads_it)
{
	struct dir d;

	setup(&d);
	put(&d, "a.conf",
	    "\xef\xbb\xbf; a comment \\\n"
	    " [Pool] \r\n"
	    "\tMin =  3\t\r\n"
	    "[ Worker ]\n"
	    "Exec = /bin/x \\\n"
	    "# between its lines \\\n"
	    "   a;b#c \\\r\n"
	    "   \"d = e\"\n"
	    "[Pool]\n"
	    "Max=4");
	ck_assert_msg(load(&d, NULL) == 0, "%s", d.errors.line[0]);
	ck_assert_int_eq(d.config.pool_min, 3);
	ck_assert_int_eq(d.config.pool_max, 4);
	ck_assert_uint_eq(d.config.exec.n, 3);
	ck_assert_str_eq(d.config.exec.word[0], "/bin/x");
	ck_assert_str_eq(d.config.exec.word[1], "a;b#c");
	ck_assert_str_eq(d.config.exec.word[2], "d = e");
	ck_assert_ptr_nonnull(
	    strstr(d.config.value[CONFIG_Worker_Exec].origin, "a.conf:5"));
	ck_assert_ptr_nonnull(
	    strstr(d.config.value[CONFIG_Pool_Max].origin, "a.conf:10"));
	teardown(&d);
}
END_TEST

START_TEST(a_backslash_that_is_escaped_ends_its_line)
{
	struct dir d;

	setup(&d);
	put(&d, "a.conf", "[Worker]\nExec=/bin/x a\\\\\n[Pool]\nMin=1\n");
	ck_assert_int_eq(load(&d, NULL), 0);
	ck_assert_str_eq(d.config.exec.word[1], "a\\");
	ck_assert_int_eq(d.config.pool_min, 1);
	put(&d, "a.conf", "[Pool]\nMin=1\n[Worker]\nExec=/bin/x \\\n");
	ck_assert_int_lt(load(&d, NULL), 0);
	complains(&d, "a.conf:4:", "no line follows");
	put(&d, "a.conf", "[Pool]\nMin=1\n[Worker]\nExec=/bin/x \\ \n  a\n");
	ck_assert_int_lt(load(&d, NULL), 0);
	complains(&d, "a.conf:4:", "blanks after the backslash");
	teardown(&d);
}
END_TEST

START_TEST(what_is_no_text_is_refused_with_its_line)
{
	static const struct {
		const char *text;
		size_t len;
		const char *what;
	} table[] = {
#define TEXT(s) s, sizeof(s) - 1
		{ TEXT("\n[Security]\nAllowUser=\0root\n"), "0x00" },
		{ TEXT("\n[Security]\nAllowUser=root\xff\n"), "0xff" },
		{ TEXT("\n[Supervisor]\nKind=a\x1b[2Jb\n"), "0x1b" },
		{ TEXT("\n[Supervisor]\n=x\n"), "neither" },
		{ TEXT("\n[Supervisor]\nKind\n"), "neither" },
		{ TEXT("\n[Supervisor]\n[\n"), "]" },
		{ TEXT("\n[Supervisor]\n[]\n"), "unknown section" },
		{ TEXT("\n[Supervisor]\n[Supervisor] x\n"), "]" },
#undef TEXT
	};
	struct dir d;

	setup(&d);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		FILE *f = fopen(d.file, "we");

		ck_assert_ptr_nonnull(f);
		ck_assert_uint_eq(fwrite(table[i].text, 1, table[i].len, f),
		    table[i].len);
		ck_assert_int_eq(fclose(f), 0);
		ck_assert_int_lt(load(&d, NULL), 0);
		ck_assert_uint_eq(d.errors.n, 1);
		complains(&d, "a.conf:3:", table[i].what);
	}
	teardown(&d);
}
END_TEST

START_TEST(an_unknown_section_is_named_once_and_even_when_empty)
{
	struct dir d;

	setup(&d);
	put(&d, "a.conf", "[Nope]\nA=1\nB=2\nno sense\n[Neither]\n");
	ck_assert_int_lt(load(&d, NULL), 0);
	ck_assert_uint_eq(d.errors.n, 2);
	complains(&d, "a.conf:1:", "Nope");
	complains(&d, "a.conf:5:", "Neither");
	teardown(&d);
}
END_TEST

START_TEST(what_cannot_be_read_is_never_taken_for_nothing)
{
	struct dir d;
	char path[160];

	setup(&d);
	put(&d, "a.conf", "");
	(void)snprintf(path, sizeof(path), "%s.d", d.file);
	ck_assert_int_eq(symlink("/nowhere", path), 0);
	ck_assert_int_lt(load(&d, NULL), 0);
	complains(&d, "a.conf.d:", "No such file");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s.d/1.conf", d.file);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s.d/2.conf", d.file);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s.d/3.conf", d.file);
	ck_assert_int_eq(symlink("/nowhere", path), 0);
	ck_assert_int_lt(load(&d, NULL), 0);
	ck_assert_uint_eq(d.errors.n, 3);
	complains(&d, "1.conf:", "regular file");
	complains(&d, "2.conf:", "regular file");
	complains(&d, "3.conf:", "No such file");
	/* A default file that is a link to nowhere is not missing. */
	config_done(&d.config);
	config_errors_done(&d.errors);
	ck_assert_int_lt(config_load(&d.config,
			     &(struct config_source){ .file = path },
			     &d.errors),
	    0);
	complains(&d, "3.conf:", "No such file");
	teardown(&d);
}
END_TEST

START_TEST(the_kind_is_the_program_unless_it_is_set)
{
	static const struct {
		const char *exec;
		const char *kind;
	} table[] = {
		{ "/usr/bin/textstat", "textstat" },
		{ "a.b.sh x.y", "a.b" },
		{ "/x/.hidden", ".hidden" },
		{ "/x/amnode-exec -- /y/square.py -v", "square" },
		{ "amnode-exec --schema /s.json -- /y/a", "a" },
		{ "amnode-exec --schema=/s.json /y/b --z", "b" },
		{ "amnode-exec", "worker" },
		{ "/x/", "worker" },
		{ "/x/0123456789012345678901234567890123456789012345678901234"
		  "56789012\xc3\xa9",
		    "0123456789012345678901234567890123456789012345678901234"
		    "56789012" },
	};
	struct dir d;
	char set[200];

	setup(&d);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		put(&d, "a.conf", "");
		(void)snprintf(set, sizeof(set), "Worker.Exec=%s",
		    table[i].exec);
		ck_assert_int_eq(load(&d, set), 0);
		ck_assert_str_eq(d.config.kind, table[i].kind);
		put(&d, "a.conf", "[Supervisor]\nKind=k\n");
		ck_assert_int_eq(load(&d, set), 0);
		ck_assert_str_eq(d.config.kind, "k");
	}
	teardown(&d);
}
END_TEST

START_TEST(an_address_that_nobody_could_use_is_refused_with_its_line)
{
	static const char *const bad[] = { "0.0.0.0:4000", "[::]:4000",
		"192.0.2.1:4000", "nowhere", "127.0.0.1:70000" };
	struct dir d;
	char text[100];

	setup(&d);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "[Supervisor]\n\nListen=%s\n", bad[i]);
		put(&d, "a.conf", text);
		ck_assert_int_lt(load(&d, NULL), 0);
		ck_assert_uint_eq(d.errors.n, 1);
		complains(&d, "a.conf:3:", bad[i]);
	}
	put(&d, "a.conf", "[Supervisor]\nListen=127.0.0.1:4000\n");
	ck_assert_int_eq(load(&d, NULL), 0);
	put(&d, "a.conf",
	    "[Supervisor]\nListen=192.0.2.1:1\n[Security]\nTLSCert=/x\n");
	ck_assert_int_eq(load(&d, NULL), 0);
	teardown(&d);
}
END_TEST

START_TEST(min_over_max_is_refused)
{
	struct dir d;

	setup(&d);
	put(&d, "a.conf", "[Pool]\nMin=11\n");
	ck_assert_int_lt(load(&d, NULL), 0);
	complains(&d, "a.conf:2:", "Pool.Max");
	teardown(&d);
}
END_TEST

START_TEST(what_is_printed_can_be_read_again)
{
	struct dir d, e;
	FILE *f;

	setup(&d);
	setup(&e);
	put(&d, "a.conf",
	    "[Worker]\nExec=/bin/x \"a;b\" 'c # d'\n[Pool]\nWarm=0\n");
	ck_assert_int_eq(load(&d, NULL), 0);
	f = fopen(e.file, "we");
	ck_assert_ptr_nonnull(f);
	config_print(&d.config, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(load(&e, NULL), 0);
	ck_assert_uint_eq(e.config.exec.n, 3);
	ck_assert_str_eq(e.config.exec.word[1], "a;b");
	ck_assert_str_eq(e.config.exec.word[2], "c # d");
	ck_assert_int_eq(e.config.pool_warm, 0);
	for (size_t i = 0; i < CONFIG__COUNT; i++)
		ck_assert_str_eq(d.config.value[i].text,
		    e.config.value[i].text);
	teardown(&d);
	teardown(&e);
}
END_TEST

START_TEST(words_are_split_as_by_a_shell)
{
	static const struct {
		const char *text;
		size_t n;
		const char *word[4];
	} table[] = {
		{ "a b", 2, { "a", "b" } },
		{ "  a\tb  ", 2, { "a", "b" } },
		{ "a 'b c' \"d e\"", 3, { "a", "b c", "d e" } },
		{ "a\\ b", 1, { "a b" } },
		{ "a''b\"\"", 1, { "ab" } },
		{ "'' \"\"", 2, { "", "" } },
		{ "'a\\b'", 1, { "a\\b" } },
		{ "\"a\\\"b\\\\c\\d\"", 1, { "a\"b\\c\\d" } },
		{ "$HOME *", 2, { "$HOME", "*" } },
	};
	static const char *const bad[] = { "", "  ", "'a", "\"a", "a\\",
		"\"a\\" };
	struct config_words w;
	const char *why;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_msg(words_split(table[i].text, &w, &why) == 0, "%s",
		    table[i].text);
		ck_assert_uint_eq(w.n, table[i].n);
		for (size_t j = 0; j < w.n; j++)
			ck_assert_str_eq(w.word[j], table[i].word[j]);
		words_done(&w);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(words_split(bad[i], &w, &why) < 0, "%s", bad[i]);
}
END_TEST

START_TEST(sizes_have_units)
{
	static const struct {
		const char *text;
		int r;
		int64_t size;
	} table[] = {
		{ "0", 0, 0 },
		{ "65536", 0, 65536 },
		{ "64K", 0, 65536 },
		{ "16M", 0, 16777216 },
		{ "2G", 0, INT64_C(2147483648) },
		{ "8589934591G", 0, INT64_MAX - (1 << 30) + 1 },
		{ "8589934592G", -ERANGE, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 },
		{ "1KB", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1.5M", -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int64_t size = 0;

		ck_assert_msg(words_size(table[i].text, &size) == table[i].r,
		    "%s", table[i].text);
		ck_assert_int_eq(size, table[i].size);
	}
}
END_TEST

START_TEST(names_of_instances_are_checked)
{
	ck_assert(config_instance_ok("default"));
	ck_assert(config_instance_ok("0"));
	ck_assert(config_instance_ok("a-b-1"));
	ck_assert(config_instance_ok("abcdefghijklmnopqrstuvwxyz012345"));
	ck_assert(!config_instance_ok("abcdefghijklmnopqrstuvwxyz0123456"));
	ck_assert(!config_instance_ok(""));
	ck_assert(!config_instance_ok("-a"));
	ck_assert(!config_instance_ok("A"));
	ck_assert(!config_instance_ok("a/b"));
	ck_assert(!config_instance_ok("a b"));
}
END_TEST

UNIT_MAIN("daemon config", defaults_are_those_of_the_design,
    later_ones_win_and_know_their_line, all_errors_are_told_at_once,
    a_file_is_read_as_systemd_reads_it,
    a_backslash_that_is_escaped_ends_its_line,
    what_is_no_text_is_refused_with_its_line,
    an_unknown_section_is_named_once_and_even_when_empty,
    what_cannot_be_read_is_never_taken_for_nothing, a_named_file_must_exist,
    a_default_file_that_cannot_be_looked_for_is_not_missing,
    words_are_bounded_and_may_be_none_where_the_table_says_so,
    an_override_is_held_to_the_text_of_files,
    the_kind_is_the_program_unless_it_is_set,
    an_address_that_nobody_could_use_is_refused_with_its_line,
    what_no_worker_takes_is_refused, min_over_max_is_refused,
    what_is_printed_can_be_read_again, words_are_split_as_by_a_shell,
    sizes_have_units, names_of_instances_are_checked)
