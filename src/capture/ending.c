/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ending.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "../live/procfs.h"
#include "../live/procmem.h"
#include "../walk/pyend.h"

// Which of a process's breakpoints is what; those at the finalizers come first.
enum { ENTRY = PY_FINALIZERS };

// What is left to do for a program whose Python has been taken down takes less, or is another matter.
#define AFTERLIFE_MAX INT64_C(10000000000)

#define WHAT "Python as its finalization began"

void ending_deinit(struct ending *ending)
{
	if (ending->scene)
		snapshot_deinit(ending->scene);
	free(ending->scene);
	free(ending->why);
	*ending = (struct ending){};
}

// ERR, which is consumed, is why there is no breakpoint. An end of the process is told elsewhere.
static struct error *refuse(struct ending *ending, struct error *err, const char *remedy)
{
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	_cleanup_(error_freep) struct error *why = err;
	if (why->kind == ERROR_GONE || ending->why)
		return NULL;
	ending->why = strdup(why->text);
	ending->remedy = remedy;
	return ending->why ? NULL : error_nomem();
}

static struct error *set(struct ending *ending, struct traced *process, unsigned which, taddr at)
{
	struct breakpoint *b = &process->breakpoints[which];
	const char *remedy;

	if (b->set && b->at == at)
		return NULL;
	struct error *err = breakpoint_set(b, process->pid, at, &remedy);
	return err ? refuse(ending, err, remedy) : NULL;
}

// The program's own first instruction, which the dynamic loader goes to when it is done.
static taddr entry_of(const struct traced *process)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	struct bytes auxv = {};
	Elf64_auxv_t pair;

	if (error_drop(procfs_read(process->proc_dir, "auxv", 4096, &arena, &auxv)))
		return 0;
	for (size_t at = 0; at + sizeof(pair) <= auxv.len; at += sizeof(pair)) {
		memcpy(&pair, auxv.data + at, sizeof(pair));
		if (pair.a_type == AT_ENTRY)
			return pair.a_un.a_val;
	}
	return 0;
}

struct error *ending_new_program(struct ending *ending, struct traced *process)
{
	taddr entry = entry_of(process);

	ending_deinit(ending);
	return entry ? set(ending, process, ENTRY, entry) : NULL;
}

struct error *ending_forked(struct ending *ending, struct traced *process,
			    const struct traced *parent)
{
	struct error *err = NULL;

	// One that executes another program loses them with it.
	for (unsigned i = 0; !err && i < PY_FINALIZERS; i++)
		if (parent->breakpoints[i].set)
			err = set(ending, process, i, parent->breakpoints[i].at);
	ending->armed = process->breakpoints[0].set;
	return err;
}

static struct error *arm(struct ending *ending, struct traced *process, struct images *images,
			 const struct python_hint *hint)
{
	taddr at[PY_FINALIZERS];
	struct error *err = NULL;

	python_finalizers(images, hint, at);
	for (unsigned i = 0; !err && i < PY_FINALIZERS && at[i]; i++)
		err = set(ending, process, i, at[i]);
	if (err)
		return err;
	// The first is the one that matters most.
	ending->armed = process->breakpoints[0].set;
	if (ending->armed || ending->why || !hint->found)
		return NULL;
	return refuse(ending,
		      error_new(ERROR_UNSUPPORTED, "%s has no symbol Py_FinalizeEx to stop at",
				hint->module ? hint->module : "the interpreter"),
		      NULL);
}

struct error *ending_arm(struct ending *ending, struct traced *process, struct look *look)
{
	if (!look->taken)
		return NULL;
	return arm(ending, process, &look->images, &look->snapshot.python);
}

struct error *ending_unwanted(struct ending *ending)
{
	return refuse(ending, error_new(ERROR_UNSUPPORTED, "--no-breakpoint was given"), NULL);
}

// A look at no more than the modules, for a process that has just been loaded and waits.
static struct error *arm_loaded(struct ending *ending, struct traced *process)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	static const struct python_hint not_yet;
	struct images images = {};
	struct procmem live;

	snapshot_init(&snapshot);
	procmem_init(&live, process->pid, process->mem_fd);
	struct error *err = procfs_maps(&snapshot, process->maps_fd, process->proc_dir);
	if (!err)
		err = procfs_modules(&snapshot, process->proc_dir, &live.mem);
	if (!err)
		err = images_init(&images, &snapshot);
	if (err && err->kind == ERROR_GONE) {
		error_free(err);
		return NULL;
	}
	if (err)
		return err;
	err = arm(ending, process, &images, &not_yet);
	images_deinit(&images);
	return err;
}

struct error *ending_reached(struct ending *ending, struct traced *process,
			     struct breakpoint *breakpoint, bool *finalizing_ret)
{
	*finalizing_ret = breakpoint != &process->breakpoints[ENTRY];
	if (*finalizing_ret)
		return NULL;
	breakpoint_clear(breakpoint);
	return arm_loaded(ending, process);
}

static void drop_scene(struct ending *ending)
{
	if (ending->scene)
		snapshot_deinit(ending->scene);
	free(ending->scene);
	ending->scene = NULL;
}

struct error *ending_keep(struct ending *ending, struct look *look)
{
	struct snapshot *scene = malloc(sizeof(*scene));

	if (!scene)
		return error_nomem();
	drop_scene(ending);
	images_deinit(&look->images);
	*scene = TAKE(look->snapshot);
	look->taken = false;
	ending->scene = scene;
	ending->kept = monotonic_now();
	return NULL;
}

static bool is_gone(const struct ending *ending, const struct traced *process)
{
	struct procmem live;

	if (!ending->scene)
		return false;
	procmem_init(&live, process->pid, process->mem_fd);
	return python_is_gone(&live.mem, &ending->scene->python);
}

void ending_foreseen(struct ending *ending, const struct traced *process)
{
	ending->gone = is_gone(ending, process);
}

void ending_passed(struct ending *ending, const struct traced *process)
{
	if (ending->scene && monotonic_now() - ending->kept > AFTERLIFE_MAX &&
	    is_gone(ending, process))
		drop_scene(ending);
}

// CPython ends itself by SIGINT after a KeyboardInterrupt that nobody caught, when all else is done.
static bool ended_with_python(const struct ending *ending, const struct snapshot *snapshot)
{
	const struct death *death = &snapshot->death;

	if (!ending->gone || !snapshot_thread(ending->scene, death->tid))
		return false;
	return death->kind == DEATH_EXIT ||
	       (death->kind == DEATH_SIGNAL && death->signo == SIGINT &&
		death->sender.kind == SENDER_SELF);
}

struct error *ending_settle(struct ending *ending, const struct traced *process,
			    struct snapshot *snapshot)
{
	struct arena *arena = &snapshot->arena;

	if (ending->scene && ended_with_python(ending, snapshot))
		return snapshot_take_scene(snapshot, ending->scene);
	if (ending->scene || !snapshot->python.found || snapshot->death.kind != DEATH_EXIT)
		return NULL;
	if (!ending->armed && ending->why)
		return gaps_add(arena, &snapshot->gaps, WHAT, ending->remedy, "%s", ending->why);
	for (size_t i = 0; i < ARRAY_SIZE(process->breakpoints); i++)
		if (breakpoint_was_missed(&process->breakpoints[i]))
			return gaps_add(arena, &snapshot->gaps, WHAT, NULL,
					"the breakpoint was met, but the process kept back the signal that "
					"tells of it");
	return NULL;
}
