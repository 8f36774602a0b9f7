/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pytasks.h"

#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "pyfuture.h"
#include "pyitems.h"

#define MAX_CHAIN 1024 // coroutines that await each other
#define MAX_FRAMES ((size_t)1 << 18) // of all tasks
#define MAX_NAME  256
#define MAX_WAITERS 1024 // of one task

struct walk {
	struct py_frames *f;
	struct py_reader *reader;
	const union py_offsets *o;
	struct py_state *state;
	struct seen seen; /* tasks, by their number in the state */
	struct py_completed completed; /* by the task that was asked last */
	size_t left_out, frames;
};

static struct error *field_of(struct walk *w, taddr object, uint32_t offset, taddr *ret)
{
	*ret = 0;
	return offset == PY_NONE ? NULL : mem_u64(w->reader->mem, object + offset, ret);
}

static struct error *read_text(struct walk *w, taddr at, char **ret)
{
	_cleanup_(buf_deinit) struct buf text = {};
	struct error *err = py_read_str(w->reader, at, MAX_NAME, &text);

	if (err || w->reader->touch_only)
		return err;
	*ret = arena_strndup(&w->state->arena, (const char *)text.data, text.len);
	return *ret ? NULL : error_nomem();
}

// A coroutine, generator or asynchronous generator, and the frame that it has.
struct suspended {
	taddr frame; /* 0: it has ended */
	bool created, running, awaiting;
};

static struct error *read_old_state(struct walk *w, taddr at, struct suspended *ret)
{
	const struct mem *mem = w->reader->mem;
	uint32_t position;
	uint8_t running = 0, state = 0;

	struct error *err = mem_u64(mem, at + w->o->gen_frame, &ret->frame);
	if (err || !ret->frame)
		return err;
	err = mem_u32(mem, ret->frame + w->o->frame_position, &position);
	if (!err && w->o->frame_executing != PY_NONE) {
		err = mem_u8(mem, ret->frame + w->o->frame_executing, &running);
	} else if (!err && w->o->frame_state != PY_NONE) {
		err = mem_u8(mem, ret->frame + w->o->frame_state, &state);
		running = state == 0;
	}
	ret->created = (int32_t)position < 0 && !running;
	ret->running = running;
	ret->awaiting = !ret->created && !running;
	return err;
}

static struct error *read_state(struct walk *w, taddr at, struct suspended *ret)
{
	const struct py_layout *py = w->reader->layout;
	uint8_t byte;

	*ret = (struct suspended){};
	if (w->o->gen_iframe == PY_NONE)
		return read_old_state(w, at, ret);
	struct error *err = mem_u8(w->reader->mem, at + w->o->gen_state, &byte);
	int8_t state = (int8_t)byte;
	ret->created = state == py->gen.created;
	ret->running = state == py->gen.running;
	ret->awaiting = state >= py->gen.await && state <= py->gen.await_last;
	if (ret->created || ret->running || ret->awaiting || state == py->gen.suspended)
		ret->frame = at + w->o->gen_iframe;
	return err;
}

// What lies on top of the frame's stack of values: of a suspended frame, what it awaits.
static struct error *top_of_stack(struct walk *w, taddr frame, taddr *ret)
{
	const struct mem *mem = w->reader->mem;
	taddr base = frame + w->o->frame_fast, top = 0;
	uint32_t depth = 0;
	struct error *err = NULL;

	*ret = 0;
	if (w->o->frame_stack_top != PY_NONE) {
		err = mem_u64(mem, frame + w->o->frame_stack_top, &top);
	} else {
		if (w->o->frame_stack != PY_NONE)
			err = mem_u64(mem, frame + w->o->frame_stack, &base);
		if (!err)
			err = mem_u32(mem, frame + w->o->frame_stack_depth, &depth);
		if (!err && depth && depth < 1u << 20)
			top = base + (taddr)depth * 8;
	}
	if (err || !top)
		return err;
	// From 3.15 on an index, which a coroutine has not, lies above what is awaited.
	for (taddr i = 1; !err && i <= 2 && !*ret; i++) {
		err = mem_u64(mem, top - 8 * i, ret);
		*ret &= ~(uint64_t)w->reader->layout->reference_tags;
	}
	return err;
}

