/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decode.h"

#include <ctype.h>
#include <endian.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "disassembler.h"

#define AROUND	     5
#define MAX_INSN     16
#define LONGEST_LEAD 4096 /* bytes from a function's start that are decoded to get to pc */

// There as soon as an engine is open.
static const struct disassembler *capstone;

static struct error *open_engine(const struct arch *arch, bool detail, csh *ret)
{
	struct error *err = disassembler_load(&capstone);

	if (err)
		return err;
	cs_err status = arch->id == ARCH_X86_64 ? capstone->open(CS_ARCH_X86, CS_MODE_64, ret)
						: capstone->open(CS_ARCH_ARM64, CS_MODE_ARM, ret);

	if (status == CS_ERR_MEM)
		return error_nomem();
	if (status != CS_ERR_OK)
		return error_new(ERROR_UNSUPPORTED, "capstone: %s", capstone->strerror(status));
	if (detail)
		capstone->option(*ret, CS_OPT_DETAIL, CS_OPT_ON);
	return NULL;
}

// The value of register NAME, which may be a part of a register of the table: eax, r8d, w3.
static bool register_value(const struct regs *regs, const char *name, uint64_t *ret)
{
	static const char *const parts[][4] = {
		{ "rax", "eax", "ax", "al" }, { "rbx", "ebx", "bx", "bl" },
		{ "rcx", "ecx", "cx", "cl" }, { "rdx", "edx", "dx", "dl" },
		{ "rsi", "esi", "si", "sil" }, { "rdi", "edi", "di", "dil" },
		{ "rbp", "ebp", "bp", "bpl" }, { "rsp", "esp", "sp", "spl" },
	};
	static const uint64_t masks[] = { ~0ull, 0xffffffff, 0xffff, 0xff };
	char whole[8];
	uint64_t mask = ~0ull;

	if (!name || strlen(name) >= sizeof(whole))
		return false;
	strcpy(whole, name);
	if (regs->arch->id == ARCH_X86_64) {
		size_t len = strlen(name);

		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			for (size_t k = 0; k < 4; k++)
				if (!strcmp(name, parts[i][k])) {
					strcpy(whole, parts[i][0]);
					mask = masks[k];
				}
		if (name[0] == 'r' && isdigit((unsigned char)name[1]) && strchr("dwb", name[len - 1])) {
			whole[len - 1] = '\0';
			mask = masks[name[len - 1] == 'd' ? 1 : name[len - 1] == 'w' ? 2 : 3];
		}
	} else {
		if (!strcmp(name, "xzr") || !strcmp(name, "wzr")) {
			*ret = 0;
			return true;
		}
		if (name[0] == 'w') {
			whole[0] = 'x';
			mask = masks[1];
		}
		if (!strcmp(name, "wsp"))
			strcpy(whole, "sp");
	}
	for (unsigned i = 0; i < regs->arch->n_regs; i++)
		if (!strcmp(whole, regs->arch->reg_names[i])) {
			*ret = regs->r[i] & mask;
			return true;
		}
	return false;
}

// "with rax = 0x0" for every register of an operand, the first one with " with ".
static void put_register(struct buf *buf, unsigned *n, const char *name, uint64_t value)
{
	buf_printf(buf, "%s%s = 0x%llx", *n ? ", " : " with ", name, (unsigned long long)value);
	++*n;
}

