/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_RULES_H
#define PCATCH_WALK_RULES_H

#include "cfi.h"

/*
 * One step of an unwind by libdw's reading of CFI: the rules that hold at an address, and what the
 * caller's registers are by them. Works for any architecture libdw knows, whatever the host's.
 */

/* General registers by DWARF number. */
#define FRAME_REGS 33

struct frame_regs {
	uint64_t r[FRAME_REGS];
	uint64_t valid; /* bit n: r[n] is known */
	taddr pc;
};

static inline bool frame_reg(const struct frame_regs *regs, unsigned n, uint64_t *ret)
{
	if (n >= FRAME_REGS || !(regs->valid >> n & 1))
		return false;
	*ret = regs->r[n];
	return true;
}

static inline void frame_reg_set(struct frame_regs *regs, unsigned n, uint64_t v)
{
	regs->r[n] = v;
	regs->valid |= (uint64_t)1 << n;
}

struct rules; /* lives in the arena that it was made in */

/*
 * The rules that ENTRY, of a program for MACHINE (EM_*), has for address PC. NULL in *ret when
 * libdw refuses them.
 */
struct error *rules_make(const struct cfi_entry *entry, uint16_t machine, taddr pc,
			 struct arena *arena, struct rules **ret)
	__attribute__((warn_unused_result));

enum rules_result {
	RULES_STEPPED,
	RULES_ROOT,    /* the return address is said to be undefined: there is no caller */
	RULES_MISSING, /* memory or a register is not there */
	RULES_BAD,     /* they make no sense */
};

/*
 * The caller of the frame with registers REGS, which become the caller's; SP is the number of the
 * stack pointer, PC_MASK what belongs to an address of code. *cfa_ret is set when the frame's CFA
 * is known, whatever the result, else 0; *fault_ret the address that could not be read, else 0.
 */
enum rules_result rules_apply(const struct rules *rules, const struct mem *mem, unsigned sp,
			      taddr pc_mask, struct frame_regs *regs, taddr *cfa_ret,
			      taddr *fault_ret);

/* A signal trampoline: its caller was interrupted at its pc. */
bool rules_signal(const struct rules *rules);

#endif
