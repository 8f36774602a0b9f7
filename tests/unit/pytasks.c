/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * asyncio's tasks made by hand for every layout that has them: in a WeakSet of the module, and from
 * 3.14 on in a ring of the thread. `parent` awaits `child`, whose coroutine awaits another.
 */
#include "walk/pytasks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "cleanup.h"
#include "pyfake.h"

#define FLAG_LIST  ((uint64_t)1 << 25)
#define FLAG_TUPLE ((uint64_t)1 << 26)
#define FLAG_STR   ((uint64_t)1 << 28)
#define FLAG_DICT  ((uint64_t)1 << 29)
#define LOOP	   ((taddr)0x1230)
#define SLOTS	   8

enum { PARENT, CHILD, TASKS };

struct asyncio {
	struct fake f;
	taddr dict_type, set_type, weakref_type, module_type, coroutine_type, task_type,
		weakset_type, future_type, tuple_type, list_type, cell_type, function_type,
		method_type, partial_type, group_type;
	taddr set, ring; /* where tasks are listed; 0: the version has none */
	taddr tasks[TASKS], coroutines[TASKS], inner, names[TASKS], qualname;
};

static void asyncio_deinit(struct asyncio *a)
{
	fake_deinit(&a->f);
}

static taddr make_type(struct fake *f, const char *name, uint64_t flags)
{
	taddr ret = fake_type(f, name);

	fake_put64(f, ret + f->py.offsets.type_flags, flags);
	return ret;
}

static taddr make_object(struct fake *f, taddr type)
{
	taddr ret = fake_room(f, 512);

	fake_point(f, ret + f->py.offsets.object_type, type, "an object's type");
	return ret;
}

static taddr make_text(struct fake *f, const char *text)
{
	return fake_str(f, text, strlen(text), 1, true, true);
}

static taddr make_dict(struct asyncio *a, const char *key, taddr value)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	taddr ret = make_object(f, a->dict_type), keys = fake_room(f, 256);
	taddr entry = keys + o->keys_indices + SLOTS;

	fake_put64(f, ret + o->dict_used, 1);
	fake_point(f, ret + o->dict_keys, keys, "keys of a dict");
	if (o->keys_log2_index != PY_NONE)
		fake_put8(f, keys + o->keys_log2_index, 3);
	else
		fake_put64(f, keys + o->keys_size, SLOTS);
	fake_put64(f, keys + o->keys_entries, 1);
	fake_point(f, entry + o->entry_key, make_text(f, key), "key of a dict");
	fake_point(f, entry + o->entry_value, value, "value in a dict");
	return ret;
}

static taddr make_set(struct asyncio *a, const taddr *items, size_t n)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	size_t slots = SLOTS;

	while (slots < 2 * n)
		slots *= 2;
	taddr ret = make_object(f, a->set_type), table = fake_room(f, slots * o->setentry_size);
	fake_put64(f, ret + o->set_used, n);
	fake_put64(f, ret + o->set_mask, slots - 1);
	fake_point(f, ret + o->set_table, table, "table of a set");
	for (size_t i = 0; i < n; i++)
		fake_point(f, table + 2 * i * o->setentry_size + o->setentry_key, items[i],
			   "item of a set");
	return ret;
}

// A coroutine that runs CODE and is suspended where it awaits AWAITED.
static taddr make_coroutine(struct asyncio *a, taddr code, int offset, taddr awaited)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	taddr ret = make_object(f, a->coroutine_type), frame = ret + o->gen_iframe;

	fake_point(f, ret + o->gen_qualname, a->qualname, "a coroutine's name");
	if (o->gen_iframe == PY_NONE) {
		frame = fake_room(f, 512);
		fake_point(f, ret + o->gen_frame, frame, "a coroutine's frame");
		if (o->frame_state != PY_NONE)
			fake_put8(f, frame + o->frame_state, 0xff);
	} else {
		fake_put8(f, ret + o->gen_state, (uint8_t)f->py.gen.await);
		fake_put8(f, frame + o->frame_owner, f->py.owner_generator);
	}
	fake_point(f, frame + o->frame_code, code, "a coroutine's code");
	fake_set_offset(f, frame, code, offset);
	fake_point(f, frame + o->frame_fast, awaited, "what a coroutine awaits");
	if (o->frame_stack != PY_NONE)
		fake_point(f, frame + o->frame_stack, frame + o->frame_fast, "a frame's stack");
	if (o->frame_stack_top != PY_NONE)
		fake_point(f, frame + o->frame_stack_top, frame + o->frame_fast + 8,
			   "a frame's top of stack");
	else
		fake_put32(f, frame + o->frame_stack_depth, 1);
	return ret;
}

