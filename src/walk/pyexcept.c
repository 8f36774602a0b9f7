/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyexcept.h"

#include <string.h>

#include "../cleanup.h"
#include "pyitems.h"
#include "pylines.h"
#include "pyvalue.h"

#define MAX_FRAMES 2000
#define MAX_CHAIN  16
#define MAX_BASES  32
#define MAX_TYPE   128
#define MAX_MESSAGE 4096

static const union py_offsets *offsets(const struct py_frames *f)
{
	return &f->reader.layout->offsets;
}

static struct error *pointer(struct py_frames *f, taddr at, uint32_t offset, taddr *ret)
{
	*ret = 0;
	return offset == PY_NONE ? NULL : mem_u64(f->reader.mem, at + offset, ret);
}

static struct error *type_name(struct py_frames *f, taddr type, char *ret, size_t size)
{
	taddr at;
	struct error *err = mem_u64(f->reader.mem, type + offsets(f)->type_name, &at);

	if (err)
		return err;
	size_t n = mem_read_some(f->reader.mem, at, ret, size - 1);
	ret[n] = '\0';
	return ret[0] ? NULL : error_new(ERROR_INPUT, "a type without a name");
}

// The first of NAMES that TYPE is, or is derived from; NULL for none.
static const char *kind_of(struct py_frames *f, taddr type, const char *const *names)
{
	char name[MAX_TYPE];

	for (int i = 0; type && i < MAX_BASES; i++) {
		if (error_drop(type_name(f, type, name, sizeof(name))))
			return NULL;
		for (const char *const *n = names; *n; n++)
			if (!strcmp(name, *n) || (!strncmp(name, "exceptions.", 11) &&
						  !strcmp(name + 11, *n)))
				return *n;
		if (error_drop(mem_u64(f->reader.mem, type + offsets(f)->type_base, &type)))
			return NULL;
	}
	return NULL;
}

static bool is_named(struct py_frames *f, taddr at, const char *name)
{
	char text[MAX_TYPE];
	taddr type;

	return at && !error_drop(mem_u64(f->reader.mem, at + offsets(f)->object_type, &type)) &&
	       !error_drop(type_name(f, type, text, sizeof(text))) && !strcmp(text, name);
}

// What str() says of the object at AT, or with QUOTED what repr() does.
static bool add_text(struct py_frames *f, taddr at, bool quoted, struct buf *ret)
{
	// Up to 2.7 "str" is what is called bytes since; both read alike here.
	if (!quoted && is_named(f, at, "str"))
		return !error_drop(py_read_str(&f->reader, at, MAX_MESSAGE, ret));
	return !error_drop(py_value(&f->reader, at, false, ret));
}

// OSError's "[Errno 2] No such file or directory: 'x'".
static bool add_os_error(struct py_frames *f, taddr at, struct buf *ret)
{
	const union py_offsets *o = offsets(f);
	taddr number, text, file;

	if (error_drop(pointer(f, at, o->exc_os_errno, &number)) ||
	    error_drop(pointer(f, at, o->exc_os_strerror, &text)) ||
	    error_drop(pointer(f, at, o->exc_os_filename, &file)) || !number || !text)
		return false;
	buf_addstr(ret, "[Errno ");
	if (!add_text(f, number, false, ret))
		return false;
	buf_addstr(ret, "] ");
	if (!add_text(f, text, false, ret))
		return false;
	if (!file || is_named(f, file, "NoneType"))
		return true;
	buf_addstr(ret, ": ");
	return add_text(f, file, true, ret);
}

