/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "python.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include "../cleanup.h"
#include "pyentry.h"
#include "pyexcept.h"
#include "pyframe.h"
#include "pylocals.h"
#include "pynames.h"
#include "pytasks.h"
#include "pywalk.h"
#include "seen.h"

// All threads together: what a dump of anybody's making may cost.
#define PY_MAX_ALL_FRAMES ((size_t)1 << 20)
#define PY_MAX_CODE_BYTES ((size_t)64 << 20)
#define PY_MAX_EXCEPTION_BYTES ((size_t)8 << 20)

// Frames whose variables are read, and bytes that these may be.
#define PY_MAX_LOCALS_FRAMES 4096
#define PY_MAX_LOCALS_BYTES  ((size_t)32 << 20)

// A clock is read once in so many frames.
#define DEADLINE_FRAMES 16

void py_state_deinit(struct py_state *state)
{
	arena_deinit(&state->arena);
	*state = (struct py_state){};
}

// How far the walk of a thread's stack has come.
struct cursor {
	taddr at;      /* the next frame, or ... */
	bool indirect; /* ... where in the thread's own structure the first one is told */
	uint32_t thread;
	size_t n; /* frames so far */
};

// A frame whose variables are wanted.
struct located {
	taddr frame, code;
	uint32_t thread, index; /* where it is in the state */
	size_t depth;		/* of its stack, 0 is the innermost */
};

// What a walk is to bring beside the frames, and how much of these.
struct wanted {
	bool names, exceptions, tasks, locals;
	size_t threads, frames; // as many at most
};

static const struct wanted all_there_is = { .names = true,
					    .exceptions = true,
					    .tasks = true,
					    .locals = true,
					    .threads = PY_MAX_THREADS,
					    .frames = PY_MAX_FRAMES };
static const struct wanted frames_alone = { .threads = PY_MAX_THREADS, .frames = PY_MAX_FRAMES };
static const struct wanted some_frames = { .threads = 64, .frames = 4 };

struct walk {
	const struct mem *mem;
	const struct py_layout *py;
	struct py_frames f;
	taddr runtime;
	struct wanted wanted;
	bool capture; /* touch only */
	int64_t deadline;
	bool out_of_time;
	struct py_state *state;
	struct seen interpreters, threads, frames;
	struct cursor *cursors;
	size_t n_cursors, cursors_room;
	unsigned until_clock;
	int good_frames; /* whose code was read */
	LIST(struct { taddr at, interpreter; }) tstates; /* in the state's arena */
	LIST(struct located) located; /* in the state's arena */
};

static void walk_deinit(struct walk *w)
{
	seen_deinit(&w->interpreters);
	seen_deinit(&w->threads);
	seen_deinit(&w->frames);
	py_frames_deinit(&w->f);
	free(w->cursors);
}

static bool time_is_up(struct walk *w)
{
	struct timespec now;

	if (!w->deadline || w->out_of_time)
		return w->out_of_time;
	if (w->until_clock--)
		return false;
	w->until_clock = DEADLINE_FRAMES;
	clock_gettime(CLOCK_MONOTONIC, &now);
	w->out_of_time = now.tv_sec * INT64_C(1000000000) + now.tv_nsec >= w->deadline;
	return w->out_of_time;
}

// ERR, which is consumed, becomes *GAP (of which the first stays); lack of memory is passed up.
static struct error *gap_from(struct walk *w, struct error *err, char **gap)
{
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	_cleanup_(error_freep) struct error *why = err;
	w->f.broken |= err->kind != ERROR_UNSUPPORTED;
	if (w->capture || *gap)
		return NULL;
	*gap = arena_strdup(&w->state->arena, why->text);
	return *gap ? NULL : error_nomem();
}

static struct error *locate(struct walk *w, taddr frame, taddr code, const struct cursor *cursor,
			    const struct py_thread *thread)
{
	struct located *to = LIST_ADD(&w->state->arena, &w->located);

	if (!to)
		return error_nomem();
	*to = (struct located){ .frame = frame,
				.code = code,
				.thread = cursor->thread,
				.index = w->capture ? 0 : (uint32_t)thread->frames.n - 1,
				.depth = cursor->n };
	return NULL;
}

// One frame; *RET is the next one outwards. What does not hold is an error that ends the chain.
static struct error *walk_frame(struct walk *w, taddr at, const struct cursor *cursor,
				struct py_thread *thread, taddr *ret)
{
	const struct py_code *code = NULL;
	struct py_raw_frame frame = {};