static taddr make_tuple(struct asyncio *a, const taddr *items, size_t n)
{
	struct fake *f = &a->f;
	taddr ret = make_object(f, a->tuple_type);

	fake_put64(f, ret + f->py.offsets.object_size, n);
	for (size_t i = 0; i < n; i++)
		fake_point(f, ret + f->py.offsets.tuple_items + 8 * i, items[i], "item of a tuple");
	return ret;
}

// A function of MODULE, called NAME, with a variable "other" and one called VARIABLE from outside.
static taddr make_closure(struct asyncio *a, const char *module, const char *name,
			  const char *variable, taddr value)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	taddr ret = make_object(f, a->function_type), code = fake_code(f, f->names[0]);
	taddr names[] = { make_text(f, "fut"), make_text(f, "other"), make_text(f, variable) };
	taddr cells[] = { make_object(f, a->cell_type), make_object(f, a->cell_type) };

	if (o->code_freevars != PY_NONE) {
		fake_point(f, code + o->code_freevars, make_tuple(a, names + 1, 2),
			   "free variables");
	} else {
		fake_point(f, code + o->code_localsplusnames, make_tuple(a, names, 3), "variables");
		fake_point(f, code + o->code_localspluskinds, fake_bytes(f, "\x20\x80\x80", 3),
			   "kinds of variables");
	}
	fake_put64(f, cells[0] + o->cell_value, a->tasks[CHILD]);
	fake_point(f, cells[1] + o->cell_value, value, "what a cell holds");
	fake_point(f, ret + o->function_code, code, "code of a function");
	fake_point(f, ret + o->function_closure, make_tuple(a, cells, 2), "a closure");
	fake_point(f, ret + o->function_qualname, make_text(f, name), "a function's name");
	fake_point(f, ret + o->function_module, make_text(f, module), "a function's module");
	return ret;
}

static taddr make_group(struct asyncio *a, taddr completed)
{
	taddr ret = make_object(&a->f, a->group_type);

	fake_point(&a->f, ret + 64, make_dict(a, "_on_completed_fut", completed), "a group's dict");
	return ret;
}

static taddr make_method(struct asyncio *a, taddr object)
{
	taddr ret = make_object(&a->f, a->method_type);

	fake_point(&a->f, ret + a->f.py.offsets.method_self, object, "object of a method");
	return ret;
}

static taddr make_partial(struct asyncio *a, taddr function, taddr arg)
{
	const union py_offsets *o = &a->f.py.offsets;
	taddr ret = make_object(&a->f, a->partial_type);

	fake_point(&a->f, ret + o->partial_function, function, "function of a partial");
	fake_point(&a->f, ret + o->partial_args, make_tuple(a, &arg, 1), "arguments of a partial");
	return ret;
}

// FUTURE calls FIRST, and then SECOND, which may be 0.
static void hang(struct asyncio *a, taddr future, taddr first, taddr second)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	taddr list = make_object(f, a->list_type), items = fake_room(f, 16);
	taddr pair[] = { second, first };

	fake_point(f, future + o->fut_callback, first, "first callback");
	if (!second)
		return;
	fake_put64(f, list + o->object_size, 1);
	fake_point(f, list + o->list_items, items, "items of a list");
	fake_point(f, items, make_tuple(a, pair, 2), "callback and context");
	fake_point(f, future + o->fut_callbacks, list, "callbacks");
}

static taddr make_task(struct asyncio *a, taddr coroutine, taddr name, taddr waiter)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	taddr ret = make_object(f, a->task_type);

	fake_put64(f, ret + o->fut_loop, LOOP);
	fake_point(f, ret + o->task_coro, coroutine, "a task's coroutine");
	if (o->task_name != PY_NONE)
		fake_point(f, ret + o->task_name, name, "a task's name");
	fake_point(f, ret + o->task_waiter, waiter, "what a task waits for");
	return ret;
}

