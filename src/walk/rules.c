/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <endian.h>
#include <string.h>

#include "../cleanup.h"

#define EXPRESSION_MAX_OPS  1024  /* of one expression */
#define EXPRESSION_MAX_TIME 1024  /* operations executed in one step: expressions may jump back */
#define EXPRESSION_STACK    64

struct expression {
	Dwarf_Op *ops;
	size_t n;
};

struct rule {
	enum {
		RULE_UNDEFINED,
		RULE_SAME,
		RULE_SAVED,   /* at the address that the expression gives */
		RULE_VALUE,   /* what the expression gives */
		RULE_REGISTER /* in another register */
	} kind;
	unsigned reg;
	struct expression expression;
};

struct rules {
	bool signal;
	unsigned ra;
	struct expression cfa;
	struct rule r[FRAME_REGS];
};

bool rules_signal(const struct rules *rules)
{
	return rules->signal;
}

// An ELF file in memory with one section, which is all that libdw wants to see of a module.
static struct error *wrap(const struct buf *frames, uint16_t machine, struct buf *ret)
{
	static const char names[] = "\0.eh_frame\0.shstrtab";
	_cleanup_(buf_deinit) struct buf buf = {};
	size_t frames_at = sizeof(Elf64_Ehdr), names_at = frames_at + frames->len;
	size_t headers_at = (names_at + sizeof(names) + 7) & ~(size_t)7;
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = htole16(ET_DYN),
		.e_machine = htole16(machine),
		.e_version = htole32(EV_CURRENT),
		.e_shoff = htole64(headers_at),
		.e_ehsize = htole16(sizeof(Elf64_Ehdr)),
		.e_shentsize = htole16(sizeof(Elf64_Shdr)),
		.e_shnum = htole16(3),
		.e_shstrndx = htole16(2),
	};
	Elf64_Shdr sections[3] = {
		{},
		{ .sh_name = htole32(1),
		  .sh_type = htole32(SHT_PROGBITS),
		  .sh_flags = htole64(SHF_ALLOC),
		  .sh_addr = htole64(frames_at),
		  .sh_offset = htole64(frames_at),
		  .sh_size = htole64(frames->len),
		  .sh_addralign = htole64(8) },
		{ .sh_name = htole32(11),
		  .sh_type = htole32(SHT_STRTAB),
		  .sh_offset = htole64(names_at),
		  .sh_size = htole64(sizeof(names)),
		  .sh_addralign = htole64(1) },
	};

	buf_add(&buf, &eh, sizeof(eh));
	buf_add(&buf, frames->data, frames->len);
	buf_add(&buf, names, sizeof(names));
	buf_align(&buf, 8);
	buf_add(&buf, sections, sizeof(sections));
	struct error *err = buf_error(&buf);
	if (!err)
		*ret = TAKE(buf);
	return err;
}

static bool keep(struct arena *arena, const Dwarf_Op *ops, size_t n, struct expression *ret)
{
	if (!n || n > EXPRESSION_MAX_OPS)
		return false;
	ret->ops = arena_memdup(arena, ops, n * sizeof(*ops));
	ret->n = n;
	return ret->ops != NULL;
}

static bool read_rule(Dwarf_Frame *frame, unsigned reg, struct arena *arena, struct rule *ret)
{
	Dwarf_Op mem[3], *ops;
	size_t n;

	if (dwarf_frame_register(frame, (int)reg, mem, &ops, &n) != 0)
		return false;
	if (!n) {
		ret->kind = ops ? RULE_UNDEFINED : RULE_SAME;
		return true;
	}
	if (n == 1 && (ops[0].atom == DW_OP_regx ||
		       (ops[0].atom >= DW_OP_reg0 && ops[0].atom <= DW_OP_reg31))) {
		uint64_t other = ops[0].atom == DW_OP_regx ? ops[0].number :
							     ops[0].atom - (uint64_t)DW_OP_reg0;

		ret->kind = RULE_REGISTER;
		ret->reg = other < FRAME_REGS ? (unsigned)other : FRAME_REGS;
		return true;
	}
	ret->kind = RULE_SAVED;
	if (ops[n - 1].atom == DW_OP_stack_value) {
		ret->kind = RULE_VALUE;
		n--;
	}
	return keep(arena, ops, n, &ret->expression);
}