	struct error *err = py_frames_read(&w->f, at, &frame);
	if (err)
		return err;
	if (frame.shim) {
		// C entered the eval loop here: the frame just inside of it is the first of that.
		if (thread->frames.n) {
			struct py_frame *inside = &thread->frames.v[thread->frames.n - 1];

			inside->on_c_stack = inside->entry ? inside->on_c_stack : at;
			inside->entry = true;
		}
		*ret = frame.back;
		return NULL;
	}
	err = py_frames_code(&w->f, frame.code, &code);
	if (err)
		return err;
	if (code->bad)
		return error_new(ERROR_INPUT, "the frame at 0x%llx: %s", (unsigned long long)at,
				 code->bad);
	w->good_frames++;
	// Code without an instruction that may be traced is glue of the interpreter (3.12's
	// __init__ cleanup): CPython itself never shows it.
	bool glue = code->traceable >= 0 && code->traceable >= code->units && !frame.generator;
	if (!w->capture && !glue) {
		struct py_frame *shown = LIST_ADD(&w->state->arena, &thread->frames);

		if (!shown)
			return error_nomem();
		err = py_frames_show(&w->f, &frame, code, shown);
	}
	if (!err && w->wanted.locals && !glue)
		err = locate(w, at, frame.code, cursor, thread);
	if (!err)
		*ret = frame.back;
	return err;
}

// Follow a stack as far as it stays on a page; CURSOR->at is 0 at its end.
static struct error *walk_page(struct walk *w, struct cursor *cursor, struct py_thread *thread)
{
	taddr page = cursor->at / TARGET_PAGE;
	struct error *err = NULL;

	if (cursor->indirect) {
		cursor->indirect = false;
		err = error_prefix(mem_u64(w->mem, cursor->at, &cursor->at),
				   "the thread's innermost frame");
	} else {
		do {
			taddr frame = cursor->at;

			if (cursor->n == w->wanted.frames)
				err = py_limit("cut at %zu Python frames", cursor->n);
			else if (w->frames.n == PY_MAX_ALL_FRAMES)
				err = py_limit("cut: %zu Python frames in all threads", w->frames.n);
			else if (time_is_up(w))
				err = py_limit("cut: the time for it was up");
			else if (seen_find(&w->frames, frame))
				// Each call has its own, so this is a loop or another thread's stack.
				err = error_new(ERROR_INPUT, "the frame at 0x%llx was met before",
						(unsigned long long)frame);
			else
				err = seen_add(&w->frames, frame, 0);
			if (!err)
				err = walk_frame(w, frame, cursor, thread, &cursor->at);
			cursor->n++;
		} while (!err && cursor->at && cursor->at / TARGET_PAGE == page);
	}
	if (err)
		cursor->at = 0;
	return gap_from(w, err, &thread->gap);
}

// The pages that the next frames of all stacks are on, which are had faster together.
static struct error *prefetch_frames(struct walk *w)
{
	if (!w->mem->prefetch || w->n_cursors < 2)
		return NULL;
	_cleanup_(freep) taddr *pages = malloc(w->n_cursors * 2 * sizeof(*pages));
	size_t n = 0;

	if (!pages)
		return error_nomem();
	for (size_t i = 0; i < w->n_cursors; i++) {
		const struct cursor *c = &w->cursors[i];
		taddr last = c->at + (c->indirect ? 8 : py_frame_span(w->py)) - 1;

		pages[n++] = c->at & ~(TARGET_PAGE - 1);
		if (last > c->at && (last & ~(TARGET_PAGE - 1)) != pages[n - 1])
			pages[n++] = last & ~(TARGET_PAGE - 1);
	}
	w->mem->prefetch(w->mem, pages, n);
	return NULL;
}

/*
 * All stacks side by side, a page at a time. While a process is held this saves most of the
 * system calls, and when the time is up each thread has its innermost frames.
 */
static struct error *walk_stacks(struct walk *w)
{
	struct error *err = NULL;

	while (w->n_cursors && !err) {
		size_t left = 0;

		err = prefetch_frames(w);
		for (size_t i = 0; i < w->n_cursors && !err; i++) {
			struct cursor *c = &w->cursors[i];
			struct py_thread none = {};

			err = walk_page(w, c, w->capture ? &none : &w->state->threads.v[c->thread]);
			if (c->at)
				w->cursors[left++] = *c;
		}
		w->n_cursors = left;
	}
	return err;
}

