/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK ((size_t)16 << 10)
#define PAGE 4096

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(16) unsigned char data[];
};

void arena_deinit(struct arena *arena)
{
	while (!arena->kept && arena->blocks) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	*arena = (struct arena){};
}

static struct arena_block *new_block(size_t size)
{
	struct arena_block *block = calloc(1, sizeof(*block) + size);

	if (block)
		block->size = size;
	return block;
}

void arena_reserve(struct arena *arena, size_t size)
{
	struct arena_block *block = new_block(size);

	if (!block)
		return;
	// calloc() leaves it to the first write to find the pages.
	for (size_t at = 0; at < size; at += PAGE)
		*(volatile unsigned char *)&block->data[at] = 0;
	block->next = arena->blocks;
	arena->blocks = block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 15) & ~(size_t)15;
	if (!block || block->size - block->used < size) {
		block = new_block(size > ARENA_BLOCK ? size : ARENA_BLOCK);
		if (!block)
			return NULL;
		// A big allocation fills its block; the one in use before it keeps serving small ones.
		if (arena->blocks && size > ARENA_BLOCK) {
			block->next = arena->blocks->next;
			arena->blocks->next = block;
		} else {
			block->next = arena->blocks;
			arena->blocks = block;
		}
	}
	void *ret = block->data + block->used;
	block->used += size;
	return ret;
}

void arena_adopt(struct arena *arena, struct arena *from)
{
	struct arena_block **end = &arena->blocks;

	while (*end)
		end = &(*end)->next;
	*end = from->blocks;
	arena->kept |= from->kept;
	*from = (struct arena){};
}

void *arena_memdup(struct arena *arena, const void *data, size_t len)
{
	void *ret = arena_alloc(arena, len ? len : 1);

	if (ret && len)
		memcpy(ret, data, len);
	return ret;
}

char *arena_strndup(struct arena *arena, const char *s, size_t len)
{
	char *ret = arena_alloc(arena, len + 1);

	if (ret && len)
		memcpy(ret, s, len);
	return ret;
}

char *arena_strdup(struct arena *arena, const char *s)
{
	return arena_strndup(arena, s, strlen(s));
}

char *arena_vprintf(struct arena *arena, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return NULL;
	char *ret = arena_alloc(arena, (size_t)n + 1);
	if (ret)
		vsnprintf(ret, (size_t)n + 1, fmt, ap);
	return ret;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *ret = arena_vprintf(arena, fmt, ap);
	va_end(ap);
	return ret;
}

void *arena_list_grow(struct arena *arena, void *v, size_t n, size_t size)
{
	// Room is 0, 4, 8, 16, ...: the count alone says when it is used up.
	if (n != 0 && (n < 4 || (n & (n - 1)) != 0))
		return v;
	size_t room = n ? n * 2 : 4;
	if (room > SIZE_MAX / 2 / size)
		return NULL;
	void *ret = arena_alloc(arena, room * size);
	if (ret && n)
		memcpy(ret, v, n * size);
	return ret;
}
