/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_deinit(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){};
}

static uint8_t *buf_room(struct buf *buf, size_t len)
{
	if (buf->failed)
		return NULL;
	if (buf->cap - buf->len < len) {
		size_t cap = buf->cap ? buf->cap : 256;

		while (cap - buf->len < len) {
			if (cap > SIZE_MAX / 2) {
				buf->failed = true;
				return NULL;
			}
			cap *= 2;
		}
		uint8_t *data = realloc(buf->data, cap);
		if (!data) {
			buf->failed = true;
			return NULL;
		}
		buf->data = data;
		buf->cap = cap;
	}
	return buf->data + buf->len;
}

void buf_reserve(struct buf *buf, size_t len)
{
	if (buf->failed || buf->cap - buf->len >= len)
		return;
	if (len > SIZE_MAX - buf->len) {
		buf->failed = true;
		return;
	}
	uint8_t *data = realloc(buf->data, buf->len + len);
	if (!data) {
		buf->failed = true;
		return;
	}
	buf->data = data;
	buf->cap = buf->len + len;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	// An empty buffer has no place yet: adding nothing to it must not reckon with one.
	uint8_t *to = len ? buf_room(buf, len) : NULL;

	if (to) {
		memcpy(to, data, len);
		buf->len += len;
	}
}

void buf_addstr(struct buf *buf, const char *s)
{
	buf_add(buf, s, strlen(s));
}

void buf_zero(struct buf *buf, size_t len)
{
	uint8_t *to = len ? buf_room(buf, len) : NULL;

	if (to) {
		memset(to, 0, len);
		buf->len += len;
	}
}

void buf_u16(struct buf *buf, uint16_t v)
{
	buf_add(buf, (uint8_t[]){ v, v >> 8 }, 2);
}

void buf_u32(struct buf *buf, uint32_t v)
{
	buf_u16(buf, v);
	buf_u16(buf, v >> 16);
}

void buf_u64(struct buf *buf, uint64_t v)
{
	buf_u32(buf, v);
	buf_u32(buf, v >> 32);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	uint8_t *to = n < 0 ? NULL : buf_room(buf, (size_t)n + 1);
	if (!to) {
		buf->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
}

void buf_align(struct buf *buf, size_t align)
{
	buf_zero(buf, -buf->len & (align - 1));
}

// The length of the well-formed UTF-8 sequence at P (Unicode 15, table 3-7), 0 if there is none.
static size_t utf8_length(const uint8_t *p, size_t len)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (n > len || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

void buf_clean(struct buf *buf, const void *data, size_t len, const char *keep)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(p + i, len - i);
		// C0 and DEL drive terminals, and so do the C1 controls U+0080..U+009F.
		bool control = n == 1 ? p[i] < 0x20 || p[i] == 0x7f
				      : n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0;

		if (n == 1 && control && p[i] && strchr(keep, p[i]))
			control = false;
		if (n && !control) {
			buf_add(buf, p + i, n);
			i += n;
			continue;
		}
		buf_printf(buf, "\\x%02x", p[i]);
		i++;
	}
}

struct error *buf_error(const struct buf *buf)
{
	return buf->failed ? error_nomem() : NULL;
}

char *buf_steal(struct buf *buf)
{
	buf_add(buf, "", 1);
	if (buf->failed) {
		buf_deinit(buf);
		return NULL;
	}
	char *ret = (char *)buf->data;
	*buf = (struct buf){};
	return ret;
}
