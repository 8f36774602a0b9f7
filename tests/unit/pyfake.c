/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyfake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"

void fake_deinit(struct fake *f)
{
	free(f->bytes);
}

uint8_t *fake_at(struct fake *f, taddr where)
{
	assert_true(where >= FAKE_BASE && where - FAKE_BASE < FAKE_ROOM - 8);
	return f->bytes + (where - FAKE_BASE);
}

void fake_put64(struct fake *f, taddr where, uint64_t v)
{
	memcpy(fake_at(f, where), &v, sizeof(v));
}

void fake_put32(struct fake *f, taddr where, uint32_t v)
{
	memcpy(fake_at(f, where), &v, sizeof(v));
}

void fake_put8(struct fake *f, taddr where, uint8_t v)
{
	*fake_at(f, where) = v;
}

uint64_t fake_get64(struct fake *f, taddr where)
{
	uint64_t v;

	memcpy(&v, fake_at(f, where), sizeof(v));
	return v;
}

void fake_point(struct fake *f, taddr where, taddr to, const char *what)
{
	fake_put64(f, where, to);
	if (f->n_pointers < FAKE_POINTERS) {
		f->pointers[f->n_pointers].at = where;
		f->pointers[f->n_pointers++].what = what;
	}
}

taddr fake_room(struct fake *f, size_t size)
{
	taddr ret = FAKE_BASE + f->used;

	f->used += f->spread ? (size + TARGET_PAGE - 1) & ~(size_t)(TARGET_PAGE - 1) :
			       (size + 31) & ~(size_t)15;
	assert_true(f->used <= FAKE_ROOM);
	f->range.len = f->used;
	return ret;
}

taddr fake_type(struct fake *f, const char *name)
{
	taddr text = fake_room(f, strlen(name) + 1), type = fake_room(f, 512);

	memcpy(fake_at(f, text), name, strlen(name) + 1);
	fake_put64(f, type + f->py.offsets.type_name, text);
	return type;
}

taddr fake_bytes(struct fake *f, const void *data, size_t len)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, o->bytes_data + len + 1);

	fake_point(f, ret + o->object_type, f->bytes_type, "type of bytes");
	fake_put64(f, ret + o->object_size, len);
	memcpy(fake_at(f, ret + o->bytes_data), data, len);
	return ret;
}

// A str of N characters of KIND bytes at DATA; ASCII and COMPACT as CPython has them.
taddr fake_str(struct fake *f, const void *data, size_t n, unsigned kind, bool ascii,
	       bool compact)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, o->str_compact + 8 + n * kind);
	taddr text = ret + (ascii ? o->str_ascii : o->str_compact);

	if (!compact) {
		text = fake_room(f, n * kind);
		fake_put64(f, ret + o->str_compact, text);
	}
	fake_point(f, ret + o->object_type, f->str_type, "type of a str");
	fake_put64(f, ret + o->str_length, n);
	fake_put32(f, ret + o->str_state, kind << o->str_kind_bit |
					     (unsigned)compact << o->str_compact_bit |
					     (unsigned)ascii << o->str_ascii_bit);
	memcpy(fake_at(f, text), data, n * kind);
	return ret;
}

// The four ways in which a name can be kept, and what they all come out as.
static taddr make_name(struct fake *f, int i)
{
	static const uint16_t ucs2[] = { 0x444, 0x443, 0x43d };
	static const uint32_t ucs4[] = { 0x10330, 'x' };
	static const char *const utf8[] = { "plain", "größe", "фун", "𐌰x" };

	if (f->py.names_are_bytes)
		return fake_bytes(f, utf8[i], strlen(utf8[i]));
	switch (i) {
	case 0:
		return fake_str(f, "plain", 5, 1, true, true);
	case 1:
		return fake_str(f, "gr\xf6\xdf""e", 5, 1, false, true);
	case 2:
		return fake_str(f, ucs2, 3, 2, false, false);
	}
	return fake_str(f, ucs4, 2, 4, false, true);
}