// Note where the stack of thread INDEX begins, if it has one.
static struct error *add_cursor(struct walk *w, taddr frame, uint32_t index)
{
	uint32_t cframe = w->py->offsets.cframe_frame;

	if (!frame)
		return NULL;
	if (w->n_cursors == w->cursors_room) {
		size_t n = w->cursors_room ? w->cursors_room * 2 : 64;
		struct cursor *cursors = realloc(w->cursors, n * sizeof(*cursors));

		if (!cursors)
			return error_nomem();
		w->cursors = cursors;
		w->cursors_room = n;
	}
	w->cursors[w->n_cursors++] = (struct cursor){
		.at = frame + (cframe == PY_NONE ? 0 : cframe),
		.indirect = cframe != PY_NONE,
		.thread = index,
	};
	return NULL;
}

static pid_t native_id(const struct py_layout *py, const uint8_t *tstate)
{
	if (py->offsets.tstate_native_id == PY_NONE)
		return 0;
	uint64_t id = py_field(tstate, py->offsets.tstate_native_id);
	return id <= INT32_MAX ? (pid_t)id : 0;
}

// One thread; *RET is the next one of the interpreter.
static struct error *walk_thread(struct walk *w, taddr at, taddr interpreter, int64_t id,
				 taddr *ret)
{
	const union py_offsets *o = &w->py->offsets;
	uint8_t raw[PY_STRUCT_MAX];

	struct error *err = mem_read(w->mem, at, raw,
				     PY_SPAN(o->tstate_next, o->tstate_interp, o->tstate_frame,
					  o->tstate_thread_id, o->tstate_native_id));
	if (err)
		return err;
	if (py_field(raw, o->tstate_interp) != interpreter)
		return error_new(ERROR_INPUT, "the thread state at 0x%llx is not of this interpreter",
				 (unsigned long long)at);
	uint32_t index = (uint32_t)w->threads.n;
	err = seen_add(&w->threads, at, index);
	if (err)
		return err;
	__typeof__(w->tstates.v) tstate = LIST_ADD(&w->state->arena, &w->tstates);
	if (!tstate)
		return error_nomem();
	tstate->at = at;
	tstate->interpreter = interpreter;
	if (!w->capture) {
		struct py_thread *thread = LIST_ADD(&w->state->arena, &w->state->threads);

		if (!thread)
			return error_nomem();
		*thread = (struct py_thread){ .tstate = at,
					      .tid = native_id(w->py, raw),
					      .pthread = py_field(raw, o->tstate_thread_id),
					      .interpreter = id };
	}
	err = add_cursor(w, py_field(raw, o->tstate_frame), index);
	if (!err)
		*ret = py_field(raw, o->tstate_next);
	return err;
}

static struct error *walk_threads(struct walk *w, taddr interpreter, int64_t id)
{
	taddr at;
	struct error *err = mem_u64(w->mem, interpreter + w->py->offsets.interp_threads, &at);

	while (!err && at) {
		if (w->threads.n == w->wanted.threads) {
			err = py_limit("cut at %zu threads", w->threads.n);
		} else if (time_is_up(w)) {
			err = py_limit("cut after %zu: the time for it was up",
					w->threads.n);
		} else if (seen_find(&w->threads, at)) {
			err = error_new(ERROR_INPUT, "the thread state at 0x%llx was met before",
					(unsigned long long)at);
		} else {
			err = walk_thread(w, at, interpreter, id, &at);
		}
	}
	return py_frames_gap(&w->f, "Python threads", err);
}

// Whether somebody holds the GIL at AT, and who. ERROR_INPUT when that cannot be.
static struct error *read_gil(struct walk *w, taddr gil)
{
	const union py_offsets *o = &w->py->offsets;
	uint32_t locked, enabled = 1;
	taddr holder;

	struct error *err = mem_u64(w->mem, gil + o->gil_holder, &holder);
	if (!err)
		err = mem_u32(w->mem, gil + o->gil_locked, &locked);
	if (!err && o->gil_enabled != PY_NONE)
		err = mem_u32(w->mem, gil + o->gil_enabled, &enabled);
	if (err || w->capture || !enabled)
		return err;
	if (locked == 0) {
		w->state->have_gil = true;
		return NULL;
	}
	// -1 is a lock that was never made, anything but 1 no lock at all.
	const uint32_t *index = locked == 1 ? seen_find(&w->threads, holder) : NULL;
	if (!index)
		return error_new(ERROR_INPUT, "its state is %d, its holder no thread that is known",
				 (int32_t)locked);
	w->state->threads.v[*index].holds_gil = true;
	w->state->have_gil = true;
	return NULL;
}

