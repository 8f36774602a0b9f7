/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_AFTERMATH_H
#define PCATCH_ANALYSE_AFTERMATH_H

#include "findings.h"

/*
 * Put together what an autopsy has found: who has the pid now, between which moments the process
 * ended, and which of the lines of logs and of the kernel are about this end and not about an older
 * owner of the pid. Fills findings->aftermath; hints and python must be there. Nothing is done for
 * a snapshot that is no autopsy.
 */
void aftermath_find(struct findings *findings);

/* When that was: where TOLD has no time of its own, the one in its text; 0 unknown. */
int64_t aftermath_time(const struct snapshot *snapshot, const struct testimony *told);

#endif
