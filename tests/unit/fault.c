/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/fault.h"
#include "cleanup.h"

// The world of every case: code at 0x400000, constants at 0x500000, a mapped file at 0x600000, data
// at 0x700000, a reserved page at 0x7ff000, the stack at 0x800000 up to 0x810000.
#define CODE	  0x400000
#define CONSTANTS 0x500000
#define FILE_AT	  0x600000
#define DATA	  0x700000
#define GUARD	  0x7ff000
#define STACK	  0x800000
#define STACK_END 0x810000

enum { ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, SEGV = 11, TERM = 15, SYS = 31 };

struct value {
	const char *name;
	uint64_t v;
};

struct fault_case {
	const char *what;
	enum arch_id arch;
	const char *code; /* hex, at pc */
	taddr pc;	  /* 0: CODE + 32 */
	struct value regs[4];
	int signo, si_code;
	taddr address;
	// Expected.
	enum fault_class class;
	enum access access;
	bool no_address;
	taddr expected;	      /* 0: address */
	const char *operand;  /* NULL: none */
	const char *sentence; /* a part of the explanation */
};

static const struct fault_case cases[] = {
	{ "null read", ARCH_X86_64, "488b00", 0, { { "rax", 0 } }, SEGV, 1, 0,
	  FAULT_NULL_POINTER, ACCESS_READ, .operand = "[rax] with rax = 0x0 -> 0x0",
	  .sentence = "read memory at address 0x0, which is what a null pointer points to" },
	{ "field of null", ARCH_X86_64, "488b4008", 0, { { "rax", 0 } }, SEGV, 1, 8,
	  FAULT_NULL_POINTER_OFFSET, ACCESS_READ, .operand = "[rax + 8] with rax = 0x0 -> 0x8",
	  .sentence = "8 bytes behind a null pointer" },
	{ "null write", ARCH_X86_64, "c70000000000", 0, { { "rax", 0 } }, SEGV, 1, 0,
	  FAULT_NULL_POINTER, ACCESS_WRITE, .operand = "[rax] with rax = 0x0 -> 0x0" },
	{ "indexed", ARCH_X86_64, "8b448b10", 0, { { "rbx", 0x900000 }, { "rcx", 0x10 } }, SEGV, 1,
	  0x900050, FAULT_WILD_POINTER, ACCESS_READ,
	  .operand = "[rbx + rcx*4 + 0x10] with rbx = 0x900000, rcx = 0x10 -> 0x900050" },
	{ "negative step", ARCH_X86_64, "488b40f8", 0, { { "rax", 0x900000 } }, SEGV, 1, 0x8ffff8,
	  FAULT_WILD_POINTER, ACCESS_READ, .operand = "[rax - 0x8] with rax = 0x900000 -> 0x8ffff8" },
	{ "relative to rip", ARCH_X86_64, "488b0500100000", 0, {}, SEGV, 1, 0x401027,
	  FAULT_WILD_POINTER, ACCESS_READ,
	  .operand = "[rip + 0x1000] with rip = 0x400027 -> 0x401027" },
	{ "rep movsb", ARCH_X86_64, "f3a4", 0, { { "rdi", DATA }, { "rsi", 0x900000 } }, SEGV, 1,
	  0x900000, FAULT_WILD_POINTER, ACCESS_READ,
	  .operand = "[rsi] with rsi = 0x900000 -> 0x900000" },
	{ "vector store", ARCH_X86_64, "c5fd7f07", 0, { { "rdi", 0x900000 } }, SEGV, 1, 0x900010,
	  FAULT_WILD_POINTER, ACCESS_WRITE, .operand = "[rdi] with rdi = 0x900000 -> 0x900000" },
	// What capstone 4 does not know: strlen() of today.
	{ "AVX-512", ARCH_X86_64, "62f37d203f0700", 0, { { "rdi", 0 } }, SEGV, 1, 0,
	  FAULT_NULL_POINTER, ACCESS_READ, .operand = "[rdi] with rdi = 0x0 -> 0x0" },
	{ "AVX-512, a step in operands", ARCH_X86_64, "62d37d203f44560201", 0,
	  { { "r14", 0x900000 }, { "rdx", 8 } }, SEGV, 1, 0x900050, FAULT_WILD_POINTER, ACCESS_READ,
	  .operand = "[r14 + rdx*2 + 0x40] with r14 = 0x900000, rdx = 0x8 -> 0x900050" },
	{ "into rodata", ARCH_X86_64, "c60078", 0, { { "rax", CONSTANTS + 16 } }, SEGV, 2,
	  CONSTANTS + 16, FAULT_WRITE_TO_READ_ONLY, ACCESS_WRITE,
	  .operand = "[rax] with rax = 0x500010 -> 0x500010", .sentence = "/usr/lib/libconst.so" },
	{ "into rodata, code unknown", ARCH_X86_64, "", 0, {}, SEGV, 2, CONSTANTS + 16,
	  FAULT_WRITE_TO_READ_ONLY, ACCESS_WRITE, .operand = NULL },
	{ "call of null", ARCH_X86_64, "", 1, {}, SEGV, 1, 1, FAULT_NULL_POINTER_OFFSET,
	  ACCESS_EXECUTE, .operand = NULL },
	{ "jump to data", ARCH_X86_64, "", DATA + 8, {}, SEGV, 2, DATA + 8,
	  FAULT_EXECUTE_NON_EXECUTABLE, ACCESS_EXECUTE, .sentence = "jumped to 0x700008" },
	{ "jump into nothing", ARCH_X86_64, "", 0x12345678, {}, SEGV, 1, 0x12345678,
	  FAULT_WILD_POINTER, ACCESS_EXECUTE, .sentence = "jumped to 0x12345678" },
	{ "non-canonical read", ARCH_X86_64, "488b00", 0, { { "rax", 0x4141414141414141 } }, SEGV, 128,
	  0, FAULT_NON_CANONICAL, ACCESS_READ, .expected = 0x4141414141414141,
	  .operand = "[rax] with rax = 0x4141414141414141 -> 0x4141414141414141" },
	{ "non-canonical call", ARCH_X86_64, "ffd0", 0, { { "rax", 0x4141414141414141 } }, SEGV, 128,
	  0, FAULT_NON_CANONICAL, ACCESS_EXECUTE, .expected = 0x4141414141414141,
	  .operand = "[rsp - 8] with rsp = 0x80f000 -> 0x80eff8" },
	{ "freed", ARCH_X86_64, "488b4010", 0, { { "rax", 0xdddddddddddddddd } }, SEGV, 128, 0,
	  FAULT_FREED_OR_POISONED, ACCESS_READ, .expected = 0xdddddddddddddded,
	  .operand = "[rax + 0x10] with rax = 0xdddddddddddddddd -> 0xdddddddddddddded" },
	{ "0xdeadbeef", ARCH_X86_64, "488b00", 0, { { "rax", 0xdeadbeef } }, SEGV, 1, 0xdeadbeef,
	  FAULT_FREED_OR_POISONED, ACCESS_READ,
	  .operand = "[rax] with rax = 0xdeadbeef -> 0xdeadbeef" },
	{ "aligned move", ARCH_X86_64, "0f2900", 0, { { "rax", DATA + 8 } }, SEGV, 128, 0,
	  FAULT_MISALIGNED, ACCESS_WRITE, .expected = DATA + 8,
	  .operand = "[rax] with rax = 0x700008 -> 0x700008" },
	{ "hlt", ARCH_X86_64, "f4", 0, {}, SEGV, 128, 0, FAULT_ILLEGAL_INSTRUCTION,
	  ACCESS_UNKNOWN, .no_address = true, .sentence = "only the kernel" },
	{ "push onto guard", ARCH_X86_64, "50", 0, { { "rsp", STACK } }, SEGV, 1, STACK - 8,
	  FAULT_STACK_OVERFLOW, ACCESS_WRITE, .operand = "[rsp - 8] with rsp = 0x800000 -> 0x7ffff8" },
	{ "big frame", ARCH_X86_64, "c604240000", 0, { { "rsp", STACK - 0x10000 } }, SEGV, 1,
	  STACK - 0x10000, FAULT_STACK_OVERFLOW, ACCESS_WRITE,
	  .operand = "[rsp] with rsp = 0x7f0000 -> 0x7f0000" },
	{ "guard, but sp is elsewhere", ARCH_X86_64, "488b00", 0, { { "rax", GUARD } }, SEGV, 2, GUARD,
	  FAULT_WILD_POINTER, ACCESS_READ, .operand = "[rax] with rax = 0x7ff000 -> 0x7ff000",
	  .sentence = "reserved but may not be touched" },
	{ "truncated file", ARCH_X86_64, "8a00", 0, { { "rax", FILE_AT + 0x1000 } }, BUS, 2,
	  FILE_AT + 0x1000, FAULT_BUS_PAST_END_OF_FILE, ACCESS_READ,
	  .operand = "[rax] with rax = 0x601000 -> 0x601000", .sentence = "/var/lib/data.bin" },
	{ "bus, misaligned", ARCH_X86_64, "8b00", 0, { { "rax", DATA + 1 } }, BUS, 1, DATA + 1,
	  FAULT_MISALIGNED, ACCESS_READ, .operand = "[rax] with rax = 0x700001 -> 0x700001" },
	{ "division", ARCH_X86_64, "f7f9", 0, { { "rcx", 0xffffffff00000000 } }, FPE, 1, CODE + 32,
	  FAULT_DIVIDE_BY_ZERO, ACCESS_UNKNOWN, .operand = "ecx = 0x0" },
	{ "division that overflows", ARCH_X86_64, "f7f9", 0, { { "rcx", 0xffffffff } }, FPE, 1,
	  CODE + 32, FAULT_OTHER, ACCESS_UNKNOWN, .operand = "ecx = 0xffffffff" },
	{ "ud2", ARCH_X86_64, "0f0b", 0, {}, ILL, 2, CODE + 32, FAULT_ILLEGAL_INSTRUCTION,
	  ACCESS_UNKNOWN, .sentence = "ud2" },
	{ "seccomp", ARCH_X86_64, "90", 0, {}, SYS, 1, CODE + 32, FAULT_BAD_SYSTEM_CALL,
	  ACCESS_UNKNOWN, .sentence = "the system call getpid," },

	{ "null read", ARCH_AARCH64, "000040f9", 0, { { "x0", 0 } }, SEGV, 1, 0, FAULT_NULL_POINTER,
	  ACCESS_READ, .operand = "[x0] with x0 = 0x0 -> 0x0" },
	{ "field of null", ARCH_AARCH64, "000840f9", 0, { { "x0", 0 } }, SEGV, 1, 16,
	  FAULT_NULL_POINTER_OFFSET, ACCESS_READ, .operand = "[x0, #0x10] with x0 = 0x0 -> 0x10" },
	{ "null write", ARCH_AARCH64, "200000f9", 0, { { "x0", 1 }, { "x1", 0 } }, SEGV, 1, 0,
	  FAULT_NULL_POINTER, ACCESS_WRITE, .operand = "[x1] with x1 = 0x0 -> 0x0" },
	{ "indexed", ARCH_AARCH64, "20d861b8", 0, { { "x1", 0xfffffffe } }, SEGV, 1, 0xfffffff6,
	  FAULT_WILD_POINTER, ACCESS_READ,
	  .operand = "[x1, w1, sxtw #2] with x1 = 0xfffffffe, w1 = 0xfffffffe -> 0xfffffff6" },
	{ "post-indexed", ARCH_AARCH64, "fd7bc1a8", 0, { { "sp", 0x900000 } }, SEGV, 1, 0x900008,
	  FAULT_WILD_POINTER, ACCESS_READ, .operand = "[sp] with sp = 0x900000 -> 0x900000" },
	{ "push onto guard", ARCH_AARCH64, "fd7bbfa9", 0, { { "sp", STACK } }, SEGV, 1, STACK - 16,
	  FAULT_STACK_OVERFLOW, ACCESS_WRITE,
	  .operand = "[sp, #-0x10] with sp = 0x800000 -> 0x7ffff0" },
	{ "jump to data", ARCH_AARCH64, "", DATA, {}, SEGV, 2, DATA, FAULT_EXECUTE_NON_EXECUTABLE,
	  ACCESS_EXECUTE, .operand = NULL },
	{ "into rodata", ARCH_AARCH64, "00000039", 0, { { "x0", CONSTANTS } }, SEGV, 2, CONSTANTS,
	  FAULT_WRITE_TO_READ_ONLY, ACCESS_WRITE, .operand = "[x0] with x0 = 0x500000 -> 0x500000" },
	{ "brk", ARCH_AARCH64, "200020d4", 0, {}, TRAP, 1, CODE + 32, FAULT_TRAP, ACCESS_UNKNOWN, .operand = NULL },
	{ "udf", ARCH_AARCH64, "00000000", 0, {}, ILL, 1, CODE + 32, FAULT_ILLEGAL_INSTRUCTION,
	  ACCESS_UNKNOWN, .operand = NULL },
};

