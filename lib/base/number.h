/* number.h - converts numbers of JSON to binary and back, in every locale. */
#ifndef LIB_BASE_NUMBER_H
#define LIB_BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum number_kind {
	NUMBER_UINT,
	NUMBER_INT, /* negative */
	NUMBER_DOUBLE,
	/* These would be changed: */
	NUMBER_BEYOND_64_BITS, /* an integer */
	NUMBER_OUT_OF_RANGE,   /* a decimal that would be infinity, or zero */
	NUMBER_INEXACT,        /* a decimal with digits that would be lost */
};

struct number {
	enum number_kind kind;
	union {
		uint64_t u;
		int64_t i;
		double d;
	};
};

/* Reads the number at s by the grammar of JSON; returns its length, 0 if there
 * is none. One without fraction and exponent is an integer, except for -0. One
 * with them is the nearest double, which must give it back: written with as
 * many significant digits (zeros at either end do not count), or by
 * number_write(), it is the same number. */
size_t number_read(const char *s, size_t len, struct number *ret);

enum { NUMBER_TEXT_MAX = 32 };

/* Each returns the length of what it wrote, without a NUL. A finite double is
 * the shortest text that reads back as the same double, the nearest of those,
 * and always with a point or an exponent. */
size_t number_write(double d, char text[static NUMBER_TEXT_MAX]);
size_t number_write_uint(uint64_t u, char text[static NUMBER_TEXT_MAX]);
size_t number_write_int(int64_t i, char text[static NUMBER_TEXT_MAX]);

#endif
