/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyrepr.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"

static uint32_t character(const uint8_t *data, size_t i, unsigned width)
{
	uint16_t two;
	uint32_t four;

	switch (width) {
	case 1:
		return data[i];
	case 2:
		memcpy(&two, data + i * 2, 2);
		return le16toh(two);
	default:
		memcpy(&four, data + i * 4, 4);
		return le32toh(four);
	}
}

/*
 * str.isprintable(): not so are Unicode's categories Cc, Cf, Cs, Co, Zl, Zp, Zs but the space.
 * Those that are not assigned yet depend on the interpreter's own table, which is not read.
 */
static bool is_printable(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {
		{ 0x0000, 0x001f },   { 0x007f, 0x00a0 },   { 0x00ad, 0x00ad },
		{ 0x0600, 0x0605 },   { 0x061c, 0x061c },   { 0x06dd, 0x06dd },
		{ 0x070f, 0x070f },   { 0x0890, 0x0891 },   { 0x08e2, 0x08e2 },
		{ 0x1680, 0x1680 },   { 0x180e, 0x180e },   { 0x2000, 0x200f },
		{ 0x2028, 0x202f },   { 0x205f, 0x206f },   { 0x3000, 0x3000 },
		{ 0xd800, 0xf8ff },   { 0xfdd0, 0xfdef },   { 0xfeff, 0xfeff },
		{ 0xfff0, 0xfffb },   { 0xfffe, 0xffff },   { 0x110bd, 0x110bd },
		{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },
		{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff }, { 0xf0000, UINT32_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i].from && c <= ranges[i].to)
			return false;
	return true;
}

static void add_utf8(struct buf *ret, uint32_t c)
{
	if (c < 0x80)
		buf_add(ret, (uint8_t[]){ c }, 1);
	else if (c < 0x800)
		buf_add(ret, (uint8_t[]){ 0xc0 | c >> 6, 0x80 | (c & 63) }, 2);
	else if (c < 0x10000)
		buf_add(ret, (uint8_t[]){ 0xe0 | c >> 12, 0x80 | (c >> 6 & 63), 0x80 | (c & 63) }, 3);
	else
		buf_add(ret,
			(uint8_t[]){ 0xf0 | (c >> 18 & 7), 0x80 | (c >> 12 & 63),
				     0x80 | (c >> 6 & 63), 0x80 | (c & 63) },
			4);
}

// Single quotes, unless the text has some and no double ones.
static char choose_quote(const uint8_t *data, size_t n, unsigned width)
{
	bool one = false;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = character(data, i, width);

		if (c == '"')
			return '\'';
		one |= c == '\'';
	}
	return one ? '"' : '\'';
}

// What is written the same way in texts and in bytes; false for anything else.
static bool add_common(struct buf *ret, uint32_t c, char quote)
{
	static const char escaped[] = { ['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r' };

	if (c == (uint8_t)quote || c == '\\')
		buf_add(ret, (char[]){ '\\', (char)c }, 2);
	else if (c < sizeof(escaped) && escaped[c])
		buf_add(ret, (char[]){ '\\', escaped[c] }, 2);
	else if (c >= ' ' && c < 0x7f)
		buf_add(ret, (char[]){ (char)c }, 1);
	else
		return false;
	return true;
}

static void add_escape(struct buf *ret, uint32_t c)
{
	if (c <= 0xff)
		buf_printf(ret, "\\x%02x", c);
	else if (c <= 0xffff)
		buf_printf(ret, "\\u%04x", c);
	else
		buf_printf(ret, "\\U%08x", c);
}

void py_repr_text(const uint8_t *data, size_t n, unsigned width, bool two, struct buf *ret)
{
	char quote = choose_quote(data, n, width);

	if (two)
		buf_addstr(ret, "u");
	buf_add(ret, &quote, 1);
	for (size_t i = 0; i < n; i++) {
		uint32_t c = character(data, i, width);
		uint32_t next = i + 1 < n ? character(data, i + 1, width) : 0;

		if (two && width == 2 && c >= 0xd800 && c < 0xdc00 && next >= 0xdc00 &&
		    next < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10 | (next - 0xdc00));
			i++;
		}
		if (add_common(ret, c, quote))
			continue;
		if (two || !is_printable(c))
			add_escape(ret, c);
		else
			add_utf8(ret, c);
	}
	buf_add(ret, &quote, 1);
}