static void link_ring(struct asyncio *a, const taddr *tasks, size_t n)
{
	const union py_offsets *o = &a->f.py.offsets;
	taddr last = a->ring + o->llist_next;

	for (size_t i = 0; i < n; i++) {
		fake_point(&a->f, last, tasks[i] + o->task_node, "next task of a ring");
		last = tasks[i] + o->task_node + o->llist_next;
	}
	fake_point(&a->f, last, a->ring, "end of a ring");
}

// List TASKS, N of them, as this version does; the interpreter's modules lead to them.
static void list_tasks(struct asyncio *a, const taddr *tasks, size_t n)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	_cleanup_(freep) taddr *references = calloc(n, sizeof(*references));
	taddr module = make_object(f, a->module_type), weakset = make_object(f, a->weakset_type);

	assert_non_null(references);
	a->set = a->ring = 0;
	if (o->task_node != PY_NONE) {
		a->ring = f->threads[0] + o->tstate_tasks;
		link_ring(a, tasks, n);
	}
	for (size_t i = 0; i < n; i++) {
		references[i] = make_object(f, a->weakref_type);
		fake_point(f, references[i] + o->weakref_object, tasks[i], "a weak reference");
	}
	// From 3.14 on the set has only what the ring has not.
	a->set = make_set(a, references, a->ring ? 0 : n);
	fake_point(f, weakset + 64, make_dict(a, "data", a->set), "a WeakSet's dict");
	fake_point(f, module + o->module_dict, make_dict(a, "_scheduled_tasks", weakset),
		   "a module's dict");
	if (f->py.version < PY_VERSION(3, 12))
		fake_point(f, module + o->module_dict, make_dict(a, "_all_tasks", weakset),
			   "a module's dict");
	fake_point(f, f->interpreters[0] + o->interp_modules,
		   make_dict(a, "asyncio.tasks", module), "the modules");
}

// The loop that runs in the first thread; up to 3.11 it is in a holder.
static void set_loop(struct asyncio *a)
{
	struct fake *f = &a->f;
	const union py_offsets *o = &f->py.offsets;
	taddr holder = make_object(f, a->future_type);

	if (o->tstate_loop != PY_NONE) {
		fake_put64(f, f->threads[0] + o->tstate_loop, LOOP);
		return;
	}
	fake_put64(f, holder + o->object_header, LOOP);
	fake_point(f, f->threads[0] + o->tstate_dict,
		   make_dict(a, "__asyncio_running_event_loop__", holder), "a thread's dict");
}

static void asyncio_make(struct asyncio *a, const struct py_layout *py, bool spread)
{
	struct fake *f = &a->f;

	*a = (struct asyncio){};
	fake_make_spread(f, py, spread);
	f->n_pointers = 0;
	fake_put64(f, f->str_type + py->offsets.type_flags, FLAG_STR);
	a->dict_type = make_type(f, "dict", FLAG_DICT);
	a->set_type = make_type(f, "set", 0);
	a->weakref_type = make_type(f, "weakref", 0);
	a->module_type = make_type(f, "module", 0);
	a->coroutine_type = make_type(f, "coroutine", 0);
	a->task_type = make_type(f, "_asyncio.Task", 0);
	a->future_type = make_type(f, "_asyncio.Future", 0);
	a->weakset_type = make_type(f, "WeakSet", 0);
	a->tuple_type = make_type(f, "tuple", FLAG_TUPLE);
	a->list_type = make_type(f, "list", FLAG_LIST);
	a->cell_type = make_type(f, "cell", 0);
	a->function_type = make_type(f, "function", 0);
	a->method_type = make_type(f, "method", 0);
	a->partial_type = make_type(f, "functools.partial", 0);
	a->group_type = make_type(f, "TaskGroup", 0);
	const taddr with_dict[] = { a->weakset_type, a->group_type };
	for (size_t i = 0; i < ARRAY_SIZE(with_dict); i++) {
		fake_put64(f, with_dict[i] + py->offsets.type_dictoffset, 64);
		fake_put64(f, with_dict[i] + py->offsets.type_basicsize, 128);
	}
	a->qualname = make_text(f, "Server.serve");
	a->names[PARENT] = make_text(f, "parent");
	a->names[CHILD] = make_text(f, "child");
	a->inner = make_coroutine(a, f->codes[1], 4, make_object(f, a->future_type));
	a->coroutines[CHILD] = make_coroutine(a, f->codes[0], 0, a->inner);
	a->tasks[CHILD] = make_task(a, a->coroutines[CHILD], a->names[CHILD],
				    make_object(f, a->future_type));
	a->coroutines[PARENT] = make_coroutine(a, f->codes[3], 4, a->tasks[CHILD]);
	a->tasks[PARENT] = make_task(a, a->coroutines[PARENT], a->names[PARENT], a->tasks[CHILD]);
	set_loop(a);
	list_tasks(a, a->tasks, TASKS);
}