static struct error *finish_operand(struct buf *buf, struct arena *arena, struct operand *op,
				    struct decoded *ret)
{
	if (op->known)
		buf_printf(buf, " -> 0x%llx", (unsigned long long)op->address);
	buf_add(buf, "", 1);
	if (buf->failed)
		return error_nomem();
	op->text = arena_strdup(arena, (char *)buf->data);
	if (!op->text)
		return error_nomem();
	if (!op->size)
		op->size = 1;
	if (ret->n_operands < ARRAY_SIZE(ret->operands))
		ret->operands[ret->n_operands++] = *op;
	return NULL;
}

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static struct error *x86_operand(csh engine, const cs_insn *insn, unsigned index,
				 const struct regs *regs, struct arena *arena, struct decoded *ret)
{
	const cs_x86_op *x = &insn->detail->x86.operands[index];
	_cleanup_(buf_deinit) struct buf buf = {};
	struct operand op = { .known = true, .size = x->size };
	const char *segment = capstone->reg_name(engine, x->mem.segment);
	const char *base = capstone->reg_name(engine, x->mem.base);
	const char *at = capstone->reg_name(engine, x->mem.index);
	uint64_t v;
	unsigned n = 0;

	// What is read and written counts as written; of vector stores capstone says that they read.
	op.access = x->access & CS_AC_WRITE ||
				    (index == 0 && (starts(insn->mnemonic, "vmov") ||
						    starts(insn->mnemonic, "lock ") ||
						    starts(insn->mnemonic, "cmpxchg")))
			    ? ACCESS_WRITE
			    : ACCESS_READ;
	// The operand as capstone prints it stands between brackets.
	buf_addstr(&buf, "[");
	if (segment)
		buf_printf(&buf, "%s:", segment);
	if (base)
		buf_addstr(&buf, base);
	if (at)
		buf_printf(&buf, "%s%s%s", base ? " + " : "", at,
			   x->mem.scale == 8 ? "*8" : x->mem.scale == 4 ? "*4"
			   : x->mem.scale == 2			       ? "*2" : "");
	uint64_t disp = (uint64_t)x->mem.disp;
	if (!base && !at)
		buf_printf(&buf, "0x%llx", (unsigned long long)disp);
	else if (x->mem.disp)
		buf_printf(&buf, x->mem.disp < 0 || disp > 9 ? " %c 0x%llx" : " %c %llu",
			   x->mem.disp < 0 ? '-' : '+',
			   (unsigned long long)(x->mem.disp < 0 ? -disp : disp));
	buf_addstr(&buf, "]");
	op.address = disp;
	if (segment && (!strcmp(segment, "fs") || !strcmp(segment, "gs"))) {
		if (!strcmp(segment, "fs"))
			v = regs->tls;
		else if (!register_value(regs, "gs_base", &v))
			op.known = false;
		if (op.known) {
			op.address += v;
			put_register(&buf, &n, segment[0] == 'f' ? "fs_base" : "gs_base", v);
		}
	}
	for (int i = 0; i < 2; i++) {
		const char *name = i ? at : base;

		if (!name || !strcmp(name, "riz"))
			continue;
		if (!strcmp(name, "rip")) {
			v = insn->address + insn->size;
		} else if (!register_value(regs, name, &v)) {
			op.known = false;
			continue;
		} else {
			op.registers[op.n_registers++] = v;
		}
		put_register(&buf, &n, name, v);
		op.address += v * (i ? (uint64_t)x->mem.scale : 1);
	}
	if (insn->detail->x86.addr_size == 4)
		op.address &= 0xffffffff;
	return finish_operand(&buf, arena, &op, ret);
}

static struct error *x86_stack_operand(const struct regs *regs, bool push, const char *name,
				       struct arena *arena, struct decoded *ret)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	struct operand op = { .known = true, .size = 8, .n_registers = 1,
			      .access = push ? ACCESS_WRITE : ACCESS_READ };
	uint64_t v;
	unsigned n = 0;

	if (!register_value(regs, name, &v))
		return NULL;
	op.registers[0] = v;
	op.address = push ? v - 8 : v;
	buf_printf(&buf, push ? "[%s - 8]" : "[%s]", name);
	put_register(&buf, &n, name, v);
	return finish_operand(&buf, arena, &op, ret);
}

// SSE instructions that want their operand aligned. VEX and EVEX forms only do where the name says so.
static bool x86_is_aligned(const cs_insn *insn)
{
	const char *m = insn->mnemonic;

	if (starts(m, "movaps") || starts(m, "movapd") || starts(m, "movdqa") ||
	    starts(m, "vmovaps") || starts(m, "vmovapd") || starts(m, "vmovdqa") ||
	    starts(m, "movnt") || starts(m, "vmovnt") || starts(m, "fxsave") ||
	    starts(m, "fxrstor") || starts(m, "xsave") || starts(m, "xrstor") ||
	    starts(m, "cmpxchg16b"))
		return true;
	if (m[0] == 'v' || starts(m, "movu") || starts(m, "movdqu") || starts(m, "lddqu"))
		return false;
	for (unsigned i = 0; i < insn->detail->groups_count; i++) {
		unsigned group = insn->detail->groups[i];

		if (group == X86_GRP_SSE1 || group == X86_GRP_SSE2 || group == X86_GRP_SSE3 ||
		    group == X86_GRP_SSSE3 || group == X86_GRP_SSE41 || group == X86_GRP_SSE42)
			return true;
	}
	return false;
}

