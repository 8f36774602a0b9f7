/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_RESIDENCE_H
#define PCATCH_LIVE_RESIDENCE_H

#include <stdatomic.h>

#include "../target/mem.h"

/*
 * Which memory a process has of its own: pages that it wrote to, and memory that it shares under
 * no name in a file system. Found out by asking the kernel, without touching a page. Not among them
 * are pages that were never touched, what mapped files hold anyway, devices, and what the program
 * asked not to be dumped (madvise(2), MADV_DONTDUMP).
 */

struct residence_mapping {
	taddr start, end;
	char permissions[5];
	size_t first_run, n_runs;
	uint64_t resident; /* bytes of its runs that are not swapped out */
};

/* Whole pages, one behind the other in one mapping. */
struct residence_run {
	taddr at;
	uint64_t len;
	bool swapped;
	/* Between the run before, of the same mapping, and it are but pages that read as zeros. */
	bool follows;
};

struct residence {
	LIST(struct residence_mapping) mappings; /* by address; each has a run */
	LIST(struct residence_run) runs;	 /* by address */
	uint64_t resident, swapped, unwanted;	 /* bytes; the last are of MADV_DONTDUMP */
	size_t unseen; /* mappings that could not be looked through */
	bool cut;	  /* there is more than could be noted */
	struct arena arena;
};

/*
 * Read smaps and pagemap below PROC_DIR ("/proc/PID") of a process that is held. BEAT counts while
 * it goes on.
 */
struct error *residence_read(int proc_dir, _Atomic uint64_t *beat, struct residence *ret)
	__attribute__((warn_unused_result));
void residence_deinit(struct residence *residence);

#endif
