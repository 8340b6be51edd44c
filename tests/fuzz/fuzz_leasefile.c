/* fuzz_leasefile.c - the text of a lease file: what is taken can be saved and
 * read again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/leasefile.h"
#include "lib/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_equal(const struct leasefile *a, const struct leasefile *b)
{
	assert(strcmp(a->lease.lease, b->lease.lease) == 0);
	assert(strcmp(a->lease.worker, b->lease.worker) == 0);
	assert(strcmp(a->lease.address, b->lease.address) == 0);
	assert(strcmp(a->supervisor, b->supervisor) == 0);
	assert(strcmp(a->ended, b->ended) == 0);
	assert(a->lease.ttl_ms == b->lease.ttl_ms);
	assert(a->lease.max_ms == b->lease.max_ms);
	assert(a->lease.pid == b->lease.pid);
	assert(memcmp(a->lease.token, b->lease.token, ARPC_TOKEN_LEN) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	am_cleanup(am_freep) char *text = malloc(size + 1);
	struct leasefile f = LEASEFILE_INIT, again = LEASEFILE_INIT;
	char saved[LEASEFILE_SIZE];
	static int fd = -1;

	assert(text != NULL);
	/* In a block of its own, so that ASan sees a byte too far. */
	memcpy(text + 1, data, size);
	if (leasefile_parse(&f, text + 1, size) < 0)
		return 0;
	assert(f.lease.pid >= 0);
	if (fd < 0)
		fd = memfd_create("lease", MFD_CLOEXEC);
	f.fd = fd;
	/* Escapes may need more than there is room for. */
	if (leasefile_save(&f, NULL) == 0) {
		assert(pread(fd, saved, sizeof(saved), 0) == LEASEFILE_SIZE);
		assert(leasefile_parse(&again, saved, sizeof(saved)) == 0);
		check_equal(&f, &again);
	}
	f.fd = -1;
	leasefile_done(&f);
	leasefile_done(&again);
	return 0;
}
