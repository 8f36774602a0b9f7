/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYEND_H
#define PCATCH_WALK_PYEND_H

#include "image.h"

/*
 * How an interpreter ends: the functions that take it down, and whether they have.
 */

/* As many functions that take an interpreter down without coming to another of them. */
#define PY_FINALIZERS 3

/*
 * Where the finalizers of the interpreter at HINT are, or, when that was not found, those of the
 * module that looks like one: the executable or a library that is called python. 0 for what
 * there is not.
 */
void python_finalizers(struct images *images, const struct python_hint *hint,
		       taddr ret[PY_FINALIZERS]);

/* No interpreter is left in the runtime that HINT found while there was one. */
bool python_is_gone(const struct mem *mem, const struct python_hint *hint);

#endif
