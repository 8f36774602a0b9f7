/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyexcept.h"

#include <inttypes.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/redact.h"
#include "pyitems.h"
#include "pylines.h"
#include "pyvalue.h"

#define MAX_FRAMES 2000
// Of all tracebacks together, and handlers within handlers of one thread.
#define MAX_ALL_FRAMES 65536
#define MAX_HANDLERS   4096
#define MAX_CHAIN  16
#define MAX_NOTES  16
// Members of groups: within each other, of one, and of all that one thread is concerned with.
#define MAX_DEPTH	3
#define MAX_MEMBERS	16
#define MAX_ALL_MEMBERS 64
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
		return !error_drop(py_read_lines(&f->reader, at, MAX_MESSAGE, ret));
	return !error_drop(py_value(&f->reader, at, f->hide, ret));
}

// OSError's "[Errno 2] No such file or directory: 'x'".
static bool add_os_error(struct py_frames *f, taddr at, struct buf *ret)
{
	const union py_offsets *o = offsets(f);
	taddr number, text, file, file2;

	if (error_drop(pointer(f, at, o->exc_os_errno, &number)) ||
	    error_drop(pointer(f, at, o->exc_os_strerror, &text)) ||
	    error_drop(pointer(f, at, o->exc_os_filename, &file)) ||
	    error_drop(pointer(f, at, o->exc_os_filename2, &file2)) || !number || !text)
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
	if (!add_text(f, file, true, ret))
		return false;
	if (!file2 || is_named(f, file2, "NoneType"))
		return true;
	buf_addstr(ret, " -> ");
	return add_text(f, file2, true, ret);
}

// The character or byte at INDEX of the text or bytes at AT, as the codecs write it.
static bool add_unit(struct py_frames *f, taddr at, uint64_t index, bool byte, struct buf *ret)
{
	const union py_offsets *o = offsets(f);
	bool two = f->reader.layout->names_are_bytes;
	uint8_t unit[4] = {};
	struct py_text text = { .data = at + o->bytes_data, .width = 1 };

	if (byte ? error_drop(mem_u64(f->reader.mem, at + o->object_size, &text.length))
		 : error_drop(py_find_text(&f->reader, at, &text)))
		return false;
	if (index >= text.length ||
	    error_drop(mem_read(f->reader.mem, text.data + index * text.width, unit, text.width)))
		return false;
	uint32_t c = unit[0] | unit[1] << 8 | unit[2] << 16 | (uint32_t)unit[3] << 24;
	if (byte)
		buf_printf(ret, "byte 0x%02x", c);
	else
		buf_printf(ret, c <= 0xff     ? "character %s'\\x%02x'"
				: c <= 0xffff ? "character %s'\\u%04x'"
					      : "character %s'\\U%08x'", two ? "u" : "", c);
	return true;
}

// "'ascii' codec can't encode character '\xe9' in position 3: ordinal not in range(128)"
static bool add_unicode_error(struct py_frames *f, taddr at, const char *kind, struct buf *ret)
{
	const union py_offsets *o = offsets(f);
	bool byte = !strcmp(kind, "UnicodeDecodeError");
	bool translate = !strcmp(kind, "UnicodeTranslateError");
	taddr encoding, object, reason;
	uint64_t start, end;

	if (error_drop(pointer(f, at, o->exc_unicode_encoding, &encoding)) ||
	    error_drop(pointer(f, at, o->exc_unicode_object, &object)) ||
	    error_drop(pointer(f, at, o->exc_unicode_reason, &reason)) ||
	    error_drop(mem_u64(f->reader.mem, at + o->exc_unicode_start, &start)) ||
	    error_drop(mem_u64(f->reader.mem, at + o->exc_unicode_end, &end)) ||
	    !object || !reason || start > INT64_MAX || end > INT64_MAX)
		return false;
	if (!translate) {
		buf_addstr(ret, "'");
		if (!encoding || !add_text(f, encoding, false, ret))
			return false;
		buf_addstr(ret, "' codec ");
	}
	buf_printf(ret, "can't %s ", translate ? "translate" : byte ? "decode" : "encode");
	if (end != start + 1)
		buf_printf(ret, "%s in position %" PRIu64 "-%" PRIu64 ": ",
			   byte ? "bytes" : "characters", start, end - 1);
	else if (add_unit(f, object, start, byte, ret))
		buf_printf(ret, " in position %" PRIu64 ": ", start);
	else
		return false;
	return add_text(f, reason, false, ret);
}