static struct error *walk_gil(struct walk *w, taddr interpreter)
{
	const union py_offsets *o = &w->py->offsets;
	taddr gil;

	switch (w->py->gil) {
	case PY_GIL_UNKNOWN:
		return NULL;
	case PY_GIL_RUNTIME:
		return read_gil(w, w->runtime + o->runtime_gil);
	case PY_GIL_INTERPRETER:
		break;
	}
	struct error *err = mem_u64(w->mem, interpreter + o->interp_gil, &gil);
	// An interpreter that is being made or taken down has none.
	return err || !gil ? err : read_gil(w, gil);
}

// Is the garbage collector at work whose state is at GC?
static struct error *read_gc(struct walk *w, taddr gc)
{
	uint32_t collecting;
	struct error *err = mem_u32(w->mem, gc + w->py->offsets.gc_collecting, &collecting);

	if (err)
		return err;
	if (collecting > 1)
		return error_new(ERROR_INPUT, "its state is %u", collecting);
	w->state->have_gc = true;
	w->state->gc_running |= collecting;
	return NULL;
}

static struct error *walk_gc(struct walk *w, taddr interpreter)
{
	const union py_offsets *o = &w->py->offsets;

	// Up to 3.6 it is a variable without a name for us.
	if (o->gc_collecting == PY_NONE)
		return NULL;
	return read_gc(w, o->interp_gc != PY_NONE ? interpreter + o->interp_gc
						  : w->runtime + o->runtime_gc);
}

static struct error *walk_interpreter(struct walk *w, taddr at, taddr *ret)
{
	const union py_offsets *o = &w->py->offsets;
	uint64_t id = 0;
	taddr next;

	struct error *err = mem_u64(w->mem, at + o->interp_next, &next);
	if (!err && o->interp_id != PY_NONE)
		err = mem_u64(w->mem, at + o->interp_id, &id);
	if (err)
		return err;
	if (id > INT64_MAX)
		return error_new(ERROR_INPUT, "the interpreter at 0x%llx has number %lld",
				 (unsigned long long)at, (long long)id);
	err = seen_add(&w->interpreters, at, 0);
	if (err)
		return err;
	w->state->interpreters[w->state->n_interpreters++] = (int64_t)id;
	err = walk_threads(w, at, (int64_t)id);
	if (!err)
		*ret = next;
	return err;
}

// A probe that looks whether this is an interpreter at all does not come here.
static struct error *walk_tasks(struct walk *w, taddr interpreter)
{
	taddr *tstates = arena_alloc(&w->state->arena, (w->tstates.n + 1) * sizeof(*tstates));
	size_t n = 0;

	if (!tstates)
		return error_nomem();
	for (size_t i = 0; i < w->tstates.n; i++)
		if (w->tstates.v[i].interpreter == interpreter)
			tstates[n++] = w->tstates.v[i].at;
	w->f.reader.budget = PY_MAX_CODE_BYTES;
	w->f.reader.deadline = py_reader_deadline(w->deadline, PY_TASKS_TIME);
	w->f.reader.late = false;
	struct error *err = py_tasks_walk(&w->f, interpreter, tstates, n, w->state);
	w->f.reader.deadline = 0;
	w->f.reader.late = false;
	return err;
}

static int compare_located(const void *a, const void *b)
{
	const struct located *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->thread < y->thread ? -1 : x->thread > y->thread;
}

// The variables of innermost frames tell most and come first.
static struct error *walk_locals(struct walk *w)
{
	struct py_reader *reader = &w->f.reader;
	struct error *err = NULL;
	size_t n = w->located.n;