static bool in_group(const cs_insn *insn, unsigned group)
{
	for (unsigned i = 0; i < insn->detail->groups_count; i++)
		if (insn->detail->groups[i] == group)
			return true;
	return false;
}

static struct error *x86_divisor(csh engine, const cs_x86_op *x, const struct regs *regs,
				 const struct mem *mem, struct arena *arena, struct decoded *ret)
{
	const char *name = x->type == X86_OP_REG ? capstone->reg_name(engine, x->reg) : NULL;

	ret->divides = true;
	if (name) {
		ret->divisor_known = register_value(regs, name, &ret->divisor);
	} else if (x->type == X86_OP_MEM && ret->n_operands && ret->operands[0].known &&
		   x->size <= 8) {
		uint64_t v = 0;

		ret->divisor_known =
			!error_drop(mem_read(mem, ret->operands[0].address, &v, x->size));
		ret->divisor = v;
	}
	if (ret->divisor_known) {
		ret->divisor_text = arena_printf(arena, "%s = 0x%llx",
						 name ? name : ret->operands[0].text,
						 (unsigned long long)ret->divisor);
		if (!ret->divisor_text)
			return error_nomem();
	}
	return NULL;
}

static struct error *x86_target(csh engine, const cs_insn *insn, const struct regs *regs,
				const struct mem *mem, struct decoded *ret)
{
	const cs_x86_op *x = &insn->detail->x86.operands[0];
	const char *name;

	ret->jumps = in_group(insn, CS_GRP_JUMP) || in_group(insn, CS_GRP_CALL) ||
		     in_group(insn, CS_GRP_RET);
	ret->returns = in_group(insn, CS_GRP_RET);
	if (ret->returns) {
		ret->target_known = !error_drop(mem_u64(mem, regs_sp(regs), &ret->target));
	} else if (ret->jumps && insn->detail->x86.op_count) {
		name = x->type == X86_OP_REG ? capstone->reg_name(engine, x->reg) : NULL;
		if (name)
			ret->target_known = register_value(regs, name, &ret->target);
		else if (x->type == X86_OP_MEM && ret->n_operands && ret->operands[0].known)
			ret->target_known =
				!error_drop(mem_u64(mem, ret->operands[0].address, &ret->target));
	}
	return NULL;
}

static struct error *x86_decode(csh engine, const cs_insn *insn, const struct regs *regs,
				const struct mem *mem, struct arena *arena, struct decoded *ret)
{
	const cs_x86 *x = &insn->detail->x86;
	const char *m = insn->mnemonic;
	struct error *err = NULL;

	// These have an operand in memory and do not touch it.
	bool touches = !starts(m, "lea") || starts(m, "leave");
	if (starts(m, "nop") || starts(m, "prefetch"))
		touches = false;
	for (unsigned i = 0; i < x->op_count && !err && touches; i++)
		if (x->operands[i].type == X86_OP_MEM)
			err = x86_operand(engine, insn, i, regs, arena, ret);
	if (!err && (starts(m, "push") || starts(m, "call")))
		err = x86_stack_operand(regs, true, "rsp", arena, ret);
	if (!err && (starts(m, "pop") || starts(m, "ret")) && !starts(m, "popcnt"))
		err = x86_stack_operand(regs, false, "rsp", arena, ret);
	if (!err && starts(m, "leave"))
		err = x86_stack_operand(regs, false, "rbp", arena, ret);
	if (!err && x->op_count && (!strcmp(m, "div") || !strcmp(m, "idiv")))
		err = x86_divisor(engine, &x->operands[0], regs, mem, arena, ret);
	if (!err)
		err = x86_target(engine, insn, regs, mem, ret);
	ret->privileged = in_group(insn, CS_GRP_PRIVILEGE) || in_group(insn, CS_GRP_INT);
	ret->aligned = x86_is_aligned(insn);
	return err;
}

