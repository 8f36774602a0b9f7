/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_FULLCORE_H
#define PCATCH_FULLCORE_H

#include "capture/bulk.h"
#include "options.h"
#include "store/file.h"

/* A core with the whole memory, copied while the process is held and made a core afterwards. */

struct fullcore {
	struct bulk_options bulk; /* for a capture */
	const struct store *store;
	const char *doing;  /* "full core" */
	bool line, words;   /* progress is shown on one line of a terminal; as lines that stay */
	int64_t said;	    /* when something was, CLOCK_MONOTONIC; 0: nothing yet */
};

/* Prepare for captures whose memory goes into STORE. All is borrowed; RET must stay where it is. */
void fullcore_init(struct fullcore *ret, const struct store *store, const struct options *options);

/*
 * Make of the file that a capture left in SNAPSHOT the core NAME.core in STORE, or NAME.core.zst.
 * PATH_RET is malloc'ed. The file is taken out of SNAPSHOT in any case.
 */
struct error *fullcore_write(const struct store *store, const char *name,
			     const struct options *options, struct snapshot *snapshot,
			     char **path_ret) __attribute__((warn_unused_result));

#endif
