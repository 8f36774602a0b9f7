// SPDX-License-Identifier: GPL-3.0-or-later
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

#define LIMITS_MAX 64 // lines; the kernel has 16

// The kernel writes "%-25s %-20s %-20s %-10s\n" (fs/proc/base.c, proc_pid_limits).
#define NAME_COLUMNS 26

static char *clean_field(struct arena *arena, const char *text, size_t len)
{
	_cleanup_(buf_deinit) struct buf clean = {};

	while (len && text[len - 1] == ' ')
		len--;
	buf_clean(&clean, text, len, "");
	_cleanup_(freep) char *ret = buf_steal(&clean);
	return ret ? arena_strdup(arena, ret) : NULL;
}

// The next word of LINE, which ends at END; false when there is none.
static bool next_word(const char **line, const char *end, const char **word, size_t *len)
{
	const char *at = *line;

	while (at < end && *at == ' ')
		at++;
	*word = at;
	while (at < end && *at != ' ')
		at++;
	*len = (size_t)(at - *word);
	*line = at;
	return *len != 0;
}

static bool parse_value(const char *word, size_t len, int64_t *ret)
{
	char text[24];
	char *end;

	if (len == strlen("unlimited") && !memcmp(word, "unlimited", len)) {
		*ret = -1;
		return true;
	}
	if (len >= sizeof(text) || *word < '0' || *word > '9')
		return false;
	memcpy(text, word, len);
	text[len] = 0;
	*ret = strtoll(text, &end, 10);
	return !*end;
}

struct error *limits_parse(const struct process *process, struct arena *arena, limit_list *ret)
{
	const char *line = (const char *)process->limits.data, *next;
	const char *end = line + process->limits.len;
	limit_list list = {};

	for (; line && line < end && list.n < LIMITS_MAX; line = next) {
		const char *line_end = memchr(line, '\n', (size_t)(end - line));
		line_end = line_end ? line_end : end;
		next = line_end + 1;
		if (line_end - line <= NAME_COLUMNS)
			continue;

		const char *at = line + NAME_COLUMNS, *soft, *hard, *unit;
		size_t soft_len, hard_len, unit_len;
		struct limit limit = {};
		// The heading is no limit either: it has no numbers.
		if (!next_word(&at, line_end, &soft, &soft_len) ||
		    !next_word(&at, line_end, &hard, &hard_len) ||
		    !parse_value(soft, soft_len, &limit.soft) ||
		    !parse_value(hard, hard_len, &limit.hard))
			continue;
		next_word(&at, line_end, &unit, &unit_len);
		limit.name = clean_field(arena, line, NAME_COLUMNS);
		limit.unit = clean_field(arena, unit, unit_len);
		struct limit *slot = LIST_ADD(arena, &list);
		if (!limit.name || !limit.unit || !slot)
			return error_nomem();
		*slot = limit;
	}
	*ret = list;
	return NULL;
}

const struct limit *limits_find(const limit_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i].name, name))
			return &list->v[i];
	return NULL;
}
