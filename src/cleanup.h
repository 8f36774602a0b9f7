/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CLEANUP_H
#define PCATCH_CLEANUP_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A variable declared with _cleanup_(f) is handed to f(&variable) when it goes out of scope; it
 * must be initialised where it is declared.
 */
#define _cleanup_(f) __attribute__((cleanup(f)))

/* Move X out of its guarded variable: its value is returned, the variable is left all zero. */
#define TAKE(x)                                                                                    \
	({                                                                                         \
		__typeof__(x) *_take_from = &(x);                                                  \
		__typeof__(x) _taken = *_take_from;                                                \
		memset(_take_from, 0, sizeof(*_take_from));                                        \
		_taken;                                                                            \
	})

/* The same for a file descriptor, whose empty value is -1. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int _taken_fd = (fd);                                                              \
		(fd) = -1;                                                                         \
		_taken_fd;                                                                         \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member)                                                            \
	({                                                                                         \
		const __typeof__(((type *)0)->member) *_member = (ptr);                            \
		(type *)((const char *)_member - offsetof(type, member));                          \
	})

/* Cleanup functions for plain pointers and descriptors. */
static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
