/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "regsets.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "../cleanup.h"
#include "format.h"
#include "little.h"

#define REGSETS_MAX ((size_t)256 << 20) // of zeros, in all of them; and of what is unpacked

// The quickest that zstd has: one thread's registers are much like another's.
#define ZSTD_LEVEL 1

enum { VERSION_PLAIN = 1, VERSION_PACKED };
enum { HEAD_SIZE = 8 };
enum { REGSET_PRSTATUS = 1, REGSET_PRFPREG = 2, REGSET_XSTATE = 0x202 };

// Most of a thread's vector state was never used: ten kilobytes of zeros where there is AMX.
static void add_regset(struct buf *out, size_t thread, uint32_t type, const void *data, size_t len)
{
	size_t used = len;

	while (used && !((const uint8_t *)data)[used - 1])
		used--;
	buf_u32(out, (uint32_t)thread);
	buf_u32(out, type);
	buf_u32(out, (uint32_t)used);
	buf_u32(out, (uint32_t)(len - used));
	buf_add(out, data, used);
	buf_align(out, 8);
}

static void add_entries(const struct md_writer *w, struct buf *out)
{
	size_t listed = 0;

	for (size_t i = 0; i < w->s->threads.n; i++) {
		const struct thread *t = &w->s->threads.v[i];
		bool has_context = listed < w->n_threads && w->threads[listed] == t;

		listed += has_context;
		if (t->regs.arch) {
			uint64_t r[ARCH_MAX_REGS];
			for (size_t j = 0; j < t->regs.arch->n_regs; j++)
				r[j] = htole64(t->regs.r[j]);
			add_regset(out, i, REGSET_PRSTATUS, r, t->regs.arch->n_regs * sizeof(*r));
		}
		if (t->fpregs.len && !(has_context && context_keeps(w->format, &t->fpregs)))
			add_regset(out, i, REGSET_PRFPREG, t->fpregs.data, t->fpregs.len);
		if (t->xstate.len)
			add_regset(out, i, REGSET_XSTATE, t->xstate.data, t->xstate.len);
	}
}

void regsets_write(const struct md_writer *w)
{
	_cleanup_(buf_deinit) struct buf entries = {}, packed = {};

	add_entries(w, &entries);
	buf_zero(&packed, ZSTD_compressBound(entries.len));
	w->out->failed |= entries.failed | packed.failed;
	if (w->out->failed)
		return;
	size_t len = ZSTD_compress(packed.data, packed.len, entries.data, entries.len,
				   ZSTD_LEVEL);
	if (ZSTD_isError(len)) {
		w->out->failed = true;
		return;
	}
	buf_u32(w->out, VERSION_PACKED);
	buf_u32(w->out, (uint32_t)entries.len);
	buf_add(w->out, packed.data, len);
}

static struct error *read_entries(const uint8_t *entries, size_t entries_len, struct snapshot *s)
{
	size_t total = 0;

	for (size_t at = 0; entries_len - at >= 16;) {
		uint32_t index = u32_at(entries + at), type = u32_at(entries + at + 4);
		size_t len = u32_at(entries + at + 8), zeros = u32_at(entries + at + 12);
		const uint8_t *data = entries + at + 16;

		// A small file must not ask for more memory than any process's threads can fill.
		total += zeros;
		if (len > entries_len - at - 16 || total > REGSETS_MAX)
			break;
		size_t step = 16 + ((len + 7) & ~(size_t)7);
		at = step > entries_len - at ? entries_len : at + step;
		if (index >= s->threads.n)
			continue;
		struct thread *t = &s->threads.v[index];
		const struct arch *arch = s->host.arch;
		uint8_t *whole = arena_alloc(&s->arena, len + zeros + 1);
		if (!whole)
			return error_nomem();
		memcpy(whole, data, len);
		len += zeros;
		if (type == REGSET_PRSTATUS && len == arch->n_regs * 8) {
			t->regs.arch = arch;
			for (size_t i = 0; i < arch->n_regs; i++)
				t->regs.r[i] = u64_at(whole + 8 * i);
			continue;
		}
		struct bytes *to = type == REGSET_PRFPREG ? &t->fpregs
				   : type == REGSET_XSTATE ? &t->xstate : NULL;
		if (to)
			*to = (struct bytes){ .data = whole, .len = len };
	}
	return NULL;
}

struct error *regsets_read(const uint8_t *stream, size_t stream_len, struct snapshot *s)
{
	_cleanup_(freep) uint8_t *entries = NULL;

	if (stream_len < HEAD_SIZE)
		return NULL;
	size_t len = u32_at(stream + 4);
	const uint8_t *data = stream + HEAD_SIZE;
	switch (u32_at(stream)) {
	case VERSION_PLAIN:
		return read_entries(data, stream_len - HEAD_SIZE, s);
	case VERSION_PACKED:
		if (len > REGSETS_MAX)
			return NULL;
		entries = malloc(len + 1);
		if (!entries)
			return error_nomem();
		len = ZSTD_decompress(entries, len, data, stream_len - HEAD_SIZE);
		return ZSTD_isError(len) ? NULL : read_entries(entries, len, s);
	default:
		return NULL;
	}
}