// What stands between a coroutine and the one that it awaits; *RET is what is behind AT.
static struct error *see_through(struct walk *w, taddr at, const struct py_type *type, taddr *ret)
{
	const struct {
		const char *name;
		uint32_t offset;
	} wrappers[] = {
		{ "async_generator_asend", w->o->asend_gen },
		{ "async_generator_athrow", w->o->athrow_gen },
		{ "anext_awaitable", w->o->anext_wrapped },
		{ "coroutine_wrapper", w->o->coro_wrapper_coro },
		{ "FutureIter", w->o->futureiter_future },
	};

	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++)
		if (py_type_is(type, wrappers[i].name))
			return field_of(w, at, wrappers[i].offset, ret);
	return NULL;
}

static bool has_frame(const struct py_type *type)
{
	return type->kind == PY_COROUTINE || type->kind == PY_GENERATOR ||
	       type->kind == PY_ASYNC_GENERATOR;
}

static struct error *add_frame(struct walk *w, taddr at, struct py_task *task)
{
	const struct py_code *code = NULL;
	struct py_raw_frame raw = {};

	struct error *err = py_frames_read(w->f, at, &raw);
	if (!err)
		err = py_frames_code(w->f, raw.code, &code);
	if (!err && code->bad)
		err = error_new(ERROR_INPUT, "%s", code->bad);
	if (err || w->reader->touch_only)
		return err;
	struct py_frame *frame = LIST_ADD(&w->state->arena, &task->frames);
	return frame ? py_frames_show(w->f, &raw, code, frame) : error_nomem();
}

// A task that runs is at what its thread is at: all frames inside of its coroutine's.
static struct error *take_running(struct walk *w, taddr frame, struct py_task *task)
{
	for (size_t i = 0; i < w->state->threads.n; i++) {
		const struct py_thread *thread = &w->state->threads.v[i];

		for (size_t k = 0; k < thread->frames.n; k++) {
			if (thread->frames.v[k].address != frame)
				continue;
			task->frames.v = arena_memdup(&w->state->arena, thread->frames.v,
						      (k + 1) * sizeof(*thread->frames.v));
			task->frames.n = k + 1;
			task->running = true;
			task->pthread = thread->pthread;
			return task->frames.v ? NULL : error_nomem();
		}
	}
	return NULL;
}

// From the task's own coroutine to the innermost one.
static struct error *follow_chain(struct walk *w, taddr at, struct py_task *task)
{
	taddr met[MAX_CHAIN];
	struct error *err = NULL;

	for (size_t i = 0; !err && at; i++) {
		struct suspended s = {};
		struct py_type type;
		taddr next = 0;

		if (i == MAX_CHAIN || w->frames == MAX_FRAMES)
			err = py_limit("cut after %zu coroutines", i);
		for (size_t k = 0; k < i && !err; k++)
			if (met[k] == at)
				err = error_new(ERROR_INPUT, "0x%llx awaits itself",
						(unsigned long long)at);
		if (err)
			break;
		met[i] = at;
		err = py_type_of(w->reader, at, &type);
		if (err)
			break;
		if (!has_frame(&type)) {
			err = see_through(w, at, &type, &next);
			at = next;
			continue;
		}
		err = read_state(w, at, &s);
		if (err || !s.frame)
			break;
		if (s.running && !i)
			return take_running(w, s.frame, task);
		err = add_frame(w, s.frame, task);
		w->frames++;
		if (!err && s.awaiting)
			err = top_of_stack(w, s.frame, &next);
		at = next;
	}
	// Innermost first, as all stacks are.
	for (size_t a = 0, b = task->frames.n; a + 1 < b; a++) {
		struct py_frame outer = task->frames.v[a];

		task->frames.v[a] = task->frames.v[--b];
		task->frames.v[b] = outer;
	}
	return err;
}

static struct error *read_names(struct walk *w, const struct py_future *future, taddr coroutine,
				struct py_task *task)
{
	struct py_type of = {};
	taddr name = 0, qualified = 0;
	uint32_t digit = 0;

