/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_BULK_H
#define PCATCH_CAPTURE_BULK_H

#include "../live/errand.h"
#include "../live/tracer.h"
#include "../target/snapshot.h"

/*
 * The whole memory of a process that is held: what it wrote to goes straight into a file, through
 * a buffer of fixed size. Nothing is made a copy of that the process would have to pay for, and no
 * page is touched that is not there. It ends when all is copied or the limit is reached; before that
 * when nothing moves for BULK_STALL, after BULK_HOLD, and when somebody kills the process or asks us
 * to end.
 */

#define BULK_LIMIT (UINT64_C(4) << 30) /* where the user names none */
#define BULK_STALL INT64_C(5000000000)
#define BULK_HOLD  INT64_C(60000000000)

/* Where it goes to. What may block is called by another thread, while the calling one waits. */
struct bulk_options {
	uint64_t limit; /* bytes, of the file too */
	uint64_t start; /* where in the file the memory begins, in whole pages */
	/* A new file without a name; -1 and errno. */
	int (*open)(const void *data);
	/* All LEN bytes at offset AT, zeros as holes: 0, or -1 and errno. */
	int (*write)(int fd, uint64_t at, const void *bytes, size_t len);
	/* Now and then while the process is held, and at the end; TOTAL is 0 while it is unknown. */
	void (*progress)(const void *data, uint64_t done, uint64_t total);
	const void *data;
};

struct bulk_copy;

/*
 * Copy the memory of PROCESS, which is held, and whose stacks in SNAPSHOT come first. One that LIVES
 * on keeps swapped out what is: it may have no room for it. *ERRAND does it; it is NULL afterwards
 * when it had to be given up. NULL: no memory for it.
 */
struct bulk_copy *bulk_take(struct errand **errand, const struct traced *process, bool lives,
			    const struct bulk_options *options, const struct snapshot *snapshot);

/* After the process was let go: what has become of it is put into SNAPSHOT. COPY is consumed. */
struct error *bulk_finish(struct bulk_copy *copy, struct snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
