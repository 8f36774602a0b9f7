/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_CALLS_H
#define PCATCH_ANALYSE_CALLS_H

#include "findings.h"

/*
 * The system call that THREAD is in, as name ("write") and as text with its arguments where the
 * call is a common one ("write(7, 0x7f3c5a0010c0, 24)"). Both NULL when it is in none.
 */
struct error *call_describe(const struct thread *thread, const struct mem *mem,
			    struct arena *arena, char **name_ret, char **text_ret)
	__attribute__((warn_unused_result));

#endif
