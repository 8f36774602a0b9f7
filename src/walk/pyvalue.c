/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyvalue.h"

#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/redact.h"
#include "pyitems.h"
#include "pyrepr.h"

#define MAX_DEPTH 4  // containers within containers
#define MAX_ITEMS 16 // shown of one container
#define MAX_CHARS 200 // shown of one text
#define MAX_BYTES 100
#define MAX_SIZE  ((uint64_t)1 << 40)

// Objects that are looked at for one value.
#define MAX_OBJECTS 96

// Digits of an int, of 30 bits each: so many are made decimal, which takes time by their square.
#define MAX_DIGITS	((uint64_t)2048)
#define DIGIT_BITS	30
#define MAX_SANE_DIGITS ((uint64_t)1 << 32)

struct value {
	struct py_reader *reader;
	struct buf *out;
	size_t start; // of the value in `out`
	bool hide;
	int depth, objects;
	taddr path[MAX_DEPTH]; // containers that are being shown
};

static struct error *add_value(struct value *v, taddr at);

static void put(struct value *v, const char *text)
{
	if (!v->reader->touch_only)
		buf_addstr(v->out, text);
}

static bool full(const struct value *v)
{
	return v->objects >= MAX_OBJECTS || v->out->len - v->start > PY_VALUE_MAX;
}

// How many digits the int at AT has, and its sign.
static struct error *long_size(struct value *v, taddr at, uint64_t *n_ret, bool *negative_ret)
{
	const union py_offsets *o = &v->reader->layout->offsets;
	uint64_t word;

	if (o->long_tag != PY_NONE) {
		// From 3.12 on: the size above the sign, which is 0, 1 for zero, or 2.
		struct error *err = mem_u64(v->reader->mem, at + o->long_tag, &word);

		*n_ret = word >> 3;
		*negative_ret = (word & 3) == 2;
		return err;
	}
	struct error *err = mem_u64(v->reader->mem, at + o->object_size, &word);
	*negative_ret = (int64_t)word < 0;
	*n_ret = *negative_ret ? -word : word;
	return err;
}

static struct error *add_long(struct value *v, taddr at, const struct py_type *type)
{
	const union py_offsets *o = &v->reader->layout->offsets;
	_cleanup_(buf_deinit) struct buf raw = {};
	uint64_t n = 0;
	bool negative = false;

	struct error *err = long_size(v, at, &n, &negative);
	if (err)
		return err;
	if (n > MAX_SANE_DIGITS)
		return error_new(ERROR_INPUT, "an int of 0x%" PRIx64 " digits", n);
	if (n > MAX_DIGITS) {
		if (!v->reader->touch_only)
			buf_printf(v->out, "<%s at 0x%" PRIx64 ": a number of about %.0f digits>",
				   type->name, at, (double)n * DIGIT_BITS * 0.30103);
		return NULL;
	}
	err = py_read_raw(v->reader, at + o->long_digits, (size_t)n * 4, &raw);
	if (err || v->reader->touch_only)
		return err;
	if (type->kind == PY_BOOL)
		buf_addstr(v->out, n ? "True" : "False");
	else
		py_repr_long(raw.data, (size_t)n, negative, v->out);
	// 2.7 tells its two kinds of int apart.
	if (v->reader->layout->names_are_bytes && type->kind == PY_LONG)
		buf_addstr(v->out, "L");
	return buf_error(v->out);
}

static struct error *add_number(struct value *v, taddr at, const struct py_type *type)
{
	const union py_offsets *o = &v->reader->layout->offsets;
	uint64_t bits[2] = {};
	double real, imaginary;
	struct error *err;

	switch (type->kind) {
	case PY_SHORT:
	case PY_BOOL:
		err = mem_u64(v->reader->mem, at + o->int_value, &bits[0]);
		if (!err && type->kind == PY_BOOL)
			put(v, bits[0] ? "True" : "False");
		else if (!err && !v->reader->touch_only)
			buf_printf(v->out, "%" PRId64, (int64_t)bits[0]);
		return err;
	case PY_FLOAT:
		err = mem_u64(v->reader->mem, at + o->float_value, &bits[0]);
		memcpy(&real, &bits[0], sizeof(real));
		if (!err && !v->reader->touch_only)
			py_repr_float(real, true, v->out);
		return err;
	default:
		break;
	}
	err = mem_u64(v->reader->mem, at + o->complex_value, &bits[0]);
	if (!err)
		err = mem_u64(v->reader->mem, at + o->complex_value + 8, &bits[1]);
	if (err || v->reader->touch_only)
		return err;
	memcpy(&real, &bits[0], sizeof(real));
	memcpy(&imaginary, &bits[1], sizeof(imaginary));
	bool alone = real == 0 && !signbit(real);
	if (!alone) {
		buf_addstr(v->out, "(");
		py_repr_float(real, false, v->out);
		// Of a number that is none Python shows no sign.
		if (isnan(imaginary) || !signbit(imaginary))
			buf_addstr(v->out, "+");
	}
	py_repr_float(imaginary, false, v->out);
	buf_addstr(v->out, alone ? "j" : "j)");
	return NULL;
}

