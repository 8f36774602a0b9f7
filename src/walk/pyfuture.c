/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyfuture.h"

#include <string.h>

#include "../cleanup.h"
#include "pyframe.h"
#include "pyitems.h"

#define MAX_BASES     16
#define MAX_CALLBACKS 256 // of one future and of all that it completes
#define MAX_VARIABLES 256 // of a function

// co_localspluskinds, from 3.11 on: a variable of an outer function.
#define KIND_FREE 0x80

#define ASYNCIO "asyncio.tasks"
#define ANYIO	"anyio._backends._asyncio"

// Functions that are hung on a future, and the variable of theirs, or its attribute, with another.
static const struct hook {
	const char *module, *function, *variable, *attribute;
} hooks[] = {
	{ ASYNCIO, "_wait.<locals>._on_completion", "waiter", NULL },
	{ ASYNCIO, "gather.<locals>._done_callback", "outer", NULL },
	{ ASYNCIO, "_gather.<locals>._done_callback", "outer", NULL }, // 3.9
	{ ASYNCIO, "shield.<locals>._inner_done_callback", "outer", NULL },
	{ ANYIO, "TaskGroup._spawn.<locals>.task_done", "self", "_on_completed_fut" },
	{ ANYIO, "TaskGroup._spawn.<locals>.task_done", "task_status_future", NULL },
};

// Is the class at AT, or one of its bases, called NAME?
static bool derives_from(struct py_reader *reader, taddr at, const char *name)
{
	const union py_offsets *o = &reader->layout->offsets;
	char text[64];

	for (int i = 0; i < MAX_BASES && at; i++) {
		taddr name_at;

		if (error_drop(mem_u64(reader->mem, at + o->type_name, &name_at)))
			return false;
		size_t n = mem_read_some(reader->mem, name_at, text, strlen(name) + 1);
		if (n == strlen(name) + 1 && !memcmp(text, name, n))
			return true;
		if (error_drop(mem_u64(reader->mem, at + o->type_base, &at)))
			return false;
	}
	return false;
}

struct error *py_future_of(struct py_reader *reader, taddr at, struct py_future *ret)
{
	struct py_future future = { .at = at };
	struct error *err = py_type_of(reader, at, &future.type);

	if (err)
		return err;
	future.native = derives_from(reader, future.type.at, "_asyncio.Task") ||
			derives_from(reader, future.type.at, "_asyncio.Future");
	*ret = future;
	return NULL;
}

static bool is_future(struct py_reader *reader, const struct py_future *future)
{
	return future->native || derives_from(reader, future->type.at, "Future");
}

static struct error *field_of(struct py_reader *reader, taddr object, uint32_t offset, taddr *ret)
{
	*ret = 0;
	return offset == PY_NONE ? NULL : mem_u64(reader->mem, object + offset, ret);
}

struct error *py_future_member(struct py_reader *reader, const struct py_future *future,
			       uint32_t offset, const char *attribute, taddr *ret)
{
	return future->native ? field_of(reader, future->at, offset, ret)
			      : py_attribute(reader, future->at, &future->type, attribute, ret);
}

static struct error *item_of(struct py_reader *reader, taddr tuple, uint64_t i, taddr *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	struct py_type type;
	uint64_t n;

	*ret = 0;
	struct error *err = py_type_of(reader, tuple, &type);
	if (!err && type.kind != PY_TUPLE)
		err = error_new(ERROR_INPUT, "a %s where there should be a tuple", type.name);
	if (!err)
		err = mem_u64(reader->mem, tuple + o->object_size, &n);
	return err || i >= n ? err : mem_u64(reader->mem, tuple + o->tuple_items + i * 8, ret);
}