// Bytes that an instruction moves, by the names of its registers and itself.
static unsigned a64_size(csh engine, const cs_insn *insn)
{
	const char *m = insn->mnemonic;
	size_t len = strlen(m);
	const char *name = insn->detail->arm64.op_count &&
					   insn->detail->arm64.operands[0].type == ARM64_OP_REG
				   ? capstone->reg_name(engine, insn->detail->arm64.operands[0].reg)
				   : NULL;
	unsigned one = 8;

	if (len && m[len - 1] == 'b')
		return 1;
	if (len && m[len - 1] == 'h')
		return 2;
	if (name)
		one = name[0] == 'w' || name[0] == 's' ? 4
		      : name[0] == 'h'		       ? 2
		      : name[0] == 'b'		       ? 1
		      : name[0] == 'q' || name[0] == 'v' ? 16
							 : 8;
	return starts(m, "ldp") || starts(m, "stp") || starts(m, "ldnp") || starts(m, "stnp") ? 2 * one
											    : one;
}

static struct error *a64_operand(csh engine, const cs_insn *insn, unsigned index,
				 const struct regs *regs, struct arena *arena, struct decoded *ret)
{
	const cs_arm64_op *x = &insn->detail->arm64.operands[index];
	_cleanup_(buf_deinit) struct buf buf = {};
	struct operand op = { .known = true, .size = a64_size(engine, insn) };
	const char *base = capstone->reg_name(engine, x->mem.base);
	const char *at = capstone->reg_name(engine, x->mem.index);
	uint64_t v;
	unsigned n = 0;

	// capstone 4 says of stores that they read, too; the architecture's names are regular.
	bool atomic = starts(insn->mnemonic, "cas") || starts(insn->mnemonic, "swp") ||
		      (starts(insn->mnemonic, "ld") && (starts(insn->mnemonic + 2, "add") ||
							starts(insn->mnemonic + 2, "clr") ||
							starts(insn->mnemonic + 2, "eor") ||
							starts(insn->mnemonic + 2, "set")));
	op.access = starts(insn->mnemonic, "st") || starts(insn->mnemonic, "dc") || atomic
			    ? ACCESS_WRITE
			    : ACCESS_READ;
	const char *open = strchr(insn->op_str, '['), *close = open ? strchr(open, ']') : NULL;
	if (close)
		buf_add(&buf, open, (size_t)(close - open + 1));
	else
		buf_printf(&buf, "[%s]", base ? base : "?");
	if (base && register_value(regs, base, &v)) {
		op.address = v;
		op.registers[op.n_registers++] = v;
		put_register(&buf, &n, base, v);
	} else {
		op.known = false;
	}
	if (at && register_value(regs, at, &v)) {
		op.registers[op.n_registers++] = v;
		put_register(&buf, &n, at, v);
		if (x->ext == ARM64_EXT_SXTW)
			v = (uint64_t)(int32_t)v;
		op.address += x->shift.type == ARM64_SFT_LSL && x->shift.value < 64
				      ? v << x->shift.value
				      : v;
	} else if (at) {
		op.known = false;
	}
	// "[x1], #8" uses x1 as it is and adds afterwards.
	if (!close || close[1] != ',')
		op.address += (uint64_t)(int64_t)x->mem.disp;
	return finish_operand(&buf, arena, &op, ret);
}

static struct error *a64_decode(csh engine, const cs_insn *insn, const struct regs *regs,
				struct arena *arena, struct decoded *ret)
{
	const cs_arm64 *x = &insn->detail->arm64;
	const char *m = insn->mnemonic;
	struct error *err = NULL;

	for (unsigned i = 0; i < x->op_count && !err && !starts(m, "prfm"); i++)
		if (x->operands[i].type == ARM64_OP_MEM)
			err = a64_operand(engine, insn, i, regs, arena, ret);
	ret->returns = starts(m, "ret");
	ret->jumps = ret->returns || starts(m, "br") || starts(m, "bl");
	if (!strcmp(m, "brk"))
		ret->jumps = false;
	const char *name = x->op_count && x->operands[0].type == ARM64_OP_REG
				   ? capstone->reg_name(engine, x->operands[0].reg)
				   : NULL;
	if (ret->returns && !name)
		name = "x30";
	if (ret->jumps && name)
		ret->target_known = register_value(regs, name, &ret->target);
	ret->privileged = in_group(insn, CS_GRP_PRIVILEGE);
	// Exclusive and ordered accesses are the ones that have to be aligned.
	ret->aligned = starts(m, "ldx") || starts(m, "stx") || starts(m, "lda") ||
		       starts(m, "stl") || starts(m, "cas") || starts(m, "swp");
	return err;
}

