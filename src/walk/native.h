/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_NATIVE_H
#define PCATCH_WALK_NATIVE_H

#include "image.h"

/* The most frames of one thread; a deeper stack is cut there with a gap. */
#define NATIVE_MAX_FRAMES 65536

enum frame_found_by {
	FOUND_BY_CONTEXT,
	FOUND_BY_CFI, /* or by what a call or the kernel left, where there can be no CFI */
	FOUND_BY_FRAME_POINTER,
	FOUND_BY_SCAN, /* a guess: something on the stack that a call may have left */
};

struct native_frame {
	taddr pc;  /* the innermost: the instruction; callers: the return address */
	taddr cfa; /* canonical frame address: SP before the call; 0 for unknown */
	enum frame_found_by found_by;
	bool signal_frame; /* a signal trampoline: the frame above it was interrupted at its pc */
};

struct native_stack {
	struct arena arena;
	LIST(struct native_frame) frames; /* innermost first */
	bool complete;	/* the walk reached the root of the thread */
	char *gap;	/* why it did not; NULL when complete */
};

void native_stack_deinit(struct native_stack *stack);

/*
 * Unwinds the threads of one snapshot, by CFI through libunwind, libdw where that stops short.
 * Borrows the images it is made with. All unwinders belong to one thread of ours.
 */
struct unwinder;

struct error *unwinder_create(struct images *images, struct unwinder **ret)
	__attribute__((warn_unused_result));
void unwinder_destroy(struct unwinder *unwinder);

static inline void unwinder_destroyp(struct unwinder **u)
{
	unwinder_destroy(*u);
}

/*
 * The native stack of a thread with registers REGS. A chain that breaks is a gap in RET, not an
 * error. A frame whose CFI cannot be had is stepped by frame pointer, then by scan, and marked.
 */
struct error *walk_native(struct unwinder *unwinder, const struct regs *regs,
			  struct native_stack *ret) __attribute__((warn_unused_result));

#endif