// Which of the variables that the function of CODE has from outside is called NAME.
static struct error *number_of(struct py_reader *reader, taddr code, const char *name, bool *found,
			       uint64_t *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	bool one_list = o->code_localsplusnames != PY_NONE;
	uint32_t list = one_list ? o->code_localsplusnames : o->code_freevars;
	taddr names, kinds = 0, item;

	*found = false;
	*ret = 0;
	struct error *err = py_check_code(reader, code);
	if (!err)
		err = mem_u64(reader->mem, code + list, &names);
	if (!err && one_list)
		err = mem_u64(reader->mem, code + o->code_localspluskinds, &kinds);
	for (uint64_t i = 0; !err && i < MAX_VARIABLES; i++) {
		uint8_t kind = KIND_FREE;

		err = item_of(reader, names, i, &item);
		if (err || !item)
			break;
		if (one_list)
			err = mem_u8(reader->mem, kinds + o->bytes_data + i, &kind);
		if (err || !(kind & KIND_FREE))
			continue;
		*found = py_text_is(reader, item, name);
		if (*found)
			break;
		++*ret;
	}
	return err;
}

// What the variable NAME of an outer function holds in FUNCTION, 0 for nothing.
static struct error *variable_of(struct py_reader *reader, taddr function, const char *name,
				 taddr *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	taddr code, closure, cell = 0;
	struct py_type type = {};
	uint64_t number;
	bool found;

	*ret = 0;
	struct error *err = mem_u64(reader->mem, function + o->function_code, &code);
	if (!err)
		err = number_of(reader, code, name, &found, &number);
	if (err || !found)
		return err;
	err = mem_u64(reader->mem, function + o->function_closure, &closure);
	if (!err && closure)
		err = item_of(reader, closure, number, &cell);
	if (!err && cell)
		err = py_type_of(reader, cell, &type);
	return err || type.kind != PY_CELL ? err
					   : mem_u64(reader->mem, cell + o->cell_value, ret);
}

static struct error *is_function(struct py_reader *reader, taddr at, const char *module,
				 const char *name, bool *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	taddr qualified, of;

	*ret = false;
	struct error *err = mem_u64(reader->mem, at + o->function_qualname, &qualified);
	if (err || !py_text_is(reader, qualified, name))
		return err;
	err = mem_u64(reader->mem, at + o->function_module, &of);
	*ret = !err && py_text_is(reader, of, module);
	return err;
}

static struct error *add(struct py_reader *reader, taddr at, struct py_completed *to)
{
	struct py_future future;

	for (size_t i = 0; i < to->n; i++)
		if (to->v[i] == at)
			return NULL;
	struct error *err = at ? py_future_of(reader, at, &future) : NULL;
	// None, for as long as nobody waits.
	if (err || !at || !is_future(reader, &future))
		return err;
	if (to->n == PY_MAX_COMPLETED)
		return py_limit("more than %d futures are completed by one", PY_MAX_COMPLETED);
	to->v[to->n++] = at;
	return NULL;
}

static struct error *add_attribute(struct py_reader *reader, taddr object, const char *name,
				   struct py_completed *to)
{
	struct py_type type;
	taddr value = 0;

	struct error *err = py_type_of(reader, object, &type);
	if (!err)
		err = py_attribute(reader, object, &type, name, &value);
	return err ? err : add(reader, value, to);
}

static struct error *add_by_function(struct py_reader *reader, taddr function,
				     struct py_completed *to)
{
	struct error *err = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(hooks) && !err; i++) {
		const struct hook *hook = &hooks[i];
		taddr value = 0;
		bool matches;

		err = is_function(reader, function, hook->module, hook->function, &matches);
		if (!err && matches)
			err = variable_of(reader, function, hook->variable, &value);
		if (!err && value)
			err = hook->attribute ? add_attribute(reader, value, hook->attribute, to)
					      : add(reader, value, to);
	}
	return err;
}

// A task of a group calls a method of that when it is done.
static struct error *add_by_method(struct py_reader *reader, taddr method, struct py_completed *to)
{
	const union py_offsets *o = &reader->layout->offsets;
	struct py_type type;
	taddr group;

	struct error *err = mem_u64(reader->mem, method + o->method_self, &group);
	if (!err)
		err = py_type_of(reader, group, &type);
	return err || !py_type_is(&type, "TaskGroup")
		       ? err
		       : add_attribute(reader, group, "_on_completed_fut", to);
}

