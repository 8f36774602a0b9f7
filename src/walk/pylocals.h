/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYLOCALS_H
#define PCATCH_WALK_PYLOCALS_H

#include "pyobject.h"
#include "python.h"

/*
 * The variables of the frame at FRAME, which runs the code object at CODE, in the order of the
 * code: arguments, local variables, cells and free variables that are bound. Of a module and
 * of a class body they are what the namespace holds, without what a module has beside its
 * variables: other modules, functions, classes and names of the form __x__.
 *
 * With HIDE what smells of a secret is "[redacted]". With the reader's `touch_only` RET stays
 * empty. A variable that cannot be read is told in its place; where the list itself cannot, that
 * is ERROR_INPUT or ERROR_FAULT, and ERROR_UNSUPPORTED at a bound.
 */
struct error *py_frame_locals(struct py_reader *reader, taddr frame, taddr code, bool hide,
			      struct arena *arena, py_locals *ret)
	__attribute__((warn_unused_result));

#endif
