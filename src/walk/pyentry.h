/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYENTRY_H
#define PCATCH_WALK_PYENTRY_H

#include "pylayout.h"
#include "python.h"

/*
 * Fill in `on_c_stack` of the frames of THREAD, of an interpreter with LAYOUT, from the list of
 * structures that 3.10 and 3.11 keep on the C stack, one in each eval loop. What does not hold
 * leaves them unknown. Nothing is done for other versions.
 */
void py_entries_place(const struct mem *mem, const struct py_layout *layout,
		      struct py_thread *thread);

#endif