// What str() would say, as far as no code need be run for it. False: nothing, or not known.
static bool add_message(struct py_frames *f, taddr at, taddr type, struct buf *ret)
{
	static const char *const special[] = { "KeyError", "OSError", "EnvironmentError",
					       "SyntaxError", "UnicodeError", "BaseExceptionGroup",
					       NULL };
	const union py_offsets *o = offsets(f);
	const char *kind = kind_of(f, type, special);
	taddr args, first;
	uint64_t n;

	if (kind && (!strcmp(kind, "OSError") || !strcmp(kind, "EnvironmentError")) &&
	    add_os_error(f, at, ret))
		return true;
	ret->len = 0;
	if (kind && !strcmp(kind, "SyntaxError"))
		return !error_drop(pointer(f, at, o->exc_syntax_message, &first)) && first &&
		       add_text(f, first, false, ret);
	if (kind && !strcmp(kind, "BaseExceptionGroup"))
		return !error_drop(pointer(f, at, o->exc_group_message, &first)) && first &&
		       add_text(f, first, false, ret);
	if (error_drop(mem_u64(f->reader.mem, at + o->exc_args, &args)) ||
	    !is_named(f, args, "tuple") ||
	    error_drop(mem_u64(f->reader.mem, args + o->object_size, &n)) || !n)
		return false;
	// Of what the codecs raise str() is a sentence that is made of them.
	if (n > 1)
		return !(kind && !strcmp(kind, "UnicodeError")) && add_text(f, args, true, ret);
	if (error_drop(mem_u64(f->reader.mem, args + o->tuple_items, &first)))
		return false;
	return add_text(f, first, kind && !strcmp(kind, "KeyError"), ret);
}

static struct error *show_step(struct py_frames *f, const struct py_raw_frame *raw, int32_t lasti,
			       int32_t line, struct py_exception *to)
{
	const struct py_code *code = NULL;
	struct error *err = py_frames_code(f, raw->code, &code);

	if (!err && code->bad)
		err = error_new(ERROR_INPUT, "a frame of the traceback: %s", code->bad);
	if (err || f->reader.touch_only)
		return err;
	struct py_place place = py_lines_place(f->reader.layout->lines, code->table.data,
					       code->table.len, code->first_line, lasti);
	struct py_frame *frame = LIST_ADD(f->arena, &to->traceback);
	if (!frame)
		return error_nomem();
	// From 3.12 on the line is often left to be told by the instruction.
	*frame = (struct py_frame){ .function = code->function,
				    .file = code->file,
				    .line = line > 0 ? line : place.line,
				    .column = place.line == line || line <= 0 ? place.column : 0,
				    .address = raw->at };
	return NULL;
}

static struct error *read_traceback(struct py_frames *f, taddr at, struct py_exception *to)
{
	const union py_offsets *o = offsets(f);
	const struct mem *mem = f->reader.mem;
	struct error *err = NULL;

	for (size_t n = 0; !err && at; n++) {
		struct py_raw_frame raw = {};
		uint32_t lasti = 0, line = 0;
		taddr frame;

		if (n == MAX_FRAMES)
			return py_limit("the traceback is cut at %d frames", MAX_FRAMES);
		if (!is_named(f, at, "traceback"))
			return error_new(ERROR_INPUT, "what should be a traceback object is none");
		err = mem_u64(mem, at + o->tb_frame, &frame);
		if (!err && o->frameobject_frame != PY_NONE)
			err = mem_u64(mem, frame + o->frameobject_frame, &frame);
		if (!err)
			err = py_frames_read(f, frame, &raw);
		if (!err)
			err = mem_u32(mem, at + o->tb_lasti, &lasti);
		if (!err)
			err = mem_u32(mem, at + o->tb_lineno, &line);
		if (!err)
			err = show_step(f, &raw, (int32_t)lasti, (int32_t)line, to);
		if (!err)
			err = mem_u64(mem, at + o->tb_next, &at);
	}
	return err;
}

static void innermost_first(struct py_exception *exception)
{
	struct py_frame *v = exception->traceback.v;

	for (size_t i = 0, j = exception->traceback.n; i + 1 < j; i++) {
		struct py_frame frame = v[--j];

		v[j] = v[i];
		v[i] = frame;
	}
}

// One exception. TRACEBACK: where it is, for a version whose exceptions do not have it.
static struct error *read_one(struct py_frames *f, taddr at, taddr traceback,
			      struct py_exception *ret)
{
	const union py_offsets *o = offsets(f);
	_cleanup_(buf_deinit) struct buf text = {}, clean = {};
	char name[MAX_TYPE];
	taddr type;

