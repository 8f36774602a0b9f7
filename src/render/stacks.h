/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_STACKS_H
#define PCATCH_RENDER_STACKS_H

#include "../analyse/findings.h"
#include "page.h"

/*
 * Frames that are equal in all they say have one number. Serves folding of recursion, grouping of
 * threads, and JSON, where each distinct frame is made once. All zero is empty; borrows the frames.
 */
struct frame_set {
	struct arena arena;
	void *tree;
	LIST(const struct frame *) frames; /* by number */
	bool with_locals; /* variables are among what they say */
};

void frame_set_deinit(struct frame_set *set);

/* The number of FRAME; SIZE_MAX when there is no memory. */
size_t frame_set_add(struct frame_set *set, const struct frame *frame);

/* "connect+0x1c", "Server.stream"; never empty. */
char *frame_function(struct arena *arena, const struct frame *frame)
	__attribute__((warn_unused_result));

/* "/srv/app.py:31", "libc.so.6 write.c:26", "libfoo.so+0x1234"; with BRIEF never a native path. */
char *frame_place(struct arena *arena, const struct frame *frame, bool brief)
	__attribute__((warn_unused_result));

/*
 * STACK as lines of PAGE, innermost first and numbered, recursion folded, at most about MAX
 * lines: what is left out is counted in a line of its own.
 */
void stacks_print(struct page *page, const struct stack *stack, size_t max);

/* Every thread but SKIP (may be NULL) as lines of PAGE: equal stacks once, idle pools last. */
void stacks_print_threads(struct page *page, const struct findings *findings,
			  const struct thread_findings *skip);

/* "4242 python3 / MainThread" */
char *stacks_thread_name(struct arena *arena, const struct thread_findings *thread)
	__attribute__((warn_unused_result));

#endif
