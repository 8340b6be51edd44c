/* words.h - text of a configuration value to what it means. */
#ifndef DAEMON_CONFIG_WORDS_H
#define DAEMON_CONFIG_WORDS_H

#include <stdint.h>

#include "daemon/config/config.h"

/* Splits like a shell splits words: blanks, 'single', "double" quotes and
 * backslashes; nothing is expanded. 0, -EINVAL with what is wrong in *ret_why,
 * -ENOMEM. */
int words_split(const char *text, struct config_words *ret,
    const char **ret_why);
void words_done(struct config_words *w);

/* Decimal digits only; -EINVAL, -ERANGE. */
int words_count(const char *text, int64_t *ret);
/* Bytes: digits, and K, M or G for powers of 1024; -EINVAL, -ERANGE. */
int words_size(const char *text, int64_t *ret);
/* Position of text in "a|b|c"; -EINVAL. */
int words_choice(const char *text, const char *choices, int64_t *ret);

#endif
