/* The certificates of administrators, and what is passed to workers. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/net/security.h"
#include "tests/unit/unit.h"

static struct config config;
static struct config_errors errors;

static void
load(const char *set1, const char *set2)
{
	const char *const set[] = { set1, set2 };

	ck_assert_int_eq(config_load(&config,
			     &(struct config_source){ .set = set,
				 .n_set = set2 != NULL ? 2 : 1 },
			     &errors),
	    0);
}

static void
unload(void)
{
	config_done(&config);
	config_errors_done(&errors);
}

static bool
is_admin(const char *subject, const char *common_name)
{
	const struct conn_peer peer = {
		.uid = (uid_t)-1,
		.subject = subject,
		.common_name = common_name,
	};

	return security_is_admin(&config, &peer);
}

START_TEST(an_administrator_is_named)
{
	load("Security.TLSAdmin=alice \"CN=bob,O=Example\" 'Eve Adams'", NULL);
	ck_assert(is_admin("CN=alice,O=Example", "alice"));
	ck_assert(is_admin("CN=alice", "alice"));
	ck_assert(is_admin("CN=bob,O=Example", "bob"));
	ck_assert(is_admin("CN=Eve Adams", "Eve Adams"));
	/* The common name alone is not enough where the whole is asked for. */
	ck_assert(!is_admin("CN=bob,O=Other", "bob"));
	ck_assert(!is_admin("CN=bob", "bob"));
	/* Several common names are none. */
	ck_assert(!is_admin("CN=alice,CN=mallory", NULL));
	/* One that looks like a subject. */
	ck_assert(!is_admin("CN=CN\\=bob\\,O\\=Example", "CN=bob,O=Example"));
	ck_assert(!is_admin("CN=Alice", "Alice"));
	ck_assert(!is_admin("O=alice", NULL));
	ck_assert(!is_admin(NULL, NULL));
	unload();
	load("Security.TLSAdmin=", NULL);
	ck_assert(!is_admin("CN=alice", "alice"));
	ck_assert(!is_admin("", ""));
	unload();
}
END_TEST

START_TEST(without_files_there_is_no_tls)
{
	struct security s;

	load("Security.TLSAdmin=alice", NULL);
	ck_assert_int_eq(security_open(&s, &config, &errors), 0);
	ck_assert_ptr_null(s.tls);
	for (int i = 0; i < TLS_N_PARTS; i++)
		ck_assert_int_eq(s.part[i], -1);
	security_close(&s);
	unload();
	load("Security.TLSCert=/x", "Security.TLSKey=/y");
	ck_assert_int_lt(security_open(&s, &config, &errors), 0);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_ptr_nonnull(strstr(errors.line[0], "--set: "));
	ck_assert_ptr_nonnull(strstr(errors.line[0], "TLSClientCA"));
	security_close(&s);
	unload();
}
END_TEST

UNIT_MAIN("daemon_security", an_administrator_is_named,
    without_files_there_is_no_tls)
