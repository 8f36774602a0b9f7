/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pylocals.h"

#include <endian.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/redact.h"
#include "pyitems.h"
#include "pyvalue.h"

// Variables of one frame that are shown, and names that are looked at for them.
#define MAX_LOCALS     64
#define MAX_NAMES      1024
#define MAX_NAME_CHARS 128

// co_flags: variables are in the frame and not in a dict.
#define CODE_OPTIMIZED 1

// co_localspluskinds, from 3.11 on: seen only while a comprehension runs.
#define KIND_HIDDEN 0x10

struct locals {
	struct py_reader *reader;
	struct arena *arena;
	bool hide;
	py_locals list;
};

static struct error *add_local(struct locals *l, taddr name_at, uint64_t reference)
{
	_cleanup_(buf_deinit) struct buf name = {}, value = {};
	char *shown;

	if (l->list.n == MAX_LOCALS)
		return error_new(ERROR_UNSUPPORTED, "a frame has more than %d variables", MAX_LOCALS);
	struct error *err = py_read_str(l->reader, name_at, MAX_NAME_CHARS, &name);
	if (!err)
		err = py_reference_value(l->reader, reference, l->hide, &value);
	if (err || l->reader->touch_only)
		return err;
	// 2.7 has an argument that is a cell in both places; the cell comes later and is the truth.
	char *key = arena_strndup(l->arena, (const char *)name.data, name.len);
	char *text = arena_strndup(l->arena, (const char *)value.data, value.len);
	if (!key || !text)
		return error_nomem();
	shown = text;
	if (l->hide)
		err = redact_value(l->arena, key, text, &shown);
	struct py_local *to = NULL;
	for (size_t i = 0; i < l->list.n && !to; i++)
		if (!strcmp(l->list.v[i].name, key))
			to = &l->list.v[i];
	if (!err && !to)
		to = LIST_ADD(l->arena, &l->list);
	if (!to)
		return err ? err : error_nomem();
	*to = (struct py_local){ .name = key, .value = shown };
	return err;
}

// A cell's content where AT is a cell, and an object else; 0: unbound.
static struct error *open_cell(struct locals *l, taddr at, taddr *ret)
{
	struct py_type type;

	*ret = at;
	struct error *err = py_type_of(l->reader, at, &type);
	if (!err && type.kind == PY_CELL && type.exact)
		err = mem_u64(l->reader->mem, at + l->reader->layout->offsets.cell_value, ret);
	// What cannot be read is told where the value would be.
	if (err && err->kind != ERROR_NOMEM) {
		error_free(err);
		err = NULL;
	}
	return err;
}

/*
 * N variables of the frame whose names are in the tuple at NAMES and whose values begin at SLOT,
 * with the bytes at KINDS (0: there are none) telling what each is.
 */
static struct error *add_fast(struct locals *l, taddr names, uint64_t n, taddr slot,
			      bool may_be_cells, taddr kinds)
{
	const union py_offsets *o = &l->reader->layout->offsets;
	const struct mem *mem = l->reader->mem;
	uint8_t tags = l->reader->layout->reference_tags, kind = 0;
	struct error *err = NULL;

	if (n > MAX_NAMES)
		return error_new(ERROR_UNSUPPORTED, "a frame has %llu variables",
				 (unsigned long long)n);
	for (uint64_t i = 0; i < n && !err; i++) {
		uint64_t reference;
		taddr name;

		err = mem_u64(mem, slot + i * 8, &reference);
		if (!err && kinds)
			err = mem_u8(mem, kinds + i, &kind);
		bool number = tags == 3 && (reference & tags) == tags;
		if (err || !(reference & ~(uint64_t)tags) || kind & KIND_HIDDEN)
			continue;
		err = mem_u64(mem, names + o->tuple_items + i * 8, &name);
		if (!err && may_be_cells && !number)
			err = open_cell(l, reference & ~(uint64_t)tags, &reference);
		if (!err && reference)
			err = add_local(l, name, reference);
	}
	return err;
}

static struct error *tuple_length(struct locals *l, taddr tuple, uint64_t *ret)
{
	struct py_type type;
	struct error *err = py_type_of(l->reader, tuple, &type);

	if (!err && type.kind != PY_TUPLE)
		err = error_new(ERROR_INPUT, "names of variables in a %s", type.name);
	return err ? err : mem_u64(l->reader->mem,
				   tuple + l->reader->layout->offsets.object_size, ret);
}