static void must(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

static void add_mapping(struct snapshot *s, taddr start, taddr end, const char *permissions,
			const char *name)
{
	struct mapping *m = LIST_ADD(&s->arena, &s->mappings);

	assert_non_null(m);
	*m = (struct mapping){ .start = start, .end = end };
	strcpy(m->permissions, permissions);
	m->name = arena_strdup(&s->arena, name);
	assert_non_null(m->name);
}

static unsigned register_index(const struct arch *arch, const char *name)
{
	for (unsigned i = 0; i < arch->n_regs; i++)
		if (!strcmp(arch->reg_names[i], name))
			return i;
	fail_msg("no register %s", name);
	return 0;
}

static void make(struct snapshot *s, const struct fault_case *c)
{
	const struct arch *arch = arch_by_id(c->arch);
	taddr pc = c->pc ? c->pc : CODE + 32;
	uint8_t code[64];
	unsigned byte;

	snapshot_init(s);
	s->host.arch = arch;
	s->process.pid = 77;
	add_mapping(s, CODE, CODE + 0x1000, "r-xp", "/usr/bin/victim");
	add_mapping(s, CONSTANTS, CONSTANTS + 0x1000, "r--p", "/usr/lib/libconst.so");
	add_mapping(s, FILE_AT, FILE_AT + 0x4000, "r--s", "/var/lib/data.bin");
	add_mapping(s, DATA, DATA + 0x1000, "rw-p", "");
	add_mapping(s, GUARD, STACK, "---p", "");
	add_mapping(s, STACK, STACK_END, "rw-p", "");
	struct thread *thread = LIST_ADD(&s->arena, &s->threads);
	assert_non_null(thread);
	*thread = (struct thread){ .tid = 77, .name = arena_strdup(&s->arena, "victim") };
	thread->regs.arch = arch;
	thread->regs.r[arch->sp] = STACK_END - 0x1000;
	for (size_t i = 0; i < ARRAY_SIZE(c->regs) && c->regs[i].name; i++)
		thread->regs.r[register_index(arch, c->regs[i].name)] = c->regs[i].v;
	thread->regs.r[arch->pc] = pc;
	// Instructions of one kind around the one at pc.
	if (*c->code) {
		for (size_t i = 0; i < sizeof(code); i++)
			code[i] = c->arch == ARCH_X86_64 ? 0x90 : "\x1f\x20\x03\xd5"[i % 4];
		for (size_t i = 0; sscanf(c->code + 2 * i, "%2x", &byte) == 1; i++)
			code[32 + i] = (uint8_t)byte;
		uint8_t *copy = arena_memdup(&s->arena, code, sizeof(code));
		assert_non_null(copy);
		must(snapshot_add_memory(s, pc - 32, copy, sizeof(code)));
		must(snapshot_settle_memory(s));
	}
	s->death.kind = DEATH_SIGNAL;
	s->death.signo = c->signo;
	s->death.tid = 77;
	s->death.info = (struct signal_info){ .signo = c->signo, .code = c->si_code,
					      .addr = c->address, .syscall = 39 };
}

static void check(const struct fault_case *c, const struct fault *f)
{
	taddr address = c->expected ? c->expected : c->address;
	const char *name = arch_by_id(c->arch)->name;

	if (!f->present)
		fail_msg("%s, %s: no fault", name, c->what);
	if (f->class != c->class)
		fail_msg("%s, %s: %s, not %s", name, c->what, fault_class_name(f->class),
			 fault_class_name(c->class));
	if (f->access != c->access)
		fail_msg("%s, %s: access %d, not %d", name, c->what, f->access, c->access);
	if (f->have_address == c->no_address)
		fail_msg("%s, %s: address or none", name, c->what);
	if (f->have_address && f->address != address)
		fail_msg("%s, %s: address 0x%llx, not 0x%llx", name, c->what,
			 (unsigned long long)f->address, (unsigned long long)address);
	if (!f->operand != !c->operand || (f->operand && strcmp(f->operand, c->operand) != 0))
		fail_msg("%s, %s: operand %s, not %s", name, c->what,
			 f->operand ? f->operand : "(none)", c->operand ? c->operand : "(none)");
	if (!f->explanation || (c->sentence && !strstr(f->explanation, c->sentence)))
		fail_msg("%s, %s: \"%s\" lacks \"%s\"", name, c->what, f->explanation, c->sentence);
	// An instruction that the disassembler does not know is not shown.
	size_t current = 0;
	for (size_t i = 0; i < f->disassembly.n; i++)
		current += f->disassembly.v[i].current;
	if (*c->code && strcmp(c->what, "udf") != 0 && (current != 1 || f->disassembly.n < 7))
		fail_msg("%s, %s: %zu instructions, %zu current", name, c->what,
			 f->disassembly.n, current);
}

static void test_faults_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s;
		struct mem_bytes mem;
		struct arena arena = {};
		struct fault fault;

		make(&s, &cases[i]);
		snapshot_mem(&s, &mem);
		must(fault_explain(&s, &mem.mem, 0, &arena, &fault));
		check(&cases[i], &fault);
		arena_deinit(&arena);
		snapshot_deinit(&s);
	}
}