	struct error *err = py_future_member(w->reader, future, w->o->task_name, "_name", &name);
	if (!err && name)
		err = py_type_of(w->reader, name, &of);
	if (!err && of.kind == PY_STR)
		err = read_text(w, name, &task->name);
	// From 3.12 on a name of the form Task-N is kept as its number until it is asked for.
	if (!err && of.kind == PY_LONG)
		err = mem_u32(w->reader->mem, name + w->o->long_digits, &digit);
	if (!err && of.kind == PY_LONG && !w->reader->touch_only)
		task->name = arena_printf(&w->state->arena, "Task-%u", digit);
	if (!err && coroutine)
		err = py_type_of(w->reader, coroutine, &of);
	if (!err && coroutine && has_frame(&of))
		err = field_of(w, coroutine, w->o->gen_qualname, &qualified);
	if (!err && qualified)
		err = read_text(w, qualified, &task->coroutine);
	else if (!err && coroutine && !has_frame(&of) && !w->reader->touch_only)
		task->coroutine = arena_strdup(&w->state->arena, of.name);
	return err;
}

// Whether the task has not ended; one of the Python module has its state as a text.
static struct error *is_pending(struct walk *w, const struct py_future *future, bool *ret)
{
	uint32_t number;
	taddr state;

	if (future->native) {
		struct error *err = mem_u32(w->reader->mem, future->at + w->o->fut_state, &number);

		*ret = number == 0;
		return err;
	}
	struct error *err = py_attribute(w->reader, future->at, &future->type, "_state", &state);
	// Until it is set for the first time it is that of the class.
	*ret = !err && (!state || py_text_is(w->reader, state, "PENDING"));
	return err;
}

static struct error *read_task(struct walk *w, const struct py_future *future, struct py_task *task)
{
	taddr coroutine = 0;

	struct error *err =
		py_future_member(w->reader, future, w->o->task_coro, "_coro", &coroutine);
	if (!err)
		err = py_future_member(w->reader, future, w->o->fut_loop, "_loop", &task->loop);
	if (!err)
		err = py_future_member(w->reader, future, w->o->task_waiter, "_fut_waiter",
				       &task->waiter);
	if (!err)
		err = read_names(w, future, coroutine, task);
	return err ? err : follow_chain(w, coroutine, task);
}