#define TASKS_PY "asyncio.tasks"
#define ANYIO_PY "anyio._backends._asyncio"

// gather() of a task is shielded, and that is waited for: a chain of three futures.
static void make_nested(struct asyncio *a, taddr futures[3])
{
	for (int i = 0; i < 3; i++)
		futures[i] = make_object(&a->f, a->future_type);
	hang(a, a->tasks[CHILD],
	     make_closure(a, TASKS_PY, "gather.<locals>._done_callback", "outer", futures[0]), 0);
	hang(a, futures[0], a->coroutines[CHILD],
	     make_closure(a, TASKS_PY, "shield.<locals>._inner_done_callback", "outer",
			  futures[1]));
	hang(a, futures[1],
	     make_closure(a, TASKS_PY, "_wait.<locals>._on_completion", "waiter", futures[2]), 0);
	fake_put64(&a->f, a->tasks[PARENT] + a->f.py.offsets.task_waiter, futures[2]);
}

static void walk(struct asyncio *a, struct py_state *ret)
{
	struct error *err = walk_python(&a->f.mem.mem, &a->f.hint, false, 0, ret);

	if (err)
		fail_msg("%u.%u: %s", PY_MAJOR(a->f.py.version), PY_MINOR(a->f.py.version),
			 err->text);
}

static char *told(const struct py_state *state)
{
	_cleanup_(buf_deinit) struct buf b = {};

	for (size_t i = 0; i < state->tasks.n; i++) {
		const struct py_task *t = &state->tasks.v[i];

		buf_printf(&b, "%s of %s%s %llx%s%s\n", t->name ? t->name : "?",
			   t->coroutine ? t->coroutine : "?", t->running ? " running" : "",
			   (unsigned long long)t->pthread, t->gap ? " gap " : "",
			   t->gap ? t->gap : "");
		for (size_t k = 0; k < t->frames.n; k++)
			buf_printf(&b, "  %s:%d\n", t->frames.v[k].function, t->frames.v[k].line);
		for (size_t k = 0; k < t->awaited_by.n; k++)
			buf_printf(&b, "  by %s\n", t->awaited_by.v[k]);
	}
	for (size_t i = 0; i < state->gaps.n; i++)
		buf_printf(&b, "gap %s: %s\n", state->gaps.v[i].what, state->gaps.v[i].why);
	char *ret = buf_steal(&b);
	assert_non_null(ret);
	return ret;
}

static void expect(struct asyncio *a, const char *want)
{
	_cleanup_(py_state_deinit) struct py_state state = {};

	walk(a, &state);
	_cleanup_(freep) char *got = told(&state);
	if (strcmp(got, want) != 0)
		fail_msg("%u.%u%s:\n%s\nshould be:\n%s", PY_MAJOR(a->f.py.version),
			 PY_MINOR(a->f.py.version), a->f.py.free_threaded ? " without a GIL" : "",
			 got, want);
}

// What a whole one must be told as, up to 3.7 without names; AWAITED: the child is.
static char *told_whole(const struct asyncio *a, bool awaited)
{
	_cleanup_(buf_deinit) struct buf b = {};
	bool named = a->f.py.offsets.task_name != PY_NONE;

	buf_printf(&b, "%s of Server.serve 7000\n  𐌰x:11\n", named ? "parent" : "?");
	buf_printf(&b, "%s of Server.serve 7000\n  größe:11\n  plain:10\n",
		   named ? "child" : "?");
	if (awaited && named)
		buf_addstr(&b, "  by parent\n");
	else if (awaited)
		buf_printf(&b, "  by 0x%llx\n", (unsigned long long)a->tasks[PARENT]);
	char *ret = buf_steal(&b);
	assert_non_null(ret);
	return ret;
}

static char *whole(const struct asyncio *a)
{
	return told_whole(a, true);
}

// Every layout that has tasks, with and without a GIL.
static size_t layouts(struct py_layout *ret)
{
	size_t n = 0;

	FOR_LAYOUTS(py) {
		if (py->version < PY_VERSION(3, 7))
			continue;
		ret[n++] = *py;
		if (!py->free_threaded_offsets)
			continue;
		ret[n] = *py;
		ret[n].offsets = *py->free_threaded_offsets;
		ret[n++].free_threaded = true;
	}
	return n;
}

