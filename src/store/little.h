/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_LITTLE_H
#define PCATCH_STORE_LITTLE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Little-endian numbers in a file's bytes, wherever they lie. */

static inline uint16_t u16_at(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t u64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

#endif
