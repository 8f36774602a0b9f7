/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_ARCH_H
#define PCATCH_TARGET_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem.h"

/*
 * An architecture is a table. Adding a third: a row in arch.c with its registers in the order of
 * the kernel's NT_PRSTATUS, its system call names (syscalls-*.inc), a context in
 * store/context.c, an unwinder's register map in walk/native.c and a disassembler in
 * analyse/decode.c. Nothing else may ask which architecture it is.
 */
enum arch_id { ARCH_X86_64, ARCH_AARCH64 };

#define ARCH_MAX_REGS 40

struct arch {
	enum arch_id id;
	const char *name;      /* as uname -m says */
	uint16_t elf_machine;  /* EM_* */
	unsigned n_regs;       /* 64-bit words of NT_PRSTATUS */
	const char *const *reg_names; /* in that order */
	unsigned pc, sp, fp;   /* indices into it */
	int tls;	       /* thread pointer's index, -1 when it is not in NT_PRSTATUS */
	unsigned tls_vector;   /* from the thread pointer, where C libraries keep their vector of TLS blocks */
	int syscall;	       /* index of the register with the system call's number */
	bool (*in_syscall)(const uint64_t *regs); /* they prove that the thread is in a system call */
	uint32_t syscall_insn; /* where they cannot always: the instruction that calls; else 0 */
	unsigned arguments[6]; /* indices of a system call's arguments */
	long nr_exit, nr_exit_group;
	unsigned address_bits; /* of a canonical user address */
	unsigned red_zone;     /* bytes below SP that are in use */
	const char *const *syscalls; /* names by number, holes are NULL */
	unsigned n_syscalls;
};

/* General registers as the kernel gives them, plus the thread pointer. */
struct regs {
	const struct arch *arch; /* NULL: not captured */
	uint64_t r[ARCH_MAX_REGS];
	uint64_t tls;
};

const struct arch *arch_by_id(enum arch_id id);
const struct arch *arch_by_name(const char *name); /* NULL when unknown */
const struct arch *arch_host(void);

static inline taddr regs_pc(const struct regs *regs)
{
	return regs->r[regs->arch->pc];
}

static inline taddr regs_sp(const struct regs *regs)
{
	return regs->r[regs->arch->sp];
}

static inline taddr regs_fp(const struct regs *regs)
{
	return regs->r[regs->arch->fp];
}

/*
 * The system call that the thread is in, -1 when the registers do not prove that it is in one:
 * x86_64 always knows; aarch64 only while the call waits to be restarted.
 */
long regs_syscall(const struct regs *regs);

/*
 * The same with the code around PC at hand, which MEM should hold. On aarch64 a PC on or behind
 * a call instruction counts as in the call: one that has just returned cannot be told from it.
 */
long regs_syscall_at(const struct regs *regs, const struct mem *mem);

/* Argument I, from 0, of the system call that the thread is in; I < 6. */
static inline uint64_t regs_argument(const struct regs *regs, unsigned i)
{
	return regs->r[regs->arch->arguments[i]];
}

/* "read", NULL when the number has no name. */
const char *arch_syscall_name(const struct arch *arch, long nr);

/* "SIGSEGV", "SIGRTMIN+3"; "SEGV_MAPERR", "SI_USER", NULL when there is no name. Linux's numbers. */
const char *signal_name(int signo);
const char *signal_code_name(int signo, int code);

/* The number of "SIGTERM", "TERM" or "15"; 0 when it is none. */
int signal_number(const char *name);

/* What the kernel does by default: true when it ends the process (with a core or without). */
bool signal_default_kills(int signo);

/* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS: raised by an instruction when code > 0. */
bool signal_is_fault(int signo);

/* SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU: job control. */
bool signal_is_stop(int signo);

#endif
