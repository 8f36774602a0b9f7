/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_SANDBOX_H
#define PCATCH_SANDBOX_H

#include <stdbool.h>

#include "buf.h"

/*
 * Work on what strangers made: a process's memory, its binaries, a dump from the mail. It is done
 * in a child that has given up what it does not need: it opens files for reading, it answers
 * through one pipe, and it can neither write, nor run a program, nor reach a network or another
 * process; its memory and its time have ends. Where libseccomp is at work the kernel holds it to
 * that; the limits hold everywhere.
 */

#define SANDBOX_SECONDS 60 /* for an analysis */
#define SANDBOX_MEMORY	(UINT64_C(1) << 30) /* of its own, beside what INPUT bytes take */
#define SANDBOX_ANSWER	(UINT64_C(1) << 30) /* the longest answer */

typedef struct error *sandbox_work(void *arg, struct buf *ret);

/*
 * WORK(ARG) in a child that has our memory as it is now, for at most SECONDS; its answer or its
 * error is ours. When the child dies or runs out of time, *STOPPED_RET is set and the error says
 * how that went.
 */
struct error *sandbox_call(sandbox_work *work, void *arg, uint64_t input, int seconds,
			   struct buf *ret, bool *stopped_ret) __attribute__((warn_unused_result));

/*
 * The same for fetching files from others: WORK may reach the network and write files, none longer
 * than SIZE. It gets no privileges, and its memory and its time have ends.
 */
struct error *sandbox_fetch(sandbox_work *work, void *arg, uint64_t size, int seconds,
			    struct buf *ret, bool *stopped_ret) __attribute__((warn_unused_result));

#endif
