/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "witness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../live/procfs.h"

// How long the line that names the victim is waited for: it was seen 1.2 ms after the end at most.
#define KMSG_WAIT INT64_C(50000000)
// Different groups remembered, and how often a process is asked whether it still is in the same.
#define GROUPS_MAX 256
#define PATH_EVERY INT64_C(60000000000)

// A control group that a process was seen in, and those above it, its own first.
struct witness_group {
	char *path;
	unsigned n;
	size_t len[CGROUP_LEVELS]; /* of path's part that names the level */
	int events_fd[CGROUP_LEVELS];
	int procs_fd;
	struct cgroup_sizes sizes[CGROUP_LEVELS]; /* as of the first look */
};

struct error *witness_init(struct witness *w)
{
	w->vmstat_fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	cgroup_find("/proc/self/mountinfo", &w->tree);
	return kmsg_create(NULL, &w->kmsg);
}

void witness_deinit(struct witness *w)
{
	kmsg_destroy(w->kmsg);
	closep(&w->vmstat_fd);
	for (size_t i = 0; i < w->groups.n; i++) {
		closep(&w->groups.v[i]->procs_fd);
		for (unsigned k = 0; k < w->groups.v[i]->n; k++)
			closep(&w->groups.v[i]->events_fd[k]);
	}
	arena_deinit(&w->arena);
	*w = (struct witness){ .vmstat_fd = -1 };
}

// The group of PATH, opened when it is first met. NULL: without memory, or too many were met.
static const struct witness_group *find_group(struct witness *w, const char *path, size_t len)
{
	for (size_t i = 0; i < w->groups.n; i++)
		if (strlen(w->groups.v[i]->path) == len && !memcmp(w->groups.v[i]->path, path, len))
			return w->groups.v[i];
	struct witness_group *g =
		w->groups.n < GROUPS_MAX ? arena_alloc(&w->arena, sizeof(*g)) : NULL;
	struct witness_group **to = g ? LIST_ADD(&w->arena, &w->groups) : NULL;
	if (!to || !(g->path = arena_strndup(&w->arena, path, len))) {
		w->groups.n -= to != NULL;
		return NULL;
	}
	*to = g;
	g->procs_fd = cgroup_open_procs(&w->tree, g->path, len);
	for (; g->n < CGROUP_LEVELS; g->n++) {
		size_t part = cgroup_level(&w->tree, g->path, g->n);

		if (!part)
			break;
		g->len[g->n] = part;
		g->events_fd[g->n] = cgroup_open_events(&w->tree, g->path, part);
		g->sizes[g->n] = cgroup_sizes(&w->tree, g->path, part);
	}
	return g;
}

static const struct witness_group *group_of(struct witness *w, int proc_dir)
{
	char text[4096];
	const char *path;
	size_t len;

	if (!procfs_peek(proc_dir, "cgroup", text, sizeof(text)) || !cgroup_path(text, &path, &len))
		return NULL;
	return find_group(w, path, len);
}

// A limit that is not known of may be there.
static bool shares_limit(struct witness *w, const struct witness_group *group)
{
	_cleanup_(closep) int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct witness_group *own = self >= 0 ? group_of(w, self) : NULL;

	return !own || !group || cgroup_shares_limit(&w->tree, own->path, group->path);
}

// SIGKILL is on its way to the process, or has reached it.
static bool is_being_killed(const struct traced *process)
{
	char text[4096];
	unsigned long long pending;
	ssize_t n = pread(process->status_fd, text, sizeof(text) - 1, 0);

	// A process that cannot be read any more is at its end as well.
	text[n < 0 ? 0 : n] = '\0';
	const char *at = strstr(text, "\nShdPnd:");
	return n <= 0 || (at && sscanf(at + strlen("\nShdPnd:"), "%llx", &pending) == 1 &&
			  (pending >> (SIGKILL - 1) & 1));
}

void witness_look(struct witness *w, const struct traced *process, struct witness_before *before)
{
	struct witness_before now = *before;
	int64_t time = monotonic_now();

	now.others = -1;
	if (!now.taken || time >= now.next_path) {
		now.group = group_of(w, process->proc_dir);
		now.shares_limit = shares_limit(w, now.group);
		now.next_path = time + PATH_EVERY;
	}
	for (unsigned i = 0; now.group && i < now.group->n; i++)
		now.events[i] = cgroup_read_events(now.group->events_fd[i]);
	now.machine_kills = cgroup_machine_kills(w->vmstat_fd);
	if (now.group)
		now.others = cgroup_read_others(now.group->procs_fd, process->pid, getpid());
	// Who was there a while ago may have been the one that was struck.
	if (before->taken && before->group == now.group && before->others > now.others)
		now.others = before->others;
	now.taken = true;
	if (!is_being_killed(process))
		*before = now;
}