// capstone 4 knows AVX-512 in part only, and it is what strlen() and its kin are made of today: where
// a null pointer is handed to libc, the instruction at fault is mostly one of these. Their
// encoding (EVEX, Intel SDM vol. 2, 2.7) is regular enough to find the operand by itself.
struct evex {
	unsigned len;
	const char *name; /* NULL: not in our table */
	int base, index;  /* register numbers, -1: none */
	bool relative;	  /* to the next instruction */
	unsigned scale, size, step;
	int64_t disp;
	bool memory, writes, wide;
	unsigned map, opcode, pp;
};

static const struct {
	uint8_t map, opcode;
	int8_t wide; /* EVEX.W, -1: either */
	uint8_t pp;  /* 0: no prefix, 1: 66, 2: F3, 3: F2 */
	const char *name;
} evex_names[] = {
	{ 1, 0x64, -1, 1, "vpcmpgtb" }, { 1, 0x74, -1, 1, "vpcmpeqb" }, { 1, 0x75, -1, 1, "vpcmpeqw" },
	{ 1, 0x76, 0, 1, "vpcmpeqd" },	{ 1, 0xda, -1, 1, "vpminub" },	{ 1, 0xde, -1, 1, "vpmaxub" },
	{ 1, 0xef, 0, 1, "vpxord" },	{ 1, 0xef, 1, 1, "vpxorq" },	{ 1, 0x6f, 0, 3, "vmovdqu8" },
	{ 1, 0x7f, 0, 3, "vmovdqu8" },	{ 1, 0x6f, 1, 3, "vmovdqu16" }, { 1, 0x7f, 1, 3, "vmovdqu16" },
	{ 1, 0xf8, -1, 1, "vpsubb" },	{ 1, 0xd8, -1, 1, "vpsubusb" }, { 1, 0xeb, 1, 1, "vporq" },
	{ 2, 0x26, 0, 1, "vptestmb" },	{ 2, 0x26, 1, 1, "vptestmw" },	{ 2, 0x26, 0, 2, "vptestnmb" },
	{ 2, 0x26, 1, 2, "vptestnmw" }, { 2, 0x27, 0, 1, "vptestmd" },	{ 2, 0x27, 0, 2, "vptestnmd" },
	{ 2, 0x3a, -1, 1, "vpminuw" },	{ 2, 0x3b, 0, 1, "vpminud" },	{ 2, 0x29, 1, 1, "vpcmpeqq" },
	{ 3, 0x3e, 0, 1, "vpcmpub" },	{ 3, 0x3e, 1, 1, "vpcmpuw" },	{ 3, 0x3f, 0, 1, "vpcmpb" },
	{ 3, 0x3f, 1, 1, "vpcmpw" },	{ 3, 0x1e, 0, 1, "vpcmpud" },	{ 3, 0x1f, 0, 1, "vpcmpd" },
	{ 1, 0x90, -1, 0, "kmov" },	{ 1, 0x92, -1, 3, "kmov" },	{ 1, 0x93, -1, 3, "kmov" },
	{ 1, 0x98, -1, 0, "kortest" },	{ 1, 0x98, -1, 1, "kortest" },	{ 1, 0x99, -1, 0, "ktest" },
	{ 3, 0x25, 0, 1, "vpternlogd" }, { 3, 0x25, 1, 1, "vpternlogq" },
};

static const char *const x86_numbers[] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};

static bool evex_writes(unsigned map, unsigned opcode)
{
	static const uint8_t stores[] = { 0x11, 0x13, 0x17, 0x29, 0x2b, 0x7e, 0x7f, 0xd6, 0xe7 };

	return map == 1 && memchr(stores, (int)opcode, sizeof(stores));
}

