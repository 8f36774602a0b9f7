/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of registers of the architecture that this is compiled for, against the kernel's own
 * structure for ptrace. It is compiled and never run, so a cross compiler tests what no machine
 * at hand could; with optimisation, which is what decides at compile time.
 */
#include <sys/user.h>

#include "target/arch.c"

#if defined(__aarch64__)
#include <asm/ptrace.h>

#define KERNEL struct user_pt_regs
#define THIS   ARCH_AARCH64
#else
#define KERNEL struct user_regs_struct
#define THIS   ARCH_X86_64
#endif

void differs(void) __attribute__((error("a register is not where the kernel has it")));
void test_registers(void);

#define IS(name, member)                                                                           \
	if (strcmp(arches[THIS].reg_names[offsetof(KERNEL, member) / 8], name))                    \
	differs()

void test_registers(void)
{
	if (arches[THIS].n_regs * 8 != sizeof(KERNEL))
		differs();
#if defined(__aarch64__)
	IS("x0", regs[0]);
	IS("x8", regs[8]);
	IS("x18", regs[18]);
	IS("x29", regs[29]);
	IS("x30", regs[30]);
	IS("sp", sp);
	IS("pc", pc);
	IS("pstate", pstate);
	if (arches[THIS].pc * 8 != offsetof(KERNEL, pc) || arches[THIS].sp * 8 != offsetof(KERNEL, sp) ||
	    arches[THIS].fp * 8 != offsetof(KERNEL, regs[29]))
		differs();
#else
	IS("r15", r15);
	IS("r14", r14);
	IS("r13", r13);
	IS("r12", r12);
	IS("rbp", rbp);
	IS("rbx", rbx);
	IS("r11", r11);
	IS("r10", r10);
	IS("r9", r9);
	IS("r8", r8);
	IS("rax", rax);
	IS("rcx", rcx);
	IS("rdx", rdx);
	IS("rsi", rsi);
	IS("rdi", rdi);
	IS("orig_rax", orig_rax);
	IS("rip", rip);
	IS("cs", cs);
	IS("eflags", eflags);
	IS("rsp", rsp);
	IS("ss", ss);
	IS("fs_base", fs_base);
	IS("gs_base", gs_base);
	IS("ds", ds);
	IS("es", es);
	IS("fs", fs);
	IS("gs", gs);
	if (arches[THIS].pc * 8 != offsetof(KERNEL, rip) || arches[THIS].sp * 8 != offsetof(KERNEL, rsp) ||
	    arches[THIS].fp * 8 != offsetof(KERNEL, rbp) ||
	    arches[THIS].tls * 8 != offsetof(KERNEL, fs_base))
		differs();
#endif
}
