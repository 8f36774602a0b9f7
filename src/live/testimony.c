/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "testimony.h"

#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

#define TEXT_KEPT 2000
#define TOLD_MAX  200 // by one source

char *testimony_text(struct arena *arena, const char *s, size_t len)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	buf_clean(&buf, s, len < TEXT_KEPT ? len : TEXT_KEPT, "");
	return buf.failed ? NULL : arena_strndup(arena, (const char *)buf.data, buf.len);
}

// A place in the list: the oldest one's of the same source when that has enough.
static struct testimony *place_for(struct snapshot *snapshot, enum testimony_source source)
{
	struct autopsy *autopsy = &snapshot->autopsy;
	size_t n = 0, oldest = 0;

	for (size_t i = autopsy->told.n; i-- > 0;)
		if (autopsy->told.v[i].source == source) {
			oldest = i;
			n++;
		}
	if (n < TOLD_MAX)
		return LIST_ADD(&snapshot->arena, &autopsy->told);
	struct testimony *v = autopsy->told.v;
	memmove(v + oldest, v + oldest + 1, (autopsy->told.n - oldest - 1) * sizeof(*v));
	return v + autopsy->told.n - 1;
}

struct error *testimony_add(struct snapshot *snapshot, const struct testimony *told)
{
	struct arena *arena = &snapshot->arena;
	struct testimony *t = place_for(snapshot, told->source);

	if (!t)
		return error_nomem();
	*t = *told;
	t->where = arena_strdup(arena, told->where);
	t->text = testimony_text(arena, told->text, strlen(told->text));
	t->core = told->core ? testimony_text(arena, told->core, strlen(told->core)) : NULL;
	return t->where && t->text && !t->core == !told->core ? NULL : error_nomem();
}

static bool is_wanted(const char *message, pid_t pid)
{
	struct kernlog_event event;

	if (!kernlog_parse(message, &event))
		return false;
	switch (event.kind) {
	case KERNLOG_OOM_CONTEXT:
	case KERNLOG_OOM_KILL:
	case KERNLOG_FAULT:
	case KERNLOG_TRAP:
		return true;
	default:
		return event.pid == pid && pid > 0;
	}
}

struct error *testimony_of_kernel(struct snapshot *snapshot, const char *where, int64_t at,
				  const char *line, const char *message)
{
	struct testimony told = { .source = TOLD_BY_KERNEL,
				  .where = (char *)where,
				  .at = at,
				  .text = (char *)line,
				  .exit_code = -1 };

	if (at && at < snapshot->autopsy.since)
		return NULL;
	return is_wanted(message, snapshot->process.pid) ? testimony_add(snapshot, &told) : NULL;
}

void testimony_kernel_since(struct snapshot *snapshot, int64_t at)
{
	struct autopsy *autopsy = &snapshot->autopsy;

	autopsy->kernel_log_read = true;
	if (at && (!autopsy->kernel_log_from || at < autopsy->kernel_log_from))
		autopsy->kernel_log_from = at;
}
