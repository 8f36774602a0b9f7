/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pynames.h"

#include <string.h>

#include "../cleanup.h"
#include "pyitems.h"

#define MAX_NAME 256

// Digits of an int are of 30 bits each wherever addresses have 64.
#define DIGIT_BITS 30

// The int at AT, which is positive and of at most 64 bits.
static struct error *read_number(struct py_reader *reader, taddr at, uint64_t *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	struct py_type type;
	uint64_t size, v = 0;

	struct error *err = py_type_of(reader, at, &type);
	if (err)
		return err;
	if (type.kind == PY_SHORT)
		return mem_u64(reader->mem, at + o->int_value, ret);
	if (type.kind != PY_LONG)
		return error_new(ERROR_INPUT, "a thread's number is of type %s", type.name);
	err = mem_u64(reader->mem, at + (o->long_tag == PY_NONE ? o->object_size : o->long_tag), &size);
	if (err)
		return err;
	// From 3.12 on the lowest three bits are flags.
	size = o->long_tag == PY_NONE ? size : size >> 3;
	if (size > 3)
		return error_new(ERROR_INPUT, "a thread's number has 0x%llx digits",
				 (unsigned long long)size);
	for (uint64_t i = 0; i < size; i++) {
		uint32_t digit;

		err = mem_u32(reader->mem, at + o->long_digits + i * 4, &digit);
		if (err)
			return err;
		v |= (uint64_t)digit << (i * DIGIT_BITS);
	}
	*ret = v;
	return NULL;
}

// threading._active: the Thread object of each number; 0 when there is none.
static struct error *find_active(struct py_reader *reader, taddr interpreter, taddr *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	taddr at, module = 0, dict;
	struct py_type type;

	*ret = 0;
	struct error *err = mem_u64(reader->mem, interpreter + o->interp_modules, &at);
	if (!err && at)
		err = py_items_find(reader, at, "threading", &module);
	if (err || !module)
		return err;
	err = py_type_of(reader, module, &type);
	if (!err && type.kind != PY_MODULE)
		return NULL;
	if (!err)
		err = mem_u64(reader->mem, module + o->module_dict, &dict);
	return err ? err : py_items_find(reader, dict, "_active", ret);
}

// THREAD is the object that threading has for the thread with number IDENT.
static struct error *read_name(struct py_frames *f, taddr thread, uint64_t ident,
			       const struct seen *threads, struct py_state *state)
{
	_cleanup_(buf_deinit) struct buf text = {};
	const uint32_t *index = seen_find(threads, ident);
	struct py_type type;
	taddr name = 0;

	// One that has not begun or has ended is of no interest.
	if (!f->reader.touch_only && !index)
		return NULL;
	struct error *err = py_type_of(&f->reader, thread, &type);
	if (!err)
		err = py_attribute(&f->reader, thread, &type,
				   f->reader.layout->names_are_bytes ? "_Thread__name" : "_name", &name);
	if (!err && name)
		err = py_read_str(&f->reader, name, MAX_NAME, &text);
	if (err || !name || f->reader.touch_only)
		return err;
	struct py_thread *to = &state->threads.v[*index];
	to->name = arena_strndup(&state->arena, (const char *)text.data, text.len);
	return to->name ? NULL : error_nomem();
}

struct error *py_names_read(struct py_frames *f, taddr interpreter, int64_t id,
			    struct py_state *state)
{
	_cleanup_(seen_deinit) struct seen threads = {};
	struct py_type type;
	struct py_items items;
	struct error *err = NULL;
	taddr active, key, thread;

	for (size_t i = 0; i < state->threads.n && !err; i++) {
		const struct py_thread *t = &state->threads.v[i];

		if (t->interpreter == id && t->pthread && !seen_find(&threads, t->pthread))
			err = seen_add(&threads, t->pthread, (uint32_t)i);
	}
	if (!err)
		err = find_active(&f->reader, interpreter, &active);
	if (err || !active)
		return err;
	err = py_type_of(&f->reader, active, &type);
	if (!err)
		err = py_items_begin(&f->reader, active, &type, &items);
	while (!err && !py_reader_late(&f->reader)) {
		uint64_t ident;

		err = py_items_next(&items, &key, &thread);
		if (err || !key)
			break;
		err = read_number(&f->reader, key, &ident);
		if (!err)
			err = read_name(f, thread, ident, &threads, state);
	}
	return err;
}
