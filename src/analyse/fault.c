/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fault.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "decode.h"

// Linux's numbers, the same on every architecture that we know.
enum {
	SIG_ILL = 4, SIG_TRAP = 5, SIG_ABRT = 6, SIG_BUS = 7, SIG_FPE = 8, SIG_SEGV = 11, SIG_SYS = 31,
};

enum {
	CODE_KERNEL = 128,
	CODE_SEGV_ACCERR = 2, CODE_SEGV_BNDERR = 3, CODE_SEGV_PKUERR = 4,
	CODE_SEGV_MTEAERR = 8, CODE_SEGV_MTESERR = 9,
	CODE_BUS_ADRALN = 1, CODE_BUS_ADRERR = 2, CODE_BUS_OBJERR = 3,
	CODE_BUS_MCEERR_AR = 4, CODE_BUS_MCEERR_AO = 5,
	CODE_FPE_INTDIV = 1, CODE_FPE_INTOVF = 2, CODE_FPE_FLTDIV = 3,
	CODE_TRAP_BRKPT = 1,
};

#define NULL_PAGES   ((taddr)64 << 10) // mmap_min_addr's default: nothing is ever mapped below
#define STACK_REACH  ((taddr)64 << 10) // how far from SP an access still counts as one to the stack
#define STACK_PUSH   ((taddr)8 << 10)  // ... when SP is still in the stack: a push, a call, a probe
#define STACK_JUMP   ((taddr)16 << 20) // how far one call may move SP past the end of its stack
#define NEAR_MAPPING ((taddr)64 << 10) // "just past the end of"

// What the classes are decided on.
struct scene {
	const struct snapshot *snapshot;
	const struct thread *thread;
	const struct regs *regs; /* NULL: not captured */
	const struct mem *mem;
	struct arena *arena;
	int signo, code;
	taddr address; /* si_addr */
	taddr pc;
	bool have_insn;
	struct decoded insn;
	struct fault *fault;
};

static bool sent_by_itself(const struct snapshot *snapshot)
{
	const struct process *process = &snapshot->process;
	const struct signal_info *info = &snapshot->death.info;

	if (snapshot->death.sender.kind == SENDER_SELF)
		return true;
	// The sender's pid is the one in the target's own namespace.
	pid_t own = process->ns_pids.n ? process->ns_pids.v[process->ns_pids.n - 1] : process->pid;
	return info->code <= 0 && info->pid && info->pid == own;
}

// The signal to explain, 0 for none.
static int fault_signal(const struct snapshot *snapshot)
{
	const struct death *death = &snapshot->death;
	const struct signal_info *info = &death->info;

	if (death->kind != DEATH_SIGNAL && !(death->first_chance && info->signo))
		return 0;
	// seccomp's SECCOMP_RET_KILL_PROCESS ends it with SIGSYS and no siginfo at all.
	if (!info->signo)
		return death->kind == DEATH_SIGNAL && death->signo == SIG_SYS ? SIG_SYS : 0;
	if (info->signo == SIG_ABRT)
		return sent_by_itself(snapshot) ? SIG_ABRT : 0;
	return signal_is_fault(info->signo) && info->code > 0 ? info->signo : 0;
}

static const struct thread *fault_thread(const struct snapshot *snapshot)
{
	// Which one seccomp's kill hit is not always told, but there may be no choice.
	if (!snapshot->death.tid && snapshot->threads.n == 1)
		return &snapshot->threads.v[0];
	return snapshot_thread(snapshot, snapshot->death.tid);
}

taddr fault_pc(const struct snapshot *snapshot)
{
	const struct thread *thread = fault_thread(snapshot);

	if (!fault_signal(snapshot) || !thread || !thread->regs.arch)
		return 0;
	return regs_pc(&thread->regs);
}

