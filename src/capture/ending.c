/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ending.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "../live/procfs.h"
#include "../live/procmem.h"

// Which of a process's breakpoints is what; those at the finalizers come first.
enum { ENTRY = PY_FINALIZERS };

// What is left to do for a program whose Python has been taken down takes less, or is another matter.
#define AFTERLIFE_MAX INT64_C(10000000000)

// With breakpoints set, a switch to a thread takes the kernel 2.5 us more for one of them and 5.5 us
// for three, as measured in a virtual machine; a physical one's debug registers are quicker.
#define SWITCH_COST(breakpoints) (1000 + 1500 * (breakpoints)) // ns
#define SECOND INT64_C(1000000000)
#define COST_MAX (SECOND / 100) // ns a second
// A burst is not a way of life.
#define COUNT_LEAST SECOND
#define COUNTED_THREADS 64
// A server that is asked to end first finishes what it is at.
#define ASKED_MAX (60 * SECOND)

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

// How often its threads have been switched to. Of a crowd the first are counted.
static uint64_t count_switches(const struct traced *process)
{
	uint64_t sum = 0;
	unsigned n = 0;

	for (const struct tracee *t = process->tracees; t && n < COUNTED_THREADS;
	     t = t->next_in_process, n++) {
		char path[64], text[96];
		unsigned long long times;

		// sched-stats.txt: time on a processor, time waiting for one, times on one.
		snprintf(path, sizeof(path), "task/%d/schedstat", (int)t->tid);
		if (procfs_peek(process->proc_dir, path, text, sizeof(text)) &&
		    sscanf(text, "%*u %*u %llu", &times) == 1)
			sum += times;
	}
	return sum;
}

// Nanoseconds a second that the breakpoints cost, or would; -1 when it is too early to tell.
static int64_t cost_of(struct ending *ending, const struct traced *process)
{
	int64_t now = monotonic_now(), since = now - ending->counted, breakpoints = 0;
	uint64_t before = ending->switches;

	if (ending->counted && since < COUNT_LEAST)
		return -1;
	bool first = !ending->counted;
	ending->switches = count_switches(process);
	ending->counted = now;
	// Threads that have ended took their counts with them.
	if (first || ending->switches < before)
		return -1;
	for (unsigned i = 0; i < PY_FINALIZERS; i++)
		breakpoints += process->breakpoints[i].set || ending->at[i];
	return (int64_t)((double)(ending->switches - before) * (double)SECOND / (double)since) *
	       SWITCH_COST(breakpoints);
}

static struct error *disarm(struct ending *ending, struct traced *process)
{
	for (unsigned i = 0; i < PY_FINALIZERS; i++) {
		ending->at[i] = process->breakpoints[i].set ? process->breakpoints[i].at : 0;
		breakpoint_clear(&process->breakpoints[i]);
	}
	ending->armed = false;
	ending->costly = true;
	return refuse(ending,
		      error_new(ERROR_UNSUPPORTED,
				"its threads were switched to so often that a breakpoint would have "
				"cost it more than 1 %% of its speed"),
		      "watch with --breakpoint=always, at that price");
}

static void calm(struct ending *ending)
{
	free(ending->why);
	ending->why = NULL;
	memset(ending->at, 0, sizeof(ending->at));
	ending->costly = false;
}

struct error *ending_asked(struct ending *ending, struct traced *process)
{
	struct error *err = NULL;

	ending->asked = monotonic_now();
	if (!ending->costly)
		return NULL;
	taddr at[PY_FINALIZERS];
	memcpy(at, ending->at, sizeof(at));
	calm(ending);
	for (unsigned i = 0; !err && i < PY_FINALIZERS && at[i]; i++)
		err = set(ending, process, i, at[i]);
	ending->armed = process->breakpoints[0].set;
	return err;
}

struct error *ending_arm(struct ending *ending, struct traced *process, struct look *look,
			 bool any_cost)
{
	if (!look->taken)
		return NULL;
	if (!any_cost && (ending->armed || ending->costly)) {
		int64_t cost = cost_of(ending, process);
		bool asked = ending->asked && monotonic_now() - ending->asked < ASKED_MAX;

		if (ending->armed && !asked && cost > COST_MAX)
			return disarm(ending, process);
		if (ending->costly && (cost < 0 || cost > COST_MAX / 2))
			return NULL;
		if (ending->costly)
			calm(ending);
	}
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
	ending->aborted = false;
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

/*
 * A server that gives up on its worker sends SIGABRT, and SIGKILL soon after to who has not gone by then:
 * what it hung in when the first one came is why.
 */
static bool was_given_up(const struct snapshot *snapshot)
{
	const struct death *death = &snapshot->death;
	pid_t sender = death->sender.process.pid;

	if (death->kind != DEATH_SIGNAL || death->signo != SIGKILL || !sender)
		return false;
	for (size_t i = 0; i < death->earlier.n; i++)
		if (death->earlier.v[i].info.signo == SIGABRT &&
		    death->earlier.v[i].disposition == SIGNAL_HANDLED &&
		    death->earlier.v[i].sender.process.pid == sender)
			return true;
	return false;
}

struct error *ending_settle(struct ending *ending, const struct traced *process,
			    struct snapshot *snapshot)
{
	struct arena *arena = &snapshot->arena;

	if (ending->scene && (ended_with_python(ending, snapshot) || was_given_up(snapshot))) {
		snapshot->death.since_abort = ending->aborted;
		return snapshot_take_scene(snapshot, ending->scene);
	}
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
