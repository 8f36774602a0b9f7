/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyentry.h"

#include <endian.h>

struct cframe {
	taddr at, previous;
	taddr frame; /* the Python frame that runs in it; 0: it does not tell */
};

// False when there is none, which the outermost is: it is part of the thread state and no loop's.
static bool read_cframe(const struct mem *mem, const union py_offsets *o, taddr at,
			struct cframe *ret)
{
	struct cframe cframe = { .at = at };

	if (!at || mem_read_some(mem, at + o->cframe_previous, &cframe.previous, 8) != 8)
		return false;
	if (o->cframe_frame != PY_NONE &&
	    mem_read_some(mem, at + o->cframe_frame, &cframe.frame, 8) != 8)
		return false;
	cframe.previous = le64toh(cframe.previous);
	cframe.frame = le64toh(cframe.frame);
	*ret = cframe;
	return cframe.previous != 0;
}

// A structure that names its frame: the loop was entered for the next marked one outwards.
static void place_named(const struct mem *mem, const union py_offsets *o, taddr at,
			struct py_thread *thread)
{
	struct cframe cframe;
	size_t i = 0;

	for (size_t n = 0; n <= thread->frames.n && read_cframe(mem, o, at, &cframe); n++) {
		size_t k = i;

		while (k < thread->frames.n && thread->frames.v[k].address != cframe.frame)
			k++;
		while (k < thread->frames.n && !thread->frames.v[k].entry)
			k++;
		// One that is just being entered has no frame yet.
		if (k < thread->frames.n) {
			thread->frames.v[k].on_c_stack = at;
			i = k + 1;
		}
		at = cframe.previous;
	}
}

// One structure for each frame, and perhaps one more inside, for a frame not yet begun.
static void place_counted(const struct mem *mem, const union py_offsets *o, taddr at,
			  struct py_thread *thread)
{
	struct cframe cframe;
	size_t n = 0;

	for (taddr p = at; n <= thread->frames.n + 1 && read_cframe(mem, o, p, &cframe); n++)
		p = cframe.previous;
	if (n < thread->frames.n || n > thread->frames.n + 1)
		return;
	for (size_t skip = n - thread->frames.n, i = 0; i < n && read_cframe(mem, o, at, &cframe); i++) {
		if (i >= skip)
			thread->frames.v[i - skip].on_c_stack = at;
		at = cframe.previous;
	}
}

void py_entries_place(const struct mem *mem, const struct py_layout *layout,
		      struct py_thread *thread)
{
	const union py_offsets *o = &layout->offsets;
	taddr at;

	if (layout->entry == PY_ENTRY_SHIM || o->tstate_cframe == PY_NONE || !thread->frames.n ||
	    mem_read_some(mem, thread->tstate + o->tstate_cframe, &at, 8) != 8)
		return;
	if (o->cframe_frame == PY_NONE)
		place_counted(mem, o, le64toh(at), thread);
	else
		place_named(mem, o, le64toh(at), thread);
}