// The size of the tuple at AT; false when it is none.
static bool tuple_size(struct py_frames *f, taddr at, uint64_t *ret)
{
	return is_named(f, at, "tuple") &&
	       !error_drop(mem_u64(f->reader.mem, at + offsets(f)->object_size, ret));
}

// "several (2 sub-exceptions)"
static bool add_group(struct py_frames *f, taddr at, struct buf *ret)
{
	taddr message, members;
	uint64_t n;

	if (error_drop(pointer(f, at, offsets(f)->exc_group_message, &message)) || !message ||
	    !add_text(f, message, false, ret) ||
	    error_drop(pointer(f, at, offsets(f)->exc_group_exceptions, &members)))
		return false;
	if (tuple_size(f, members, &n))
		buf_printf(ret, " (%" PRIu64 " sub-exception%s)", n, n == 1 ? "" : "s");
	return true;
}

// Classes whose str() is not made of the arguments alone.
static const char *special_kind(struct py_frames *f, taddr type)
{
	static const char *const special[] = { "KeyError", "OSError", "EnvironmentError",
					       "SyntaxError", "UnicodeEncodeError",
					       "UnicodeDecodeError", "UnicodeTranslateError",
					       "BaseExceptionGroup", NULL };

	return kind_of(f, type, special);
}

// What str() would say, as far as no code need be run for it. False: nothing, or not known.
static bool add_message(struct py_frames *f, taddr at, taddr type, struct buf *ret)
{
	const union py_offsets *o = offsets(f);
	const char *kind = special_kind(f, type);
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
		return add_group(f, at, ret);
	if (kind && !strncmp(kind, "Unicode", strlen("Unicode")))
		return add_unicode_error(f, at, kind, ret);
	if (error_drop(mem_u64(f->reader.mem, at + o->exc_args, &args)) ||
	    !tuple_size(f, args, &n) || !n)
		return false;
	if (n > 1)
		return add_text(f, args, true, ret);
	if (error_drop(mem_u64(f->reader.mem, args + o->tuple_items, &first)))
		return false;
	return add_text(f, first, kind && !strcmp(kind, "KeyError"), ret);
}

// From tp_str to tp_flags there are four slots and no other member, in every version.
#define STR_BEFORE_FLAGS 32

