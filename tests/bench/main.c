/* main.c - bench [GROUP...]: figures, floors, ratios, budgets.
 *
 * bench --count FIGURE ROUNDS: nothing but that many rounds of one figure, for
 * valgrind to count. What comes before them is the same for any number. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/bench/bench.h"

static const struct {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "codec", bench_codec },
	{ "machine", bench_machine },
	{ "large", bench_large },
	{ "rpc", bench_rpc },
	{ "push", bench_push },
	{ "work", bench_work },
};
enum { N_GROUPS = sizeof(groups) / sizeof(groups[0]) };

enum { RUNS = 7 };

static const char *counted; /* the figure; NULL: time is measured */
static uint64_t rounds;

static void
put_number(const char *key, double v)
{
	if (isnan(v))
		(void)printf(",\"%s\":null", key);
	else
		(void)printf(",\"%s\":%.4g", key, v);
}

void
bench_report(const struct bench_figure *f)
{
	double ratio = f->value / f->floor;
	double held = isnan(f->floor) ? f->value : ratio;
	bool ok = isnan(f->budget) || held <= f->budget;

	if (counted != NULL)
		return;

	(void)fprintf(stderr, "%-4s %-48s %8.4g %-3s", f->name, f->what,
	    f->value, f->unit);
	if (!isnan(f->floor))
		(void)fprintf(stderr, "  floor %.4g, ratio %.2f", f->floor,
		    ratio);
	if (!isnan(f->budget))
		(void)fprintf(stderr, "  budget %.4g: %s", f->budget,
		    ok ? "ok" : "OVER");
	(void)fputc('\n', stderr);
	(void)printf("{\"bench\":\"%s\",\"value\":%.4g,\"unit\":\"%s\"",
	    f->name, f->value, f->unit);
	put_number("floor", f->floor);
	put_number("ratio", ratio);
	put_number("budget", f->budget);
	(void)printf(",\"ok\":%s}\n", ok ? "true" : "false");
	(void)fflush(stdout);
}

bool
bench_is_counting(void)
{
	return counted != NULL;
}

double
bench_ns(const char *name, void (*fn)(void *arg, uint64_t n), void *arg)
{
	const int64_t enough_ns = 20 * NS_PER_MS;
	double best = INFINITY;
	uint64_t n = 1;

	if (counted != NULL && strcmp(counted, name) != 0)
		return NAN;
	if (counted != NULL) {
		fn(arg, rounds);
		exit(EXIT_SUCCESS);
	}
	for (int run = 0; run < RUNS;) {
		int64_t start = clock_ns(), took;

		fn(arg, n);
		took = clock_ns() - start;
		if (took < enough_ns) {
			n *= 2;
			continue;
		}
		best = fmin(best, (double)took / (double)n);
		run++;
	}
	return best;
}

static bool
is_wanted(const char *name, char **argv)
{
	if (*argv == NULL)
		return true;
	for (; *argv != NULL; argv++)
		if (strcmp(*argv, name) == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--count") == 0) {
		counted = argv[2];
		rounds = strtoull(argv[3], NULL, 10);
		bench_codec();
		bench_machine();
		bench_large();
		return EXIT_FAILURE;
	}
	for (int i = 0; i < N_GROUPS; i++)
		if (is_wanted(groups[i].name, argv + 1))
			groups[i].run();
	return EXIT_SUCCESS;
}
