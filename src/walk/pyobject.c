/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyobject.h"

#include <endian.h>
#include <string.h>
#include <time.h>

#include "../cleanup.h"

// No name or table is as long as this; a size beyond it is not a size.
#define SIZE_MAX_SANE ((uint64_t)1 << 28)

#define TYPE_NAME_MAX 16

// The type object at TYPE is called NAME. KNOWN remembers the last one that was.
static struct error *check_type(struct py_reader *reader, taddr type, const char *name,
				taddr *known)
{
	const union py_offsets *o = &reader->layout->offsets;
	char text[TYPE_NAME_MAX] = "";
	taddr at;

	if (type && type == *known)
		return NULL;
	struct error *err = mem_u64(reader->mem, type + o->type_name, &at);
	if (!err)
		err = mem_read(reader->mem, at, text, strlen(name) + 1);
	if (err)
		return error_prefix(err, "type of what should be a %s object", name);
	if (memcmp(text, name, strlen(name) + 1) != 0)
		return error_new(ERROR_INPUT, "what should be a %s object is none", name);
	*known = type;
	return NULL;
}

static struct error *check_object(struct py_reader *reader, taddr at, const char *name,
				  taddr *known)
{
	taddr type;
	struct error *err = mem_u64(reader->mem, at + reader->layout->offsets.object_type, &type);

	return err ? err : check_type(reader, type, name, known);
}

struct error *py_check_code(struct py_reader *reader, taddr at)
{
	return check_object(reader, at, "code", &reader->code_type);
}

// A clock is read once in so many times.
#define CLOCK_TIMES 32

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

bool py_reader_late(struct py_reader *reader)
{
	if (!reader->deadline || reader->late)
		return reader->late;
	if (reader->until_clock--)
		return false;
	reader->until_clock = CLOCK_TIMES;
	reader->late = now() >= reader->deadline;
	return reader->late;
}

int64_t py_reader_deadline(int64_t deadline, int64_t time)
{
	int64_t own = now() + time;

	return deadline && deadline < own ? deadline : deadline ? own : 0;
}

struct error *py_spend(struct py_reader *reader, size_t len)
{
	if (len > reader->budget)
		return error_new(ERROR_UNSUPPORTED, "there is more than is read of one process");
	reader->budget -= len;
	return NULL;
}

struct error *py_read_raw(struct py_reader *reader, taddr at, size_t len, struct buf *ret)
{
	uint8_t chunk[4096];

	struct error *err = py_spend(reader, len);
	if (err)
		return err;
	while (len) {
		// Page by page: what is missing is then told by its own address.
		size_t n = sizeof(chunk) - at % sizeof(chunk);
		if (n > len)
			n = len;
		err = mem_read(reader->mem, at, chunk, n);
		if (err)
			return err;
		if (!reader->touch_only)
			buf_add(ret, chunk, n);
		at += n;
		len -= n;
	}
	return buf_error(ret);
}

struct error *py_read_bytes(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	uint64_t size;

	// Up to 2.7 the type of byte strings was called str.
	const char *name = reader->layout->names_are_bytes ? "str" : "bytes";
	struct error *err = check_object(reader, at, name, &reader->bytes_type);
	if (!err)
		err = mem_u64(reader->mem, at + o->object_size, &size);
	if (err)
		return err;
	if (size > SIZE_MAX_SANE)
		return error_new(ERROR_INPUT, "a %s object of 0x%llx bytes", name,
				 (unsigned long long)size);
	return py_read_raw(reader, at + o->bytes_data, size < max ? size : max, ret);
}

static void add_utf8(struct buf *buf, uint32_t c)
{
	if (c < 0x80) {
		buf_add(buf, (uint8_t[]){ c }, 1);
	} else if (c >= 0xdc80 && c <= 0xdcff) {
		// PEP 383: a byte that could not be decoded.
		buf_add(buf, (uint8_t[]){ c & 0xff }, 1);
	} else if (c < 0x800) {
		buf_add(buf, (uint8_t[]){ 0xc0 | c >> 6, 0x80 | (c & 63) }, 2);
	} else if (c < 0x10000) {
		buf_add(buf, (uint8_t[]){ 0xe0 | c >> 12, 0x80 | (c >> 6 & 63), 0x80 | (c & 63) }, 3);
	} else {
		buf_add(buf, (uint8_t[]){ 0xf0 | (c >> 18 & 7), 0x80 | (c >> 12 & 63),
					  0x80 | (c >> 6 & 63), 0x80 | (c & 63) }, 4);
	}
}

