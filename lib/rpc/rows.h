/* rows.h - a schema as hello sends it, back to a schema. */
#ifndef LIB_RPC_ROWS_H
#define LIB_RPC_ROWS_H

#include "lib/amnode.h"

/* rows: what arpc_put_schema() writes. Returns new; NULL with a message in err
 * for what is malformed, too big or no valid schema. */
struct am_schema *rows_schema(struct am_val rows, struct am_error *err);

#endif
