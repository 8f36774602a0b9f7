/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "census.h"

#include <string.h>

static struct census_entry *slot(struct census *census, pid_t pid)
{
	return &census->v[(unsigned)pid % CENSUS_SIZE];
}

const struct census_entry *census_find(const struct census *census, pid_t pid)
{
	const struct census_entry *e = &census->v[(unsigned)pid % CENSUS_SIZE];

	return pid > 0 && e->pid == pid ? e : NULL;
}

// Each CPU has a ring of its own, so a process's fork may be read after its exec.
static void note_fork(struct census *census, pid_t pid, pid_t parent, int64_t at)
{
	const struct census_entry *p = census_find(census, parent);
	struct census_entry e = { .pid = pid, .parent = parent, .born = at, .named = at };
	struct census_entry *to = slot(census, pid);

	if (p)
		memcpy(e.comm, p->comm, sizeof(e.comm));
	if (to->pid == pid && to->named > at) {
		memcpy(e.comm, to->comm, sizeof(e.comm));
		e.named = to->named;
	}
	*to = e;
}

void census_note(struct census *census, const struct perf_record *record)
{
	if (record->type == PERF_RECORD_FORK && record->task.pid > 0 &&
	    record->task.tid == record->task.pid) {
		note_fork(census, record->task.pid, record->task.parent, record->at);
	} else if (record->type == PERF_RECORD_COMM && record->comm.pid > 0 &&
		   record->comm.tid == record->comm.pid) {
		struct census_entry *e = slot(census, record->comm.pid);

		if (e->pid != record->comm.pid)
			*e = (struct census_entry){ .pid = record->comm.pid };
		if (e->named > record->at)
			return;
		e->named = record->at;
		memcpy(e->comm, record->comm.name, sizeof(e->comm));
	}
}
