/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYTASKS_H
#define PCATCH_WALK_PYTASKS_H

#include "pyframe.h"

/*
 * The asyncio tasks of the interpreter at INTERPRETER that have not ended, appended to STATE,
 * whose threads with their frames are there already: what a running task is at, is on the stack of
 * its thread. From 3.14 on they are in rings of the interpreter and of its TSTATES, else, or when
 * they are no tasks of the C module, in sets of the module asyncio.tasks.
 *
 * With the reader's `touch_only` STATE gets nothing. What cannot be read of a task is its gap, and
 * what cannot be read of the list one of STATE; the only error is lack of memory.
 */
struct error *py_tasks_walk(struct py_frames *f, taddr interpreter, const taddr *tstates,
			    size_t n_tstates, struct py_state *state)
	__attribute__((warn_unused_result));

#endif
