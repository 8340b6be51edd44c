/* conformance [--class r,l] [--sparse] [--untraced] [--rpc]
 * FILE... - runs recorded cases of the
 * reference (NDJSON, plain or .gz) on lib/machine. Failed ids go to stdout,
 * then `N passed, M failed`; what differs goes to stderr. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "tests/conformance/case.h"

enum { LINE_MAX_LEN = 64 * 1024 * 1024 };

struct totals {
	size_t passed;
	size_t failed;
};

static void
gz_closep(gzFile *f)
{
	if (*f != NULL)
		(void)gzclose(*f);
}

/* 1: a line without its end; 0: end of file; -errno. */
static int
read_line(gzFile f, struct am_buf *line)
{
	char part[65536];

	am_buf_reset(line);
	while (gzgets(f, part, sizeof(part)) != NULL) {
		size_t n = strlen(part);
		bool whole = n > 0 && part[n - 1] == '\n';

		buf_append(line, part, whole ? n - 1 : n);
		if (am_buf_error(line) < 0)
			return -ENOMEM;
		if (line->len > LINE_MAX_LEN)
			return -EFBIG;
		if (whole)
			return 1;
	}
	if (!gzeof(f))
		return -EIO;
	return line->len > 0;
}

/* Is the letter of this case's id in the list "r,l,u"? */
static bool
wanted(const char *classes, const char *line)
{
	const char *id = strstr(line, "\"id\"");

	if (classes == NULL)
		return true;
	id = id != NULL ? strchr(id + 4, ':') : NULL;
	id = id != NULL ? strchr(id, '"') : NULL;
	for (const char *c = classes; id != NULL && *c != '\0'; c++)
		if (*c != ',' && *c == id[1])
			return true;
	return false;
}

static int
run_file(const char *path, const char *classes, struct case_mode mode,
    struct totals *t)
{
	am_cleanup(gz_closep) gzFile f = gzopen(path, "rb");
	am_cleanup(buf_donep) struct am_buf line = AM_BUF_INIT;
	size_t no = 0;
	int r;

	if (f == NULL) {
		fprintf(stderr, "conformance: %s: %s\n", path, strerror(errno));
		return -EIO;
	}
	while ((r = read_line(f, &line)) > 0) {
		am_cleanup(am_freep) char *id = NULL;
		bool passed = false;

		no++;
		if (line.len == 0 || !wanted(classes, buf_text(&line)))
			continue;
		r = case_run(buf_text(&line), mode, &passed, &id);
		if (r < 0)
			break;
		if (!passed)
			printf("%s\n", id);
		t->passed += passed;
		t->failed += !passed;
	}
	if (r < 0)
		fprintf(stderr, "conformance: %s:%zu: %s\n", path, no,
		    r == -EINVAL ? "no case" : strerror(-r));
	return r;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "class", required_argument, NULL, 'c' },
		{ "sparse", no_argument, NULL, 's' },
		{ "untraced", no_argument, NULL, 'u' },
		{ "rpc", no_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	struct totals t = { 0, 0 };
	const char *classes = NULL;
	struct case_mode mode = { false, false, false };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return 2;
		if (c == 'c')
			classes = optarg;
		else if (c == 's')
			mode.sparse = true;
		else if (c == 'r')
			mode.rpc = true;
		else
			mode.untraced = true;
	}
	if (optind == argc) {
		fprintf(stderr,
		    "usage: conformance [--class r,l] [--sparse] "
		    "[--untraced] [--rpc] FILE...\n");
		return 2;
	}
	for (; optind < argc; optind++)
		if (run_file(argv[optind], classes, mode, &t) < 0)
			return 2;
	printf("%zu passed, %zu failed\n", t.passed, t.failed);
	return t.failed > 0;
}
