/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture.h"

#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "../live/procfs.h"
#include "../live/procmem.h"
#include "../walk/python.h"

void look_deinit(struct look *look)
{
	if (!look->taken)
		return;
	images_deinit(&look->images);
	snapshot_deinit(&look->snapshot);
	*look = (struct look){};
}

static bool same_modules(const struct snapshot *a, const struct snapshot *b)
{
	if (a->modules.n != b->modules.n)
		return false;
	for (size_t i = 0; i < a->modules.n; i++) {
		const struct module *x = &a->modules.v[i], *y = &b->modules.v[i];

		if (x->start != y->start || x->end != y->end || x->inode != y->inode ||
		    x->dev_major != y->dev_major || x->dev_minor != y->dev_minor)
			return false;
	}
	return true;
}

// Where the interpreter is, so that nobody has to search for it while the process is held.
static struct error *find_python(struct look *look, const struct traced *process)
{
	struct snapshot *snapshot = &look->snapshot;
	struct procmem live;
	char *why = NULL;

	procmem_init(&live, process->pid, process->mem_fd);
	struct error *err = python_find(&look->images, &live.mem, &snapshot->arena,
					&snapshot->python, &why);
	if (!err && why)
		err = gaps_add(&snapshot->arena, &snapshot->gaps,
			       snapshot->python.found ? "another Python's frames" : "Python frames", NULL,
			       "%s", why);
	if (err && err->kind != ERROR_NOMEM)
		err = gaps_take(&snapshot->arena, &snapshot->gaps, "Python frames", NULL, err);
	return err;
}

// *SAME_RET: the modules are those of OLD, and nothing else was looked at.
static struct error *look_fresh(struct look *look, struct look *old,
				const struct traced *process, bool redact, bool *same_ret)
{
	struct snapshot *snapshot = &look->snapshot;
	struct procmem live;

	procmem_init(&live, process->pid, process->mem_fd);
	snapshot->process.pid = process->pid;
	snapshot->time.attached = process->seized;
	struct error *err = procfs_maps(snapshot, process->maps_fd, process->proc_dir);
	*same_ret = !err && old->taken && same_modules(&old->snapshot, snapshot);
	if (err || *same_ret)
		return err;
	// Files that were opened by an earlier look stay open: they may be gone from the disk by now.
	if (old->taken)
		procfs_keep_files(snapshot->modules.v, snapshot->modules.n, old->snapshot.modules.v,
				  old->snapshot.modules.n);
	err = procfs_host(snapshot);
	if (!err)
		err = procfs_process(snapshot, process->proc_dir, redact);
	if (!err)
		err = procfs_ancestors(process->pid, &snapshot->arena,
				       &snapshot->process.ancestors);
	if (!err)
		err = procfs_modules(snapshot, process->proc_dir, &live.mem);
	return err;
}

struct error *look_copy_hint(struct arena *arena, const struct python_hint *from,
			     struct python_hint *to)
{
	struct python_hint copy = *from;

	copy.found_by = from->found_by ? arena_strdup(arena, from->found_by) : NULL;
	copy.module = from->module ? arena_strdup(arena, from->module) : NULL;
	if ((from->found_by && !copy.found_by) || (from->module && !copy.module))
		return error_nomem();
	*to = copy;
	return NULL;
}

struct error *look_take(struct look *look, const struct traced *process, bool redact,
			const struct python_hint *known)
{
	struct look *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return error_nomem();
	snapshot_init(&fresh->snapshot);
	bool same;
	struct error *err = look_fresh(fresh, look, process, redact, &same);
	if (err || same) {
		snapshot_deinit(&fresh->snapshot);
		free(fresh);
		return err;
	}
	look_deinit(look);
	// Images borrow the snapshot's address: only now is it where it will stay.
	look->snapshot = fresh->snapshot;
	free(fresh);
	err = images_init(&look->images, &look->snapshot);
	if (err) {
		snapshot_deinit(&look->snapshot);
		*look = (struct look){};
		return err;
	}
	look->taken = true;
	if (!known || !known->found)
		return find_python(look, process);
	err = look_copy_hint(&look->snapshot.arena, known, &look->snapshot.python);
	if (!err)
		python_find_asyncio(&look->images, &look->snapshot.python);
	return err;
}

struct error *look_update(struct look *look, const struct traced *process)
{
	struct snapshot *snapshot = &look->snapshot;
	const struct module *before = snapshot->modules.v;
	struct procmem live;

	// Images stand beside the modules they are of: not while those are made anew.
	images_deinit(&look->images);
	struct error *err = procfs_maps(snapshot, process->maps_fd, process->proc_dir);
	if (err && err->kind == ERROR_GONE)
		err = gaps_take(&snapshot->arena, &snapshot->gaps, "memory mappings", NULL, err);
	if (!err && snapshot->modules.v != before) {
		procmem_init(&live, process->pid, process->mem_fd);
		err = procfs_modules(snapshot, process->proc_dir, &live.mem);
	}
	struct error *failed = images_init(&look->images, snapshot);
	if (failed) {
		// There is nothing to be deinitialised but the snapshot.
		snapshot_deinit(snapshot);
		*look = (struct look){};
		error_free(err);
		return failed;
	}
	if (err || snapshot->modules.v == before)
		return err;
	if (!snapshot->python.found)
		return find_python(look, process);
	python_find_asyncio(&look->images, &snapshot->python);
	return NULL;
}

struct error *look_repair(struct look *look)
{
	if (!look->taken)
		return NULL;
	look->images = (struct images){};
	struct error *err = images_init(&look->images, &look->snapshot);
	if (err) {
		snapshot_deinit(&look->snapshot);
		*look = (struct look){};
	}
	return err;
}
