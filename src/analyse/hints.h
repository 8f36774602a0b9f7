/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_HINTS_H
#define PCATCH_ANALYSE_HINTS_H

#include "findings.h"

/*
 * Read the logs of FINDINGS->snapshot for what the process and those around it wrote of its end:
 * fills findings->hints. Lines marked with another pid are told apart; what stands in a line is
 * what somebody wrote, no more.
 */
struct error *hints_find(struct findings *findings) __attribute__((warn_unused_result));

/* The pids that lines of the logs are marked with, the first MAX that are different; how many. */
size_t hints_pids(const struct snapshot *snapshot, pid_t *ret, size_t max);

/* The author of line LINE of log LOG; UNKNOWN too when nobody looked. */
enum author hints_author(const struct findings *findings, size_t log, size_t line);

#endif
