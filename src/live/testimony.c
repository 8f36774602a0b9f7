/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "testimony.h"

#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

#define TEXT_KEPT 2000
#define TOLD_MAX  200 // of one kind

char *testimony_text(struct arena *arena, const char *s, size_t len)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	buf_clean(&buf, s, len < TEXT_KEPT ? len : TEXT_KEPT, "");
	return buf.failed ? NULL : arena_strndup(arena, (const char *)buf.data, buf.len);
}

// A place in the list: when there are enough of a kind, the oldest one's.
static struct testimony *place_for(struct snapshot *snapshot, const struct testimony *told)
{
	struct autopsy *autopsy = &snapshot->autopsy;
	struct testimony *v = autopsy->told.v;
	size_t n = 0, oldest = 0;

	for (size_t i = autopsy->told.n; i-- > 0;)
		if (v[i].source == told->source && v[i].by_pid == told->by_pid) {
			oldest = i;
			n++;
		}
	if (n < TOLD_MAX)
		return LIST_ADD(&snapshot->arena, &autopsy->told);
	memmove(v + oldest, v + oldest + 1, (autopsy->told.n - oldest - 1) * sizeof(*v));
	return v + autopsy->told.n - 1;
}

struct error *testimony_add(struct snapshot *snapshot, const struct testimony *told)
{
	struct arena *arena = &snapshot->arena;
	struct testimony *t = place_for(snapshot, told);

	if (!t)
		return error_nomem();
	*t = *told;
	t->where = arena_strdup(arena, told->where);
	t->text = testimony_text(arena, told->text, strlen(told->text));
	t->core = told->core ? testimony_text(arena, told->core, strlen(told->core)) : NULL;
	return t->where && t->text && !t->core == !told->core ? NULL : error_nomem();
}

struct error *testimony_of_kernel(struct snapshot *snapshot, const char *where, int64_t at,
				  const char *line, const char *message)
{
	struct testimony told = { .source = TOLD_BY_KERNEL,
				  .where = (char *)where,
				  .at = at,
				  .text = (char *)line,
				  .exit_code = -1 };
	struct kernlog_event event;

	if ((at && at < snapshot->autopsy.since) || !kernlog_parse(message, &event))
		return NULL;
	told.by_pid = event.pid > 0 && event.pid == snapshot->process.pid;
	if (told.by_pid || event.kind == KERNLOG_FAULT || event.kind == KERNLOG_TRAP)
		return testimony_add(snapshot, &told);
	return NULL;
}

void testimony_kernel_since(struct snapshot *snapshot, int64_t at)
{
	struct autopsy *autopsy = &snapshot->autopsy;

	autopsy->kernel_log_read = true;
	if (at && (!autopsy->kernel_log_from || at < autopsy->kernel_log_from))
		autopsy->kernel_log_from = at;
}