// From 3.11 on one list of names tells all that a frame has, in its order.
static struct error *add_localsplus(struct locals *l, taddr frame, taddr code)
{
	const union py_offsets *o = &l->reader->layout->offsets;
	const struct mem *mem = l->reader->mem;
	taddr names, kinds;
	uint64_t n;

	struct error *err = mem_u64(mem, code + o->code_localsplusnames, &names);
	if (!err)
		err = mem_u64(mem, code + o->code_localspluskinds, &kinds);
	if (!err)
		err = tuple_length(l, names, &n);
	return err ? err : add_fast(l, names, n, frame + o->frame_fast, true,
				    kinds + o->bytes_data);
}

static struct error *add_three_lists(struct locals *l, taddr frame, taddr code)
{
	const union py_offsets *o = &l->reader->layout->offsets;
	const uint32_t lists[] = { o->code_varnames, o->code_cellvars, o->code_freevars };
	taddr slot = frame + o->frame_fast, names;
	struct error *err = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(lists) && !err; i++) {
		uint64_t n = 0;

		err = mem_u64(l->reader->mem, code + lists[i], &names);
		if (!err)
			err = tuple_length(l, names, &n);
		if (!err)
			err = add_fast(l, names, n, slot, i > 0, 0);
		slot += n * 8;
	}
	return err;
}

// Is it no variable but something that stands in every module: "__name__", an import, a function?
static struct error *is_furniture(struct locals *l, taddr key, taddr value, bool *ret)
{
	_cleanup_(buf_deinit) struct buf name = {};
	bool touch_only = l->reader->touch_only;
	struct py_type type = {};

	*ret = true;
	// What is touched depends on the name.
	l->reader->touch_only = false;
	struct error *err = py_read_str(l->reader, key, MAX_NAME_CHARS, &name);
	l->reader->touch_only = touch_only;
	if (err && err->kind != ERROR_NOMEM && err->kind != ERROR_UNSUPPORTED) {
		// A key that is no text is no variable's name.
		error_free(err);
		return NULL;
	}
	if (err)
		return err;
	if (name.len >= 4 && !memcmp(name.data, "__", 2) &&
	    !memcmp(name.data + name.len - 2, "__", 2))
		return NULL;
	err = py_type_of(l->reader, value, &type);
	*ret = type.kind == PY_MODULE || type.kind == PY_FUNCTION || type.kind == PY_BUILTIN ||
	       type.kind == PY_TYPE;
	if (err && err->kind != ERROR_NOMEM) {
		error_free(err);
		err = NULL;
	}
	return err;
}

static struct error *add_namespace(struct locals *l, taddr frame)
{
	const union py_offsets *o = &l->reader->layout->offsets;
	struct py_items items = {};
	struct py_type type = {};
	taddr dict, key, value = 0;
	int looked_at = 0;

	struct error *err = mem_u64(l->reader->mem, frame + o->frame_locals, &dict);
	if (err || !dict)
		return err;
	err = py_type_of(l->reader, dict, &type);
	// exec() takes any mapping.
	if (!err && type.kind != PY_DICT)
		err = error_new(ERROR_UNSUPPORTED, "its namespace is a %s", type.name);
	if (!err)
		err = py_items_begin(l->reader, dict, &type, &items);
	while (!err && looked_at++ < MAX_NAMES) {
		bool furniture = true;

		err = py_items_next(&items, &key, &value);
		if (err || !key)
			break;
		err = is_furniture(l, key, value, &furniture);
		if (!err && !furniture)
			err = add_local(l, key, value);
	}
	return err;
}

struct error *py_frame_locals(struct py_reader *reader, taddr frame, taddr code, bool hide,
			      struct arena *arena, py_locals *ret)
{
	struct locals l = { .reader = reader, .arena = arena, .hide = hide };
	const union py_offsets *o = &reader->layout->offsets;
	uint32_t flags;

	struct error *err = mem_u32(reader->mem, code + o->code_flags, &flags);
	if (err)
		return err;
	if (!(flags & CODE_OPTIMIZED))
		err = add_namespace(&l, frame);
	else if (o->code_localsplusnames != PY_NONE)
		err = add_localsplus(&l, frame, code);
	else
		err = add_three_lists(&l, frame, code);
	// What was read before a bound is still worth to be shown.
	if (!err || err->kind != ERROR_NOMEM)
		*ret = l.list;
	return err;
}
