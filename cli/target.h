/* target.h - which amnoded: -s, -i, the environment, or the only one there. */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli/cli.h"
#include "lib/rpc/addr.h"

struct target {
	char text[256]; /* the address as people write it */
	struct addr addr;
};

/* EX_OK, or a code after a message that lists what there is. */
int target_find(struct cli *c, struct target *ret);
/* From an address as people write it. */
int target_parse(struct cli *c, const char *text, struct target *ret);

#endif