const char *witness_path(const struct witness_before *before)
{
	return before->group ? before->group->path : NULL;
}

static struct error *tell_levels(const struct witness *w, const struct witness_before *before,
				 struct snapshot *snapshot)
{
	const struct witness_group *g = before->group;
	struct process *process = &snapshot->process;
	// Counts of a group that it has left meanwhile say nothing of its end.
	bool same = !process->cgroup || !strcmp(process->cgroup, g->path);

	for (unsigned i = 0; same && i < g->n; i++) {
		struct cgroup_sizes sizes = cgroup_sizes(&w->tree, g->path, g->len[i]);
		struct cgroup_events events = cgroup_read_events(g->events_fd[i]);
		struct cgroup_level *level = LIST_ADD(&snapshot->arena, &process->cgroup_levels);

		if (!level || !(level->path = arena_strndup(&snapshot->arena, g->path, g->len[i])))
			return error_nomem();
		// A group that is removed with its last process leaves what it had said before.
		level->limit = sizes.usage >= 0 ? sizes.limit : g->sizes[i].limit;
		level->usage = sizes.usage;
		level->peak = sizes.peak;
		level->kills_before = before->events[i].kills;
		level->kills_after = events.kills;
		level->ooms_before = before->events[i].ooms;
		level->ooms_after = events.ooms;
	}
	if (!process->cgroup_levels.n)
		return NULL;
	const struct cgroup_level *own = &process->cgroup_levels.v[0];
	process->memory_limit = own->limit;
	process->memory_usage = own->usage;
	process->oom_kills_before = own->kills_before;
	process->oom_kills_after = own->kills_after;
	return NULL;
}

// A task of the snapshot's process. Seen from another pid namespace its numbers say nothing.
static bool is_of(const void *data, pid_t pid, const char *comm, size_t comm_len)
{
	const struct snapshot *snapshot = data;
	const char *name = snapshot->process.comm;

	if (snapshot->host.in_container)
		return comm_len && strlen(name) == comm_len && !memcmp(name, comm, comm_len);
	return pid && (pid == snapshot->process.pid || snapshot_thread(snapshot, pid));
}

// Both the process that has ended and those that the caller knows of.
struct concern {
	const struct snapshot *snapshot;
	kmsg_concerns *others;
	const void *data;
};

static bool is_of_any(const void *data, pid_t pid, const char *comm, size_t comm_len)
{
	const struct concern *c = data;

	return is_of(c->snapshot, pid, comm, comm_len) || c->others(c->data, pid, comm, comm_len);
}

static bool counts_rose(const struct snapshot *snapshot)
{
	const struct process *process = &snapshot->process;

	if (process->oom_kills_before >= 0 && process->oom_kills_after >= 0)
		return process->oom_kills_after > process->oom_kills_before;
	return snapshot->machine_kills_after < 0 ||
	       snapshot->machine_kills_after > snapshot->machine_kills_before;
}

struct error *witness_tell(struct witness *w, const struct witness_before *before, bool killed,
			   kmsg_concerns *concerns, const void *data, struct snapshot *snapshot)
{
	struct error *err = NULL;

	snapshot->process.cgroup_others = before->taken ? before->others : -1;
	snapshot->machine_kills_before = before->taken ? before->machine_kills : -1;
	snapshot->machine_kills_after = cgroup_machine_kills(w->vmstat_fd);
	if (before->group)
		err = tell_levels(w, before, snapshot);
	if (err)
		return err;
	const struct concern concern = { .snapshot = snapshot, .others = concerns, .data = data };
	int64_t deadline = monotonic_now() + KMSG_WAIT;
	kmsg_read(w->kmsg, is_of_any, &concern);
	while (killed && counts_rose(snapshot) && !kmsg_has_kill(w->kmsg, is_of, snapshot) &&
	       kmsg_wait(w->kmsg, deadline))
		kmsg_read(w->kmsg, is_of_any, &concern);
	return kmsg_copy(w->kmsg, is_of, snapshot, snapshot);
}
