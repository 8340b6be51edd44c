/* bits.h - bit sets as runs of words; the owner knows their number. */
#ifndef PROTO_BITS_H
#define PROTO_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITS_WORDS(n) (((n) + 63) / 64)

static inline bool
bits_test(const uint64_t *set, size_t i)
{
	return set[i / 64] >> i % 64 & 1;
}

static inline void
bits_set(uint64_t *set, size_t i)
{
	set[i / 64] |= UINT64_C(1) << i % 64;
}

static inline void
bits_clear(uint64_t *set, size_t i)
{
	set[i / 64] &= ~(UINT64_C(1) << i % 64);
}

/* Most sets are a word or two: a call of memset() or memcpy(), which is what
 * compilers make of such loops, costs more than it saves. */
#define BITS_NO_CALL(w) __asm__("" : "+r"(w))

static inline void
bits_zero(uint64_t *set, size_t words)
{
	for (size_t w = 0; w < words; w++) {
		BITS_NO_CALL(w);
		set[w] = 0;
	}
}

static inline void
bits_copy(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t w = 0; w < words; w++) {
		BITS_NO_CALL(w);
		to[w] = from[w];
	}
}

static inline void
bits_or(uint64_t *set, const uint64_t *other, size_t words)
{
	for (size_t w = 0; w < words; w++)
		set[w] |= other[w];
}

static inline void
bits_and(uint64_t *set, const uint64_t *other, size_t words)
{
	for (size_t w = 0; w < words; w++)
		set[w] &= other[w];
}

static inline void
bits_and_not(uint64_t *set, const uint64_t *other, size_t words)
{
	for (size_t w = 0; w < words; w++)
		set[w] &= ~other[w];
}

static inline bool
bits_any(const uint64_t *set, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if (set[w] != 0)
			return true;
	return false;
}

static inline bool
bits_equal(const uint64_t *a, const uint64_t *b, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if (a[w] != b[w])
			return false;
	return true;
}

/* Whether they have a bit in common. */
static inline bool
bits_meet(const uint64_t *a, const uint64_t *b, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if ((a[w] & b[w]) != 0)
			return true;
	return false;
}

/* Whether every bit of a is in b. */
static inline bool
bits_within(const uint64_t *a, const uint64_t *b, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if ((a[w] & ~b[w]) != 0)
			return false;
	return true;
}

static inline size_t
bits_count(const uint64_t *set, size_t words)
{
	size_t n = 0;

	for (size_t w = 0; w < words; w++)
		n += (size_t)__builtin_popcountll(set[w]);
	return n;
}

/* Returns the first bit at or after i; words * 64 if there is none. To visit
 * all: for (i = bits_next(s, w, 0); i < w * 64; i = bits_next(s, w, i + 1)) */
static inline size_t
bits_next(const uint64_t *set, size_t words, size_t i)
{
	uint64_t rest;

	if (i >= words * 64)
		return words * 64;
	rest = set[i / 64] >> i % 64;
	if (rest != 0)
		return i + (size_t)__builtin_ctzll(rest);
	for (size_t w = i / 64 + 1; w < words; w++)
		if (set[w] != 0)
			return w * 64 + (size_t)__builtin_ctzll(set[w]);
	return words * 64;
}

#endif
