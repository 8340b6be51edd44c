/* machine.c - a machine by itself: a lamp, and what switches it. */
#include <amnode.h>
#include <stdio.h>

enum { Power, Lamp, Blown, N_STATES };
static const struct am_state rows[N_STATES] = {
	[Power] = { .name = "Power" },
	[Lamp] = { .name = "Lamp", .require = AM_LIST(, Power) },
	[Blown] = { .name = "Blown", .remove = AM_LIST(, Lamp) },
};
static const struct am_states states = AM_STATES("lamp", rows);

static void
lamp_state(struct am_event *ev)
{
	(void)ev;
	puts("light");
}
static const struct am_handler handler[N_STATES] = {
	[Lamp] = { .state = lamp_state },
};
static const struct am_handlers handlers = AM_HANDLERS("lamp", handler);

int
main(void)
{
	struct am_error err;
	struct am_schema *schema = am_schema_new(&states, &err);
	struct am_machine *lamp = am_machine_new(schema, "lamp");
	struct am_buf text = AM_BUF_INIT;

	(void)am_bind(lamp, &handlers, NULL);
	if (am_add1(lamp, Lamp, AM_NONE) == AM_CANCELED)
		printf("no light: %s\n", am_why(lamp));
	(void)am_add1(lamp, Power, AM_NONE);
	(void)am_add1(lamp, Lamp, AM_NONE);
	(void)am_add1(lamp, Blown, AM_NONE);
	am_string_all(lamp, &text);
	printf("%.*s\n", (int)text.len, text.data);
	am_buf_done(&text);
	am_machine_free(lamp);
	am_schema_unref(schema);
	return 0;
}
