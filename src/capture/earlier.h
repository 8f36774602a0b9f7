/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_EARLIER_H
#define PCATCH_CAPTURE_EARLIER_H

#include "../target/snapshot.h"

/*
 * The signals that a process had before its end, which may be the beginning of the story of it. Equal
 * ones are counted; of the others the newest stay, so that memory is bounded however long it takes.
 */

#define EARLIER_MAX 64

struct earlier {
	struct earlier_item {
		struct arena arena; /* of its own, so that the oldest can be given up */
		struct signal_event event;
	} v[EARLIER_MAX]; /* by time of their first */
	size_t n;
	uint64_t dropped; /* signals, not kinds */
};

/* Zeroed is empty. */
void earlier_deinit(struct earlier *earlier);

/* INFO came again, with DISPOSITION, and is counted; false when it is the first like this. */
bool earlier_again(struct earlier *earlier, const struct signal_info *info, int disposition,
		   int64_t now);

/* Add EVENT, which is copied. */
struct error *earlier_add(struct earlier *earlier, const struct signal_event *event)
	__attribute__((warn_unused_result));

/* Copy all into SNAPSHOT's death. */
struct error *earlier_copy(const struct earlier *earlier, struct snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