// wait_for(), up to 3.11: functools.partial(_release_waiter, waiter).
static struct error *add_by_partial(struct py_reader *reader, taddr partial,
				    struct py_completed *to)
{
	const union py_offsets *o = &reader->layout->offsets;
	taddr function, args, waiter = 0;
	struct py_type type = {};
	bool matches = false;

	struct error *err = mem_u64(reader->mem, partial + o->partial_function, &function);
	if (!err)
		err = py_type_of(reader, function, &type);
	if (!err && type.kind == PY_FUNCTION)
		err = is_function(reader, function, ASYNCIO, "_release_waiter", &matches);
	if (err || !matches)
		return err;
	err = mem_u64(reader->mem, partial + o->partial_args, &args);
	if (!err)
		err = item_of(reader, args, 0, &waiter);
	return err ? err : add(reader, waiter, to);
}

static struct error *add_by_callback(struct py_reader *reader, taddr callback,
				     struct py_completed *to)
{
	const union py_offsets *o = &reader->layout->offsets;
	struct py_type type;

	struct error *err = py_type_of(reader, callback, &type);
	if (err)
		return err;
	if (type.kind == PY_FUNCTION && o->function_closure != PY_NONE)
		return add_by_function(reader, callback, to);
	if (type.kind == PY_METHOD)
		return add_by_method(reader, callback, to);
	if (py_type_is(&type, "partial") && o->partial_args != PY_NONE)
		return add_by_partial(reader, callback, to);
	return NULL;
}

// All but the first of a native one are in a list, with the context that each is called in.
static struct error *add_by_list(struct py_reader *reader, taddr list, size_t *left,
				 struct py_completed *to)
{
	struct py_items items = {};
	struct py_type type;
	taddr pair, callback;

	struct error *err = py_type_of(reader, list, &type);
	if (!err)
		err = py_items_begin(reader, list, &type, &items);
	for (; !err && *left; --*left) {
		err = py_items_next(&items, &pair, NULL);
		if (err || !pair)
			return err;
		err = item_of(reader, pair, 0, &callback);
		if (!err)
			err = add_by_callback(reader, callback, to);
	}
	return err ? err : py_limit("more than %d callbacks of one task", MAX_CALLBACKS);
}

// What FUTURE calls, as it keeps it: *FIRST_RET, and what is in *LIST_RET (0 for nothing).
static struct error *callbacks_of(struct py_reader *reader, const struct py_future *future,
				  taddr *first_ret, taddr *list_ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	struct py_type type = {};
	taddr list = 0;

	*first_ret = *list_ret = 0;
	struct error *err =
		future->native ? field_of(reader, future->at, o->fut_callback, first_ret) : NULL;
	if (!err)
		err = py_future_member(reader, future, o->fut_callbacks, "_callbacks", &list);
	if (!err && list)
		err = py_type_of(reader, list, &type);
	// None, where there is no second.
	if (!err && type.kind == PY_LIST)
		*list_ret = list;
	return err;
}

static struct error *add_by_future(struct py_reader *reader, taddr at, size_t *left,
				   struct py_completed *to)
{
	struct py_future future;
	taddr first, list;

	struct error *err = py_future_of(reader, at, &future);
	if (!err)
		err = callbacks_of(reader, &future, &first, &list);
	if (!err && first)
		err = add_by_callback(reader, first, to);
	return err || !list ? err : add_by_list(reader, list, left, to);
}

struct error *py_future_completes(struct py_reader *reader, const struct py_future *future,
				  struct py_completed *ret)
{
	size_t left = MAX_CALLBACKS;
	taddr first, list;

	struct error *err = callbacks_of(reader, future, &first, &list);
	if (!err && first && !list && first == ret->only)
		return NULL;
	*ret = (struct py_completed){};
	if (!err && first)
		err = add_by_callback(reader, first, ret);
	if (!err && list)
		err = add_by_list(reader, list, &left, ret);
	for (size_t i = 0; i < ret->n && !err; i++)
		err = add_by_future(reader, ret->v[i], &left, ret);
	if (!err && !list)
		ret->only = first;
	return err;
}