// The prefix: how long it is (0: it is none), and what it says of the rest. VEX is read too, for the
// few instructions on mask registers that capstone does not know either.
static size_t evex_prefix(const uint8_t *code, size_t len, struct evex *e, bool *x, bool *b)
{
	if (len < 6)
		return 0;
	if (code[0] == 0x62 && !(code[1] & 0x08) && code[2] & 0x04) {
		bool broadcast = code[3] & 0x10;

		e->map = code[1] & 7;
		e->wide = code[2] >> 7;
		e->pp = code[2] & 3;
		if ((code[3] >> 5 & 3) == 3)
			return 0;
		e->size = broadcast ? (e->wide ? 8 : 4) : 16u << (code[3] >> 5 & 3);
		e->step = e->size;
		*x = !(code[1] & 0x40);
		*b = !(code[1] & 0x20);
		return 4;
	}
	if (code[0] != 0xc4 && code[0] != 0xc5)
		return 0;
	bool three = code[0] == 0xc4;
	uint8_t last = code[three ? 2 : 1];
	e->map = three ? code[1] & 0x1f : 1;
	e->wide = three && last & 0x80;
	e->pp = last & 3;
	e->size = last & 4 ? 32 : 16;
	e->step = 1;
	*x = three && !(code[1] & 0x40);
	*b = three && !(code[1] & 0x20);
	return three ? 3 : 2;
}

static bool evex_parse(const uint8_t *code, size_t len, struct evex *ret)
{
	struct evex e = { .base = -1, .index = -1, .scale = 1 };
	bool x = false, b = false;
	size_t at = evex_prefix(code, len, &e, &x, &b);

	if (!at || !e.map || e.map > 3)
		return false;
	e.opcode = code[at++];
	uint8_t modrm = code[at++];
	unsigned mod = modrm >> 6, rm = modrm & 7;
	e.memory = mod != 3;
	e.writes = evex_writes(e.map, e.opcode);
	unsigned disp_len = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	if (e.memory && rm == 4) {
		if (len <= at)
			return false;
		uint8_t sib = code[at++];
		int index = (sib >> 3 & 7) | (x ? 8 : 0);

		e.scale = 1u << (sib >> 6);
		e.index = index == 4 ? -1 : index;
		e.base = (sib & 7) | (b ? 8 : 0);
		if ((sib & 7) == 5 && mod == 0) {
			e.base = -1;
			disp_len = 4;
		}
	} else if (e.memory && rm == 5 && mod == 0) {
		e.relative = true;
		disp_len = 4;
	} else if (e.memory) {
		e.base = (int)rm | (b ? 8 : 0);
	}
	bool immediate = e.map == 3 || (e.map == 1 && ((e.opcode >= 0x70 && e.opcode <= 0x73) ||
						       e.opcode == 0xc2 ||
						       (e.opcode >= 0xc4 && e.opcode <= 0xc6)));
	if (len < at + disp_len + immediate)
		return false;
	if (disp_len == 1) {
		// EVEX counts it in operands.
		e.disp = (int8_t)code[at] * (int64_t)e.step;
	} else if (disp_len == 4) {
		int32_t disp;

		memcpy(&disp, code + at, sizeof(disp));
		e.disp = (int32_t)le32toh((uint32_t)disp);
	}
	e.len = (unsigned)(at + disp_len + immediate);
	for (size_t i = 0; i < ARRAY_SIZE(evex_names); i++)
		if (evex_names[i].map == e.map && evex_names[i].opcode == e.opcode &&
		    evex_names[i].pp == e.pp &&
		    (evex_names[i].wide < 0 || evex_names[i].wide == e.wide))
			e.name = evex_names[i].name;
	*ret = e;
	return true;
}

// "[rdi + 0x20]"
static void evex_operand_text(const struct evex *e, struct buf *buf)
{
	uint64_t step = (uint64_t)(e->disp < 0 ? -e->disp : e->disp);

	buf_addstr(buf, "[");
	if (e->relative || e->base >= 0)
		buf_addstr(buf, e->relative ? "rip" : x86_numbers[e->base]);
	if (e->index >= 0)
		buf_printf(buf, "%s%s*%u", e->base >= 0 ? " + " : "", x86_numbers[e->index],
			   e->scale);
	if (e->disp || (e->base < 0 && e->index < 0 && !e->relative))
		buf_printf(buf, " %c 0x%llx", e->disp < 0 ? '-' : '+', (unsigned long long)step);
	buf_addstr(buf, "]");
}