static bool read_rules(Dwarf_Frame *frame, unsigned ra, struct arena *arena, struct rules *ret)
{
	Dwarf_Op *ops;
	size_t n;
	bool signal;

	if (dwarf_frame_info(frame, NULL, NULL, &signal) < 0 ||
	    dwarf_frame_cfa(frame, &ops, &n) != 0 || !keep(arena, ops, n, &ret->cfa))
		return false;
	ret->signal = signal;
	ret->ra = ra;
	for (unsigned reg = 0; reg < FRAME_REGS; reg++)
		if (!read_rule(frame, reg, arena, &ret->r[reg]))
			return false;
	return true;
}

struct error *rules_make(const struct cfi_entry *entry, uint16_t machine, taddr pc,
			 struct arena *arena, struct rules **ret)
{
	_cleanup_(buf_deinit) struct buf frames = {};
	_cleanup_(buf_deinit) struct buf file = {};
	size_t fde;
	struct error *err = cfi_entry_write(entry, &frames, &fde);

	err = err ? err : wrap(&frames, machine, &file);
	if (err)
		return err;
	struct rules *rules = arena_alloc(arena, sizeof(*rules));
	if (!rules)
		return error_nomem();

	*ret = NULL;
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)file.data, file.len);
	Dwarf_CFI *cfi = elf ? dwarf_getcfi_elf(elf) : NULL;
	Dwarf_Frame *frame = NULL;
	if (cfi && entry->ra < FRAME_REGS && dwarf_cfi_addrframe(cfi, pc, &frame) == 0 &&
	    read_rules(frame, entry->ra, arena, rules))
		*ret = rules;
	free(frame);
	if (cfi)
		dwarf_cfi_end(cfi);
	elf_end(elf);
	return NULL;
}

struct evaluation {
	const struct frame_regs *regs;
	const struct mem *mem;
	taddr cfa, fault;
	uint64_t stack[EXPRESSION_STACK];
	unsigned n, time;
	enum rules_result result; /* why it failed */
};

static bool fail(struct evaluation *e, enum rules_result result)
{
	e->result = result;
	return false;
}

static bool push(struct evaluation *e, uint64_t v)
{
	if (e->n == EXPRESSION_STACK)
		return fail(e, RULES_BAD);
	e->stack[e->n++] = v;
	return true;
}

static bool read_word(struct evaluation *e, taddr at, unsigned size, uint64_t *ret)
{
	uint64_t v = 0;
	size_t got = mem_read_some(e->mem, at, &v, size);

	if (got != size) {
		e->fault = at + got;
		return fail(e, RULES_MISSING);
	}
	*ret = le64toh(v);
	return true;
}

static bool push_register(struct evaluation *e, uint64_t reg, uint64_t offset)
{
	uint64_t v;

	if (reg >= FRAME_REGS || !frame_reg(e->regs, (unsigned)reg, &v))
		return fail(e, RULES_MISSING);
	return push(e, v + offset);
}

static uint64_t shift(unsigned op, uint64_t a, uint64_t b)
{
	if (op == DW_OP_shra) {
		bool negative = a >> 63;

		a = negative ? ~a : a;
		a = b < 64 ? a >> b : 0;
		return negative ? ~a : a;
	}
	if (b >= 64)
		return 0;
	return op == DW_OP_shl ? a << b : a >> b;
}