#define FOR_TASK_LAYOUTS(py)                                                                       \
	struct py_layout _layouts[32];                                                             \
	size_t _n_layouts = layouts(_layouts);                                                     \
	for (const struct py_layout *py = _layouts; py < _layouts + _n_layouts; py++)

static void every_layout_has_its_tasks(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};

		asyncio_make(&a, py, false);
		_cleanup_(freep) char *want = whole(&a);
		expect(&a, want);
	}
}

static void without_the_module_there_are_none(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};

		asyncio_make(&a, py, false);
		fake_put64(&a.f, a.f.interpreters[0] + py->offsets.interp_modules,
			   make_dict(&a, "asyncio", a.set));
		expect(&a, "");
	}
}

static void capture_touches_what_a_later_walk_reads(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(mem_recorder_deinit) struct mem_recorder recorder;
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		_cleanup_(arena_deinit) struct arena arena = {};
		struct py_state state;
		struct mem_range *ranges;
		size_t n;

		taddr futures[3];

		asyncio_make(&a, py, true);
		make_nested(&a, futures);
		_cleanup_(freep) char *want = whole(&a);
		assert_null(mem_recorder_init(&recorder, &a.f.mem.mem, 10000));
		assert_null(walk_python(&recorder.mem, &a.f.hint, true, 0, &state));
		assert_int_equal(state.tasks.n, 0);
		py_state_deinit(&state);
		assert_null(mem_recorder_ranges(&recorder, &arena, &ranges, &n));
		mem_bytes_init(&a.f.mem, ranges, n);
		expect(&a, want);
	}
}

// What the module of A's version publishes, in memory of A.
static void publish(struct asyncio *a)
{
	struct fake *f = &a->f;
	const union py_offsets *where = f->py.published_asyncio;

	f->hint.asyncio = fake_room(f, 128);
	f->hint.asyncio_size = 104;
	fake_put64(f, f->hint.asyncio, 512);
	for (size_t i = 0; i < ARRAY_SIZE(where->v); i++)
		if (where->v[i] != PY_NONE)
			fake_put64(f, f->hint.asyncio + where->v[i], f->py.offsets.v[i]);
}

// Offsets that no row has: only from what is published can they be known.
static void published_offsets_are_used(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {}, same = {};
		struct py_layout other = *py;
		union py_offsets *o = &other.offsets;

		if (!py->published_asyncio)
			continue;
		o->task_node += 32;
		o->task_coro += 16;
		o->task_waiter += 16;
		o->task_name += 24;
		o->fut_state += 24;
		o->task_is_task += 24;
		o->tstate_tasks += 64;
		o->tstate_loop += 64;
		asyncio_make(&a, &other, false);
		publish(&a);
		_cleanup_(freep) char *want = whole(&a);
		expect(&a, want);
		// What makes no sense is a gap, and the row holds.
		const struct {
			uint32_t at;
			uint64_t size, value;
			const char *why;
		} wrongs[] = {
			{ 0, 120, 512, "they are 120 bytes long, those of Python 3.1" },
			{ 0, 104, 8, "the offset of" }, { 0, 104, UINT64_MAX, "the end of a task" },
			{ py->published_asyncio->task_node, 104, (uint64_t)1 << 60, "task_node" },
			{ py->published_asyncio->task_is_task, 104, 0, "fut_state" },
		};
		for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			asyncio_deinit(&same);
			asyncio_make(&same, py, false);
			publish(&same);
			same.f.hint.asyncio_size = wrongs[i].size;
			fake_put64(&same.f, same.f.hint.asyncio + wrongs[i].at, wrongs[i].value);
			walk(&same, &state);
			assert_int_equal(state.tasks.n, TASKS);
			assert_int_equal(state.gaps.n, 1);
			assert_string_equal(state.gaps.v[0].what, "asyncio's published offsets");
			if (!strstr(state.gaps.v[0].why, wrongs[i].why))
				fail_msg("%s\nlacks %s", state.gaps.v[0].why, wrongs[i].why);
		}
	}
}