static struct error *add_clean(struct buf *ret, const struct buf *utf8, const char *keep, bool cut)
{
	struct error *err = buf_error(utf8);

	if (err)
		return err;
	buf_clean(ret, utf8->data, utf8->len, keep);
	if (cut)
		buf_addstr(ret, "...");
	return buf_error(ret);
}

/*
 * 2.7 has builds of two and of four bytes a character, which nothing in the object tells. Read
 * as four, two characters of two would nearly always be beyond Unicode, and the NUL behind the
 * last one would not be there.
 */
static struct error *find_unicode(struct py_reader *reader, taddr at, struct py_text *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	uint32_t unit, last = 0;
	taddr data;

	struct error *err = mem_u64(reader->mem, at + o->unicode_length, &ret->length);
	if (!err)
		err = mem_u64(reader->mem, at + o->unicode_data, &data);
	if (err)
		return err;
	if (ret->length > SIZE_MAX_SANE)
		return error_new(ERROR_INPUT, "a unicode object of 0x%llx characters",
				 (unsigned long long)ret->length);
	bool wide = !error_drop(mem_u32(reader->mem, data + ret->length * 4, &last)) && !last;
	for (uint64_t i = 0; i < ret->length && i < 64 && wide; i++)
		wide = !error_drop(mem_u32(reader->mem, data + i * 4, &unit)) && unit <= 0x10ffff;
	ret->data = data;
	ret->width = wide ? 4 : 2;
	ret->ascii = false;
	return NULL;
}

struct error *py_find_text(struct py_reader *reader, taddr at, struct py_text *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	struct py_text text = {};
	uint32_t state;

	if (reader->layout->names_are_bytes)
		return find_unicode(reader, at, ret);
	struct error *err = mem_u64(reader->mem, at + o->str_length, &text.length);
	if (!err)
		err = mem_u32(reader->mem, at + o->str_state, &state);
	if (err)
		return err;
	text.width = state >> o->str_kind_bit & 7;
	text.ascii = state >> o->str_ascii_bit & 1;
	if (text.length > SIZE_MAX_SANE)
		return error_new(ERROR_INPUT, "a str object of 0x%llx characters",
				 (unsigned long long)text.length);
	if ((text.width != 1 && text.width != 2 && text.width != 4) ||
	    (text.ascii && text.width != 1))
		return error_new(ERROR_INPUT, "a str object in state 0x%x", state);
	text.data = at + (text.ascii ? o->str_ascii : o->str_compact);
	if (!(state >> o->str_compact_bit & 1))
		// The old kind of object, and every subclass, has its characters elsewhere.
		err = mem_u64(reader->mem, at + o->str_compact, &text.data);
	if (!err)
		*ret = text;
	return err;
}

static struct error *read_str(struct py_reader *reader, taddr at, size_t max, const char *keep,
			      struct buf *ret)
{
	_cleanup_(buf_deinit) struct buf raw = {}, utf8 = {};
	struct py_text text;

	if (reader->layout->names_are_bytes) {
		struct error *err = py_read_bytes(reader, at, max + 1, &raw);
		if (err || reader->touch_only)
			return err;
		bool cut = raw.len > max;
		if (cut)
			raw.len = max;
		return add_clean(ret, &raw, keep, cut);
	}
	struct error *err = check_object(reader, at, "str", &reader->str_type);
	if (!err)
		err = py_find_text(reader, at, &text);
	if (err)
		return err;
	size_t n = text.length < max ? (size_t)text.length : max;
	err = py_read_raw(reader, text.data, n * text.width, &raw);
	if (err || reader->touch_only)
		return err;
	for (size_t i = 0; i < n; i++) {
		uint32_t c = raw.data[i];
		uint16_t c2;

		if (text.width == 2) {
			memcpy(&c2, raw.data + i * 2, 2);
			c = le16toh(c2);
		} else if (text.width == 4) {
			memcpy(&c, raw.data + i * 4, 4);
			c = le32toh(c);
		}
		if (c > 0x10ffff)
			return error_new(ERROR_INPUT, "a str object with character 0x%x", c);
		add_utf8(&utf8, c);
	}
	return add_clean(ret, &utf8, keep, text.length > max);
}

struct error *py_read_str(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
{
	return read_str(reader, at, max, "", ret);
}

struct error *py_read_lines(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
{
	return read_str(reader, at, max, "\n\t", ret);
}
