/* bench.h - how a figure is measured and reported. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

/* What a figure is held against: NAN where there is none. A ratio is the
 * figure by its floor, measured in the same run. */
struct bench_figure {
	const char *name;
	const char *what;
	const char *unit;
	double value;
	double floor;
	double budget; /* of the ratio if there is a floor, else of the value */
};

/* One line for people on stderr, one of JSON on stdout. */
void bench_report(const struct bench_figure *f);

/* Nanoseconds of fn(arg, n) for each of the n rounds: the best of several runs
 * of some 20 ms. With --count it only runs the rounds of the figure that is
 * counted, and ends the program. */
double bench_ns(const char *name, void (*fn)(void *arg, uint64_t n), void *arg);

bool bench_is_counting(void);

/* Each measures a group and reports it. */
void bench_codec(void);
void bench_machine(void);
void bench_large(void);
void bench_rpc(void);
void bench_push(void);
void bench_work(void);

#endif