// The parent awaits its child directly, and the interpreter says so, too.
static void who_awaits_is_told_once(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		taddr at = py->offsets.task_awaited_by;

		if (at == PY_NONE)
			continue;
		asyncio_make(&a, py, false);
		at += a.tasks[CHILD];
		taddr is_set = a.tasks[CHILD] + py->offsets.task_awaited_by_is_set;
		_cleanup_(freep) char *want = whole(&a);
		for (int direct = 1; direct >= 0; direct--) {
			if (!direct)
				fake_put64(&a.f, a.tasks[PARENT] + py->offsets.task_waiter, 0);
			fake_put8(&a.f, is_set, 0);
			fake_put64(&a.f, at, a.tasks[PARENT]);
			expect(&a, want);
			fake_put8(&a.f, is_set, 1);
			fake_put64(&a.f, at, make_set(&a, &a.tasks[PARENT], 1));
			expect(&a, want);
		}
		// What is no set is a gap, and no news about the tasks.
		fake_put64(&a.f, at, a.tasks[PARENT]);
		_cleanup_(py_state_deinit) struct py_state state = {};
		walk(&a, &state);
		assert_int_equal(state.tasks.n, TASKS);
		assert_int_equal(state.gaps.n, 1);
		assert_non_null(strstr(state.gaps.v[0].why, "is no container"));
	}
}

// A walk that must come to an end, with at most TASKS tasks and WORDS among its gaps.
static void expect_gap(struct asyncio *a, size_t tasks, const char *words)
{
	_cleanup_(py_state_deinit) struct py_state state = {};

	walk(a, &state);
	_cleanup_(freep) char *got = told(&state);
	assert_true(state.tasks.n <= tasks);
	if (!strstr(got, words))
		fail_msg("%u.%u:\n%s\nlacks %s", PY_MAJOR(a->f.py.version),
			 PY_MINOR(a->f.py.version), got, words);
}

// Of the parent alone is it known where what it awaits stands.
static taddr awaited_by_parent(struct asyncio *a)
{
	for (size_t i = 0; i < a->f.n_pointers; i++)
		if (!strcmp(a->f.pointers[i].what, "what a coroutine awaits") &&
		    fake_get64(&a->f, a->f.pointers[i].at) == a->tasks[CHILD])
			return a->f.pointers[i].at;
	fail_msg("the parent awaits nothing");
	return 0;
}

static void what_is_hung_on_a_task_tells_who_awaits_it(void **unused)
{
	enum { OTHER, SELF, GROUP, RELEASE, PLAIN };
	static const struct {
		const char *module, *function, *variable;
		int how;
		bool awaited;
	} hooks[] = {
		{ TASKS_PY, "_wait.<locals>._on_completion", "waiter", PLAIN, true },
		{ TASKS_PY, "gather.<locals>._done_callback", "outer", PLAIN, true },
		{ TASKS_PY, "_gather.<locals>._done_callback", "outer", PLAIN, true },
		{ TASKS_PY, "shield.<locals>._inner_done_callback", "outer", PLAIN, true },
		{ TASKS_PY, "_release_waiter", "x", RELEASE, true },
		{ TASKS_PY, "x", "x", GROUP, true },
		{ ANYIO_PY, "TaskGroup._spawn.<locals>.task_done", "self", SELF, true },
		{ ANYIO_PY, "TaskGroup._spawn.<locals>.task_done", "task_status_future", PLAIN,
		  true },
		// What only looks like them.
		{ "app.tasks", "gather.<locals>._done_callback", "outer", PLAIN, false },
		{ TASKS_PY, "gather.<locals>._done_callbacks", "outer", PLAIN, false },
		{ TASKS_PY, "gather.<locals>._done_callback", "inner", PLAIN, false },
		{ TASKS_PY, "gather.<locals>._done_callback", "outer", OTHER, false },
		{ "app.tasks", "_release_waiter", "x", RELEASE, false },
	};

	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		for (size_t i = 0; i < 2 * ARRAY_SIZE(hooks); i++) {
			_cleanup_(asyncio_deinit) struct asyncio a = {};
			bool second = i & 1;
			int how = hooks[i / 2].how;

			asyncio_make(&a, py, false);
			taddr future = make_object(&a.f, a.future_type), value = future;
			fake_put64(&a.f, a.tasks[PARENT] + py->offsets.task_waiter, future);
			if (how == OTHER)
				value = make_object(&a.f, a.future_type);
			if (how == SELF)
				value = make_group(&a, future);
			taddr callback = make_closure(&a, hooks[i / 2].module,
						      hooks[i / 2].function,
						      hooks[i / 2].variable, value);
			if (how == GROUP)
				callback = make_method(&a, make_group(&a, future));
			if (how == RELEASE)
				callback = make_partial(&a, callback, future);
			hang(&a, a.tasks[CHILD], second ? a.coroutines[CHILD] : callback,
			     second ? callback : 0);
			_cleanup_(freep) char *want = told_whole(&a, hooks[i / 2].awaited);
			expect(&a, want);
		}
	}
}