// SIZE characters or bytes are said to be there, of which no more than MAX are shown.
static void add_rest(struct value *v, uint64_t size, uint64_t max, const char *what)
{
	if (size > max && !v->reader->touch_only)
		buf_printf(v->out, "... (%" PRIu64 " %s)", size, what);
}

static struct error *add_text(struct value *v, taddr at)
{
	_cleanup_(buf_deinit) struct buf raw = {};
	struct py_text text;

	struct error *err = py_find_text(v->reader, at, &text);
	if (err)
		return err;
	size_t n = text.length < MAX_CHARS ? (size_t)text.length : MAX_CHARS;
	err = py_read_raw(v->reader, text.data, n * text.width, &raw);
	if (err || v->reader->touch_only)
		return err;
	bool two = v->reader->layout->names_are_bytes;
	py_repr_text(raw.data, n, text.width, two, v->out);
	add_rest(v, text.length, MAX_CHARS, "characters");
	return NULL;
}

static struct error *add_bytes(struct value *v, taddr at, const struct py_type *type)
{
	const union py_offsets *o = &v->reader->layout->offsets;
	_cleanup_(buf_deinit) struct buf raw = {};
	taddr data = at + o->bytes_data;
	bool array = type->kind == PY_BYTEARRAY;
	uint64_t size;

	struct error *err = mem_u64(v->reader->mem, at + o->object_size, &size);
	if (!err && array)
		err = mem_u64(v->reader->mem, at + o->bytearray_start, &data);
	if (err)
		return err;
	if (size > MAX_SIZE)
		return error_new(ERROR_INPUT, "size 0x%" PRIx64, size);
	size_t n = size < MAX_BYTES ? (size_t)size : MAX_BYTES;
	err = py_read_raw(v->reader, data, n, &raw);
	if (err || v->reader->touch_only)
		return err;
	bool two = v->reader->layout->names_are_bytes;
	if (array)
		buf_addstr(v->out, "bytearray(");
	py_repr_bytes(raw.data, n, !two || array, v->out);
	add_rest(v, size, MAX_BYTES, "bytes");
	if (array)
		buf_addstr(v->out, ")");
	return NULL;
}

// "[redacted]" in place of what a dict has under a telling name.
static struct error *hides(struct value *v, taddr key, bool *ret)
{
	_cleanup_(buf_deinit) struct buf name = {};
	struct py_type type = {};

	*ret = false;
	struct error *err = py_type_of(v->reader, key, &type);
	if (err || !v->hide || v->reader->touch_only ||
	    (type.kind != PY_STR && type.kind != PY_BYTES))
		return err;
	if (type.kind == PY_STR)
		err = add_text(&(struct value){ .reader = v->reader, .out = &name }, key);
	else
		err = add_bytes(&(struct value){ .reader = v->reader, .out = &name }, key, &type);
	buf_add(&name, "", 1);
	if (!err)
		err = buf_error(&name);
	if (!err)
		*ret = redact_name((const char *)name.data);
	return err;
}

static const struct brackets {
	const char *open, *close;
} brackets[] = {
	[PY_TUPLE] = { "(", ")" }, [PY_LIST] = { "[", "]" },	     [PY_DICT] = { "{", "}" },
	[PY_SET] = { "{", "}" },   [PY_FROZENSET] = { "frozenset({", "})" },
};

static struct error *add_item(struct value *v, const struct py_items *items, taddr key,
			      taddr value)
{
	bool hidden = false;

	struct error *err = add_value(v, key);
	if (err || !items->is_dict)
		return err;
	put(v, ": ");
	// What cannot be read of the key has been said where the key stands.
	err = hides(v, key, &hidden);
	if (err && err->kind != ERROR_NOMEM && err->kind != ERROR_UNSUPPORTED) {
		error_free(err);
		err = NULL;
	}
	if (err)
		return err;
	if (hidden) {
		put(v, "'[redacted]'");
		return NULL;
	}
	return add_value(v, value);
}

static struct error *add_items(struct value *v, taddr at, const struct py_type *type)
{
	struct py_items items;
	taddr key, value = 0;
	uint64_t shown = 0;