	if (!n)
		return NULL;
	qsort(w->located.v, n, sizeof(*w->located.v), compare_located);
	reader->budget = PY_MAX_LOCALS_BYTES;
	reader->deadline = py_reader_deadline(w->deadline, PY_LOCALS_TIME);
	reader->late = false;
	for (size_t i = 0; i < n && !err; i++) {
		const struct located *from = &w->located.v[i];
		py_locals list = {};

		if (i == PY_MAX_LOCALS_FRAMES)
			err = py_limit("those of %zu of %zu frames were read", i, n);
		else if (py_reader_late(reader))
			err = py_limit("the time for them was up after %zu of %zu frames", i, n);
		else if (!reader->budget)
			err = py_limit("they were too large after %zu of %zu frames", i, n);
		if (err)
			break;
		err = py_frames_gap(&w->f, "local variables",
				    py_frame_locals(reader, from->frame, from->code, w->f.hide,
						    &w->state->arena, &list));
		if (!w->capture)
			w->state->threads.v[from->thread].frames.v[from->index].locals = list;
	}
	reader->deadline = 0;
	return py_frames_gap(&w->f, "local variables", err);
}

/*
 * Exceptions: of interpreters LIST, N of them, the last that nobody caught, and those that threads
 * are concerned with.
 */
static struct error *walk_exceptions(struct walk *w, const taddr *list, int n)
{
	struct py_reader *reader = &w->f.reader;
	struct error *err = NULL;

	if (!w->wanted.exceptions)
		return NULL;
	size_t budget = reader->budget;
	reader->budget = PY_MAX_EXCEPTION_BYTES;
	reader->deadline = w->deadline;
	// The main interpreter is the last of the list.
	for (int i = n; !err && i-- > 0 && !w->state->last;)
		err = py_frames_gap(&w->f, "the exception that nobody caught",
				    py_last_exception(&w->f, list[i], &w->state->last));
	for (size_t i = 0; !err && i < w->tstates.n; i++) {
		struct py_exception *handled, *raised;

		if (py_reader_late(reader)) {
			err = py_frames_gap(&w->f, "exceptions that threads handled",
					    py_limit("the time for them was up after %zu of %zu", i,
						     w->tstates.n));
			break;
		}
		err = py_frames_gap(&w->f, "the exception that a thread handled",
				    py_thread_exceptions(&w->f, w->tstates.v[i].at, &handled, &raised));
		if (w->capture)
			continue;
		w->state->threads.v[i].handled = handled;
		w->state->threads.v[i].raised = raised;
	}
	reader->budget = budget;
	reader->deadline = 0;
	reader->late = false;
	return err;
}

static struct error *walk_interpreters(struct walk *w)
{
	const union py_offsets *o = &w->py->offsets;
	uint32_t head = o->runtime_head == PY_NONE ? 0 : o->runtime_head;
	taddr list[PY_MAX_INTERPRETERS];
	int n = 0;
	taddr at;

	struct error *err = mem_u64(w->mem, w->runtime + head, &at);
	while (!err && at) {
		if (n == PY_MAX_INTERPRETERS) {
			err = py_limit("cut at %d interpreters", n);
		} else if (seen_find(&w->interpreters, at)) {
			err = error_new(ERROR_INPUT, "the interpreter at 0x%llx was met before",
					(unsigned long long)at);
		} else {
			list[n] = at;
			err = walk_interpreter(w, at, &at);
			if (!err)
				n++;
		}
	}
	if (!err && o->runtime_main != PY_NONE) {
		taddr main_one;

		// The main interpreter goes last, and takes itself off the list and this away together.
		err = mem_u64(w->mem, w->runtime + o->runtime_main, &main_one);
		if (!err && main_one && !seen_find(&w->interpreters, main_one))
			err = error_new(ERROR_INPUT, "the main one is not among them");
	}
	err = py_frames_gap(&w->f, "Python interpreters", err);
	if (!err)
		err = walk_stacks(w);
	if (!err)
		err = walk_exceptions(w, list, n);
	for (int i = 0; !err && i < n && w->wanted.names; i++)
		err = py_frames_gap(&w->f, "names of Python threads",
				    py_names_read(&w->f, list[i], w->state->interpreters[i], w->state));
	for (size_t i = 0; !err && i < w->state->threads.n; i++)
		py_entries_place(w->mem, w->py, &w->state->threads.v[i]);
	// The holder is checked against all threads, so the GIL comes last.
	for (int i = 0; !err && i < n; i++) {
		err = py_frames_gap(&w->f, "holder of the GIL", walk_gil(w, list[i]));
		if (w->py->gil == PY_GIL_RUNTIME)
			break;
	}
	for (int i = 0; !err && i < n; i++)
		err = py_frames_gap(&w->f, "whether garbage was being collected", walk_gc(w, list[i]));
	for (int i = 0; !err && i < n && w->wanted.tasks; i++)
		err = walk_tasks(w, list[i]);
	return err ? err : walk_locals(w);
}

