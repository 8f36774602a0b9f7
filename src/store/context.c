/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "context.h"

#include <endian.h>

#include "../cleanup.h"

// One register: index in NT_PRSTATUS, place and width in the context.
struct slot {
	uint8_t index, width;
	uint16_t offset;
};

// A stretch of NT_PRFPREG and where the context has it.
struct span {
	uint16_t from, to, len;
};

struct context_format {
	uint16_t processor;
	enum arch_id arch;
	size_t size;
	unsigned flags_at, flags_width;
	uint32_t flags_core, flags_fp; // general registers; and floating point
	const struct slot *slots;
	size_t n_slots;
	const struct span *spans;
	size_t n_spans;
	size_t fpregs_size;
	int no_syscall; // register that says so with -1; -1: none does
};

static const struct slot amd64_slots[] = {
	{ 17, 2, 56 },	{ 23, 2, 58 },	{ 24, 2, 60 },	{ 25, 2, 62 },	{ 26, 2, 64 },
	{ 20, 2, 66 },	{ 18, 4, 68 },	{ 10, 8, 120 }, { 11, 8, 128 }, { 12, 8, 136 },
	{ 5, 8, 144 },	{ 19, 8, 152 }, { 4, 8, 160 },	{ 13, 8, 168 }, { 14, 8, 176 },
	{ 9, 8, 184 },	{ 8, 8, 192 },	{ 7, 8, 200 },	{ 6, 8, 208 },	{ 3, 8, 216 },
	{ 2, 8, 224 },	{ 1, 8, 232 },	{ 0, 8, 240 },	{ 16, 8, 248 },
};

// The kernel's user_fpregs_struct is the FXSAVE image; its MXCSR has a second place.
static const struct span amd64_spans[] = { { 24, 52, 4 }, { 0, 256, 512 } };

#define X(n, at) { (n), 8, (at) + 8 * (n) }
#define ALL_X(at)                                                                                  \
	X(0, at), X(1, at), X(2, at), X(3, at), X(4, at), X(5, at), X(6, at), X(7, at), X(8, at),  \
	X(9, at), X(10, at), X(11, at), X(12, at), X(13, at), X(14, at), X(15, at), X(16, at),     \
	X(17, at), X(18, at), X(19, at), X(20, at), X(21, at), X(22, at), X(23, at), X(24, at),    \
	X(25, at), X(26, at), X(27, at), X(28, at), X(29, at), X(30, at), X(31, at), X(32, at)

static const struct slot arm64_old_slots[] = { ALL_X(8), { 33, 4, 272 } };
static const struct slot arm64_slots[] = { ALL_X(8), { 33, 4, 4 } };

// user_fpsimd_state: v0..v31, fpsr, fpcr.
static const struct span arm64_old_spans[] = { { 0, 284, 512 }, { 512, 276, 4 }, { 516, 280, 4 } };
static const struct span arm64_spans[] = { { 0, 272, 512 }, { 512, 788, 4 }, { 516, 784, 4 } };

static const struct context_format formats[] = {
	{
		.processor = 9,
		.arch = ARCH_X86_64,
		.size = 1232,
		.flags_at = 48,
		.flags_width = 4,
		.flags_core = 0x100007,
		.flags_fp = 0x8,
		.slots = amd64_slots,
		.n_slots = ARRAY_SIZE(amd64_slots),
		.spans = amd64_spans,
		.n_spans = ARRAY_SIZE(amd64_spans),
		.fpregs_size = 512,
		.no_syscall = 15,
	},
	{
		.processor = 0x8003,
		.arch = ARCH_AARCH64,
		.size = 796,
		.flags_at = 0,
		.flags_width = 8,
		.flags_core = 0x80000002,
		.flags_fp = 0x4,
		.slots = arm64_old_slots,
		.n_slots = ARRAY_SIZE(arm64_old_slots),
		.spans = arm64_old_spans,
		.n_spans = ARRAY_SIZE(arm64_old_spans),
		.fpregs_size = 528,
		.no_syscall = -1,
	},
	{
		.processor = 12,
		.arch = ARCH_AARCH64,
		.size = 912,
		.flags_at = 0,
		.flags_width = 4,
		.flags_core = 0x400003,
		.flags_fp = 0x4,
		.slots = arm64_slots,
		.n_slots = ARRAY_SIZE(arm64_slots),
		.spans = arm64_spans,
		.n_spans = ARRAY_SIZE(arm64_spans),
		.fpregs_size = 528,
		.no_syscall = -1,
	},
};

