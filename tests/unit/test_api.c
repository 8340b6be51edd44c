/* What holds for all of the public interface. */
#include "lib/amnode.h"
#include "lib/amnode_log.h"
#include "lib/amnode_wait.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/node/worker.h"
#include "proto/client.h"
#include "tests/unit/unit.h"

/* Structs of a later version of the library, one field longer. */
struct later_client_conf {
	struct am_client_conf known;
	void *more;
};

static struct am_machine *
machine(void)
{
	struct am_schema *s = am_schema_new(&am_client_states, NULL);
	struct am_machine *m = am_machine_new(s, "m");

	am_schema_unref(s);
	ck_assert_ptr_nonnull(m);
	return m;
}

START_TEST(a_struct_without_its_size_is_refused)
{
	static const struct am_client_conf client = { .name = "x" };
	static const struct am_worker_conf worker = { .kind = "x" };
	static const struct am_logger logger = { .level = AM_LOG_OPS };
	static const struct am_tracer tracer = { .name = "x" };
	struct am_machine *m = machine();
	struct am_retry_conf retry = { .machine = m };
	struct am_loop *l = am_loop_new();
	struct worker_env env;
	struct am_error err;

	worker_env_init(&env);
	ck_assert_ptr_null(am_client_new(l, &client, &err));
	ck_assert_ptr_nonnull(strstr(err.text, ".size = sizeof(conf)"));
	ck_assert_ptr_null(worker_new(l, &worker, &env, &err));
	ck_assert_ptr_nonnull(strstr(err.text, ".size = sizeof(conf)"));
	ck_assert_int_eq(am_set_logger(m, &logger), -EINVAL);
	ck_assert_int_eq(am_set_logger_env(m, &logger), -EINVAL);
	ck_assert_int_eq(am_trace(m, &tracer, NULL), -EINVAL);
	ck_assert_uint_eq(am_retry_start(l, &retry), 0);
	am_machine_free(m);
	am_loop_free(l);
}
END_TEST

START_TEST(a_shorter_struct_of_an_old_program_is_taken)
{
	struct am_client_conf conf = {
		.size = offsetof(struct am_client_conf, on_lost),
		/* Not of the old one: what lies behind it in memory. */
		.on_lost = (void (*)(struct am_client *, const char *,
		    const char *, void *))1,
	};
	struct am_loop *l = am_loop_new();
	struct am_client *c = am_client_new(l, &conf, NULL);

	ck_assert_ptr_nonnull(c);
	am_client_free(c);
	am_loop_free(l);
}
END_TEST

START_TEST(a_longer_struct_is_taken_while_it_sets_nothing_new)
{
	struct later_client_conf later = { .known = { .size = sizeof(later) } };
	struct am_loop *l = am_loop_new();
	struct am_error err;
	struct am_client *c = am_client_new(l, &later.known, NULL);

	ck_assert_ptr_nonnull(c);
	am_client_free(c);
	later.more = &later;
	ck_assert_ptr_null(am_client_new(l, &later.known, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "does not know"));
	am_loop_free(l);
}
END_TEST

UNIT_MAIN("api", a_struct_without_its_size_is_refused,
    a_shorter_struct_of_an_old_program_is_taken,
    a_longer_struct_is_taken_while_it_sets_nothing_new)
