/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_FAULT_H
#define PCATCH_ANALYSE_FAULT_H

#include "findings.h"

/*
 * The fault that ended SNAPSHOT's process, or the first one when a handler took it and raised it
 * again: class, address, operand, the instructions around it, one sentence. A signal that somebody
 * sent is no fault (RET->present stays false), but for an abort() of its own. MEM has the code;
 * FUNCTION_START is where the function at the thread's pc begins, 0 when unknown. Texts are put
 * into ARENA; `message` is left NULL.
 */
struct error *fault_explain(const struct snapshot *snapshot, const struct mem *mem,
			    taddr function_start, struct arena *arena, struct fault *ret)
	__attribute__((warn_unused_result));

/* The pc whose function's start fault_explain() wants; 0 when there is no fault to explain. */
taddr fault_pc(const struct snapshot *snapshot);

#endif
