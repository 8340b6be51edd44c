/* schema_wire.h - a schema as hello sends it, back to a schema. */
#ifndef LIB_RPC_SCHEMA_WIRE_H
#define LIB_RPC_SCHEMA_WIRE_H

#include "lib/amnode.h"

/* rows: what arpc_put_schema() writes. Returns new; NULL with a message in err
 * for what is malformed, too big or no valid schema. */
struct am_schema *schema_wire_decode(struct am_val rows, struct am_error *err);

#endif
