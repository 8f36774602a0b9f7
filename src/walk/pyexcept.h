/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYEXCEPT_H
#define PCATCH_WALK_PYEXCEPT_H

#include "pyframe.h"

/*
 * The exception that the interpreter at INTERPRETER has last printed because nobody caught it
 * (sys.last_exc, or sys.last_value before 3.12), with what it came of; *RET is NULL when there
 * is none. With `touch_only` what a later call reads is touched, and *RET stays NULL. What does
 * not hold is an error, or where something of it was read already, its gap.
 */
struct error *py_last_exception(struct py_frames *f, taddr interpreter, struct py_exception **ret)
	__attribute__((warn_unused_result));

/*
 * What the thread with the state at TSTATE is doing about exceptions: the one that it handles, as
 * sys.exc_info() has it, and the one that is on its way to whoever will. NULL for none, and with
 * `touch_only`. In 2.7 a function handles what it last caught until it returns.
 */
struct error *py_thread_exceptions(struct py_frames *f, taddr tstate,
				   struct py_exception **handled_ret,
				   struct py_exception **raised_ret)
	__attribute__((warn_unused_result));

#endif