static bool binary(struct evaluation *e, unsigned op)
{
	if (e->n < 2)
		return fail(e, RULES_BAD);
	uint64_t b = e->stack[--e->n], a = e->stack[--e->n];
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case DW_OP_and:
		return push(e, a & b);
	case DW_OP_or:
		return push(e, a | b);
	case DW_OP_xor:
		return push(e, a ^ b);
	case DW_OP_plus:
		return push(e, a + b);
	case DW_OP_minus:
		return push(e, a - b);
	case DW_OP_mul:
		return push(e, a * b);
	case DW_OP_div:
		if (!b)
			return fail(e, RULES_BAD);
		// The one quotient that does not fit wraps.
		return push(e, sb == -1 ? 0 - a : (uint64_t)(sa / sb));
	case DW_OP_mod:
		return b ? push(e, a % b) : fail(e, RULES_BAD);
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra:
		return push(e, shift(op, a, b));
	case DW_OP_le:
		return push(e, sa <= sb);
	case DW_OP_ge:
		return push(e, sa >= sb);
	case DW_OP_lt:
		return push(e, sa < sb);
	case DW_OP_gt:
		return push(e, sa > sb);
	case DW_OP_eq:
		return push(e, sa == sb);
	default:
		return push(e, sa != sb); // DW_OP_ne
	}
}

// Operations on the stack alone.
static bool rearrange(struct evaluation *e, const Dwarf_Op *op)
{
	unsigned need = op->atom == DW_OP_rot ? 3 : op->atom == DW_OP_swap ? 2 : 1;
	uint64_t *top = e->stack + e->n;
	uint64_t v;

	if (e->n < need)
		return fail(e, RULES_BAD);
	switch (op->atom) {
	case DW_OP_dup:
		return push(e, top[-1]);
	case DW_OP_drop:
		e->n--;
		return true;
	case DW_OP_over:
	case DW_OP_pick: {
		uint64_t depth = op->atom == DW_OP_over ? 1 : op->number;

		return depth < e->n ? push(e, e->stack[e->n - 1 - depth]) : fail(e, RULES_BAD);
	}
	case DW_OP_swap:
		v = top[-1];
		top[-1] = top[-2];
		top[-2] = v;
		return true;
	case DW_OP_rot:
		v = top[-1];
		top[-1] = top[-2];
		top[-2] = top[-3];
		top[-3] = v;
		return true;
	case DW_OP_abs:
		top[-1] = top[-1] >> 63 ? 0 - top[-1] : top[-1];
		return true;
	case DW_OP_neg:
		top[-1] = 0 - top[-1];
		return true;
	case DW_OP_not:
		top[-1] = ~top[-1];
		return true;
	case DW_OP_deref:
		return read_word(e, top[-1], 8, &top[-1]);
	case DW_OP_deref_size:
		return op->number >= 1 && op->number <= 8 ?
			       read_word(e, top[-1], (unsigned)op->number, &top[-1]) :
			       fail(e, RULES_BAD);
	default: // DW_OP_plus_uconst
		top[-1] += op->number;
		return true;
	}
}

static bool execute(struct evaluation *e, const Dwarf_Op *op)
{
	unsigned atom = op->atom;

	if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31)
		return push(e, atom - DW_OP_lit0);
	if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31)
		return push_register(e, atom - DW_OP_breg0, op->number);
	switch (atom) {
	case DW_OP_nop:
		return true;
	case DW_OP_addr:
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_const4u:
	case DW_OP_const4s:
	case DW_OP_const8u:
	case DW_OP_const8s:
	case DW_OP_constu:
	case DW_OP_consts:
		return push(e, op->number); // libdw has extended the sign
	case DW_OP_bregx:
		return push_register(e, op->number, op->number2);
	case DW_OP_call_frame_cfa:
		return e->cfa ? push(e, e->cfa) : fail(e, RULES_BAD);
	case DW_OP_dup:
	case DW_OP_drop:
	case DW_OP_over:
	case DW_OP_pick:
	case DW_OP_swap:
	case DW_OP_rot:
	case DW_OP_abs:
	case DW_OP_neg:
	case DW_OP_not:
	case DW_OP_deref:
	case DW_OP_deref_size:
	case DW_OP_plus_uconst:
		return rearrange(e, op);
	case DW_OP_and:
	case DW_OP_or:
	case DW_OP_xor:
	case DW_OP_plus:
	case DW_OP_minus:
	case DW_OP_mul:
	case DW_OP_div:
	case DW_OP_mod:
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra:
	case DW_OP_le:
	case DW_OP_ge:
	case DW_OP_lt:
	case DW_OP_gt:
	case DW_OP_eq:
	case DW_OP_ne:
		return binary(e, atom);
	default:
		return fail(e, RULES_BAD);
	}
}

