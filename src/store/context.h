/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_CONTEXT_H
#define PCATCH_STORE_CONTEXT_H

#include "../buf.h"
#include "../target/snapshot.h"

/*
 * CPU contexts of minidumps: where a processor's structure keeps which register. aarch64 has two
 * of them; the older is the one that every reader gets right, so it is the one we write.
 */
struct context_format;

const struct context_format *context_format_of(const struct arch *arch);

/* By SystemInfo's ProcessorArchitecture; NULL for processors we do not know. */
const struct context_format *context_format_by_processor(uint16_t processor);

uint16_t context_processor(const struct context_format *format);
const struct arch *context_arch(const struct context_format *format);

size_t context_size(const struct context_format *format);

/* Append THREAD's registers, of FORMAT's architecture, as a context. Returns its size. */
size_t context_write(const struct context_format *format, const struct thread *thread,
		     struct buf *out);

/* Whether FPREGS go through a context without a loss. */
bool context_keeps(const struct context_format *format, const struct bytes *fpregs);

/*
 * Registers out of the SIZE bytes of a context. What a context lacks is 0, except that the thread
 * is in no system call. FPREGS is in ARENA, empty when the context has none. False when it is
 * too short or its flags deny the registers.
 */
struct error *context_read(const struct context_format *format, const uint8_t *context, size_t size,
			   struct arena *arena, struct regs *regs, struct bytes *fpregs,
			   bool *valid) __attribute__((warn_unused_result));

#endif
