/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_VERDICT_H
#define PCATCH_ANALYSE_VERDICT_H

#include "findings.h"

/*
 * Say why it ended: fills findings->verdict, and adds to findings->gaps what would have told more.
 * Everything else in FINDINGS must be there: stacks, fault, python (python_from_logs() included).
 * There always is a verdict; "unknown" is one.
 */
struct error *verdict_judge(struct findings *findings) __attribute__((warn_unused_result));

#endif
