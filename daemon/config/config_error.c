/* What is wrong with a configuration, gathered line by line. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/config/config.h"

void
config_complain(struct config_errors *e, const char *fmt, ...)
{
	va_list ap;

	if (e->n == CONFIG_ERRORS_MAX) {
		e->lost++;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&e->line[e->n], fmt, ap) >= 0)
		e->n++;
	else
		e->lost++;
	va_end(ap);
}

void
config_errors_done(struct config_errors *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->line[i]);
	*e = (struct config_errors){ .n = 0 };
}
