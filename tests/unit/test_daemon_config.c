/* Configuration: what is taken, what is refused, and where it stands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/words.h"
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
	ck_assert_int_eq(c.pool_warm, 5);
	ck_assert_int_eq(c.pool_max, 10);
	ck_assert_int_eq(c.idle_ttl_ms, 60000);
	ck_assert_int_eq(c.lease_max_ms, 3600000);
	ck_assert_int_eq(c.on_release, ON_RELEASE_RESET);
	ck_assert_uint_eq(c.exec.n, 3);
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
	complains(&d, "a.conf:5:", "already on line 3");
	complains(&d, "a.conf:6:", "many");
	complains(&d, "a.conf:7:", "");
	complains(&d, "a.conf:9:", "Nope");
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
    a_named_file_must_exist,
    a_default_file_that_cannot_be_looked_for_is_not_missing,
    words_are_bounded_and_may_be_none_where_the_table_says_so,
    what_no_worker_takes_is_refused, min_over_max_is_refused,
    what_is_printed_can_be_read_again, words_are_split_as_by_a_shell,
    names_of_instances_are_checked)
