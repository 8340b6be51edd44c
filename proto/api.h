/* api.h - how public symbols are declared. */
#ifndef PROTO_API_H
#define PROTO_API_H

#define AM_API __attribute__((visibility("default")))
#define AM_PRINTF(f, a) __attribute__((format(printf, f, a)))

#endif
