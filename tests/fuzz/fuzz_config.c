/* fuzz_config.c - the text of a configuration file. Every complaint names a line
 * of it; what is taken can be printed and read again. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config.h"
#include "daemon/config/config_text.h"
#include "lib/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
count_lines(const char *text, size_t len)
{
	unsigned n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void
read_text(struct config *c, const void *text, size_t len,
    struct config_errors *e)
{
	/* A block of its own size, so that ASan sees a byte too far. */
	am_cleanup(am_freep) char *copy = malloc(len + 1);
	struct config_errors none = { .n = 0 };

	assert(copy != NULL);
	memcpy(copy, text, len);
	assert(config_load(c, &(struct config_source){ .file = NULL }, &none) ==
	    0);
	config_text_read(c, "F", copy, len, e);
}

static void
check_errors(const struct config_errors *e, unsigned n_lines)
{
	for (size_t i = 0; i < e->n; i++) {
		unsigned line = 0;
		int end = 0;

		assert(sscanf(e->line[i], "F:%u: %n", &line, &end) == 1);
		assert(end > 0 && line >= 1 && line <= n_lines);
		assert(strchr(e->line[i], '\n') == NULL);
	}
}

static void
check_round(const struct config *c)
{
	struct config_errors e = { .n = 0 };
	am_cleanup(am_freep) char *text = NULL;
	struct config again;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert(f != NULL);
	config_print(c, f);
	(void)fclose(f);
	read_text(&again, text, len, &e);
	assert(e.n == 0);
	for (size_t i = 0; i < CONFIG__COUNT; i++)
		assert(strcmp(c->value[i].text, again.value[i].text) == 0);
	config_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors e = { .n = 0 };
	struct config c;

	read_text(&c, data, size, &e);
	check_errors(&e, count_lines((const char *)data, size));
	check_round(&c);
	config_done(&c);
	config_errors_done(&e);
	return 0;
}
