/* replay.c - runs a fuzz target over a corpus: replay DIR...
 *
 * A crash is the failure; what comes through is counted. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static void
closep(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
}

static int
replay_file(const char *path)
{
	am_cleanup(closep) FILE *f = fopen(path, "rbe");
	am_cleanup(am_freep) uint8_t *data = malloc(INPUT_MAX);
	size_t size;

	if (f == NULL || data == NULL)
		return -errno;
	size = fread(data, 1, INPUT_MAX, f);
	(void)LLVMFuzzerTestOneInput(data, size);
	return 0;
}

/* Returns how many files there were, or -errno. */
static int
replay_dir(const char *path)
{
	struct dirent **entry = NULL;
	int n = scandir(path, &entry, NULL, alphasort), n_files = 0, r = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		char file[4096];

		(void)snprintf(file, sizeof(file), "%s/%s", path,
		    entry[i]->d_name);
		if (entry[i]->d_name[0] != '.' && r == 0) {
			r = replay_file(file);
			n_files++;
		}
		free(entry[i]);
	}
	free(entry);
	return r < 0 ? r : n_files;
}

int
main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		int r = replay_dir(argv[i]);

		if (r < 0) {
			(void)fprintf(stderr, "replay: %s: %s\n", argv[i],
			    strerror(-r));
			return EXIT_FAILURE;
		}
		n += r;
	}
	(void)printf("%d passed, 0 failed\n", n);
	return EXIT_SUCCESS;
}
