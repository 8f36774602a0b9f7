/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_CALLSITE_H
#define PCATCH_WALK_CALLSITE_H

#include "../target/arch.h"
#include "../target/mem.h"

/*
 * What leads to a return address, told by the bytes of the code around it. Whether there is code
 * at all is for the caller to know.
 */

enum call { CALL_NO, CALL_YES, CALL_UNKNOWN /* the code cannot be had */ };

/* Does the instruction that ends at AT call something? */
enum call callsite_before(const struct mem *mem, enum arch_id arch, taddr at);

/* Is AT where a signal handler returns to: code that does nothing but call sigreturn? */
bool callsite_is_trampoline(const struct mem *mem, enum arch_id arch, taddr at);

#endif
