#include <string.h>

#include "lib/base/seqs.h"
#include "tests/unit/unit.h"

enum { MOST = 512 };

/* The same as a table of marks, and its ranges apart and in order. */
static void
check(const struct seqs *s, const bool *in)
{
	uint64_t seq = 0;
	size_t n = 0;

	for (size_t i = s->head; i < s->end; i++) {
		ck_assert_uint_le(s->range[i].first, s->range[i].last);
		if (i > s->head)
			ck_assert_uint_gt(s->range[i].first,
			    s->range[i - 1].last + 1);
	}
	for (; seq < MOST; seq++) {
		ck_assert_int_eq(seqs_has(s, seq), in[seq]);
		n += in[seq] && (seq == 0 || !in[seq - 1]);
	}
	ck_assert_uint_eq(seqs_n_ranges(s), n);
}

START_TEST(set_is_the_same_as_a_table)
{
	for (unsigned seed = 1; seed <= 50; seed++) {
		struct seqs s = SEQS_INIT;
		bool in[MOST] = { false };

		srand(seed);
		for (int i = 0; i < 2000; i++) {
			uint64_t seq = (uint64_t)rand() % MOST;
			bool add = rand() % 100 < (i < 1000 ? 60 : 40);

			if (add)
				ck_assert_int_eq(seqs_add(&s, seq), !in[seq]);
			else
				ck_assert_int_eq(seqs_remove(&s, seq), in[seq]);
			in[seq] = add;
			if (i % 50 == 0)
				check(&s, in);
		}
		check(&s, in);
		seqs_done(&s);
	}
}
END_TEST

START_TEST(numbers_in_a_row_are_one_range)
{
	struct seqs s = SEQS_INIT;

	for (uint64_t seq = 1; seq <= 1000000; seq++)
		ck_assert_int_eq(seqs_add(&s, seq), true);
	ck_assert_uint_eq(seqs_n_ranges(&s), 1);
	ck_assert_int_eq(seqs_add(&s, 500), false);
	for (uint64_t seq = 1; seq <= 999999; seq++)
		ck_assert_int_eq(seqs_remove(&s, seq), true);
	ck_assert_uint_eq(seqs_n_ranges(&s), 1);
	ck_assert(seqs_has(&s, 1000000));
	seqs_done(&s);
}
END_TEST

/* As one of two clients whose requests take turns: in at the end, out in front. */
START_TEST(a_queue_takes_no_more_room_than_what_is_in_it)
{
	struct seqs s = SEQS_INIT;

	for (uint64_t seq = 0; seq < 2000000; seq += 2) {
		ck_assert_int_eq(seqs_add(&s, seq), true);
		if (seq >= 100)
			ck_assert_int_eq(seqs_remove(&s, seq - 100), true);
	}
	ck_assert_uint_eq(seqs_n_ranges(&s), 50);
	ck_assert_uint_le(s.cap, 256);
	seqs_done(&s);
}
END_TEST

START_TEST(lower_half_can_be_filled)
{
	struct seqs s = SEQS_INIT;

	for (uint64_t seq = 10; seq < 90; seq += 10)
		ck_assert_int_eq(seqs_add(&s, seq), true);
	seqs_fill_lower_half(&s);
	ck_assert_uint_eq(seqs_n_ranges(&s), 5);
	ck_assert(!seqs_has(&s, 9) && seqs_has(&s, 10) && seqs_has(&s, 33));
	ck_assert(seqs_has(&s, 40) && !seqs_has(&s, 41) && seqs_has(&s, 80));
	seqs_done(&s);
	seqs_fill_lower_half(&s);
	ck_assert_int_eq(seqs_add(&s, UINT64_MAX), true);
	seqs_fill_lower_half(&s);
	ck_assert(seqs_has(&s, UINT64_MAX) && !seqs_has(&s, 0));
	ck_assert_int_eq(seqs_add(&s, 0), true);
	ck_assert_uint_eq(seqs_n_ranges(&s), 2);
	seqs_done(&s);
}
END_TEST

UNIT_MAIN("seqs", set_is_the_same_as_a_table, numbers_in_a_row_are_one_range,
    a_queue_takes_no_more_room_than_what_is_in_it, lower_half_can_be_filled)