	struct error *err = mem_u64(f->reader.mem, at + o->object_type, &type);
	if (!err)
		err = type_name(f, type, name, sizeof(name));
	if (!err && o->exc_traceback != PY_NONE)
		err = mem_u64(f->reader.mem, at + o->exc_traceback, &traceback);
	if (err)
		return err;
	bool told = add_message(f, at, type, &text);
	buf_clean(&clean, name, strlen(name), "");
	err = buf_error(&text);
	if (!err)
		err = buf_error(&clean);
	if (err)
		return err;
	const char *bare = !strncmp(name, "exceptions.", 11) ? "exceptions." : "";
	ret->type = arena_strndup(f->arena, (char *)clean.data + strlen(bare),
				  clean.len - strlen(bare));
	if (told)
		ret->message = arena_strndup(f->arena, (char *)text.data, text.len);
	if (!ret->type || (told && !ret->message))
		return error_nomem();
	err = read_traceback(f, traceback, ret);
	innermost_first(ret);
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	ret->gap = arena_strdup(f->arena, err->text);
	error_free(err);
	return ret->gap ? NULL : error_nomem();
}

// What AT came of: its __cause__, or its __context__ unless that is suppressed. 0: nothing.
static taddr origin_of(struct py_frames *f, taddr at)
{
	const union py_offsets *o = offsets(f);
	uint8_t suppressed = 0;
	taddr cause, context;

	if (o->exc_cause == PY_NONE || error_drop(pointer(f, at, o->exc_cause, &cause)) ||
	    error_drop(pointer(f, at, o->exc_context, &context)))
		return 0;
	if (cause)
		return cause;
	if (o->exc_suppress_context != PY_NONE &&
	    error_drop(mem_read(f->reader.mem, at + o->exc_suppress_context, &suppressed, 1)))
		return 0;
	return suppressed ? 0 : context;
}

static struct error *read_chain(struct py_frames *f, taddr at, taddr traceback,
				struct py_exception **ret)
{
	taddr met[MAX_CHAIN];
	struct py_exception *first = NULL, **to = &first;
	struct error *err = NULL;

	for (size_t n = 0; !err && at && n < MAX_CHAIN; n++, traceback = 0) {
		struct py_exception *e = arena_alloc(f->arena, sizeof(*e));

		// Contexts may lead back to themselves: Python shows each of them once.
		for (size_t i = 0; i < n; i++)
			if (met[i] == at)
				at = 0;
		if (!at)
			break;
		met[n] = at;
		err = e ? read_one(f, at, traceback, e) : error_nomem();
		if (err)
			break;
		*to = e;
		to = &e->cause;
		at = origin_of(f, at);
	}
	if (err && err->kind != ERROR_NOMEM && first) {
		error_free(err);
		err = NULL;
	}
	if (!err)
		*ret = first;
	return err;
}

struct error *py_last_exception(struct py_frames *f, taddr interpreter, struct py_exception **ret)
{
	static const char *const names[] = { "last_exc", "last_value", "last_traceback" };
	struct py_exception *exception = NULL;
	taddr sys, last[ARRAY_SIZE(names)] = {};

	*ret = NULL;
	if (offsets(f)->interp_sysdict == PY_NONE)
		return NULL;
	struct error *err = mem_u64(f->reader.mem, interpreter + offsets(f)->interp_sysdict, &sys);
	// An interpreter that is being made or taken down has none.
	if (err || !sys)
		return err;
	for (size_t i = 0; !err && i < ARRAY_SIZE(names) && !last[0]; i++)
		err = py_items_find(&f->reader, sys, names[i], &last[i]);
	if (err || (!last[0] && !last[1]))
		return err;
	err = read_chain(f, last[0] ? last[0] : last[1], last[2], &exception);
	if (!err && !f->reader.touch_only)
		*ret = exception;
	return err;
}
