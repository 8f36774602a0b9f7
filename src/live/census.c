/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "census.h"

#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

// A chain of parents that is longer goes in circles: numbers are used again.
#define ANCESTORS_MAX 64
// From a thread's record of its end to the last signal that the kernel sends for it. A number is not
// used again as soon as that.
#define ENDING_MAX INT64_C(1000000000)

static struct census_entry *slot(struct census *census, pid_t pid)
{
	return &census->v[(unsigned)pid % CENSUS_SIZE];
}

const struct census_entry *census_find(const struct census *census, pid_t pid)
{
	const struct census_entry *e = &census->v[(unsigned)pid % CENSUS_SIZE];

	return pid > 0 && e->pid == pid ? e : NULL;
}

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
	if (to->pid == pid && to->seen > at) {
		e.seen = to->seen;
		e.inode = to->inode;
	}
	*to = e;
}

// PID's entry, in the place of another's.
static struct census_entry *entry_of(struct census *census, pid_t pid)
{
	struct census_entry *e = slot(census, pid);

	if (e->pid != pid)
		*e = (struct census_entry){ .pid = pid };
	return e;
}

// Whoever was there before us has been forked unseen, but says at its end whose child it is.
static void note_exit(struct census *census, pid_t pid, pid_t parent)
{
	struct census_entry *e = slot(census, pid);

	// It takes nobody's place: one that ends is of less use than one that was born.
	if (!e->pid)
		e->pid = pid;
	if (e->pid == pid && !e->parent)
		e->parent = parent;
}

void census_note(struct census *census, const struct perf_record *record)
{
	struct census_entry *e;

	switch (record->type) {
	case PERF_RECORD_FORK:
		if (record->task.pid > 0 && record->task.tid == record->task.pid)
			note_fork(census, record->task.pid, record->task.parent, record->at);
		break;
	case PERF_RECORD_EXIT:
		census->ends[census->n_ends % CENSUS_ENDS].tid = record->task.tid;
		census->ends[census->n_ends++ % CENSUS_ENDS].at = record->at;
		if (record->task.pid > 0 && record->task.tid == record->task.pid)
			note_exit(census, record->task.pid, record->task.parent);
		break;
	case PERF_RECORD_COMM:
		if (record->comm.pid <= 0 || record->comm.tid != record->comm.pid)
			break;
		e = entry_of(census, record->comm.pid);
		if (e->named > record->at)
			break;
		e->named = record->at;
		memcpy(e->comm, record->comm.name, sizeof(e->comm));
		break;
	case PERF_RECORD_NAMESPACES:
		if (record->namespaces.pid <= 0 || record->namespaces.tid != record->namespaces.pid)
			break;
		e = entry_of(census, record->namespaces.pid);
		if (e->seen > record->at)
			break;
		e->seen = record->at;
		e->inode = record->namespaces.inode;
		break;
	}
}

bool census_had_ended(const struct census *census, pid_t tid, int64_t at)
{
	for (size_t i = 0; tid > 0 && i < CENSUS_ENDS; i++)
		if (census->ends[i].tid == tid && census->ends[i].at <= at &&
		    census->ends[i].at >= at - ENDING_MAX)
			return true;
	return false;
}

static void add_name(const struct census *census, struct arena *arena, struct process_ref *ref)
{
	const struct census_entry *e = census_find(census, ref->pid);
	_cleanup_(buf_deinit) struct buf name = {};

	if (ref->comm || !e || !e->comm[0])
		return;
	buf_clean(&name, e->comm, strnlen(e->comm, sizeof(e->comm)), "");
	_cleanup_(freep) char *s = buf_steal(&name);
	ref->comm = s ? arena_strdup(arena, s) : NULL;
}

// The one above CHILD, and with ASK those above that one. False: that is not known.
static bool add_parent(const struct census *census, pid_t child, bool ask, struct arena *arena,
		       process_refs *ancestors)
{
	const struct census_entry *e = census_find(census, child);
	const struct census_entry *of_parent = e ? census_find(census, e->parent) : NULL;
	struct process_ref ref = { .pid = e ? e->parent : 0, .uid = (uid_t)-1 };
	process_refs above = {};

	// Whoever is younger than its child has got the number of one that is gone.
	if (ref.pid <= 0 || (of_parent && e->born && of_parent->born > e->born))
		return false;
	if (ask && procfs_ref(ref.pid, arena, &ref))
		error_drop(procfs_ancestors(ref.pid, arena, &above));
	struct process_ref *to = LIST_ADD(arena, ancestors);
	if (!to)
		return false;
	*to = ref;
	for (size_t i = 0; i < above.n && (to = LIST_ADD(arena, ancestors)); i++)
		*to = above.v[i];
	return true;
}

// CHILD has been forked by another process than PARENT, which has adopted it.
static bool was_adopted(const struct census *census, pid_t child, pid_t parent)
{
	const struct census_entry *e = census_find(census, child);

	return e && e->born && e->parent > 0 && e->parent != parent;
}

void census_complete(const struct census *census, bool ask, struct arena *arena, struct sender *sender)
{
	process_refs *ancestors = &sender->ancestors;
	pid_t pid = sender->process.pid;

	add_name(census, arena, &sender->process);
	for (size_t i = 0; i < ANCESTORS_MAX; i++) {
		// Who started it is gone, but is who it is about.
		if (i < ancestors->n && was_adopted(census, pid, ancestors->v[i].pid))
			ancestors->n = i;
		if (i == ancestors->n && !add_parent(census, pid, ask, arena, ancestors))
			break;
		add_name(census, arena, &ancestors->v[i]);
		pid = ancestors->v[i].pid;
	}
	// Forked and never given a name of its own.
	if (!sender->process.comm && census_find(census, sender->process.pid) && ancestors->n)
		sender->process.comm = ancestors->v[0].comm;
}
