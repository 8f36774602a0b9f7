/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_GIL_H
#define PCATCH_ANALYSE_GIL_H

#include "findings.h"

/*
 * Does a thread with this native stack wait for the GIL of the interpreter in module LIBRARY? The
 * functions say it that stand between the thread and what it was doing; false when they do not
 * have names, and *ret is untouched.
 */
bool gil_wait(const struct stack *native, const char *library, bool *ret);

#endif
