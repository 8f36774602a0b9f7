/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyframe.h"

#include <limits.h>
#include <stdlib.h>

#include "../cleanup.h"
#include "pylines.h"

// A line table of a module of 100 000 lines has about this size.
#define PY_MAX_TABLE ((size_t)1 << 20)

// Of all frames together: what a dump of anybody's making may cost.
#define PY_MAX_LINES_WORK ((size_t)256 << 20)

// Gaps that do not cut a stack short are told so many times.
#define MAX_SIDE_GAPS 8

void py_frames_deinit(struct py_frames *f)
{
	seen_deinit(&f->index);
	for (size_t i = 0; i < f->n; i++)
		buf_deinit(&f->codes[i].table);
	free(f->codes);
	*f = (struct py_frames){};
}

struct error *py_frames_gap(struct py_frames *f, const char *what, struct error *err)
{
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	f->broken |= err->kind != ERROR_UNSUPPORTED;
	if (f->reader.touch_only || f->n_gaps++ >= MAX_SIDE_GAPS) {
		error_free(err);
		return NULL;
	}
	return gaps_take(f->arena, f->gaps, what, NULL, err);
}

static char *copy_text(struct py_frames *f, const struct buf *text, bool had)
{
	if (!had)
		return arena_strdup(f->arena, "?");
	return arena_strndup(f->arena, (const char *)text->data, text->len);
}

static struct error *read_name(struct py_frames *f, taddr at, const char *what, char **ret)
{
	_cleanup_(buf_deinit) struct buf text = {};
	struct error *err = py_read_str(&f->reader, at, PY_MAX_STRING, &text);
	bool had = !err;

	err = py_frames_gap(f, what, err);
	if (err || f->reader.touch_only)
		return err;
	*ret = copy_text(f, &text, had);
	return *ret ? NULL : error_nomem();
}

// What is not a code object at all is an error; what is missing of one is a gap beside the stack.
static struct error *read_code(struct py_frames *f, taddr at, struct py_code *code)
{
	const union py_offsets *o = &f->reader.layout->offsets;
	uint8_t raw[PY_STRUCT_MAX];

	struct error *err = py_check_code(&f->reader, at);
	if (!err)
		err = mem_read(f->reader.mem, at, raw,
			       PY_SPAN(o->object_size, o->code_name, o->code_qualname, o->code_file,
				       o->code_firstline, o->code_lines, o->code_traceable));
	if (err)
		return err;
	code->first_line = py_field_int(raw, o->code_firstline);
	code->units = code->traceable = -1;
	if (o->code_instructions != PY_NONE) {
		code->instructions = at + o->code_instructions;
		code->units = (int64_t)py_field(raw, o->object_size);
		if (o->code_traceable != PY_NONE)
			code->traceable = py_field_int(raw, o->code_traceable);
		if (code->units < 0 || code->units > INT32_MAX)
			return error_new(ERROR_INPUT, "a code object of 0x%llx instructions",
					 (unsigned long long)code->units);
	}
	taddr name = py_field(raw, o->code_qualname == PY_NONE ? o->code_name : o->code_qualname);
	err = read_name(f, name, "name of a Python function", &code->function);
	if (!err)
		err = read_name(f, py_field(raw, o->code_file), "file name of a Python function",
				&code->file);
	if (!err)
		err = py_frames_gap(f, "line table of a Python function",
				    py_read_bytes(&f->reader, py_field(raw, o->code_lines),
						  PY_MAX_TABLE, &code->table));
	return err;
}

struct error *py_frames_code(struct py_frames *f, taddr at, const struct py_code **ret)
{
	const uint32_t *known = seen_find(&f->index, at);

	if (known) {
		*ret = &f->codes[*known];
		return NULL;
	}
	if (f->n == f->room) {
		size_t room = f->room ? f->room * 2 : 64;
		struct py_code *codes = realloc(f->codes, room * sizeof(*codes));

		if (!codes)
			return error_nomem();
		f->codes = codes;
		f->room = room;
	}
	struct py_code *code = &f->codes[f->n];
	*code = (struct py_code){};
	struct error *err = seen_add(&f->index, at, (uint32_t)f->n);
	if (err)
		return err;
	f->n++;
	err = read_code(f, at, code);
	if (err && err->kind != ERROR_NOMEM) {
		code->bad = arena_strdup(f->arena, err->text);
		error_free(err);
		err = code->bad ? NULL : error_nomem();
	}
	if (!err)
		*ret = code;
	return err;
}

size_t py_frame_span(const struct py_layout *py)
{
	const union py_offsets *o = &py->offsets;

	return PY_SPAN(o->frame_back, o->frame_code, o->frame_position, o->frame_owner,
		       o->frame_entry, o->frame_trace, o->frame_lineno, o->frame_tlbc);
}

