/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "earlier.h"

#include <string.h>

void earlier_deinit(struct earlier *earlier)
{
	for (size_t i = 0; i < earlier->n; i++)
		arena_deinit(&earlier->v[i].arena);
	earlier->n = 0;
}

static bool same_signal(const struct signal_event *e, const struct signal_info *info,
			int disposition)
{
	return e->info.signo == info->signo && e->info.code == info->code &&
	       (int)e->disposition == disposition &&
	       e->info.pid == info->pid && e->info.uid == info->uid;
}

bool earlier_again(struct earlier *earlier, const struct signal_info *info, int disposition,
		   int64_t now)
{
	for (size_t i = earlier->n; i-- > 0;) {
		struct signal_event *e = &earlier->v[i].event;

		if (same_signal(e, info, disposition)) {
			e->last = now;
			e->count++;
			return true;
		}
	}
	return false;
}

struct error *earlier_add(struct earlier *earlier, const struct signal_event *event)
{
	struct earlier_item item = { .event = *event };
	struct error *err = sender_copy(&item.arena, &event->sender, &item.event.sender);

	if (err) {
		arena_deinit(&item.arena);
		return err;
	}
	if (earlier->n == EARLIER_MAX) {
		earlier->dropped += earlier->v[0].event.count;
		arena_deinit(&earlier->v[0].arena);
		memmove(earlier->v, earlier->v + 1, (EARLIER_MAX - 1) * sizeof(earlier->v[0]));
		earlier->n--;
	}
	earlier->v[earlier->n++] = item;
	return NULL;
}

struct error *earlier_copy(const struct earlier *earlier, struct snapshot *snapshot)
{
	struct error *err = NULL;

	for (size_t i = 0; !err && i < earlier->n; i++) {
		struct signal_event *e = LIST_ADD(&snapshot->arena, &snapshot->death.earlier);

		if (!e)
			return error_nomem();
		*e = earlier->v[i].event;
		err = sender_copy(&snapshot->arena, &earlier->v[i].event.sender, &e->sender);
	}
	snapshot->death.earlier_dropped = earlier->dropped;
	return err;
}
