/* flow_release.h - how waiting and leases end, as far as other parts begin it. */
#ifndef DAEMON_FLOW_RELEASE_H
#define DAEMON_FLOW_RELEASE_H

struct lease;
struct super;
struct waiter;

/* Tells the client that it gets no worker; frees w, which is in no lease. */
void flow_refuse(struct super *s, struct waiter *w, const char *code,
    const char *message);
/* Its time to wait runs. */
void flow_start_deadline(struct waiter *w);
/* TTL runs only without connection, request and owner; Max waits for the
 * running request. After each push. */
void flow_release_look(struct super *s, struct lease *l);
/* The worker ends it: that may take its wait for acks. */
void flow_release_taken(struct lease *l);
/* The worker refused its end: a client has come, or a request. It goes on. */
void flow_release_refused(struct super *s, struct lease *l);
/* Max is over: the request that runs may end, but not longer than one may take. */
void flow_release_overdue(const struct super *s, struct lease *l);

#endif