// Bytes 0 to 3 are the first line, 4 to 7 the next, 8 to 11 the one after, in column 5.
static taddr make_lines(struct fake *f)
{
	switch (f->py.lines) {
	case PY_LINES_RANGES:
		return fake_bytes(f, "\4\0\4\1\4\1", 6);
	case PY_LINES_LOCATIONS:
		return fake_bytes(f, "\xe9\0\xe9\2\xd9\4\11", 7);
	default:
		return fake_bytes(f, "\4\1\4\1", 4);
	}
}

taddr fake_code(struct fake *f, taddr name)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, 512);

	fake_point(f, ret + o->object_type, f->code_type, "type of code");
	fake_point(f, ret + o->code_name, name, "name");
	if (o->code_qualname != PY_NONE)
		fake_point(f, ret + o->code_qualname, name, "qualified name");
	taddr file = f->py.names_are_bytes ? fake_bytes(f, "/srv/app.py", 11)
					   : fake_str(f, "/srv/app.py", 11, 1, true, true);
	fake_point(f, ret + o->code_file, file, "file name");
	fake_put32(f, ret + o->code_firstline, FAKE_FIRST_LINE);
	fake_point(f, ret + o->code_lines, make_lines(f), "line table");
	if (o->code_instructions != PY_NONE) {
		fake_put64(f, ret + o->object_size, 6);
		fake_put32(f, ret + o->code_traceable, 1);
	}
	return ret;
}

void fake_set_offset(struct fake *f, taddr frame, taddr code, int offset)
{
	taddr where = frame + f->py.offsets.frame_position;

	switch (f->py.position) {
	case PY_POSITION_BYTES:
		fake_put32(f, where, (uint32_t)offset);
		break;
	case PY_POSITION_UNITS:
		fake_put32(f, where, (uint32_t)(offset < 0 ? -1 : offset / 2));
		break;
	case PY_POSITION_POINTER:
		fake_put64(f, where, code + f->py.offsets.code_instructions + (taddr)(int64_t)offset);
		break;
	}
}

taddr fake_frame(struct fake *f, taddr code, int offset, bool entry, taddr back)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, 256);

	if (entry && f->py.entry == PY_ENTRY_SHIM) {
		taddr shim = fake_room(f, 256);

		fake_put8(f, shim + o->frame_owner, f->py.owner_shim);
		fake_point(f, shim + o->frame_back, back, "frame behind a shim");
		back = shim;
	}
	if (entry && f->py.entry == PY_ENTRY_FLAG)
		fake_put8(f, ret + o->frame_entry, 1);
	fake_point(f, ret + o->frame_code, code, "code");
	fake_point(f, ret + o->frame_back, back, "frame's caller");
	fake_set_offset(f, ret, code, offset);
	return ret;
}

static taddr make_thread(struct fake *f, taddr interpreter, taddr next, taddr frame, int number)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, 2048);

	fake_put64(f, ret + o->tstate_next, next);
	fake_point(f, ret + o->tstate_interp, interpreter, "thread's interpreter");
	if (o->cframe_frame != PY_NONE) {
		taddr cframe = fake_room(f, 64);

		fake_point(f, cframe + o->cframe_frame, frame, "innermost frame");
		frame = cframe;
	}
	fake_point(f, ret + o->tstate_frame, frame, "thread's frame");
	fake_put64(f, ret + o->tstate_thread_id, 0x7000 + (uint64_t)number);
	if (o->tstate_native_id != PY_NONE)
		fake_put64(f, ret + o->tstate_native_id, 100 + (uint64_t)number);
	return ret;
}

static taddr make_interpreter(struct fake *f, taddr next, uint64_t id)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, o->interp_threads + 16384);

	fake_point(f, ret + o->interp_next, next, "next interpreter");
	if (o->interp_id != PY_NONE)
		fake_put64(f, ret + o->interp_id, id);
	return ret;
}

