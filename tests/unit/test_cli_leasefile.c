#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/leasefile.h"
#include "tests/unit/unit.h"

static char top[64];

static void
in_dir(void)
{
	(void)snprintf(top, sizeof(top), "/tmp/amctl-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", top, 1), 0);
}

static void
out_dir(void)
{
	char path[512];
	const struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/amctl", top);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/amctl/%s", top,
		    e->d_name);
		(void)unlink(path);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)snprintf(path, sizeof(path), "%s/amctl", top);
	(void)rmdir(path);
	(void)rmdir(top);
}

static void
fill(struct leasefile *f)
{
	struct client_lease *l = &f->lease;

	(void)snprintf(l->lease, sizeof(l->lease), "L7");
	(void)snprintf(l->worker, sizeof(l->worker), "w3");
	(void)snprintf(l->address, sizeof(l->address), "/run/x/w3.pub");
	(void)snprintf(f->supervisor, sizeof(f->supervisor), "/run/x/sock");
	l->pid = 4711;
	l->ttl_ms = 60000;
	l->max_ms = 3600000;
	for (size_t i = 0; i < ARPC_TOKEN_LEN; i++)
		l->token[i] = (uint8_t)(i * 17);
}

static void
make(const char *name)
{
	struct leasefile f = LEASEFILE_INIT;
	struct am_error err = { "" };

	ck_assert_int_eq(leasefile_lock(&f, name, &err), LEASEFILE_NONE);
	fill(&f);
	ck_assert_msg(leasefile_save(&f, &err) == 0, "%s", err.text);
	leasefile_done(&f);
}

