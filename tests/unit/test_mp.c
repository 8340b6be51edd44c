#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "proto/mp.h"
#include "tests/unit/unit.h"

/* One of everything, in every size of head. */
static void
put_all(struct am_buf *b)
{
	static const uint64_t edges[] = { 0, 127, 128, 255, 256, 65535, 65536,
		UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX };
	static const size_t lens[] = { 0, 31, 32, 255, 256, 65535, 65536 };
	static char bytes[65536];

	am_put_array(b, 5);
	am_put_array(b, 20);
	for (size_t i = 0; i < 10; i++) {
		am_put_uint(b, edges[i]);
		am_put_int(b, -(int64_t)(edges[i] / 2) - 1);
	}
	am_put_array(b, 14);
	for (size_t i = 0; i < 7; i++) {
		am_put_strn(b, bytes, lens[i]);
		am_put_bin(b, bytes, lens[i]);
	}
	am_put_map(b, 2);
	am_put_str(b, "t");
	am_put_bool(b, true);
	am_put_nil(b);
	am_put_double(b, 0.5);
	am_put_array(b, 70000);
	for (int i = 0; i < 70000; i++)
		am_put_nil(b);
	buf_append(b, "\xd4\x01\x02", 3);
}

START_TEST(a_frame_is_found_whatever_pieces_it_comes_in)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 1000, 1000000 };
	struct am_buf b = AM_BUF_INIT;
	struct mp_scan s;

	put_all(&b);
	put_all(&b);
	for (size_t i = 0; i < 6; i++) {
		size_t have = 0, len = 0;
		enum mp_scan_result r;

		mp_scan_init(&s, MP_FRAME_MAX, MP_FRAME_DEPTH_MAX);
		do {
			ck_assert_uint_lt(have, b.len);
			have += pieces[i];
			if (have > b.len)
				have = b.len;
			r = mp_scan(&s, (uint8_t *)b.data, have, &len);
			ck_assert(r == MP_SCAN_DONE || r == MP_SCAN_MORE);
		} while (r == MP_SCAN_MORE);
		ck_assert_uint_eq(len, b.len / 2);
		/* Ready for the next one. */
		ck_assert_int_eq(mp_scan(&s, (uint8_t *)b.data + len, len,
				     &len),
		    MP_SCAN_DONE);
		ck_assert_uint_eq(len, b.len / 2);
	}
	am_buf_done(&b);
}
END_TEST

START_TEST(a_frame_that_is_cut_anywhere_is_no_value)
{
	struct am_buf b = AM_BUF_INIT;

	am_put_map(&b, 2);
	am_put_str(&b, "key");
	am_put_array(&b, 3);
	am_put_uint(&b, 70000);
	am_put_double(&b, 1.5);
	am_put_bin(&b, "12345", 5);
	am_put_str(&b, "k2");
	am_put_nil(&b);
	for (size_t n = 0; n < b.len; n++) {
		/* A copy of its own, so that ASan sees a read too far. */
		uint8_t *cut = malloc(n + 1);
		struct mp c = { cut, cut + n };

		memcpy(cut, b.data, n);
		ck_assert(!mp_is_value((struct am_val){ cut, n }));
		ck_assert_int_eq(mp_skip(&c), -EBADMSG);
		ck_assert_ptr_eq(c.p, cut);
		free(cut);
	}
	ck_assert(mp_is_value(am_buf_val(&b)));
	am_put_nil(&b);
	ck_assert(!mp_is_value(am_buf_val(&b)));
	ck_assert(!mp_is_value(AM_NONE));
	am_buf_done(&b);
}
END_TEST

static enum mp_scan_result
scan(const char *bytes, size_t len)
{
	struct mp_scan s;
	size_t ret;

	mp_scan_init(&s, MP_FRAME_MAX, MP_VALUE_DEPTH_MAX);
	return mp_scan(&s, (const uint8_t *)bytes, len, &ret);
}