const struct context_format *context_format_of(const struct arch *arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].arch == arch->id)
			return &formats[i];
	return NULL;
}

const struct context_format *context_format_by_processor(uint16_t processor)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].processor == processor)
			return &formats[i];
	return NULL;
}

uint16_t context_processor(const struct context_format *format)
{
	return format->processor;
}

const struct arch *context_arch(const struct context_format *format)
{
	return arch_by_id(format->arch);
}

size_t context_size(const struct context_format *format)
{
	return format->size;
}

size_t context_write(const struct context_format *format, const struct thread *thread,
		     struct buf *out)
{
	uint8_t context[1232] = {};
	bool fp = thread->fpregs.len == format->fpregs_size;
	uint64_t flags = htole64(format->flags_core | (fp ? format->flags_fp : 0));

	_Static_assert(sizeof(context) >= 912, "room for every format");
	memcpy(context + format->flags_at, &flags, format->flags_width);
	for (size_t i = 0; i < format->n_slots; i++) {
		const struct slot *slot = &format->slots[i];
		uint64_t v = htole64(thread->regs.r[slot->index]);

		memcpy(context + slot->offset, &v, slot->width);
	}
	for (size_t i = 0; fp && i < format->n_spans; i++)
		memcpy(context + format->spans[i].to, thread->fpregs.data + format->spans[i].from,
		       format->spans[i].len);
	buf_add(out, context, format->size);
	return format->size;
}

bool context_keeps(const struct context_format *format, const struct bytes *fpregs)
{
	if (fpregs->len != format->fpregs_size)
		return false;
	for (size_t i = 0; i < fpregs->len; i++) {
		bool kept = fpregs->data[i] == 0;

		for (size_t j = 0; j < format->n_spans && !kept; j++)
			kept = i - format->spans[j].from < format->spans[j].len;
		if (!kept)
			return false;
	}
	return true;
}

struct error *context_read(const struct context_format *format, const uint8_t *context, size_t size,
			   struct arena *arena, struct regs *regs, struct bytes *fpregs, bool *valid)
{
	// Writers with AVX state put it behind the structure.
	*valid = size >= format->size;
	if (!*valid)
		return NULL;
	uint64_t flags = 0;
	memcpy(&flags, context + format->flags_at, format->flags_width);
	flags = le64toh(flags);
	*valid = (flags & 3) != 0;
	if (!*valid)
		return NULL;

	*regs = (struct regs){ .arch = context_arch(format) };
	for (size_t i = 0; i < format->n_slots; i++) {
		const struct slot *slot = &format->slots[i];
		uint64_t v = 0;

		memcpy(&v, context + slot->offset, slot->width);
		regs->r[slot->index] = le64toh(v);
	}
	if (format->no_syscall >= 0)
		regs->r[format->no_syscall] = UINT64_MAX;
	*fpregs = (struct bytes){};
	if (!(flags & format->flags_fp))
		return NULL;
	uint8_t *fp = arena_alloc(arena, format->fpregs_size + 1);
	if (!fp)
		return error_nomem();
	for (size_t i = 0; i < format->n_spans; i++)
		memcpy(fp + format->spans[i].from, context + format->spans[i].to,
		       format->spans[i].len);
	*fpregs = (struct bytes){ .data = fp, .len = format->fpregs_size };
	return NULL;
}