// Free-threaded builds from 3.14 on: each thread has a copy of the instructions of its own, INDEX
// of those of the code object at CODE. The first is the one in the object.
static struct error *thread_instructions(struct py_frames *f, taddr code, int32_t index, taddr *ret)
{
	taddr copies;
	uint64_t n;

	if (index <= 0)
		return NULL;
	struct error *err = mem_u64(f->reader.mem, code + f->reader.layout->offsets.code_tlbc, &copies);
	if (!err)
		err = mem_u64(f->reader.mem, copies, &n);
	if (!err && (uint64_t)index >= n)
		err = error_new(ERROR_INPUT, "copy %d of instructions of which there are %llu", index,
				(unsigned long long)n);
	return err ? err : mem_u64(f->reader.mem, copies + 8 + (taddr)index * 8, ret);
}

struct error *py_frames_read(struct py_frames *f, taddr at, struct py_raw_frame *ret)
{
	const struct py_layout *py = f->reader.layout;
	const union py_offsets *o = &py->offsets;
	uint8_t raw[PY_STRUCT_MAX];

	if (at % 8)
		return error_new(ERROR_INPUT, "a frame at 0x%llx, which is not aligned",
				 (unsigned long long)at);
	struct error *err = mem_read(f->reader.mem, at, raw, py_frame_span(py));
	if (err)
		return err;
	struct py_raw_frame frame = {
		.at = at,
		.back = py_field(raw, o->frame_back),
		.code = py_field(raw, o->frame_code) & ~(uint64_t)py->reference_tags,
		.entry = py->entry == PY_ENTRY_EVERY,
	};
	if (o->frame_owner != PY_NONE) {
		uint8_t owner = raw[o->frame_owner];

		if (owner > py->owner_max)
			return error_new(ERROR_INPUT, "the frame at 0x%llx is owned by nobody (%u)",
					 (unsigned long long)at, owner);
		frame.generator = owner == py->owner_generator;
		frame.shim = py->entry == PY_ENTRY_SHIM && owner >= py->owner_shim;
	}
	if (py->entry == PY_ENTRY_FLAG) {
		uint8_t flag = raw[o->frame_entry];

		if (flag > 1)
			return error_new(ERROR_INPUT, "the frame at 0x%llx is no frame",
					 (unsigned long long)at);
		frame.entry = flag;
	}
	if (py->position == PY_POSITION_POINTER)
		frame.position = py_field(raw, o->frame_position);
	else
		frame.position = (uint64_t)(int64_t)py_field_int(raw, o->frame_position);
	if ((py->traced == PY_TRACED_IF_TRACED && py_field(raw, o->frame_trace)) ||
	    py->traced == PY_TRACED_IF_SET)
		frame.line = py_field_int(raw, o->frame_lineno);
	if (o->frame_tlbc != PY_NONE && !frame.shim)
		err = py_frames_gap(f, "line of a Python frame",
				    thread_instructions(f, frame.code, py_field_int(raw, o->frame_tlbc),
							&frame.instructions));
	if (err)
		return err;
	*ret = frame;
	return NULL;
}

// Where FRAME is in CODE, in bytes; false when its position is not in it.
static bool frame_offset(const struct py_layout *py, const struct py_raw_frame *frame,
			 const struct py_code *code, int64_t *ret)
{
	int64_t offset = (int64_t)frame->position;

	switch (py->position) {
	case PY_POSITION_BYTES:
		break;
	case PY_POSITION_UNITS:
		offset = offset < 0 ? -1 : offset * 2;
		break;
	case PY_POSITION_POINTER:
		// A frame that has not begun is one unit before the first instruction.
		offset = (int64_t)(frame->position -
				   (frame->instructions ? frame->instructions : code->instructions));
		if (offset < -2 || offset >= code->units * 2)
			return false;
		break;
	}
	if (offset < -2)
		return false;
	*ret = offset;
	return true;
}

struct error *py_frames_show(struct py_frames *f, const struct py_raw_frame *raw,
			     const struct py_code *code, struct py_frame *ret)
{
	int64_t offset;
	struct py_place place = {};
	struct error *err = NULL;

	if (raw->line > 0) {
		place.line = raw->line;
	} else if (!frame_offset(f->reader.layout, raw, code, &offset)) {
		err = py_frames_gap(f, "line of a Python frame",
				    error_new(ERROR_INPUT,
					      "the frame at 0x%llx is at no instruction of its code",
					      (unsigned long long)raw->at));
	} else if (f->lines_work + code->table.len > PY_MAX_LINES_WORK) {
		err = py_frames_gap(f, "line of a Python frame",
				    py_limit("too many frames with long line tables"));
	} else {
		f->lines_work += code->table.len;
		place = py_lines_place(f->reader.layout->lines, code->table.data, code->table.len,
				       code->first_line, offset);
	}
	if (err)
		return err;
	*ret = (struct py_frame){ .function = code->function,
				  .file = code->file,
				  .line = place.line,
				  .column = place.column,
				  .entry = raw->entry,
				  .address = raw->at };
	return NULL;
}