static struct error *say(struct scene *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

static struct error *say(struct scene *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	s->fault->explanation = arena_vprintf(s->arena, fmt, ap);
	va_end(ap);
	return s->fault->explanation ? NULL : error_nomem();
}

static bool is_canonical(const struct arch *arch, taddr at)
{
	// Bits 63 to 47 are one and the same on x86_64; on aarch64 the top byte is ignored and the
	// others select user or kernel space.
	if (arch->id == ARCH_X86_64)
		return at >> 47 == 0 || at >> 47 == 0x1ffff;
	taddr top = at >> arch->address_bits & 0xff;
	return top == 0 || top == 0xff;
}

static bool is_kernel(const struct arch *arch, taddr at)
{
	return at >> 63 && is_canonical(arch, at);
}

// Values that allocators and debuggers fill memory with, so that its use after free (or before it was
// written) shows. NULL when V is none of them or a small step away from one.
static const char *poison(uint64_t v)
{
	static const struct {
		uint8_t byte;
		const char *who;
	} bytes[] = {
		{ 0xdd, "what debugging allocators write over freed memory" },
		{ 0xfd, "what debugging allocators put around a block of memory" },
		{ 0xcd, "what debugging allocators fill new memory with" },
		{ 0xdb, "what CPython's debugging allocator wrote over freed memory (to 3.7)" },
		{ 0xcb, "what CPython's debugging allocator filled new memory with (to 3.7)" },
		{ 0xfb, "what CPython's debugging allocator put around a block of memory (to 3.7)" },
		{ 0x5a, "what jemalloc writes over freed memory" },
		{ 0xa5, "what jemalloc fills new memory with" },
		{ 0x6b, "what slab poisoning writes over freed memory" },
		{ 0xbe, "what AddressSanitizer fills new memory with" },
	};
	static const uint32_t words[] = { 0xdeadbeef, 0xfeeefeee, 0xbaadf00d, 0xdeadc0de, 0xdeaddead };

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		uint64_t pattern = bytes[i].byte * 0x0101010101010101u;

		// A field of an object is a step behind its address.
		if (v >> 16 == pattern >> 16 || v >> 16 == (pattern & 0xffffffff) >> 16)
			return bytes[i].who;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (v >> 32 == words[i] || (v >> 32 == 0 && v >> 12 == words[i] >> 12))
			return "a marker that programs put where nothing should look";
	return NULL;
}

static const char *verb(enum access access)
{
	switch (access) {
	case ACCESS_READ:
		return "read memory";
	case ACCESS_WRITE:
		return "write to memory";
	case ACCESS_EXECUTE:
		return "run code";
	default:
		return "use memory";
	}
}

static bool readable(const struct mapping *m)
{
	return m->permissions[0] == 'r';
}

static bool writable(const struct mapping *m)
{
	return m->permissions[1] == 'w';
}

static bool executable(const struct mapping *m)
{
	return m->permissions[2] == 'x';
}

static const struct mapping *mapping_above(const struct snapshot *snapshot, taddr at)
{
	for (size_t i = 0; i < snapshot->mappings.n; i++)
		if (snapshot->mappings.v[i].start > at)
			return &snapshot->mappings.v[i];
	return NULL;
}

// The stack that AT lies below, in its guard or in nothing; NULL when AT is no overflow of it.
static const struct mapping *overflown_stack(const struct scene *s, taddr at)
{
	if (!s->regs)
		return NULL;
	taddr sp = regs_sp(s->regs);
	const struct mapping *here = snapshot_mapping_at(s->snapshot, at);

	if (here && (readable(here) || writable(here)))
		return NULL;
	const struct mapping *stack = mapping_above(s->snapshot, at);
	// A guard may be several mappings.
	while (stack && !readable(stack) && !writable(stack))
		stack = mapping_above(s->snapshot, stack->start);
	if (!stack || !readable(stack) || !writable(stack))
		return NULL;
	// Whose stack it is shows where the frames are. A big frame may have taken SP itself out of it; then
	// nothing that has a name, other than a stack, can be above.
	bool own = (sp >= stack->start && sp < stack->end) || (sp < stack->start && !*stack->name) ||
		   (s->thread->stack_end > stack->start && s->thread->stack_end <= stack->end) ||
		   (regs_fp(s->regs) >= stack->start && regs_fp(s->regs) < stack->end) ||
		   !strncmp(stack->name, "[stack", 6);
	if (!own)
		return NULL;
	if (sp < stack->start)
		return stack->start - sp <= STACK_JUMP &&
				       (at >= sp || sp - at <= STACK_REACH)
			       ? stack
			       : NULL;
	return sp - at <= STACK_PUSH ? stack : NULL;
}

// The soft limit in /proc/PID/limits, 0: unknown or none.
static uint64_t stack_limit(const struct snapshot *snapshot)
{
	const struct bytes *limits = &snapshot->process.limits;
	static const char name[] = "Max stack size";
	const char *p = limits->len ? strstr((const char *)limits->data, name) : NULL;

	return p ? strtoull(p + sizeof(name) - 1, NULL, 10) : 0;
}

static struct error *stack_overflow(struct scene *s, const struct mapping *stack)
{
	uint64_t size = stack->end - stack->start, limit = stack_limit(s->snapshot);
	bool main_stack = !strncmp(stack->name, "[stack]", 7);

	s->fault->class = FAULT_STACK_OVERFLOW;
	if (main_stack && limit && limit >> 10 <= (size >> 10) + 1024)
		return say(s, "The thread ran out of stack: it tried to %s at 0x%" PRIx64
			   ", below its stack, which has grown to its limit of %" PRIu64
			   " KiB; that is mostly a function that calls itself without end.",
			   verb(s->fault->access), s->fault->address, limit >> 10);
	return say(s, "The thread ran out of stack: it tried to %s at 0x%" PRIx64
		   ", below the end of its stack of %" PRIu64
		   " KiB; that is mostly a function that calls itself without end.",
		   verb(s->fault->access), s->fault->address, size >> 10);
}

// Where AT is, in words that follow "at 0x1234, ".
static const char *whereabouts(struct scene *s, taddr at)
{
	const struct snapshot *snapshot = s->snapshot;
	const struct mapping *m = snapshot_mapping_at(snapshot, at);
	char *text = NULL;

	if (m && !readable(m) && !writable(m) && !executable(m))
		return "which is reserved but may not be touched";
	if (m)
		text = arena_printf(s->arena, "which lies in %s (%s)",
				    *m->name ? m->name : "memory without a name", m->permissions);
	else if (s->regs && is_kernel(s->regs->arch, at))
		return "which belongs to the kernel";
	else
		for (size_t i = 0; i < snapshot->mappings.n && !text; i++) {
			m = &snapshot->mappings.v[i];
			if (m->end <= at && at - m->end < NEAR_MAPPING)
				text = arena_printf(s->arena, "which is %" PRIu64
						    " bytes past the end of %s", at - m->end + 1,
						    *m->name ? m->name : "a block of memory");
		}
	return text ? text : "where there is no memory";
}

// The operand that made the fault: the one that covers AT.
static const struct operand *operand_at(const struct scene *s, taddr at)
{
	const struct decoded *insn = &s->insn;

	for (unsigned i = 0; s->have_insn && i < insn->n_operands; i++) {
		const struct operand *op = &insn->operands[i];

		if (op->known && at >= op->address && at - op->address < op->size)
			return op;
	}
	// One of vectors has addresses that cannot be told from the registers at hand.
	for (unsigned i = 0; s->have_insn && i < insn->n_operands; i++)
		if (!insn->operands[i].known)
			return &insn->operands[i];
	return NULL;
}

static void use_operand(struct scene *s, const struct operand *op)
{
	if (!op)
		return;
	s->fault->operand = op->text;
	s->fault->access = op->access;
}

static const char *poisoned(const struct operand *op, taddr at)
{
	const char *who = poison(at);

	for (unsigned i = 0; op && i < op->n_registers && !who; i++)
		who = poison(op->registers[i]);
	return who;
}

// An address that was worked with and that nothing is behind, or nothing of the kind.
static struct error *explain_address(struct scene *s, const struct operand *op)
{
	struct fault *f = s->fault;
	const struct mapping *m = snapshot_mapping_at(s->snapshot, f->address);
	const struct arch *arch = s->regs ? s->regs->arch : s->snapshot->host.arch;
	const char *null_means =
		f->access == ACCESS_EXECUTE
			? "a function was called through a pointer that had not been set to anything"
			: "a pointer was used that had not been set to anything";

	if (!f->address) {
		f->class = FAULT_NULL_POINTER;
		return say(s, "The program tried to %s at address 0x0, which is what a null pointer "
			   "points to: %s.", verb(f->access), null_means);
	}
	const struct mapping *stack = overflown_stack(s, f->address);
	if (stack)
		return stack_overflow(s, stack);
	if (f->address < NULL_PAGES) {
		f->class = FAULT_NULL_POINTER_OFFSET;
		return say(s, "The program tried to %s at address 0x%" PRIx64 ", which is %" PRIu64
			   " bytes behind a null pointer: probably a field or an element of something "
			   "whose pointer had not been set to anything.",
			   verb(f->access), f->address, f->address);
	}
	const char *who = poisoned(op, f->address);
	if (who && !(m && readable(m))) {
		f->class = FAULT_FREED_OR_POISONED;
		return say(s, "The program tried to %s at 0x%" PRIx64 ", an address made of %s: "
			   "it most likely used an object after it had been freed, or before it "
			   "was filled in.", verb(f->access), f->address, who);
	}
	if (arch && !is_canonical(arch, f->address)) {
		f->class = FAULT_NON_CANONICAL;
		return say(s, "The program tried to %s at 0x%" PRIx64 ", which cannot be an address at "
			   "all on this kind of processor: the pointer holds something else (text, "
			   "numbers) or was overwritten.", verb(f->access), f->address);
	}
	if (f->access == ACCESS_EXECUTE && m && !executable(m)) {
		f->class = FAULT_EXECUTE_NON_EXECUTABLE;
		return say(s, "The program jumped to 0x%" PRIx64 " in %s (%s), which holds data and "
			   "may not be run as code: a function pointer or a return address is wrong.",
			   f->address, *m->name ? m->name : "memory without a name",
			   m->permissions);
	}
	if (s->code == CODE_SEGV_ACCERR && m && readable(m) && !writable(m) &&
	    f->access != ACCESS_EXECUTE) {
		// Reading would have been allowed, so it was a write, decoded or not.
		f->access = ACCESS_WRITE;
		f->class = FAULT_WRITE_TO_READ_ONLY;
		return say(s, "The program tried to write to memory at 0x%" PRIx64 " in %s (%s), which "
			   "may only be read: constants, code and read-only files cannot be changed.",
			   f->address, *m->name ? m->name : "memory without a name",
			   m->permissions);
	}
	f->class = FAULT_WILD_POINTER;
	if (f->access == ACCESS_EXECUTE)
		return say(s, "The program jumped to 0x%" PRIx64 ", %s: a function pointer or a return "
			   "address is wrong.", f->address, whereabouts(s, f->address));
	return say(s, "The program tried to %s at 0x%" PRIx64 ", %s: the pointer is wrong, or what it "
		   "pointed to is gone.", verb(f->access), f->address, whereabouts(s, f->address));
}

static struct error *explain_misaligned(struct scene *s)
{
	s->fault->class = FAULT_MISALIGNED;
	return say(s, "The program tried to %s at 0x%" PRIx64 ", which is not a multiple of what this "
		   "instruction wants: data was put or cast to an address that does not suit its "
		   "type.", verb(s->fault->access), s->fault->address);
}

// x86 says nothing about a general protection fault but that it was one: the instruction has to tell.
static struct error *explain_protection(struct scene *s)
{
	struct fault *f = s->fault;
	const struct decoded *insn = &s->insn;

	f->have_address = false;
	if (s->regs && !is_canonical(s->regs->arch, s->pc)) {
		f->access = ACCESS_EXECUTE;
		f->address = s->pc;
		f->have_address = true;
		return explain_address(s, NULL);
	}
	for (unsigned i = 0; s->have_insn && i < insn->n_operands; i++) {
		const struct operand *op = &insn->operands[i];
		bool canonical = is_canonical(s->regs->arch, op->address) &&
				 is_canonical(s->regs->arch, op->address + op->size - 1);

		if (op->known && (!canonical || overflown_stack(s, op->address))) {
			use_operand(s, op);
			f->address = op->address;
			f->have_address = true;
			return explain_address(s, op);
		}
	}
	if (s->have_insn && insn->jumps && insn->target_known &&
	    !is_canonical(s->regs->arch, insn->target)) {
		f->access = ACCESS_EXECUTE;
		f->address = insn->target;
		f->have_address = true;
		if (insn->n_operands)
			f->operand = insn->operands[0].text;
		return explain_address(s, NULL);
	}
	for (unsigned i = 0; s->have_insn && insn->aligned && i < insn->n_operands; i++) {
		const struct operand *op = &insn->operands[i];

		if (op->known && op->size >= 16 && op->address % op->size) {
			use_operand(s, op);
			f->address = op->address;
			f->have_address = true;
			return explain_misaligned(s);
		}
	}
	if (s->have_insn && insn->privileged) {
		f->class = FAULT_ILLEGAL_INSTRUCTION;
		return say(s, "The program ran into the instruction \"%s\", which only the kernel may "
			   "execute: it jumped to a place that is no code of its own, or was built "
			   "to stop there.", insn->text);
	}
	f->class = FAULT_OTHER;
	return say(s, "The processor refused an instruction of the program (a general protection "
		   "fault) and does not say why: mostly an address that is none, or a wrongly "
		   "aligned one.");
}

static struct error *explain_segv(struct scene *s)
{
	struct fault *f = s->fault;

	if (s->code == CODE_KERNEL)
		return explain_protection(s);
	f->have_address = true;
	f->address = s->address;
	const struct mapping *code = snapshot_mapping_at(s->snapshot, s->pc);
	const struct operand *op = NULL;
	// An instruction that could not be fetched: at pc, or on the page that it reaches into.
	if (s->regs && s->address - s->pc < 16 && (!code || !executable(code) || s->address != s->pc) &&
	    !operand_at(s, s->address)) {
		const struct mapping *m = snapshot_mapping_at(s->snapshot, s->address);

		if (!m || !executable(m))
			f->access = ACCESS_EXECUTE;
	}
	if (f->access != ACCESS_EXECUTE) {
		op = operand_at(s, s->address);
		use_operand(s, op);
	}
	if (s->code == CODE_SEGV_PKUERR) {
		f->class = FAULT_OTHER;
		return say(s, "The program tried to %s at 0x%" PRIx64 ", which it has locked itself "
			   "out of with a memory protection key.", verb(f->access), f->address);
	}
	if (s->code == CODE_SEGV_BNDERR || s->code == CODE_SEGV_MTEAERR ||
	    s->code == CODE_SEGV_MTESERR) {
		f->class = FAULT_WILD_POINTER;
		return say(s, "The program tried to %s at 0x%" PRIx64 ", and the processor's own check "
			   "of pointers found that this one does not belong there.",
			   verb(f->access), f->address);
	}
	return explain_address(s, op);
}

static struct error *explain_bus(struct scene *s)
{
	struct fault *f = s->fault;

	f->have_address = true;
	f->address = s->address;
	const struct operand *op = operand_at(s, s->address);
	use_operand(s, op);
	const struct mapping *m = snapshot_mapping_at(s->snapshot, s->address);
	if (!op && s->address == s->pc)
		f->access = ACCESS_EXECUTE;
	if (s->code == CODE_BUS_ADRALN)
		return explain_misaligned(s);
	if (s->code == CODE_BUS_ADRERR && m && m->name[0] == '/') {
		f->class = FAULT_BUS_PAST_END_OF_FILE;
		return say(s, "The program tried to %s at 0x%" PRIx64 ", a part of the mapped file %s "
			   "that the file does not have (any more): it is shorter than the mapping, "
			   "so it was probably truncated while in use, or its disk is full.",
			   verb(f->access), f->address, m->name);
	}
	f->class = FAULT_OTHER;
	if (s->code == CODE_BUS_MCEERR_AR || s->code == CODE_BUS_MCEERR_AO)
		return say(s, "The memory at 0x%" PRIx64 " is broken: the hardware reported an error that "
			   "could not be corrected.", f->address);
	return say(s, "The program tried to %s at 0x%" PRIx64 ", which is mapped, but the kernel could "
		   "not provide the memory behind it.", verb(f->access), f->address);
}

static struct error *explain_arithmetic(struct scene *s)
{
	struct fault *f = s->fault;

	f->have_address = true;
	f->address = s->address;
	if (s->have_insn && s->insn.divides)
		f->operand = s->insn.divisor_text;
	if (s->code == CODE_FPE_FLTDIV) {
		f->class = FAULT_DIVIDE_BY_ZERO;
		return say(s, "The program divided a floating-point number by zero, having asked for "
			   "that to be an error.");
	}
	if (s->code != CODE_FPE_INTDIV) {
		f->class = FAULT_OTHER;
		return say(s, "A calculation had a result that cannot be represented, and the program "
			   "had asked for that to be an error.");
	}
	// x86 has one exception for both.
	if (s->have_insn && s->insn.divisor_known && s->insn.divisor) {
		f->class = FAULT_OTHER;
		return say(s, "The program divided an integer and the result is too large for its type "
			   "(the lowest negative number divided by -1 is such a case).");
	}
	f->class = FAULT_DIVIDE_BY_ZERO;
	return say(s, "The program divided an integer by zero.");
}

static struct error *explain_illegal(struct scene *s)
{
	struct fault *f = s->fault;
	const char *text = s->have_insn ? s->insn.text : NULL;

	f->have_address = true;
	f->address = s->address;
	f->class = FAULT_ILLEGAL_INSTRUCTION;
	if (text && (!strncmp(text, "ud", 2)))
		return say(s, "The program ran into the instruction \"%s\", which exists to stop a program: "
			   "compilers put it where a check has failed or where the code must never "
			   "get to.", text);
	if (text)
		return say(s, "The processor does not know or allow the instruction \"%s\": the program was "
			   "built for another processor, or jumped to a place that is no code.",
			   text);
	return say(s, "The processor was told to execute something that is no instruction: the program "
		   "jumped to a place that is no code, or was built for another processor.");
}

static struct error *explain_system_call(struct scene *s)
{
	struct fault *f = s->fault;
	const struct signal_info *info = &s->snapshot->death.info;
	const struct arch *arch = s->regs ? s->regs->arch : s->snapshot->host.arch;
	long nr = info->signo == SIG_SYS ? info->syscall : -1;

	// Without siginfo the thread still stands in the call.
	if (!info->signo && s->regs)
		nr = regs_syscall_at(s->regs, s->mem);
	const char *name = arch ? arch_syscall_name(arch, nr) : NULL;
	f->class = FAULT_BAD_SYSTEM_CALL;
	f->have_address = info->signo == SIG_SYS && s->address;
	f->address = s->address;
	if (name)
		return say(s, "The program made the system call %s, which a filter (seccomp) that it runs "
			   "under forbids.", name);
	if (nr >= 0)
		return say(s, "The program made system call number %ld, which a filter (seccomp) that it "
			   "runs under forbids.", nr);
	return say(s, "The program made a system call that a filter (seccomp) that it runs under "
		   "forbids.");
}

static struct error *explain(struct scene *s)
{
	switch (s->signo) {
	case SIG_SEGV:
		return explain_segv(s);
	case SIG_BUS:
		return explain_bus(s);
	case SIG_FPE:
		return explain_arithmetic(s);
	case SIG_ILL:
		return explain_illegal(s);
	case SIG_SYS:
		return explain_system_call(s);
	case SIG_TRAP:
		s->fault->class = FAULT_TRAP;
		s->fault->have_address = true;
		s->fault->address = s->address ? s->address : s->pc;
		return say(s, "The program ran into a breakpoint, an instruction that hands over to a "
			   "debugger, and there was none: compilers and libraries put one where a "
			   "check has failed.");
	default:
		s->fault->class = FAULT_ABORT;
		return say(s, "The program ended itself with abort(): it, or a library that it uses, found "
			   "something so wrong that it would not go on.");
	}
}

// Where the instruction is that did it. Traps and system calls are reported after they were executed.
static taddr guilty_pc(const struct scene *s)
{
	uint8_t b[4] = {};

	if (s->regs->arch->id == ARCH_X86_64) {
		if (s->signo == SIG_TRAP && !error_drop(mem_read(s->mem, s->pc - 1, b, 1)) &&
		    b[0] == 0xcc)
			return s->pc - 1;
		if (s->signo == SIG_SYS && !error_drop(mem_read(s->mem, s->pc - 2, b, 2)) &&
		    b[0] == 0x0f && b[1] == 0x05)
			return s->pc - 2;
	} else if (s->signo == SIG_SYS) {
		uint32_t word;

		if (!error_drop(mem_u32(s->mem, s->pc - 4, &word)) &&
		    word == s->regs->arch->syscall_insn)
			return s->pc - 4;
	}
	return s->pc;
}

struct error *fault_explain(const struct snapshot *snapshot, const struct mem *mem,
			    taddr function_start, struct arena *arena, struct fault *ret)
{
	struct fault fault = { .present = true };
	struct scene s = { .snapshot = snapshot,
			   .thread = fault_thread(snapshot),
			   .mem = mem,
			   .arena = arena,
			   .signo = fault_signal(snapshot),
			   .code = snapshot->death.info.code,
			   .address = snapshot->death.info.addr,
			   .fault = &fault };
	struct error *err = NULL;

	if (!s.signo) {
		*ret = (struct fault){};
		return NULL;
	}
	if (s.thread && s.thread->regs.arch)
		s.regs = &s.thread->regs;
	if (s.regs) {
		s.pc = regs_pc(s.regs);
		// An abort is a system call like any other: its instruction says nothing.
		taddr guilty = guilty_pc(&s);
		if (s.signo != SIG_ABRT) {
			err = decode(s.regs, mem, guilty, arena, &s.insn, &s.have_insn);
			if (!err)
				err = decode_around(s.regs->arch, mem, guilty, function_start, arena,
						    &fault);
			// Without a disassembler the signal and its address still say something.
			if (err && err->kind == ERROR_UNSUPPORTED) {
				error_free(err);
				err = NULL;
			}
		}
	}
	if (!err)
		err = explain(&s);
	if (!err)
		*ret = fault;
	return err;
}