static void evex_text(const struct evex *e, struct buf *buf)
{
	if (e->name)
		buf_addstr(buf, e->name);
	else
		buf_printf(buf, "(vector instruction %u.%02x)", e->map, e->opcode);
	if (e->memory) {
		buf_printf(buf, " %s ptr ", e->size == 64   ? "zmmword"
					    : e->size == 32 ? "ymmword"
					    : e->size == 16 ? "xmmword"
					    : e->size == 8  ? "qword"
							    : "dword");
		evex_operand_text(e, buf);
	}
}

static struct error *evex_decode(const struct evex *e, const struct regs *regs, taddr pc,
				 struct arena *arena, struct decoded *ret)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	struct operand op = { .known = true, .size = e->size, .address = (uint64_t)e->disp,
			      .access = e->writes ? ACCESS_WRITE : ACCESS_READ };
	unsigned n = 0;
	uint64_t v;

	evex_text(e, &buf);
	buf_add(&buf, "", 1);
	if (buf.failed)
		return error_nomem();
	ret->text = arena_strdup(arena, (char *)buf.data);
	if (!ret->text)
		return error_nomem();
	ret->len = e->len;
	if (!e->memory)
		return NULL;
	buf.len = 0;
	evex_operand_text(e, &buf);
	if (e->relative) {
		put_register(&buf, &n, "rip", pc + e->len);
		op.address += pc + e->len;
	}
	for (int i = 0; i < 2; i++) {
		int number = i ? e->index : e->base;

		if (number < 0)
			continue;
		if (!register_value(regs, x86_numbers[number], &v)) {
			op.known = false;
			continue;
		}
		op.registers[op.n_registers++] = v;
		put_register(&buf, &n, x86_numbers[number], v);
		op.address += v * (i ? e->scale : 1);
	}
	return finish_operand(&buf, arena, &op, ret);
}

static struct error *text_of(const cs_insn *insn, struct arena *arena, char **ret)
{
	*ret = arena_printf(arena, "%s%s%s", insn->mnemonic, *insn->op_str ? " " : "", insn->op_str);
	return *ret ? NULL : error_nomem();
}

struct error *decode(const struct regs *regs, const struct mem *mem, taddr pc, struct arena *arena,
		     struct decoded *ret, bool *found_ret)
{
	uint8_t code[MAX_INSN];
	struct decoded decoded = {};
	cs_insn *insn;
	csh engine;

	*found_ret = false;
	size_t len = mem_read_some(mem, pc, code, sizeof(code));
	if (!len)
		return NULL;
	struct error *err = open_engine(regs->arch, true, &engine);
	if (err)
		return err;
	size_t n = capstone->disasm(engine, code, len, pc, 1, &insn);
	if (n) {
		decoded.len = insn->size;
		err = text_of(insn, arena, &decoded.text);
		if (!err)
			err = regs->arch->id == ARCH_X86_64
				      ? x86_decode(engine, insn, regs, mem, arena, &decoded)
				      : a64_decode(engine, insn, regs, arena, &decoded);
		capstone->free(insn, n);
	}
	capstone->close(&engine);
	struct evex evex;
	if (!err && !n && regs->arch->id == ARCH_X86_64 && evex_parse(code, len, &evex)) {
		err = evex_decode(&evex, regs, pc, arena, &decoded);
		n = 1;
	}
	if (err || !n)
		return err;
	*ret = decoded;
	*found_ret = true;
	return NULL;
}

// Step over the instruction at *P. INSN has it, or EVEX where capstone does not know it; false for
// neither.
static bool step(csh engine, const struct arch *arch, const uint8_t **p, size_t *left,
		 uint64_t *address, cs_insn *insn, struct evex *evex)
{
	*evex = (struct evex){};
	if (capstone->disasm_iter(engine, p, left, address, insn))
		return true;
	if (arch->id != ARCH_X86_64 || !evex_parse(*p, *left, evex))
		return false;
	*p += evex->len;
	*left -= evex->len;
	*address += evex->len;
	return true;
}

