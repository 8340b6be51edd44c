/* floor.h - what the kernel alone takes: bytes to and fro by raw epoll. */
#ifndef TESTS_BENCH_FLOOR_H
#define TESTS_BENCH_FLOOR_H

#include <sys/types.h>

#include "lib/rpc/addr.h"

/* A child that runs fn(fd, arg) on a socket listening at *addr, which gets the
 * port that was taken. Exits the bench with a message if that fails. */
pid_t floor_child(struct addr *addr, void (*fn)(int fd, void *arg), void *arg);
/* Kills and reaps it. */
void floor_kill(pid_t child);

/* One round trip of 32 bytes between two processes, in ns. */
double floor_round_trip_ns(const char *address);
/* connect, one round trip, close. */
double floor_connect_ns(const char *address);

/* Prints what went wrong and exits. */
void floor_die(const char *what, int error) __attribute__((noreturn));

#endif