	struct error *err = py_items_begin(v->reader, at, type, &items);
	if (err)
		return err;
	bool set = type->kind == PY_SET || type->kind == PY_FROZENSET;
	bool two = v->reader->layout->names_are_bytes;
	if (set && !items.n && !two) {
		put(v, type->kind == PY_SET ? "set()" : "frozenset()");
		return NULL;
	}
	const struct brackets *b = &brackets[type->kind];
	const char *open = two && set ? (type->kind == PY_SET ? "set([" : "frozenset([") : b->open;
	const char *close = two && set ? "])" : b->close;
	bool again = v->depth == MAX_DEPTH;
	for (int i = 0; i < v->depth && !again; i++)
		again = v->path[i] == at;
	put(v, open);
	if (again && items.n) {
		put(v, "...");
		put(v, close);
		return NULL;
	}
	if (v->depth < MAX_DEPTH)
		v->path[v->depth] = at;
	v->depth++;
	while (!err) {
		if (shown < items.n && (shown == MAX_ITEMS || full(v))) {
			if (!v->reader->touch_only)
				buf_printf(v->out, "%s... %" PRIu64 " more", shown ? ", " : "",
					   items.n - shown);
			break;
		}
		err = py_items_next(&items, &key, &value);
		if (err || !key)
			break;
		if (shown++)
			put(v, ", ");
		err = add_item(v, &items, key, value);
	}
	v->depth--;
	if (type->kind == PY_TUPLE && items.n == 1)
		put(v, ",");
	put(v, close);
	return err;
}

// What the built-in type that it is or derives from would show.
static struct error *add_builtin(struct value *v, taddr at, const struct py_type *type)
{
	switch (type->kind) {
	case PY_BOOL:
		if (v->reader->layout->offsets.int_value != PY_NONE)
			return add_number(v, at, type);
		return add_long(v, at, type);
	case PY_LONG:
		return add_long(v, at, type);
	case PY_SHORT:
	case PY_FLOAT:
	case PY_COMPLEX:
		return add_number(v, at, type);
	case PY_STR:
		return add_text(v, at);
	case PY_BYTES:
	case PY_BYTEARRAY:
		return add_bytes(v, at, type);
	default:
		return add_items(v, at, type);
	}
}

static bool is_shown(enum py_kind kind)
{
	return kind >= PY_BOOL && kind <= PY_FROZENSET;
}

static struct error *add_object(struct value *v, taddr at)
{
	struct py_type type;

	struct error *err = py_type_of(v->reader, at, &type);
	if (err)
		return err;
	switch (type.exact ? type.kind : PY_OTHER) {
	case PY_NONE_TYPE:
		put(v, "None");
		return NULL;
	case PY_ELLIPSIS:
		put(v, "Ellipsis");
		return NULL;
	case PY_NOT_IMPLEMENTED:
		put(v, "NotImplemented");
		return NULL;
	default:
		break;
	}
	if (type.exact && is_shown(type.kind))
		return add_builtin(v, at, &type);
	if (!v->reader->touch_only)
		buf_printf(v->out, "<%s at 0x%" PRIx64, type.name, at);
	if (is_shown(type.kind)) {
		put(v, ": ");
		err = add_builtin(v, at, &type);
	}
	put(v, ">");
	return err;
}

static struct error *add_value(struct value *v, taddr at)
{
	v->objects++;
	struct error *err = add_object(v, at);
	if (!err || err->kind == ERROR_NOMEM || err->kind == ERROR_UNSUPPORTED)
		return err;
	// A value that cannot be read is news about the target, told where the value would be.
	if (!v->reader->touch_only)
		buf_printf(v->out, "<unreadable at 0x%" PRIx64 ": %s>", at, err->text);
	error_free(err);
	return NULL;
}

struct error *py_value(struct py_reader *reader, taddr at, bool hide, struct buf *ret)
{
	struct value v = { .reader = reader, .out = ret, .start = ret->len, .hide = hide };
	struct error *err = add_value(&v, at);

	return err ? err : buf_error(ret);
}

// From 3.14 on: an int that fits stands in the reference itself.
#define TAG_INT	  3
#define TAG_SHIFT 2

struct error *py_reference_value(struct py_reader *reader, uint64_t reference, bool hide,
				 struct buf *ret)
{
	uint8_t tags = reader->layout->reference_tags;

	if (tags == TAG_INT && (reference & TAG_INT) == TAG_INT) {
		if (!reader->touch_only)
			buf_printf(ret, "%" PRId64, (int64_t)reference >> TAG_SHIFT);
		return buf_error(ret);
	}
	return py_value(reader, reference & ~(uint64_t)tags, hide, ret);
}
