/* children.h - the children of this process, as the kernel lists them. One stays
 * in the list until it is reaped, so no number in it is another process's. */
#ifndef LIB_PROC_CHILDREN_H
#define LIB_PROC_CHILDREN_H

#include <sys/types.h>

/* What our children leave behind becomes ours, instead of pid 1's. 0 or -errno. */
int proc_adopt_orphans(void);
/* Returns new text for proc_next_child(); NULL: it cannot be read. Of the calling
 * thread's children only: call it where all of them were started. */
char *proc_children(void);
/* Takes the first of the list; 0: none is left, or the list was cut in its middle,
 * where the number would be another process's. */
pid_t proc_next_child(char **list);

#endif
