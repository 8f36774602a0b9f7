/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_MERGE_H
#define PCATCH_ANALYSE_MERGE_H

#include "findings.h"

/* How a merge went. */
enum merge {
	MERGE_NONE,  /* there is no Python in this thread, or no native stack */
	MERGE_DONE,  /* every Python frame stands where its eval loop stood */
	MERGE_APART, /* the counts do not match: the result is the native stack alone */
};

/*
 * Whether a native function called NAME is CPython's eval loop of version VERSION
 * (PY_VERSION_HEX), clones of compilers (".cold", ".part.3", ".lto_priv.0") included.
 */
bool merge_is_eval_loop(const char *name, unsigned version);

/*
 * The frames that one thread has in two interpreters, in the order in which they called each
 * other; false in *ok_ret, and nothing done, when their places on the C stack do not tell it.
 */
struct error *merge_interpreters(struct arena *arena, const struct stack *one,
				 const struct stack *other, struct stack *ret, bool *ok_ret)
	__attribute__((warn_unused_result));

/*
 * Put the Python frames into the native stack, in the place of the eval loops that run them.
 * Frames of CPython's call machinery between two eval loops are left out; everything else stays.
 * Both stacks are innermost first; native frames with `eval_loop` belong to eval loops, and what
 * was inlined into a frame stands before it. RET shares strings, and may share NATIVE's frames.
 * WHY_RET says, for MERGE_APART, in what they differ.
 */
struct error *merge_stacks(struct arena *arena, const struct stack *native,
			   const struct stack *python, struct stack *ret, enum merge *how_ret,
			   char **why_ret) __attribute__((warn_unused_result));

#endif
