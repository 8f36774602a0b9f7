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

#endif
