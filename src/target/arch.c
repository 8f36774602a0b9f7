/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "arch.h"

#include <elf.h>
#include <string.h>

#include "../cleanup.h"

// struct user_regs_struct, arch/x86/include/asm/user_64.h.
static const char *const x86_64_regs[] = {
	"r15", "r14", "r13",	  "r12", "rbp", "rbx",	  "r11", "r10", "r9",
	"r8",  "rax", "rcx",	  "rdx", "rsi", "rdi",	  "orig_rax", "rip", "cs",
	"eflags", "rsp", "ss",	  "fs_base", "gs_base", "ds", "es", "fs", "gs",
};

// struct user_pt_regs, arch/arm64/include/uapi/asm/ptrace.h.
static const char *const aarch64_regs[] = {
	"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",	 "x7",	"x8",  "x9",  "x10", "x11",
	"x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
	"x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",	"pc",  "pstate",
};

static const char *const x86_64_syscalls[] = {
#include "syscalls-x86_64.inc"
};

static const char *const aarch64_syscalls[] = {
#include "syscalls-aarch64.inc"
};

enum { X86_64_ORIG_RAX = 15, AARCH64_X8 = 8 };

// orig_rax is -1 after an interrupt or an exception and after a call that was left.
static bool x86_64_in_syscall(const uint64_t *regs)
{
	return (int64_t)regs[X86_64_ORIG_RAX] >= 0;
}

// The kernel keeps its marker (pt_regs.syscallno) to itself, and x8 holds a call's number long
// after the call. What user space never sees in x0 are the restart codes, 512 (ERESTARTSYS) to 516
// (ERESTART_RESTARTBLOCK): with one of them the thread is in a call. Without one it may be in one
// all the same: do_signal() prepares the restart before a tracer may look.
static bool aarch64_in_syscall(const uint64_t *regs)
{
	int64_t x0 = (int64_t)regs[0];

	return x0 <= -512 && x0 >= -516;
}

static const struct arch arches[] = {
	[ARCH_X86_64] = {
		.id = ARCH_X86_64,
		.name = "x86_64",
		.elf_machine = EM_X86_64,
		.n_regs = ARRAY_SIZE(x86_64_regs),
		.reg_names = x86_64_regs,
		.pc = 16,
		.sp = 19,
		.fp = 4,
		.tls = 21,
		.tls_vector = 8,
		.syscall = X86_64_ORIG_RAX,
		.in_syscall = x86_64_in_syscall,
		.arguments = { 14, 13, 12, 7, 9, 8 }, // rdi rsi rdx r10 r8 r9
		.nr_exit = 60,
		.nr_exit_group = 231,
		.address_bits = 47,
		.red_zone = 128,
		.syscalls = x86_64_syscalls,
		.n_syscalls = ARRAY_SIZE(x86_64_syscalls),
	},
	[ARCH_AARCH64] = {
		.id = ARCH_AARCH64,
		.name = "aarch64",
		.elf_machine = EM_AARCH64,
		.n_regs = ARRAY_SIZE(aarch64_regs),
		.reg_names = aarch64_regs,
		.pc = 32,
		.sp = 31,
		.fp = 29,
		.tls = -1,
		.tls_vector = 0,
		.syscall = AARCH64_X8,
		.in_syscall = aarch64_in_syscall,
		.syscall_insn = 0xd4000001, // svc #0
		.arguments = { 0, 1, 2, 3, 4, 5 }, // x0 holds the result once the call is over
		.nr_exit = 93,
		.nr_exit_group = 94,
		.address_bits = 48,
		.red_zone = 0,
		.syscalls = aarch64_syscalls,
		.n_syscalls = ARRAY_SIZE(aarch64_syscalls),
	},
};

const struct arch *arch_by_id(enum arch_id id)
{
	return &arches[id];
}

const struct arch *arch_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		if (!strcmp(name, arches[i].name))
			return &arches[i];
	return NULL;
}

const struct arch *arch_host(void)
{
#if defined(__x86_64__)
	return &arches[ARCH_X86_64];
#elif defined(__aarch64__)
	return &arches[ARCH_AARCH64];
#else
#error "see the comment over struct arch"
#endif
}

long regs_syscall(const struct regs *regs)
{
	if (!regs->arch || !regs->arch->in_syscall(regs->r))
		return -1;
	// Linux takes the number as an int since 5.x; before, a set upper half was ENOSYS.
	return (int32_t)regs->r[regs->arch->syscall];
}

long regs_syscall_at(const struct regs *regs, const struct mem *mem)
{
	long nr = regs_syscall(regs);

	if (nr != -1 || !regs->arch || !regs->arch->syscall_insn)
		return nr;
	// Before the restart was prepared PC is behind the instruction, afterwards on it.
	for (int back = 4; back >= 0; back -= 4) {
		uint32_t insn;

		if (!error_drop(mem_u32(mem, regs_pc(regs) - (taddr)back, &insn)) &&
		    insn == regs->arch->syscall_insn)
			return (int32_t)regs->r[regs->arch->syscall];
	}
	return -1;
}

const char *arch_syscall_name(const struct arch *arch, long nr)
{
	return nr >= 0 && (unsigned long)nr < arch->n_syscalls ? arch->syscalls[nr] : NULL;
}