static struct error *walk_runtime(struct walk *w)
{
	const union py_offsets *o = &w->py->offsets;
	taddr finalizing = 0;
	struct error *err = NULL;

	w->f.reader = (struct py_reader){ .mem = w->mem, .layout = w->py, .touch_only = w->capture,
					  .budget = PY_MAX_CODE_BYTES };
	if (o->runtime_finalizing != PY_NONE)
		err = py_frames_gap(&w->f, "whether Python is finalizing",
				    mem_u64(w->mem, w->runtime + o->runtime_finalizing,
					    &finalizing));
	w->state->finalizing = finalizing != 0;
	return err ? err : walk_interpreters(w);
}

static struct error *unknown_version(const struct python_hint *hint, const char *why)
{
	return error_new(ERROR_UNSUPPORTED, "Python %u.%u is not a version that is known here%s",
			 PY_MAJOR(hint->version), PY_MINOR(hint->version), why);
}

/*
 * A version without a row, whose published offsets were read, or not: ERR. What no table of ours
 * vouches for must make sense as a whole, and is not asked for more than frames.
 */
static struct error *try_newer(struct walk *w, const struct python_hint *hint, struct error *err)
{
	struct py_probe probe = {};

	if (!err)
		err = py_probe(w->mem, w->runtime, w->py, &probe);
	if (err && err->kind == ERROR_NOMEM)
		return err;
	if (error_drop(err) || !probe.frames || probe.broken)
		return unknown_version(hint, ", and what it publishes of itself leads to no frames");
	w->wanted = frames_alone;
	if (w->capture)
		return NULL;
	return gaps_take(&w->state->arena, &w->state->gaps, "what is known of this Python",
			 "use a newer pcatch",
			 error_new(ERROR_UNSUPPORTED,
				   "version %u.%u is newer than those known here: frames were read by "
				   "the offsets that it publishes itself, tasks, exceptions, names of "
				   "threads and variables not at all",
				   PY_MAJOR(hint->version), PY_MINOR(hint->version)));
}

struct error *walk_python(const struct mem *mem, const struct python_hint *hint, bool for_capture,
			  int64_t deadline, struct py_state *ret)
{
	_cleanup_(py_state_deinit) struct py_state state = {};
	_cleanup_(walk_deinit) struct walk w = { .mem = mem,
						 .runtime = hint->runtime,
						 .wanted = all_there_is,
						 .capture = for_capture,
						 .deadline = deadline,
						 .f = { .reader.touch_only = for_capture,
							.arena = &state.arena,
							.gaps = &state.gaps,
							.hide = hint->locals_redacted },
						 .state = &state };

	struct py_layout py;
	if (!py_layout_of(hint->version, &py))
		return unknown_version(hint, "");
	w.py = &py;
	w.wanted.locals = hint->locals;
	struct error *err = py_layout_read_published(mem, hint->runtime, &py);
	if (py.newer)
		err = try_newer(&w, hint, err);
	else
		err = py_frames_gap(&w.f, "Python's published offsets", err);
	if (!err && hint->asyncio && !py.newer)
		err = py_frames_gap(&w.f, "asyncio's published offsets",
				    py_layout_read_published_asyncio(mem, hint->asyncio,
								     hint->asyncio_size, &py));
	if (!err)
		err = walk_runtime(&w);
	if (err)
		return err;
	state.version = hint->version;
	state.free_threaded = py.free_threaded || hint->free_threaded;
	state.published_layout = py.from_target;
	state.published_asyncio = py.asyncio_from_target;
	if (for_capture)
		*ret = (struct py_state){};
	else
		*ret = TAKE(state);
	return NULL;
}

struct error *py_probe(const struct mem *mem, taddr runtime, const struct py_layout *layout,
		       struct py_probe *ret)
{
	_cleanup_(py_state_deinit) struct py_state state = {};
	_cleanup_(walk_deinit) struct walk w = { .mem = mem,
						 .py = layout,
						 .runtime = runtime,
						 .capture = true,
						 .wanted = some_frames,
						 .f = { .arena = &state.arena,
							.gaps = &state.gaps },
						 .state = &state };
	struct error *err = walk_runtime(&w);

	if (err)
		return err;
	*ret = (struct py_probe){ .interpreters = state.n_interpreters,
				  .threads = (int)w.threads.n,
				  .frames = w.good_frames,
				  .broken = w.f.broken };
	return NULL;
}