// Where the instruction begins that is the COUNT-th before PC, when CODE, LEN bytes up to PC, is
// decoded from its first byte on; false when that does not lead to PC.
static bool leads_to(csh engine, const struct arch *arch, const uint8_t *code, size_t len,
		     size_t count, size_t *ret)
{
	size_t begin[AROUND] = {}, n = 0, at = 0;
	cs_insn *insn = capstone->malloc(engine);
	const uint8_t *p = code;
	size_t left = len;
	uint64_t address = 0;
	struct evex evex;

	if (!insn)
		return false;
	while (left && step(engine, arch, &p, &left, &address, insn, &evex)) {
		begin[n++ % AROUND] = at;
		at = len - left;
	}
	capstone->free(insn, 1);
	if (left || !n)
		return false;
	if (count > n)
		count = n;
	*ret = begin[(n - count) % AROUND];
	return true;
}

// Read into CODE what leads to PC: LEN_RET bytes, of which those from the returned one on are shown.
static size_t find_lead(csh engine, const struct arch *arch, const struct mem *mem, taddr pc,
			taddr start, uint8_t *code, size_t *len_ret)
{
	size_t len, from;

	*len_ret = 0;
	if (arch->id == ARCH_AARCH64) {
		len = start && pc - start < 4 * AROUND ? (size_t)(pc - start) : 4 * AROUND;
		if (pc >= len && mem_read_some(mem, pc - len, code, len) == len)
			*len_ret = len;
		return 0;
	}
	if (start && start < pc && pc - start <= LONGEST_LEAD) {
		len = (size_t)(pc - start);
		if (mem_read_some(mem, start, code, len) == len &&
		    leads_to(engine, arch, code, len, AROUND, &from)) {
			*len_ret = len;
			return from;
		}
	}
	// x86 code gets into step after a few instructions, so the farthest start that arrives at
	// PC is the most trustworthy; less is read where less is there.
	for (len = AROUND * 12; len; len--) {
		if (pc < len || (start && start < pc && pc - len < start) ||
		    mem_read_some(mem, pc - len, code, len) != len)
			continue;
		if (leads_to(engine, arch, code, len, AROUND, &from)) {
			*len_ret = len;
			return from;
		}
	}
	return 0;
}

static struct error *add_instruction(const uint8_t *bytes, size_t len, taddr at, taddr pc,
				     const cs_insn *insn, const struct evex *evex,
				     struct arena *arena, struct fault *ret)
{
	char hex[2 * MAX_INSN + 1] = "";
	struct instruction *i = LIST_ADD(arena, &ret->disassembly);

	if (!i)
		return error_nomem();
	for (size_t k = 0; k < len && k < MAX_INSN; k++) {
		hex[2 * k] = "0123456789abcdef"[bytes[k] >> 4];
		hex[2 * k + 1] = "0123456789abcdef"[bytes[k] & 15];
	}
	i->at = at;
	i->current = at == pc;
	i->bytes = arena_strdup(arena, hex);
	if (!i->bytes)
		return error_nomem();
	if (!evex->len)
		return text_of(insn, arena, &i->text);
	_cleanup_(buf_deinit) struct buf buf = {};
	evex_text(evex, &buf);
	buf_add(&buf, "", 1);
	i->text = buf.failed ? NULL : arena_strdup(arena, (char *)buf.data);
	return i->text ? NULL : error_nomem();
}

struct error *decode_around(const struct arch *arch, const struct mem *mem, taddr pc, taddr start,
			    struct arena *arena, struct fault *ret)
{
	uint8_t code[LONGEST_LEAD + (AROUND + 1) * MAX_INSN];
	size_t lead;
	csh engine;

	struct error *err = open_engine(arch, false, &engine);
	if (err)
		return err;
	size_t from = find_lead(engine, arch, mem, pc, start, code, &lead);
	size_t len = lead + mem_read_some(mem, pc, code + lead, (AROUND + 1) * MAX_INSN);
	cs_insn *insn = capstone->malloc(engine);
	if (!insn)
		err = error_nomem();
	// What the disassembler does not know ends it, but not before pc.
	const uint8_t *p = code + from;
	size_t left = len - from, after = 0;
	uint64_t address = pc - (lead - from);
	while (!err && left && after <= AROUND) {
		const uint8_t *at = p;
		uint64_t here = address;
		struct evex evex;

		if (!step(engine, arch, &p, &left, &address, insn, &evex))
			break;
		err = add_instruction(at, (size_t)(p - at), here, pc, insn, &evex, arena, ret);
		after += here >= pc;
	}
	if (insn)
		capstone->free(insn, 1);
	capstone->close(&engine);
	return err;
}