static void what_is_waited_for_in_several_ways_is_told(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		taddr futures[3];

		asyncio_make(&a, py, false);
		make_nested(&a, futures);
		_cleanup_(freep) char *want = whole(&a);
		expect(&a, want);
		// One that leads back to where it began.
		hang(&a, futures[2],
		     make_closure(&a, TASKS_PY, "gather.<locals>._done_callback", "outer",
				  futures[0]),
		     make_closure(&a, TASKS_PY, "gather.<locals>._done_callback", "outer",
				  a.tasks[CHILD]));
		expect(&a, want);
	}
}

static void many_callbacks_end_at_a_bound(void **unused)
{
	static const uint64_t lengths[] = { 300, 1 << 20, (uint64_t)1 << 60 };

	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		const union py_offsets *o = &a.f.py.offsets;
		taddr futures[3];

		asyncio_make(&a, py, false);
		make_nested(&a, futures);
		taddr list = fake_get64(&a.f, futures[0] + o->fut_callbacks);
		taddr pair = fake_get64(&a.f, fake_get64(&a.f, list + o->list_items));
		taddr items = fake_room(&a.f, 300 * 8);
		for (size_t i = 0; i < 300; i++)
			fake_put64(&a.f, items + 8 * i, pair);
		fake_put64(&a.f, list + o->list_items, items);
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			fake_put64(&a.f, list + o->object_size, lengths[i]);
			walk(&a, &state);
			assert_int_equal(state.tasks.n, TASKS);
			assert_int_equal(state.gaps.n, 1);
			assert_string_equal(state.gaps.v[0].what, "what awaits an asyncio task");
		}
	}
}

static void cycles_end_where_they_close(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		const union py_offsets *o = &a.f.py.offsets;

		asyncio_make(&a, py, false);
		// A coroutine that awaits itself, tasks that await each other.
		taddr awaited = awaited_by_parent(&a);
		fake_put64(&a.f, awaited, a.coroutines[PARENT]);
		fake_put64(&a.f, a.tasks[CHILD] + o->task_waiter, a.tasks[PARENT]);
		expect_gap(&a, TASKS, "awaits itself\n  𐌰x:11\n");
		fake_put64(&a.f, awaited, a.tasks[CHILD]);
		// A reference that comes twice is one task; a ring that does not close has an end.
		if (a.ring)
			fake_put64(&a.f, a.tasks[CHILD] + o->task_node + o->llist_next,
				   a.tasks[PARENT] + o->task_node);
		else
			list_tasks(&a, (taddr[]){ a.tasks[0], a.tasks[0], a.tasks[1] }, 3);
		_cleanup_(py_state_deinit) struct py_state state = {};
		walk(&a, &state);
		assert_int_equal(state.tasks.n, TASKS);
		assert_int_equal(state.gaps.n, a.ring != 0);
		if (a.ring)
			assert_non_null(strstr(state.gaps.v[0].why, "more than 8"));
	}
}

static void absurd_sizes_are_borne(void **unused)
{
	static const uint64_t sizes[] = {
		(uint64_t)1 << 60, (uint64_t)1 << 31, UINT64_MAX, 1 << 20,
	};

	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			_cleanup_(asyncio_deinit) struct asyncio a = {};
			const union py_offsets *o = &a.f.py.offsets;

			asyncio_make(&a, py, false);
			// A name that is too long is a gap of its task alone.
			fake_put64(&a.f, a.names[PARENT] + o->str_length, sizes[i]);
			if (o->task_name != PY_NONE && sizes[i] != 1 << 20)
				expect_gap(&a, TASKS, "characters\n");
			expect_gap(&a, TASKS, "  größe:11\n  plain:10\n");
			fake_put64(&a.f, a.names[PARENT] + o->str_length, 6);
			if (o->frame_stack_top == PY_NONE) {
				taddr coroutine = a.coroutines[CHILD];
				taddr frame = coroutine + o->gen_iframe;

				if (o->gen_iframe == PY_NONE)
					frame = fake_get64(&a.f, coroutine + o->gen_frame);
				fake_put32(&a.f, frame + o->frame_stack_depth, (uint32_t)sizes[i]);
				expect_gap(&a, TASKS, " of Server.serve 7000\n  𐌰x:11\n");
				fake_put32(&a.f, frame + o->frame_stack_depth, 1);
			}
			fake_put64(&a.f, a.set + o->set_used, sizes[i]);
			fake_put64(&a.f, a.set + o->set_mask, sizes[i]);
			expect_gap(&a, TASKS, "gap asyncio tasks: ");
			fake_put64(&a.f, a.f.interpreters[0] + o->interp_modules, a.set);
			expect_gap(&a, TASKS, "gap asyncio tasks: ");
		}
	}
}

