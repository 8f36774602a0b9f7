/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_BUF_H
#define PCATCH_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/*
 * Bytes that grow. All zero is empty. A failed append leaves the buffer as it was and sets
 * `failed`, so a run of appends may be checked once at its end with buf_error().
 */
struct buf {
	uint8_t *data;
	size_t len, cap;
	bool failed;
};

void buf_deinit(struct buf *buf);

/* Room for LEN more bytes at once: what grows by doubling needs three times its size on the way. */
void buf_reserve(struct buf *buf, size_t len);

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_addstr(struct buf *buf, const char *s);
void buf_zero(struct buf *buf, size_t len);
void buf_u16(struct buf *buf, uint16_t v); /* little endian, as are the next two */
void buf_u32(struct buf *buf, uint32_t v);
void buf_u64(struct buf *buf, uint64_t v);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Zeros up to the next multiple of ALIGN, a power of two. */
void buf_align(struct buf *buf, size_t align);

/*
 * LEN bytes of anybody's making, fit for a terminal and for JSON: valid UTF-8 stays, everything
 * else and every control character (with NL and TAB when not in KEEP) becomes \xNN.
 */
void buf_clean(struct buf *buf, const void *data, size_t len, const char *keep);

/* ERROR_NOMEM if an append failed. */
struct error *buf_error(const struct buf *buf) __attribute__((warn_unused_result));

/* The bytes with a NUL behind them, owned by the caller; NULL if an append failed. Empties BUF. */
char *buf_steal(struct buf *buf) __attribute__((warn_unused_result));

#endif