void py_repr_bytes(const uint8_t *data, size_t n, bool prefix, struct buf *ret)
{
	char quote = choose_quote(data, n, 1);

	if (prefix)
		buf_addstr(ret, "b");
	buf_add(ret, &quote, 1);
	for (size_t i = 0; i < n; i++)
		if (!add_common(ret, data[i], quote))
			buf_printf(ret, "\\x%02x", data[i]);
	buf_add(ret, &quote, 1);
}

void py_repr_float(double value, bool point, struct buf *ret)
{
	char text[40], digits[20];
	int exponent, precision = 0, n = 0;

	if (isnan(value)) {
		buf_addstr(ret, "nan");
		return;
	}
	if (isinf(value)) {
		buf_addstr(ret, value < 0 ? "-inf" : "inf");
		return;
	}
	// 17 digits are always enough.
	do
		snprintf(text, sizeof(text), "%.*e", precision, value);
	while (strtod(text, NULL) != value && precision++ < 16);
	const char *e = strchr(text, 'e');
	exponent = atoi(e + 1);
	for (const char *p = text; p < e; p++)
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	if (signbit(value))
		buf_addstr(ret, "-");
	if (exponent < -4 || exponent >= 16) {
		buf_add(ret, digits, 1);
		if (n > 1)
			buf_printf(ret, ".%.*s", n - 1, digits + 1);
		buf_printf(ret, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
		return;
	}
	if (exponent < 0) {
		buf_printf(ret, "0.%.*s%.*s", -exponent - 1, "0000", n, digits);
		return;
	}
	for (int i = 0; i <= exponent; i++)
		buf_add(ret, i < n ? &digits[i] : "0", 1);
	if (n > exponent + 1)
		buf_printf(ret, ".%.*s", n - exponent - 1, digits + exponent + 1);
	else if (point)
		buf_addstr(ret, ".0");
}

// Nine decimal digits at a time.
#define PART 1000000000u

void py_repr_long(const uint8_t *digits, size_t n, bool negative, struct buf *ret)
{
	// Nine decimal digits hold 29.9 bits: a little more than one for each digit of 30.
	size_t room = n + n / 256 + 2, parts = 1;
	_cleanup_(freep) uint32_t *part = calloc(room, sizeof(*part));
	_cleanup_(buf_deinit) struct buf text = {};

	if (!part) {
		ret->failed = true;
		return;
	}
	for (size_t i = n; i-- > 0;) {
		uint64_t carry = character(digits, i, 4) & ((1u << 30) - 1);

		for (size_t k = 0; k < parts; k++) {
			carry += (uint64_t)part[k] << 30;
			part[k] = (uint32_t)(carry % PART);
			carry /= PART;
		}
		for (; carry && parts < room; carry /= PART)
			part[parts++] = (uint32_t)(carry % PART);
	}
	while (parts > 1 && !part[parts - 1])
		parts--;
	buf_printf(&text, "%u", part[parts - 1]);
	for (size_t k = parts - 1; k-- > 0;)
		buf_printf(&text, "%09u", part[k]);
	ret->failed |= text.failed;
	if (text.failed)
		return;
	if (negative)
		buf_addstr(ret, "-");
	if (text.len <= PY_LONG_WHOLE) {
		buf_add(ret, text.data, text.len);
		return;
	}
	size_t end = 20, head = PY_LONG_WHOLE - 3 - end;
	buf_add(ret, text.data, head);
	buf_printf(ret, "...%.*s (%zu digits)", (int)end, (char *)text.data + text.len - end,
		   text.len);
}