// Publish the offsets of F, as 3.13 does: those of the GIL count from the interpreter.
static void publish(struct fake *f)
{
	const union py_offsets *where = f->py.published;
	taddr runtime = f->hint.runtime;

	memcpy(fake_at(f, runtime), PY_PUBLISHED_COOKIE, 8);
	fake_put64(f, runtime + 8, f->py.version | 0xf0);
	fake_put64(f, runtime + 16, f->py.free_threaded);
	for (size_t i = 0; i < ARRAY_SIZE(where->v); i++)
		if (where->v[i] != PY_NONE && f->py.offsets.v[i] != PY_NONE)
			fake_put64(f, runtime + where->v[i], f->py.offsets.v[i]);
	fake_put64(f, runtime + where->gil_holder,
		   f->py.offsets.interp_own_gil + f->py.offsets.gil_holder);
	fake_put64(f, runtime + where->gil_locked,
		   f->py.offsets.interp_own_gil + f->py.offsets.gil_locked);
}

void fake_make_spread(struct fake *f, const struct py_layout *py, bool spread)
{
	const union py_offsets *o = &f->py.offsets;

	*f = (struct fake){
		.py = *py, .bytes = calloc(1, FAKE_ROOM), .used = 4096, .spread = spread
	};
	assert_non_null(f->bytes);
	f->range = (struct mem_range){ .at = FAKE_BASE, .data = f->bytes };
	mem_bytes_init(&f->mem, &f->range, 1);

	f->code_type = fake_type(f, "code");
	f->str_type = fake_type(f, "str");
	f->bytes_type = py->names_are_bytes ? f->str_type : fake_type(f, "bytes");
	for (int i = 0; i < 4; i++) {
		f->names[i] = make_name(f, i);
		f->codes[i] = fake_code(f, f->names[i]);
	}
	f->frames[2] = fake_frame(f, f->codes[2], 0, true, 0);
	f->frames[1] = fake_frame(f, f->codes[1], 4, true, f->frames[2]);
	f->frames[0] = fake_frame(f, f->codes[0], 8, false, f->frames[1]);
	f->lone_frame = fake_frame(f, f->codes[3], 6, true, 0);

	f->interpreters[0] = make_interpreter(f, 0, 0);
	f->interpreters[1] = make_interpreter(f, f->interpreters[0], 1);
	f->threads[2] = make_thread(f, f->interpreters[1], 0, 0, 2);
	f->threads[1] = make_thread(f, f->interpreters[0], 0, f->lone_frame, 1);
	f->threads[0] = make_thread(f, f->interpreters[0], f->threads[1], f->frames[0], 0);
	fake_point(f, f->interpreters[0] + o->interp_threads, f->threads[0], "threads");
	fake_point(f, f->interpreters[1] + o->interp_threads, f->threads[2],
		   "threads of the second");

	taddr runtime = fake_room(f, (o->runtime_head == PY_NONE ? 0 : o->runtime_head) + 8192);
	fake_point(f, runtime + (o->runtime_head == PY_NONE ? 0 : o->runtime_head),
		   f->interpreters[1], "interpreters");
	if (o->runtime_main != PY_NONE)
		fake_point(f, runtime + o->runtime_main, f->interpreters[0], "main interpreter");
	taddr gil = py->gil == PY_GIL_INTERPRETER ? fake_room(f, 256) : runtime + o->runtime_gil;
	if (py->gil == PY_GIL_INTERPRETER)
		for (int i = 0; i < 2; i++)
			fake_point(f, f->interpreters[i] + o->interp_gil, gil, "GIL");
	if (py->gil != PY_GIL_UNKNOWN) {
		f->holder = gil + o->gil_holder;
		fake_put64(f, f->holder, f->threads[1]);
		fake_put32(f, gil + o->gil_locked, 1);
		if (o->gil_enabled != PY_NONE)
			fake_put32(f, gil + o->gil_enabled, 1);
	}
	f->hint = (struct python_hint){ .found = true, .runtime = runtime, .version = py->version };
	if (py->published)
		publish(f);
}

void fake_make(struct fake *f, const struct py_layout *py)
{
	fake_make_spread(f, py, false);
}