// Where a jump at operation I leads: jumps count bytes from the end of their 3.
static bool jump(struct evaluation *e, const struct expression *x, size_t i, size_t *ret)
{
	uint64_t to = x->ops[i].offset + 3 + (uint64_t)(int64_t)(int16_t)x->ops[i].number;
	const Dwarf_Op *last = &x->ops[x->n - 1];

	for (size_t k = 0; k < x->n; k++) {
		if (x->ops[k].offset == to && x->ops[k].atom != DW_OP_call_frame_cfa) {
			*ret = k;
			return true;
		}
	}
	// Behind the last operation is the end.
	if (to <= last->offset)
		return fail(e, RULES_BAD);
	*ret = x->n;
	return true;
}

static bool evaluate(struct evaluation *e, const struct expression *x, uint64_t *ret)
{
	e->n = 0;
	for (size_t i = 0; i < x->n;) {
		const Dwarf_Op *op = &x->ops[i];

		if (++e->time > EXPRESSION_MAX_TIME)
			return fail(e, RULES_BAD);
		if (op->atom == DW_OP_skip || op->atom == DW_OP_bra) {
			bool taken = true;

			if (op->atom == DW_OP_bra) {
				if (!e->n)
					return fail(e, RULES_BAD);
				taken = e->stack[--e->n] != 0;
			}
			if (!taken)
				i++;
			else if (!jump(e, x, i, &i))
				return false;
			continue;
		}
		if (!execute(e, op))
			return false;
		i++;
	}
	if (!e->n)
		return fail(e, RULES_BAD);
	*ret = e->stack[e->n - 1];
	return true;
}

// The caller's value of register REG; false when it cannot be had.
static bool recover(struct evaluation *e, const struct rules *rules, unsigned reg, uint64_t *ret)
{
	const struct rule *rule = &rules->r[reg];
	uint64_t v;

	switch (rule->kind) {
	case RULE_SAME:
		return frame_reg(e->regs, reg, ret) || fail(e, RULES_MISSING);
	case RULE_REGISTER:
		return frame_reg(e->regs, rule->reg, ret) || fail(e, RULES_MISSING);
	case RULE_VALUE:
		return evaluate(e, &rule->expression, ret);
	case RULE_SAVED:
		return evaluate(e, &rule->expression, &v) && read_word(e, v, 8, ret);
	default:
		return fail(e, RULES_MISSING);
	}
}

enum rules_result rules_apply(const struct rules *rules, const struct mem *mem, unsigned sp,
			      taddr pc_mask, struct frame_regs *regs, taddr *cfa_ret,
			      taddr *fault_ret)
{
	struct evaluation e = { .regs = regs, .mem = mem };
	struct frame_regs caller = {};
	uint64_t cfa, ra;

	*cfa_ret = *fault_ret = 0;
	// Without a caller there need be no CFA either.
	bool root = rules->r[rules->ra].kind == RULE_UNDEFINED;
	if (!evaluate(&e, &rules->cfa, &cfa)) {
		*fault_ret = e.fault;
		return root ? RULES_ROOT : e.result;
	}
	*cfa_ret = e.cfa = cfa;
	if (root)
		return RULES_ROOT;
	if (!recover(&e, rules, rules->ra, &ra)) {
		*fault_ret = e.fault;
		return e.result;
	}
	// What else cannot be had is not known in the caller; it may never be needed.
	for (unsigned reg = 0; reg < FRAME_REGS; reg++) {
		uint64_t v;

		if (reg == sp && rules->r[reg].kind <= RULE_SAME)
			frame_reg_set(&caller, reg, cfa);
		else if (recover(&e, rules, reg, &v))
			frame_reg_set(&caller, reg, v);
	}
	caller.pc = ra & pc_mask;
	frame_reg_set(&caller, rules->ra, ra);
	*regs = caller;
	return RULES_STEPPED;
}