static struct fault explain_signal(int signo, int code, pid_t sender, struct arena *arena)
{
	const struct fault_case c = { .arch = ARCH_X86_64, .code = "", .signo = signo, .si_code = code };
	struct snapshot s;
	struct mem_bytes mem;
	struct fault fault;

	make(&s, &c);
	s.death.info.pid = sender;
	snapshot_mem(&s, &mem);
	must(fault_explain(&s, &mem.mem, 0, arena, &fault));
	snapshot_deinit(&s);
	return fault;
}

static void test_signal_that_was_sent_is_no_fault(void **state)
{
	(void)state;
	struct arena arena = {};

	assert_false(explain_signal(SEGV, 0, 99, &arena).present);
	assert_false(explain_signal(SEGV, -6, 77, &arena).present);
	assert_false(explain_signal(TERM, 0, 99, &arena).present);
	assert_false(explain_signal(ABRT, 0, 99, &arena).present);
	assert_true(explain_signal(ABRT, -6, 77, &arena).present);
	assert_int_equal(explain_signal(ABRT, -6, 77, &arena).class, FAULT_ABORT);
	arena_deinit(&arena);
}

static void test_breakpoint_is_the_instruction_before_pc(void **state)
{
	(void)state;
	const struct fault_case c = { .arch = ARCH_X86_64, .code = "90", .signo = TRAP, .si_code = 128 };
	struct snapshot s;
	struct mem_bytes mem;
	struct arena arena = {};
	struct fault fault;

	make(&s, &c);
	((uint8_t *)(uintptr_t)s.memory.v[0].data)[31] = 0xcc;
	snapshot_mem(&s, &mem);
	must(fault_explain(&s, &mem.mem, CODE, &arena, &fault));
	assert_int_equal(fault.class, FAULT_TRAP);
	for (size_t i = 0; i < fault.disassembly.n; i++)
		if (fault.disassembly.v[i].current)
			assert_string_equal(fault.disassembly.v[i].text, "int3");
	arena_deinit(&arena);
	snapshot_deinit(&s);
}