// Has the class at TYPE a __str__ that is not that of the built-in one it derives from?
static bool has_own_str(struct py_frames *f, taddr type)
{
	const union py_offsets *o = offsets(f);
	uint64_t own, flags, base;
	const struct mem *mem = f->reader.mem;

	if (error_drop(mem_u64(mem, type + o->type_flags - STR_BEFORE_FLAGS, &own)))
		return false;
	for (int i = 0; type && i < MAX_BASES; i++) {
		if (error_drop(mem_u64(mem, type + o->type_flags, &flags)) ||
		    error_drop(mem_u64(mem, type + o->type_flags - STR_BEFORE_FLAGS, &base)))
			return false;
		if (!(flags & PY_TYPE_HEAP))
			return own != base;
		if (error_drop(mem_u64(mem, type + o->type_base, &type)))
			return false;
	}
	return false;
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
		if (f->traced++ == MAX_ALL_FRAMES)
			return py_limit("the tracebacks are cut at %d frames in all", MAX_ALL_FRAMES);
		if (py_reader_late(&f->reader))
			return py_limit("the traceback is cut: the time for it was up");
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

// The class at TYPE, as it is called.
static struct error *read_name(struct py_frames *f, taddr type, struct py_exception *ret)
{
	_cleanup_(buf_deinit) struct buf clean = {};
	char name[MAX_TYPE];

	struct error *err = type_name(f, type, name, sizeof(name));
	if (err)
		return err;
	const char *bare = strncmp(name, "exceptions.", 11) ? name : name + 11;
	buf_clean(&clean, bare, strlen(bare), "");
	err = buf_error(&clean);
	if (err)
		return err;
	ret->type = arena_strndup(f->arena, (char *)clean.data, clean.len);
	return ret->type ? NULL : error_nomem();
}

static struct error *set_message(struct py_frames *f, const struct buf *text, char **ret)
{
	struct error *err = buf_error(text);

	if (err)
		return err;
	*ret = arena_strndup(f->arena, (char *)text->data, text->len);
	if (!*ret)
		return error_nomem();
	return f->hide ? redact_text(f->arena, *ret, ret) : NULL;
}

// What does not hold ends the traceback, with a gap.
static struct error *add_traceback(struct py_frames *f, taddr at, struct py_exception *to)
{
	struct error *err = read_traceback(f, at, to);

	innermost_first(to);
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	to->gap = arena_strdup(f->arena, err->text);
	error_free(err);
	return to->gap ? NULL : error_nomem();
}

// What add_note() has added, from 3.11 on: a list in the exception's own dict.
static struct error *add_notes(struct py_frames *f, taddr at, struct py_exception *to)
{
	const union py_offsets *o = offsets(f);
	struct py_items items;
	struct py_type type;
	taddr dict, list, note = 0, none;

	if (o->exc_notes == PY_NONE || error_drop(mem_u64(f->reader.mem, at + o->exc_dict, &dict)) ||
	    !dict || error_drop(py_items_find(&f->reader, dict, "__notes__", &list)) || !list ||
	    error_drop(py_type_of(&f->reader, list, &type)) ||
	    error_drop(py_items_begin(&f->reader, list, &type, &items)) || items.is_dict)
		return NULL;
	for (size_t n = 0; n < MAX_NOTES; n++) {
		_cleanup_(buf_deinit) struct buf text = {};

		if (error_drop(py_items_next(&items, &note, &none)) || !note)
			break;
		if (!add_text(f, note, false, &text) || f->reader.touch_only)
			continue;
		char **slot = LIST_ADD(f->arena, &to->notes);
		struct error *err = slot ? set_message(f, &text, slot) : error_nomem();
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_chain(struct py_frames *f, taddr at, taddr traceback,
				struct py_exception **ret);

// What a group holds, each with what it came of.
static struct error *add_members(struct py_frames *f, taddr at, taddr type,
				 struct py_exception *to)
{
	const union py_offsets *o = offsets(f);
	const char *kind = special_kind(f, type);
	struct error *err = NULL;
	taddr tuple, member;

	if (!kind || strcmp(kind, "BaseExceptionGroup") != 0 || f->depth == MAX_DEPTH ||
	    error_drop(pointer(f, at, o->exc_group_exceptions, &tuple)) ||
	    !tuple_size(f, tuple, &to->n_members))
		return NULL;
	f->depth++;
	for (uint64_t i = 0; !err && i < to->n_members && i < MAX_MEMBERS; i++) {
		struct py_exception *read;

		if (f->members++ >= MAX_ALL_MEMBERS ||
		    error_drop(mem_u64(f->reader.mem, tuple + o->tuple_items + i * 8, &member)))
			break;
		err = read_chain(f, member, 0, &read);
		if (err && err->kind != ERROR_NOMEM) {
			error_free(err);
			err = NULL;
			break;
		}
		if (err || !read)
			continue;
		struct py_exception **slot = LIST_ADD(f->arena, &to->members);
		if (!slot)
			err = error_nomem();
		else
			*slot = read;
	}
	f->depth--;
	return err;
}

// One exception. TRACEBACK: where it is, for a version whose exceptions do not have it.
static struct error *read_one(struct py_frames *f, taddr at, taddr traceback,
			      struct py_exception *ret)
{
	const union py_offsets *o = offsets(f);
	_cleanup_(buf_deinit) struct buf text = {};
	taddr type;

	struct error *err = mem_u64(f->reader.mem, at + o->object_type, &type);
	if (!err)
		err = read_name(f, type, ret);
	if (!err && o->exc_traceback != PY_NONE)
		err = mem_u64(f->reader.mem, at + o->exc_traceback, &traceback);
	if (!err && add_message(f, at, type, &text))
		err = set_message(f, &text, &ret->message);
	if (!err) {
		ret->own_str = has_own_str(f, type);
		err = add_notes(f, at, ret);
	}
	if (!err)
		err = add_members(f, at, type, ret);
	return err ? err : add_traceback(f, traceback, ret);
}

// What AT came of: its __cause__, or its __context__ unless that is suppressed. 0: nothing.
static taddr origin_of(struct py_frames *f, taddr at, bool *is_context_ret)
{
	const union py_offsets *o = offsets(f);
	uint8_t suppressed = 0;
	taddr cause, context;

	if (o->exc_cause == PY_NONE || error_drop(pointer(f, at, o->exc_cause, &cause)) ||
	    error_drop(pointer(f, at, o->exc_context, &context)))
		return 0;
	*is_context_ret = !cause;
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

	*ret = NULL;
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
		at = origin_of(f, at, &e->is_context);
	}
	if (err && err->kind != ERROR_NOMEM && first) {
		error_free(err);
		err = NULL;
	}
	// What was only touched is nothing to show.
	if (!err && !f->reader.touch_only)
		*ret = first;
	return err;
}

// The exception at AT, whose chain and members are counted from here.
static struct error *read_whole(struct py_frames *f, taddr at, taddr traceback,
				struct py_exception **ret)
{
	f->members = 0;
	return read_chain(f, at, traceback, ret);
}

struct error *py_last_exception(struct py_frames *f, taddr interpreter, struct py_exception **ret)
{
	static const char *const names[] = { "last_exc", "last_value", "last_traceback" };
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
	return read_whole(f, last[0] ? last[0] : last[1], last[2], ret);
}

// An exception as an interpreter keeps one: 3 pointers, or since 3.11 the value alone.
struct held {
	taddr type, value, traceback; /* 0: none */
};

static struct error *read_held(struct py_frames *f, taddr at, uint32_t type, uint32_t value,
			       uint32_t traceback, struct held *ret)
{
	struct held held;

	struct error *err = pointer(f, at, type, &held.type);
	if (!err)
		err = pointer(f, at, value, &held.value);
	if (!err)
		err = pointer(f, at, traceback, &held.traceback);
	if (err)
		return err;
	// None stands for nothing where an except block has been left.
	if (is_named(f, held.value, "NoneType"))
		held.value = 0;
	if (is_named(f, held.type, "NoneType"))
		held.type = 0;
	if (is_named(f, held.traceback, "NoneType"))
		held.traceback = 0;
	*ret = held;
	return NULL;
}

// The innermost that is being handled, as sys.exc_info() looks for it.
static struct error *find_handled(struct py_frames *f, taddr tstate, struct held *ret)
{
	const union py_offsets *o = offsets(f);
	struct held held = {};
	taddr item;

	if (o->tstate_handled == PY_NONE)
		return read_held(f, tstate, o->tstate_handled_type, o->tstate_handled_value,
				 o->tstate_handled_traceback, ret);
	// Each generator that runs has an item of its own, which points to that of its caller.
	struct error *err = mem_u64(f->reader.mem, tstate + o->tstate_handled, &item);
	for (size_t n = 0; !err && item && !held.value; n++) {
		if (n == MAX_HANDLERS)
			return py_limit("cut at %d generators within another", MAX_HANDLERS);
		err = read_held(f, item, o->handled_type, o->handled_value, o->handled_traceback,
				&held);
		if (!err)
			err = pointer(f, item, o->handled_previous, &item);
	}
	if (!err)
		*ret = held;
	return err;
}

// Up to 3.11 what C code raises is a class and what to make one of it from, until somebody asks.
static struct error *read_unmade(struct py_frames *f, const struct held *held,
				 struct py_exception *ret)
{
	_cleanup_(buf_deinit) struct buf text = {};
	struct py_type class;

	struct error *err = py_type_of(&f->reader, held->type, &class);
	if (!err && class.kind != PY_TYPE)
		err = error_new(ERROR_INPUT, "what is raised is no class");
	if (!err)
		err = read_name(f, held->type, ret);
	if (!err && held->value && add_text(f, held->value, false, &text))
		err = set_message(f, &text, &ret->message);
	return err ? err : add_traceback(f, held->traceback, ret);
}

static struct error *read_exception(struct py_frames *f, const struct held *held,
				    struct py_exception **ret)
{
	struct py_type type;

	if (held->value) {
		struct error *err = py_type_of(&f->reader, held->value, &type);

		if (err)
			return err;
		if (type.flags & PY_TYPE_EXCEPTION)
			return read_whole(f, held->value, held->traceback, ret);
	}
	*ret = NULL;
	if (!held->type && held->value)
		return error_new(ERROR_INPUT, "what should be an exception is a %s", type.name);
	if (!held->type)
		return NULL;
	struct py_exception *unmade = arena_alloc(f->arena, sizeof(*unmade));
	struct error *err = unmade ? read_unmade(f, held, unmade) : error_nomem();
	if (!err && !f->reader.touch_only)
		*ret = unmade;
	return err;
}

struct error *py_thread_exceptions(struct py_frames *f, taddr tstate,
				   struct py_exception **handled_ret,
				   struct py_exception **raised_ret)
{
	const union py_offsets *o = offsets(f);
	struct held held = {};

	*handled_ret = *raised_ret = NULL;
	struct error *err = find_handled(f, tstate, &held);
	if (!err)
		err = read_exception(f, &held, handled_ret);
	if (!err)
		err = read_held(f, tstate, o->tstate_exception_type, o->tstate_exception,
				o->tstate_exception_traceback, &held);
	return err ? err : read_exception(f, &held, raised_ret);
}
