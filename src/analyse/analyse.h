/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_ANALYSE_H
#define PCATCH_ANALYSE_ANALYSE_H

#include "findings.h"

/*
 * From a snapshot to findings: stacks unwound, named and merged, the fault explained, the verdict
 * given. Needs no process. SNAPSHOT is borrowed and must outlive RET.
 */
struct error *analyse(const struct snapshot *snapshot, struct findings *ret)
	__attribute__((warn_unused_result));

/*
 * What can be said without following anything through memory or opening a file: for when the
 * analysis itself was stopped, because of WHY. Stacks are empty, and that is a gap.
 */
struct error *analyse_plain(const struct snapshot *snapshot, const char *why,
			    struct findings *ret) __attribute__((warn_unused_result));

#endif
