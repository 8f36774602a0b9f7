/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_DECODE_H
#define PCATCH_ANALYSE_DECODE_H

#include "findings.h"

/* A place in memory that an instruction uses. */
struct operand {
	char *text;	/* "[rax + 8] with rax = 0x0 -> 0x8" */
	bool known;	/* address is; it may depend on registers that were not captured */
	taddr address;
	unsigned size;	/* bytes, at least 1 */
	enum access access;
	uint64_t registers[2]; /* base and index, as far as there are some */
	unsigned n_registers;
};

/* One instruction with the registers' values it would be executed with. */
struct decoded {
	char *text; /* "mov rax, qword ptr [rax + 8]" */
	unsigned len;
	struct operand operands[4]; /* in memory, implicit ones (the stack) included */
	unsigned n_operands;
	bool jumps;	   /* goes to another place: call, jump or return */
	bool target_known; /* ... which is `target` */
	taddr target;
	bool returns;	   /* the target comes from the stack */
	bool privileged;   /* only the kernel may execute it */
	bool aligned;	   /* its operands must be aligned to their size */
	bool divides;
	bool divisor_known;
	uint64_t divisor;
	char *divisor_text; /* "ecx = 0x0", NULL: unknown */
};

/*
 * Decode the instruction at PC, whose bytes MEM has. False when there are none or they are no
 * instruction. Texts are put into ARENA.
 */
struct error *decode(const struct regs *regs, const struct mem *mem, taddr pc, struct arena *arena,
		     struct decoded *ret, bool *found_ret) __attribute__((warn_unused_result));

/*
 * The instructions around PC: up to five before and five behind. START is where the function
 * begins, 0 when unknown: then, where instructions have different lengths, the ones before PC
 * are those that lead to it.
 */
struct error *decode_around(const struct arch *arch, const struct mem *mem, taddr pc, taddr start,
			    struct arena *arena, struct fault *ret)
	__attribute__((warn_unused_result));

#endif