static void test_code_before_pc_is_decoded_from_the_function(void **state)
{
	(void)state;
	const struct fault_case c = { .arch = ARCH_X86_64, .code = "488b00", .signo = SEGV, .si_code = 1 };
	// mov eax, 0x90909090; five bytes that read as other instructions from any later byte on.
	static const uint8_t before[] = { 0xb8, 0x90, 0x90, 0x90, 0x90 };
	struct snapshot s;
	struct mem_bytes mem;
	struct arena arena = {};
	struct fault fault;

	make(&s, &c);
	memcpy((uint8_t *)(uintptr_t)s.memory.v[0].data + 27, before, sizeof(before));
	snapshot_mem(&s, &mem);
	must(fault_explain(&s, &mem.mem, CODE + 27, &arena, &fault));
	assert_string_equal(fault.disassembly.v[0].text, "mov eax, 0x90909090");
	assert_string_equal(fault.disassembly.v[0].bytes, "b890909090");
	assert_int_equal(fault.disassembly.v[0].at, CODE + 27);
	assert_true(fault.disassembly.v[1].current);
	assert_string_equal(fault.disassembly.v[1].text, "mov rax, qword ptr [rax]");
	arena_deinit(&arena);
	snapshot_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults_are_explained),
		cmocka_unit_test(test_signal_that_was_sent_is_no_fault),
		cmocka_unit_test(test_breakpoint_is_the_instruction_before_pc),
		cmocka_unit_test(test_code_before_pc_is_decoded_from_the_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