START_TEST(bad_frames_are_refused_before_they_are_complete)
{
	char nested[40];

	ck_assert_int_eq(scan("\xc1", 1), MP_SCAN_BAD);
	ck_assert_int_eq(scan("\x92\x01\xc1", 3), MP_SCAN_BAD);
	/* 2^28 elements announced in five bytes. */
	ck_assert_int_eq(scan("\xdd\x0f\xff\xff\xff", 5), MP_SCAN_BIG);
	ck_assert_int_eq(scan("\xdf\x00\x80\x00\x00", 5), MP_SCAN_BIG);
	ck_assert_int_eq(scan("\xdf\xff\xff\xff\xff", 5), MP_SCAN_BIG);
	ck_assert_int_eq(scan("\xdb\x01\x00\x00\x00", 5), MP_SCAN_BIG);
	ck_assert_int_eq(scan("\xc6\xff\xff\xff\xff", 5), MP_SCAN_BIG);
	ck_assert_int_eq(scan("\xc9\xff\xff\xff\xff", 5), MP_SCAN_BIG);
	ck_assert_int_eq(scan("\xdb\x00\xff\xff\xfb", 5), MP_SCAN_MORE);
	memset(nested, '\x91', sizeof(nested));
	ck_assert_int_eq(scan(nested, 32), MP_SCAN_MORE);
	ck_assert_int_eq(scan(nested, 33), MP_SCAN_DEEP);
	nested[31] = '\x90';
	ck_assert_int_eq(scan(nested, 32), MP_SCAN_DONE);
	nested[31] = '\x91';
	nested[32] = '\x80';
	ck_assert_int_eq(scan(nested, 33), MP_SCAN_DEEP);
}
END_TEST

START_TEST(getters_take_their_type_only_and_move_on_success_only)
{
	static const uint8_t bytes[] = { 0xcd, 0x01, 0x00, 0xff, 0xa1, 'x' };
	struct mp c = { bytes, bytes + sizeof(bytes) };
	const char *s = NULL;
	size_t len = 0;
	uint64_t u = 0;
	int64_t i = 0;
	double d = 0;
	bool b;

	ck_assert_int_eq(mp_get_bool(&c, &b), -EINVAL);
	ck_assert_int_eq(mp_get_nil(&c), -EINVAL);
	ck_assert_int_eq(mp_get_str(&c, &s, &len), -EINVAL);
	ck_assert_int_eq(mp_get_uint(&c, 255, &u), -ERANGE);
	ck_assert_ptr_eq(c.p, bytes);
	ck_assert_int_eq(mp_get_uint(&c, 256, &u), 0);
	ck_assert_uint_eq(u, 256);
	ck_assert_int_eq(mp_get_uint(&c, 256, &u), -ERANGE);
	ck_assert_int_eq(mp_get_double(&c, &d), 0);
	ck_assert(d == -1);
	c.p--;
	ck_assert_int_eq(mp_get_int(&c, &i), 0);
	ck_assert_int_eq(i, -1);
	ck_assert_int_eq(mp_get_int(&c, &i), -EINVAL);
	ck_assert_int_eq(mp_get_str(&c, &s, &len), 0);
	ck_assert(len == 1 && *s == 'x' && mp_at_end(&c));
	ck_assert_int_eq(mp_skip(&c), -EBADMSG);
	ck_assert_int_eq(mp_type(&c), MP_BAD);
}
END_TEST

