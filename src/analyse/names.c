/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

#define NAME_MAX_LEN 4096

void names_init(struct names *names, struct arena *arena)
{
	*names = (struct names){ .arena = arena };
}

void names_deinit(struct names *names)
{
	free(names->table);
	*names = (struct names){};
}

static size_t name_slot(char **table, size_t size, const char *s)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *p = s; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
	size_t i = (size_t)(hash ^ hash >> 32) & (size - 1);
	while (table[i] && strcmp(table[i], s) != 0)
		i = (i + 1) & (size - 1);
	return i;
}

static bool names_grow(struct names *names)
{
	size_t size = names->size ? names->size * 2 : 256;
	char **table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; i < names->size; i++)
		if (names->table[i])
			table[name_slot(table, size, names->table[i])] = names->table[i];
	free(names->table);
	names->table = table;
	names->size = size;
	return true;
}

char *names_add(struct names *names, const char *s)
{
	_cleanup_(buf_deinit) struct buf clean = {};

	if ((names->n + 1) * 2 > names->size && !names_grow(names))
		return NULL;
	buf_clean(&clean, s, strnlen(s, NAME_MAX_LEN), "");
	buf_add(&clean, "", 1);
	if (clean.failed)
		return NULL;
	size_t i = name_slot(names->table, names->size, (char *)clean.data);
	if (!names->table[i]) {
		char *copy = arena_strdup(names->arena, (char *)clean.data);

		if (!copy)
			return NULL;
		names->table[i] = copy;
		names->n++;
	}
	return names->table[i];
}