static void no_wrong_pointer_is_followed_without_end(void **unused)
{
	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		taddr futures[3];

		asyncio_make(&a, py, false);
		make_nested(&a, futures);
		for (size_t i = 0; i < a.f.n_pointers; i++) {
			taddr where = a.f.pointers[i].at, right = fake_get64(&a.f, where);
			const taddr wrongs[] = {
				0, 1, right + 1, right + 8, where, where & ~(taddr)7,
				a.f.threads[0], a.tasks[PARENT], a.tasks[CHILD],
				a.coroutines[CHILD], a.inner, a.set,
				FAKE_BASE, FAKE_BASE + a.f.used, 0xdeadbeef0000, UINT64_MAX,
				(uint64_t)1 << 60,
			};

			for (size_t k = 0; k < ARRAY_SIZE(wrongs); k++) {
				_cleanup_(py_state_deinit) struct py_state state = {};

				fake_put64(&a.f, where, wrongs[k]);
				walk(&a, &state);
				assert_true(state.tasks.n <= TASKS);
				for (size_t t = 0; t < state.tasks.n; t++)
					assert_true(state.tasks.v[t].frames.n <= 3);
			}
			fake_put64(&a.f, where, right);
		}
		_cleanup_(freep) char *want = whole(&a);
		expect(&a, want);
	}
}

static void spoilt_memory_is_borne(void **unused)
{
	uint32_t seed = 1;

	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		taddr futures[3];

		asyncio_make(&a, py, false);
		make_nested(&a, futures);
		for (int round = 0; round < 200; round++) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			for (int i = 0; i < 4; i++) {
				seed = seed * 1664525 + 1013904223;
				taddr at = a.f.pointers[(seed >> 8) % a.f.n_pointers].at;
				fake_put8(&a.f, at + (seed & 7), (uint8_t)(seed >> 24));
			}
			walk(&a, &state);
			assert_true(state.tasks.n <= 2 * TASKS);
		}
	}
}

static void more_tasks_than_are_shown_are_counted(void **unused)
{
	enum { MANY = PY_MAX_TASKS + 500 };

	(void)unused;
	FOR_TASK_LAYOUTS(py) {
		_cleanup_(asyncio_deinit) struct asyncio a = {};
		_cleanup_(freep) taddr *tasks = calloc(MANY, sizeof(*tasks));

		assert_non_null(tasks);
		asyncio_make(&a, py, false);
		for (int i = 0; i < MANY; i++)
			tasks[i] = make_task(&a, a.coroutines[PARENT], a.names[PARENT], 0);
		list_tasks(&a, tasks, MANY);
		expect_gap(&a, PY_MAX_TASKS, "500 more than the 2000 that are shown");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layout_has_its_tasks),
		cmocka_unit_test(without_the_module_there_are_none),
		cmocka_unit_test(capture_touches_what_a_later_walk_reads),
		cmocka_unit_test(published_offsets_are_used),
		cmocka_unit_test(who_awaits_is_told_once),
		cmocka_unit_test(what_is_hung_on_a_task_tells_who_awaits_it),
		cmocka_unit_test(what_is_waited_for_in_several_ways_is_told),
		cmocka_unit_test(many_callbacks_end_at_a_bound),
		cmocka_unit_test(cycles_end_where_they_close),
		cmocka_unit_test(absurd_sizes_are_borne),
		cmocka_unit_test(no_wrong_pointer_is_followed_without_end),
		cmocka_unit_test(spoilt_memory_is_borne),
		cmocka_unit_test(more_tasks_than_are_shown_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