START_TEST(integers_of_every_size_are_read)
{
	static const struct {
		const char *bytes;
		size_t len;
		int64_t want;
	} in[] = {
		{ "\x00", 1, 0 },
		{ "\xe0", 1, -32 },
		{ "\xcc\xff", 2, 255 },
		{ "\xd0\x80", 2, -128 },
		{ "\xd0\x7f", 2, 127 },
		{ "\xd1\x80\x00", 3, -32768 },
		{ "\xd2\x80\x00\x00\x00", 5, INT32_MIN },
		{ "\xce\xff\xff\xff\xff", 5, UINT32_MAX },
		{ "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, INT64_MIN },
		{ "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, INT64_MAX },
	};
	struct mp c = mp_of(
	    (struct am_val){ "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 9 });
	int64_t v;
	double d;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct mp at = mp_of((struct am_val){ in[i].bytes, in[i].len });

		ck_assert_int_eq(mp_get_int(&at, &v), 0);
		ck_assert_int_eq(v, in[i].want);
		ck_assert(mp_at_end(&at));
	}
	ck_assert_int_eq(mp_get_int(&c, &v), -ERANGE);
	c = mp_of((struct am_val){ "\xca\x3f\x00\x00\x00", 5 });
	ck_assert_int_eq(mp_get_double(&c, &d), 0);
	ck_assert(d == 0.5);
}
END_TEST

START_TEST(integers_are_doubles_if_a_double_holds_them)
{
	static const struct {
		const char *bytes;
		double want;
	} in[] = {
		{ "\xcf\x00\x20\x00\x00\x00\x00\x00\x00", 0x1p53 },
		{ "\xcf\x00\x20\x00\x00\x00\x00\x00\x02", 0x1p53 + 2 },
		{ "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 0x1p63 },
		{ "\xcf\xff\xff\xff\xff\xff\xff\xf8\x00", 0x1p64 - 2048 },
		{ "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", -0x1p63 },
		{ "\xd3\xff\xdf\xff\xff\xff\xff\xff\xfe", -0x1p53 - 2 },
	};
	static const char *const none[] = {
		"\xcf\x00\x20\x00\x00\x00\x00\x00\x01",
		"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
		"\xd3\xff\xdf\xff\xff\xff\xff\xff\xff",
	};
	double d = 7;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct mp c = mp_of((struct am_val){ none[i], 9 });

		ck_assert_int_eq(mp_get_double(&c, &d), -ERANGE);
		ck_assert(d == 7);
	}
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct mp c = mp_of((struct am_val){ in[i].bytes, 9 });

		ck_assert_int_eq(mp_get_double(&c, &d), 0);
		ck_assert(d == in[i].want);
		ck_assert(mp_at_end(&c));
	}
}
END_TEST

START_TEST(keys_of_a_map_are_found)
{
	struct am_buf b = AM_BUF_INIT;
	struct am_val v, got = AM_NONE;
	char text[4];
	const char *s;
	const void *p;
	size_t len;
	int64_t i;
	double d;
	bool flag = false;

	am_put_map(&b, 7);
	am_put_int(&b, 1);
	am_put_str(&b, "a key that is no string");
	am_put_str(&b, "s");
	am_put_str(&b, "abc");
	am_put_str(&b, "long");
	am_put_str(&b, "abcd");
	am_put_str(&b, "nul");
	am_put_strn(&b, "a\0b", 3);
	am_put_str(&b, "bin");
	am_put_bin(&b, "xy", 2);
	am_put_str(&b, "n");
	am_put_int(&b, -5);
	am_put_str(&b, "big");
	am_put_uint(&b, UINT64_MAX);
	v = am_buf_val(&b);
	ck_assert_int_eq(am_get_str(v, "s", &s, &len), 0);
	ck_assert(len == 3 && memcmp(s, "abc", 3) == 0);
	ck_assert_int_eq(am_get_text(v, "s", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "abc");
	ck_assert_int_eq(am_get_text(v, "long", text, sizeof(text)), -ERANGE);
	ck_assert_int_eq(am_get_text(v, "nul", text, sizeof(text)), -ERANGE);
	ck_assert_str_eq(text, "abc");
	ck_assert_int_eq(am_get_bin(v, "bin", &p, &len), 0);
	ck_assert(len == 2 && memcmp(p, "xy", 2) == 0);
	ck_assert_int_eq(am_get_bin(v, "s", &p, &len), -EINVAL);
	ck_assert_int_eq(am_get_int(v, "n", &i), 0);
	ck_assert_int_eq(i, -5);
	ck_assert_int_eq(am_get_double(v, "n", &d), 0);
	ck_assert(d == -5);
	ck_assert_int_eq(am_get_int(v, "big", &i), -ERANGE);
	ck_assert_int_eq(am_get_bool(v, "n", &flag), -EINVAL);
	ck_assert_int_eq(am_get(v, "n", &got), 0);
	ck_assert_uint_eq(got.len, 1);
	ck_assert_int_eq(am_get(v, "none", &got), -ENOENT);
	ck_assert_int_eq(am_get(AM_NONE, "n", &got), -ENOENT);
	ck_assert_int_eq(am_get(got, "n", &got), -ENOENT);
	am_buf_done(&b);
}
END_TEST

UNIT_MAIN("mp", a_frame_is_found_whatever_pieces_it_comes_in,
    a_frame_that_is_cut_anywhere_is_no_value,
    bad_frames_are_refused_before_they_are_complete,
    getters_take_their_type_only_and_move_on_success_only,
    integers_of_every_size_are_read,
    integers_are_doubles_if_a_double_holds_them, keys_of_a_map_are_found)
