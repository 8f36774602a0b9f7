/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "regsets.h"

#include <endian.h>
#include <string.h>

#include "format.h"
#include "little.h"

#define REGSETS_MAX ((size_t)256 << 20) // of zeros, in all of them

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

void regsets_write(const struct md_writer *w)
{
	size_t listed = 0;

	buf_u32(w->out, 1);
	buf_u32(w->out, 0);
	for (size_t i = 0; i < w->s->threads.n; i++) {
		const struct thread *t = &w->s->threads.v[i];
		bool has_context = listed < w->n_threads && w->threads[listed] == t;

		listed += has_context;
		if (t->regs.arch) {
			uint64_t r[ARCH_MAX_REGS];
			for (size_t j = 0; j < t->regs.arch->n_regs; j++)
				r[j] = htole64(t->regs.r[j]);
			add_regset(w->out, i, REGSET_PRSTATUS, r, t->regs.arch->n_regs * sizeof(*r));
		}
		if (t->fpregs.len && !(has_context && context_keeps(w->format, &t->fpregs)))
			add_regset(w->out, i, REGSET_PRFPREG, t->fpregs.data, t->fpregs.len);
		if (t->xstate.len)
			add_regset(w->out, i, REGSET_XSTATE, t->xstate.data, t->xstate.len);
	}
}

struct error *regsets_read(const uint8_t *stream, size_t stream_len, struct snapshot *s)
{
	size_t total = 0;

	if (stream_len < 8 || u32_at(stream) != 1)
		return NULL;
	for (size_t at = 8; stream_len - at >= 16;) {
		uint32_t index = u32_at(stream + at), type = u32_at(stream + at + 4);
		size_t len = u32_at(stream + at + 8), zeros = u32_at(stream + at + 12);
		const uint8_t *data = stream + at + 16;

		// A small file must not ask for more memory than any process's threads can fill.
		total += zeros;
		if (len > stream_len - at - 16 || total > REGSETS_MAX)
			break;
		size_t step = 16 + ((len + 7) & ~(size_t)7);
		at = step > stream_len - at ? stream_len : at + step;
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
