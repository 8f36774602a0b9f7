/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seen.h"

#include <stdlib.h>

void seen_deinit(struct seen *seen)
{
	free(seen->v);
	*seen = (struct seen){};
}

static size_t seen_slot(const struct seen *seen, taddr at)
{
	size_t i = (size_t)(at * 0x9e3779b97f4a7c15u >> 20) & (seen->size - 1);

	while (seen->v[i].at && seen->v[i].at != at)
		i = (i + 1) & (seen->size - 1);
	return i;
}

const uint32_t *seen_find(const struct seen *seen, taddr at)
{
	if (!seen->n)
		return NULL;
	const struct seen_entry *e = &seen->v[seen_slot(seen, at)];
	return e->at ? &e->value : NULL;
}

struct error *seen_add(struct seen *seen, taddr at, uint32_t value)
{
	if ((seen->n + 1) * 4 > seen->size * 3) {
		struct seen grown = { .size = seen->size ? seen->size * 2 : 256, .n = seen->n };

		grown.v = calloc(grown.size, sizeof(*grown.v));
		if (!grown.v)
			return error_nomem();
		for (size_t i = 0; i < seen->size; i++)
			if (seen->v[i].at)
				grown.v[seen_slot(&grown, seen->v[i].at)] = seen->v[i];
		free(seen->v);
		*seen = grown;
	}
	seen->v[seen_slot(seen, at)] = (struct seen_entry){ .at = at, .value = value };
	seen->n++;
	return NULL;
}