static int compare_tasks(const void *a, const void *b)
{
	const struct py_task *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static int compare_numbers(const void *a, const void *b)
{
	const struct py_task *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static struct py_task *task_at(struct walk *w, taddr at)
{
	return bsearch(&(struct py_task){ .at = at }, w->state->tasks.v, w->state->tasks.n,
		       sizeof(struct py_task), compare_tasks);
}

static struct error *add_waiter(struct walk *w, struct py_task *awaited, const struct py_task *by)
{
	char *name = by->name ? by->name : arena_printf(&w->state->arena, "0x%llx",
							 (unsigned long long)by->at);

	if (!name)
		return error_nomem();
	// One may be told in two ways. Tasks may share a name, but not the place where it is kept.
	for (size_t i = 0; i < awaited->awaited_by.n; i++)
		if (by->name ? awaited->awaited_by.v[i] == name
			     : !strcmp(awaited->awaited_by.v[i], name))
			return NULL;
	char **to = LIST_ADD(&w->state->arena, &awaited->awaited_by);
	if (!to)
		return error_nomem();
	*to = name;
	return NULL;
}

// From 3.14 on a task has who awaits it, whether by gather(), wait() or a group: one, or a set.
static struct error *tie_awaited_by(struct walk *w, struct py_task *task)
{
	struct py_items items = {};
	struct py_type type = {};
	uint8_t is_set;
	taddr by;

	struct error *err = field_of(w, task->at, w->o->task_awaited_by, &by);
	if (!err && by)
		err = mem_u8(w->reader->mem, task->at + w->o->task_awaited_by_is_set, &is_set);
	if (err || !by)
		return err;
	if (is_set) {
		err = py_type_of(w->reader, by, &type);
		if (!err)
			err = py_items_begin(w->reader, by, &type, &items);
	}
	for (int i = 0; !err && by && i < MAX_WAITERS; i++) {
		if (is_set)
			err = py_items_next(&items, &by, NULL);
		const struct py_task *found =
			err || !by || w->reader->touch_only ? NULL : task_at(w, by);
		if (found)
			err = add_waiter(w, task, found);
		if (!is_set)
			break;
	}
	return err;
}

// Who waits for the task itself, or for what gather() and its like have made of it.
static struct error *tie_waiting(struct walk *w, struct py_task *task)
{
	const struct py_completed *completed = &w->completed;
	struct error *err = NULL;

	for (size_t i = 0; i < w->state->tasks.n && !err; i++) {
		const struct py_task *by = &w->state->tasks.v[i];
		bool waits = by->waiter == task->at;

		for (size_t k = 0; k < completed->n && !waits; k++)
			waits = by->waiter == completed->v[k];
		if (waits && by != task)
			err = add_waiter(w, task, by);
	}
	return err;
}

static struct error *tie_task(struct walk *w, const struct py_future *future, struct py_task *task)
{
	struct error *err = py_frames_gap(w->f, "what awaits an asyncio task",
					  py_future_completes(w->reader, future, &w->completed));

	if (!err && !w->reader->touch_only)
		err = tie_waiting(w, task);
	return err || !future->native ? err : tie_awaited_by(w, task);
}

static struct error *add_task(struct walk *w, taddr at)
{
	struct py_future future = {};
	bool pending = false;

	if (!at || seen_find(&w->seen, at))
		return NULL;
	if (py_reader_late(w->reader))
		return py_limit("the time for them was up after %zu", w->seen.n);
	struct error *err = py_future_of(w->reader, at, &future);
	if (!err)
		err = is_pending(w, &future, &pending);
	if (err || !pending)
		return err;
	if (w->seen.n >= PY_MAX_TASKS) {
		w->left_out++;
		return NULL;
	}
	err = seen_add(&w->seen, at, (uint32_t)w->state->tasks.n);
	if (err)
		return err;
	struct py_task task = { .at = at };
	err = read_task(w, &future, &task);
	// What is broken in one task is no news about the others.
	if (err && err->kind != ERROR_NOMEM) {
		w->f->broken |= err->kind != ERROR_UNSUPPORTED;
		task.gap = arena_strdup(&w->state->arena, err->text);
		error_free(err);
		err = task.gap ? NULL : error_nomem();
	}
	if (!err && w->reader->touch_only)
		return py_frames_gap(w->f, "what awaits it", tie_task(w, &future, &task));
	struct py_task *to = err ? NULL : LIST_ADD(&w->state->arena, &w->state->tasks);
	if (!to)
		return err ? err : error_nomem();
	task.number = w->state->tasks.n - 1;
	*to = task;
	return NULL;
}

static struct error *add_set(struct walk *w, taddr at)
{
	struct py_items items = {};
	struct py_type type = {};
	taddr item = 0, task;

	struct error *err = py_type_of(w->reader, at, &type);
	// A WeakSet has its references in a set.
	if (!err && type.kind == PY_OTHER) {
		err = py_attribute(w->reader, at, &type, "data", &at);
		if (err || !at)
			return err;
		err = py_type_of(w->reader, at, &type);
	}
	if (!err)
		err = py_items_begin(w->reader, at, &type, &items);
	do {
		if (!err)
			err = py_items_next(&items, &item, NULL);
		if (err || !item)
			break;
		task = item;
		err = py_type_of(w->reader, item, &type);
		if (!err && type.kind == PY_WEAKREF)
			err = mem_u64(w->reader->mem, item + w->o->weakref_object, &task);
		if (!err)
			err = add_task(w, task);
	} while (!err);
	return err;
}

// Rings of tasks, from 3.14 on.
static struct error *add_ring(struct walk *w, taddr head)
{
	struct error *err = NULL;
	taddr node;

	err = mem_u64(w->reader->mem, head + w->o->llist_next, &node);
	for (size_t i = 0; !err && node && node != head; i++) {
		// Ended ones are not in it, so what comes in vain is a ring that does not close.
		if (i > 4 * PY_MAX_TASKS + w->seen.n)
			return py_limit("more than %zu", i);
		err = add_task(w, node - w->o->task_node);
		if (!err)
			err = mem_u64(w->reader->mem, node + w->o->llist_next, &node);
	}
	return err;
}

// The module asyncio.tasks, 0 where it was not imported: then there are no tasks.
static struct error *find_module(struct walk *w, taddr interpreter, taddr *ret)
{
	taddr modules;

	*ret = 0;
	struct error *err = field_of(w, interpreter, w->o->interp_modules, &modules);
	return err || !modules ? err : py_items_find(w->reader, modules, "asyncio.tasks", ret);
}

static struct error *add_module_sets(struct walk *w, taddr module)
{
	static const char *const names[] = { "_all_tasks", "_scheduled_tasks", "_eager_tasks" };
	taddr dict, found;

	struct error *err = mem_u64(w->reader->mem, module + w->o->module_dict, &dict);
	for (size_t i = 0; i < ARRAY_SIZE(names) && !err; i++) {
		err = py_items_find(w->reader, dict, names[i], &found);
		if (!err && found)
			err = add_set(w, found);
	}
	if (!err && w->reader->layout->version <= PY_VERSION(3, 6))
		err = py_limit("CPython 3.6 keeps its set of them where it cannot be found");
	return err;
}

/*
 * The loop that runs in the thread of TSTATE, 0 for none. Up to 3.11 the thread's dict has it in
 * a holder, in 3.12 as it is; *OTHER_RET is what it would be in the other case.
 */
static struct error *read_loop(struct walk *w, taddr tstate, taddr *ret, taddr *other_ret)
{
	taddr dict;

	*ret = *other_ret = 0;
	if (w->o->tstate_loop != PY_NONE)
		return field_of(w, tstate, w->o->tstate_loop, ret);
	struct error *err = field_of(w, tstate, w->o->tstate_dict, &dict);
	if (!err && dict)
		err = py_items_find(w->reader, dict, "__asyncio_running_event_loop__", ret);
	return err || !*ret ? err
			    : mem_u64(w->reader->mem, *ret + w->o->object_header, other_ret);
}

// Each task belongs to the thread in which its loop runs.
static struct error *tie_threads(struct walk *w, const taddr *tstates, size_t n)
{
	struct error *err = NULL;

	for (size_t i = 0; i < n && !err; i++) {
		taddr loop, other, pthread;

		err = read_loop(w, tstates[i], &loop, &other);
		if (!err)
			err = field_of(w, tstates[i], w->o->tstate_thread_id, &pthread);
		for (size_t k = 0; !err && loop && k < w->state->tasks.n; k++)
			if (w->state->tasks.v[k].loop == loop || w->state->tasks.v[k].loop == other)
				w->state->tasks.v[k].pthread = pthread;
	}
	return err;
}

static struct error *tie_waiters(struct walk *w, size_t first)
{
	struct error *err = NULL;
	size_t n = w->state->tasks.n;

	if (!n)
		return NULL;
	qsort(w->state->tasks.v, n, sizeof(struct py_task), compare_tasks);
	for (size_t i = 0; i < n && !err; i++) {
		struct py_task *task = &w->state->tasks.v[i];
		struct py_future future;

		if (task->number < first)
			continue;
		err = py_future_of(w->reader, task->at, &future);
		if (!err)
			err = tie_task(w, &future, task);
		err = py_frames_gap(w->f, "what awaits an asyncio task", err);
	}
	qsort(w->state->tasks.v, n, sizeof(struct py_task), compare_numbers);
	return err;
}

struct error *py_tasks_walk(struct py_frames *f, taddr interpreter, const taddr *tstates,
			    size_t n_tstates, struct py_state *state)
{
	struct walk w = { .f = f, .reader = &f->reader, .state = state,
			  .o = &f->reader.layout->offsets };
	size_t first = state->tasks.n;
	taddr module;

	if (w.o->fut_state == PY_NONE)
		return NULL;
	struct error *err = find_module(&w, interpreter, &module);
	if (err || !module)
		return py_frames_gap(f, "asyncio tasks", err);
	if (w.o->interp_tasks != PY_NONE && w.o->task_node != PY_NONE) {
		for (size_t i = 0; i < n_tstates && !err; i++)
			err = add_ring(&w, tstates[i] + w.o->tstate_tasks);
		if (!err)
			err = add_ring(&w, interpreter + w.o->interp_tasks);
	}
	if (!err)
		err = add_module_sets(&w, module);
	if (!err && w.left_out)
		err = py_limit("%zu more than the %d that are shown", w.left_out, PY_MAX_TASKS);
	seen_deinit(&w.seen);
	err = py_frames_gap(f, "asyncio tasks", err);
	if (!err)
		err = py_frames_gap(f, "threads of asyncio tasks",
				    tie_threads(&w, tstates, n_tstates));
	return err ? err : tie_waiters(&w, first);
}
