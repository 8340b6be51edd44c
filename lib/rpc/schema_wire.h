/* schema_wire.h - compiles a schema from the rows that a welcome has. */
#ifndef LIB_RPC_SCHEMA_WIRE_H
#define LIB_RPC_SCHEMA_WIRE_H

#include "lib/amnode.h"

/* rows: as arpc_put_schema() writes them. Returns new. NULL with a message in
 * err if they are malformed, too large or not a valid schema. */
struct am_schema *schema_wire_decode(struct am_val rows, struct am_error *err);

#endif
