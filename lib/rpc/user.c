#include "lib/rpc/user.h"

#include <stdlib.h>
#include <string.h>

static bool
is_of(const struct rpc_user *u, const struct conn_peer *peer)
{
	if (u->uid != peer->uid)
		return false;
	if (u->subject == NULL || peer->subject == NULL)
		return u->subject == peer->subject;
	return strcmp(u->subject, peer->subject) == 0;
}

struct rpc_user *
user_ref(struct rpc_user_list *l, const struct conn_peer *peer)
{
	struct rpc_user *u;

	LIST_FOREACH(u, l, link) {
		if (is_of(u, peer)) {
			u->n_refs++;
			return u;
		}
	}
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	if (peer->subject != NULL) {
		u->subject = strdup(peer->subject);
		if (u->subject == NULL) {
			free(u);
			return NULL;
		}
	}
	u->uid = peer->uid;
	u->n_refs = 1;
	LIST_INSERT_HEAD(l, u, link);
	return u;
}

struct rpc_user *
user_unref(struct rpc_user *u)
{
	if (u == NULL || --u->n_refs > 0)
		return NULL;
	LIST_REMOVE(u, link);
	free(u->subject);
	free(u);
	return NULL;
}

size_t
user_out_max(const struct rpc_user *u)
{
	size_t part = u->n_sessions > 0 ? USER_OUT_BYTES / u->n_sessions
					: CONN_OUT_SOFT;

	if (part > CONN_OUT_SOFT)
		return CONN_OUT_SOFT;
	return part < USER_OUT_LEAST ? USER_OUT_LEAST : part;
}