START_TEST(what_was_saved_is_loaded)
{
	struct leasefile f = LEASEFILE_INIT;
	struct leasefile want = LEASEFILE_INIT;
	struct am_error err = { "" };
	struct stat st;

	ck_assert_int_eq(leasefile_load(&f, "a.b", &err), LEASEFILE_NONE);
	make("a.b");
	ck_assert_int_eq(leasefile_load(&f, "a.b", &err), LEASEFILE_LIVE);
	fill(&want);
	ck_assert_str_eq(f.lease.lease, want.lease.lease);
	ck_assert_str_eq(f.lease.worker, want.lease.worker);
	ck_assert_str_eq(f.lease.address, want.lease.address);
	ck_assert_str_eq(f.supervisor, want.supervisor);
	ck_assert_int_eq(f.lease.pid, 4711);
	ck_assert_int_eq(f.lease.ttl_ms, 60000);
	ck_assert_int_eq(f.lease.max_ms, 3600000);
	ck_assert_mem_eq(f.lease.token, want.lease.token, ARPC_TOKEN_LEN);
	ck_assert_int_eq(stat(f.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	leasefile_done(&f);
}
END_TEST

START_TEST(after_the_end_it_keeps_the_reason_and_no_token)
{
	struct leasefile f = LEASEFILE_INIT;
	struct leasefile g = LEASEFILE_INIT;
	static const uint8_t zero[ARPC_TOKEN_LEN];
	struct am_error err = { "" };

	make("default");
	ck_assert_int_eq(leasefile_load(&f, "default", &err), LEASEFILE_LIVE);
	ck_assert_int_eq(leasefile_end(&f, "worker-died", &err), 0);
	ck_assert_str_eq(f.ended, "worker-died");
	ck_assert_int_eq(leasefile_load(&g, "default", &err), LEASEFILE_ENDED);
	ck_assert_str_eq(g.ended, "worker-died");
	ck_assert_mem_eq(g.lease.token, zero, ARPC_TOKEN_LEN);
}
END_TEST

START_TEST(the_end_of_an_old_lease_leaves_the_new_one_alone)
{
	struct leasefile old = LEASEFILE_INIT;
	struct leasefile f = LEASEFILE_INIT;
	struct am_error err = { "" };

	make("default");
	ck_assert_int_eq(leasefile_load(&old, "default", &err), LEASEFILE_LIVE);
	ck_assert_int_eq(leasefile_lock(&f, "default", &err), LEASEFILE_LIVE);
	(void)snprintf(f.lease.lease, sizeof(f.lease.lease), "L8");
	ck_assert_int_eq(leasefile_save(&f, &err), 0);
	leasefile_done(&f);
	ck_assert_int_eq(leasefile_end(&old, "ttl", &err), 0);
	ck_assert_int_eq(leasefile_load(&f, "default", &err), LEASEFILE_LIVE);
	ck_assert_str_eq(f.lease.lease, "L8");
}
END_TEST

START_TEST(only_one_at_a_time_holds_the_lock)
{
	struct leasefile f = LEASEFILE_INIT;
	struct leasefile g = LEASEFILE_INIT;
	struct am_error err = { "" };

	ck_assert_int_eq(leasefile_lock(&f, "x", &err), LEASEFILE_NONE);
	ck_assert_int_eq(leasefile_lock(&g, "x", &err), -EBUSY);
	/* A reader is not disturbed. */
	ck_assert_int_eq(leasefile_load(&g, "x", &err), LEASEFILE_NONE);
	leasefile_done(&f);
	ck_assert_int_eq(leasefile_lock(&g, "x", &err), LEASEFILE_NONE);
	ck_assert_int_eq(leasefile_remove(&g), 0);
	leasefile_done(&g);
	ck_assert_int_eq(leasefile_load(&g, "x", &err), LEASEFILE_NONE);
}
END_TEST

START_TEST(a_damaged_file_is_no_lease)
{
	static const char *const bad[] = { "{", "[]", "{\"lease\":\"L1\"}",
		"\n\n", "{\"lease\":1}" };
	struct leasefile f = LEASEFILE_INIT;
	struct am_error err = { "" };

	make("bad");
	ck_assert_int_eq(leasefile_load(&f, "bad", &err), LEASEFILE_LIVE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = open(f.path, O_WRONLY | O_TRUNC);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_ge(write(fd, bad[i], strlen(bad[i])), 0);
		(void)close(fd);
		ck_assert_msg(leasefile_load(&f, "bad", &err) == -EBADMSG, "%s",
		    bad[i]);
		ck_assert_ptr_nonnull(strstr(err.text, f.path));
	}
}
END_TEST

START_TEST(a_directory_of_others_is_refused)
{
	struct leasefile f = LEASEFILE_INIT;
	struct am_error err = { "" };
	char dir[128];

	make("a");
	(void)snprintf(dir, sizeof(dir), "%s/amctl", top);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(leasefile_load(&f, "a", &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, dir));
	ck_assert_int_eq(leasefile_lock(&f, "a", &err), -EPERM);
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ck_assert_int_eq(leasefile_load(&f, "a", &err), LEASEFILE_LIVE);
}
END_TEST

START_TEST(a_link_is_not_followed)
{
	struct leasefile f = LEASEFILE_INIT;
	struct am_error err = { "" };
	char link[160];

	make("a");
	(void)snprintf(link, sizeof(link), "%s/amctl/b.json", top);
	ck_assert_int_eq(symlink("a.json", link), 0);
	ck_assert_int_lt(leasefile_load(&f, "b", &err), 0);
	ck_assert_int_lt(leasefile_lock(&f, "b", &err), 0);
}
END_TEST

/* As if it was written so long ago. */
static void
age(const char *name, time_t now, time_t ago)
{
	struct leasefile f = LEASEFILE_INIT;
	struct timespec t[2] = { { .tv_sec = now - ago },
		{ .tv_sec = now - ago } };

	ck_assert_int_ge(leasefile_load(&f, name, NULL), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, f.path, t, 0), 0);
	leasefile_done(&f);
}

START_TEST(only_old_files_of_fresh_names_are_pruned)
{
	static const struct {
		const char *name;
		bool ended;
		time_t ago_h;
		bool kept;
	} files[] = {
		{ "auto-1", true, 23, true },
		{ "auto-2", true, 25, false },
		{ "auto-3", false, 24, true }, /* it may live for an hour */
		{ "auto-4", false, 26, false },
		{ "mine", true, 1000, true },
	};
	time_t now = 1800000000;
	struct leasefile f = LEASEFILE_INIT;

	for (size_t i = 0; i < 5; i++) {
		make(files[i].name);
		if (files[i].ended) {
			ck_assert_int_eq(leasefile_load(&f, files[i].name,
					     NULL),
			    LEASEFILE_LIVE);
			ck_assert_int_eq(leasefile_end(&f, "ttl", NULL), 0);
		}
		age(files[i].name, now, files[i].ago_h * 3600);
	}
	leasefile_prune(now);
	for (size_t i = 0; i < 5; i++)
		ck_assert_msg((leasefile_load(&f, files[i].name, NULL) !=
				  LEASEFILE_NONE) == files[i].kept,
		    "%s", files[i].name);
}
END_TEST

START_TEST(names_are_checked)
{
	char fresh[32];
	char other[32];
	char name[80];

	leasefile_fresh_name(fresh, sizeof(fresh));
	leasefile_fresh_name(other, sizeof(other));
	ck_assert_str_ne(fresh, other);
	ck_assert(leasefile_name_ok(fresh));
	ck_assert(leasefile_name_ok("default"));
	ck_assert(leasefile_name_ok("A.b_c-9"));
	ck_assert(!leasefile_name_ok(""));
	ck_assert(!leasefile_name_ok("."));
	ck_assert(!leasefile_name_ok("../x"));
	ck_assert(!leasefile_name_ok("a/b"));
	ck_assert(!leasefile_name_ok("-a"));
	ck_assert(!leasefile_name_ok("a b"));
	memset(name, 'a', sizeof(name));
	name[65] = '\0';
	ck_assert(!leasefile_name_ok(name));
	name[64] = '\0';
	ck_assert(leasefile_name_ok(name));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { what_was_saved_is_loaded,
		after_the_end_it_keeps_the_reason_and_no_token,
		the_end_of_an_old_lease_leaves_the_new_one_alone,
		only_one_at_a_time_holds_the_lock, a_damaged_file_is_no_lease,
		a_directory_of_others_is_refused, a_link_is_not_followed,
		only_old_files_of_fresh_names_are_pruned, names_are_checked };
	Suite *suite = suite_create("cli_leasefile");
	TCase *tc = tcase_create("cli_leasefile");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, in_dir, out_dir);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
