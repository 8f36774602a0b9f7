/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ARENA_H
#define PCATCH_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/*
 * Memory that lives and dies together: everything a snapshot or a report consists of. All zero
 * is an empty arena. Allocations are zeroed, 16-byte aligned, and freed by arena_deinit alone.
 * Every function returns NULL when there is no memory.
 */
struct arena {
	struct arena_block *blocks;
	bool kept; /* somebody may still write into it: arena_deinit() forgets it and frees nothing */
};

void arena_deinit(struct arena *arena);

/* The next SIZE bytes will come out of memory that is at hand already. Without any, nothing changes. */
void arena_reserve(struct arena *arena, size_t size);

void *arena_alloc(struct arena *arena, size_t size) __attribute__((warn_unused_result));
void *arena_memdup(struct arena *arena, const void *data, size_t len)
	__attribute__((warn_unused_result));
char *arena_strdup(struct arena *arena, const char *s) __attribute__((warn_unused_result));

/* What FROM holds belongs to ARENA from now on; FROM is left empty. */
void arena_adopt(struct arena *arena, struct arena *from);

/* LEN bytes with a NUL put behind them. */
char *arena_strndup(struct arena *arena, const char *s, size_t len)
	__attribute__((warn_unused_result));
char *arena_printf(struct arena *arena, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
char *arena_vprintf(struct arena *arena, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0), warn_unused_result));

/* An array that grows in an arena: `struct { T *v; size_t n; }`, all zero when empty. */
#define LIST(...)                                                                                  \
	struct {                                                                                   \
		__VA_ARGS__ *v;                                                                    \
		size_t n;                                                                          \
	}

void *arena_list_grow(struct arena *arena, void *v, size_t n, size_t size)
	__attribute__((warn_unused_result));

/*
 * Append a zeroed element to LIST (a pointer to one) and return its address, NULL when there is
 * no memory. The address is good until the next append.
 */
#define LIST_ADD(arena, list)                                                                      \
	({                                                                                         \
		__typeof__(list) _list = (list);                                                   \
		void *_v = arena_list_grow((arena), _list->v, _list->n, sizeof(*_list->v));        \
		if (_v)                                                                            \
			_list->v = _v;                                                             \
		_v ? &_list->v[_list->n++] : NULL;                                                 \
	})

#endif
