/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyobject.h"

#include <endian.h>
#include <string.h>

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

// Append LEN bytes at AT to RET.
static struct error *read_raw(struct py_reader *reader, taddr at, size_t len, struct buf *ret)
{
	uint8_t chunk[4096];

	if (len > reader->budget)
		return error_new(ERROR_UNSUPPORTED, "too many names and tables to read them all");
	reader->budget -= len;
	while (len) {
		// Page by page: what is missing is then told by its own address.
		size_t n = sizeof(chunk) - at % sizeof(chunk);
		if (n > len)
			n = len;
		struct error *err = mem_read(reader->mem, at, chunk, n);
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
	return read_raw(reader, at + o->bytes_data, size < max ? size : max, ret);
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

static struct error *add_clean(struct buf *ret, const struct buf *utf8, bool cut)
{
	struct error *err = buf_error(utf8);

	if (err)
		return err;
	buf_clean(ret, utf8->data, utf8->len, "");
	if (cut)
		buf_addstr(ret, "...");
	return buf_error(ret);
}

struct error *py_read_str(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	_cleanup_(buf_deinit) struct buf raw = {}, utf8 = {};
	uint64_t length;
	uint32_t state;

	if (reader->layout->names_are_bytes) {
		struct error *err = py_read_bytes(reader, at, max + 1, &raw);
		if (err || reader->touch_only)
			return err;
		bool cut = raw.len > max;
		if (cut)
			raw.len = max;
		return add_clean(ret, &raw, cut);
	}
	struct error *err = check_object(reader, at, "str", &reader->str_type);
	if (!err)
		err = mem_u64(reader->mem, at + o->str_length, &length);
	if (!err)
		err = mem_u32(reader->mem, at + o->str_state, &state);
	if (err)
		return err;
	unsigned kind = state >> o->str_kind_bit & 7;
	bool compact = state >> o->str_compact_bit & 1, ascii = state >> o->str_ascii_bit & 1;
	if (length > SIZE_MAX_SANE)
		return error_new(ERROR_INPUT, "a str object of 0x%llx characters",
				 (unsigned long long)length);
	if ((kind != 1 && kind != 2 && kind != 4) || (ascii && kind != 1))
		return error_new(ERROR_INPUT, "a str object in state 0x%x", state);

	taddr data = at + (ascii ? o->str_ascii : o->str_compact);
	if (!compact) {
		// The old kind of object has its characters elsewhere.
		err = mem_u64(reader->mem, at + o->str_compact, &data);
		if (err)
			return err;
	}
	size_t n = length < max ? (size_t)length : max;
	err = read_raw(reader, data, n * kind, &raw);
	if (err || reader->touch_only)
		return err;
	for (size_t i = 0; i < n; i++) {
		uint32_t c = raw.data[i];
		uint16_t c2;

		if (kind == 2) {
			memcpy(&c2, raw.data + i * 2, 2);
			c = le16toh(c2);
		} else if (kind == 4) {
			memcpy(&c, raw.data + i * 4, 4);
			c = le32toh(c);
		}
		if (c > 0x10ffff)
			return error_new(ERROR_INPUT, "a str object with character 0x%x", c);
		add_utf8(&utf8, c);
	}
	return add_clean(ret, &utf8, length > max);
}
