/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_TESTIMONY_H
#define PCATCH_LIVE_TESTIMONY_H

#include "../target/kernlog.h"
#include "../target/snapshot.h"

/* The first bytes of what somebody wrote, clean, in ARENA; NULL when there is no memory. */
char *testimony_text(struct arena *arena, const char *s, size_t len);

/*
 * Put what TOLD says into SNAPSHOT's list, its texts copied and cleaned. Of one kind only the
 * newest are kept, so that nobody crowds out another: of one source, and the kernel's lines of the
 * pid.
 */
struct error *testimony_add(struct snapshot *snapshot, const struct testimony *told)
	__attribute__((warn_unused_result));

/*
 * The same for MESSAGE of the kernel's log, written as LINE, when it is about the pid, or a crash
 * of any process: that may be one of its threads.
 */
struct error *testimony_of_kernel(struct snapshot *snapshot, const char *where, int64_t at,
				  const char *line, const char *message)
	__attribute__((warn_unused_result));

/* The kernel's log was read, and goes back to AT; 0: not known how far. */
void testimony_kernel_since(struct snapshot *snapshot, int64_t at);

#endif
