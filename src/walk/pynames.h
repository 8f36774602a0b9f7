/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYNAMES_H
#define PCATCH_WALK_PYNAMES_H

#include "pyframe.h"

/*
 * The names that the module threading of the interpreter at INTERPRETER has for its threads, put
 * into those of STATE that are of interpreter ID. Nothing is done where it was never imported. With
 * the reader's `touch_only` only what is needed for it is read. What does not hold is an error,
 * before which some may have got their names.
 */
struct error *py_names_read(struct py_frames *f, taddr interpreter, int64_t id,
			    struct py_state *state) __attribute__((warn_unused_result));

#endif
