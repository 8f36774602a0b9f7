/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "procmem.h"
#include "tracing.h"

#ifndef NT_ARM_TLS
#define NT_ARM_TLS 0x401
#endif

/*
 * SIGKILL tears a thread out of its stop and on to that of its exit, which is seen before it is left:
 * PTRACE_CONT does not say which stop it means.
 */
static bool was_torn_away(const struct tracee *t)
{
	siginfo_t now;

	return t->state != TRACEE_AT_EXIT && wait_peek(P_PID, t->tid, &now) &&
	       now.si_code == CLD_TRAPPED && now.si_status >> 8 == PTRACE_EVENT_EXIT;
}

void tracee_let_run(struct tracee *t, int signo)
{
	bool torn = was_torn_away(t);

	t->state = TRACEE_RUNNING;
	// ESRCH: it is on its way there.
	if (!torn)
		ptrace(PTRACE_CONT, t->tid, 0, signo);
}

void tracer_resume(struct tracee *tracee)
{
	if (tracee->state == TRACEE_AT_SIGNAL) {
		tracee_let_run(tracee, tracee->stop_signal);
	} else if (tracee->state == TRACEE_AT_EVENT && tracee->stop_signal) {
		tracee->state = TRACEE_LISTENING;
		ptrace(PTRACE_LISTEN, tracee->tid, 0, 0);
	} else if (tracee->state == TRACEE_AT_EVENT || tracee->state == TRACEE_AT_EXIT) {
		tracee_let_run(tracee, 0);
	}
}

pid_t tracee_event_message(pid_t tid)
{
	unsigned long msg = 0;

	return ptrace(PTRACE_GETEVENTMSG, tid, 0, &msg) < 0 ? 0 : (pid_t)msg;
}

struct signal_info signal_info_from(const siginfo_t *si)
{
	struct signal_info info = { .signo = si->si_signo, .code = si->si_code };

	if (si->si_code <= 0 && si->si_code != SI_TIMER) {
		info.pid = si->si_pid;
		info.uid = si->si_uid;
		if (si->si_code == SI_QUEUE || si->si_code == SI_MESGQ)
			info.value = (uint64_t)(uintptr_t)si->si_value.sival_ptr;
	} else if (si->si_code == SI_TIMER) {
		info.timer_id = si->si_timerid;
		info.value = (uint64_t)(uintptr_t)si->si_value.sival_ptr;
	} else if (si->si_signo == SIGCHLD) {
		info.pid = si->si_pid;
		info.uid = si->si_uid;
		info.child_status = si->si_status;
	} else if (si->si_signo == SIGSYS) {
		info.addr = (taddr)(uintptr_t)si->si_call_addr;
		info.syscall = si->si_syscall;
	} else if (signal_is_fault(si->si_signo)) {
		info.addr = (taddr)(uintptr_t)si->si_addr;
	}
	return info;
}

bool tracee_siginfo(const struct tracee *tracee, struct signal_info *ret)
{
	siginfo_t si;

	if (ptrace(PTRACE_GETSIGINFO, tracee->tid, 0, &si) < 0)
		return false;
	*ret = signal_info_from(&si);
	return true;
}

static bool get_regset(pid_t tid, unsigned type, void *to, size_t *len)
{
	struct iovec iov = { .iov_base = to, .iov_len = *len };

	if (ptrace(PTRACE_GETREGSET, tid, type, &iov) < 0)
		return false;
	*len = iov.iov_len;
	return true;
}

bool tracee_general_registers(pid_t tid, struct regs *ret)
{
	const struct arch *arch = arch_host();
	struct regs regs = { .arch = arch };
	size_t len = sizeof(regs.r);

	if (!get_regset(tid, NT_PRSTATUS, regs.r, &len) || len < arch->n_regs * sizeof(uint64_t))
		return false;
	if (arch->tls >= 0) {
		regs.tls = regs.r[arch->tls];
	} else {
		len = sizeof(regs.tls);
		if (!get_regset(tid, NT_ARM_TLS, &regs.tls, &len))
			return false;
	}
	*ret = regs;
	return true;
}

bool tracee_registers(const struct tracee *tracee, struct arena *arena, bool vectors,
		      struct thread *thread)
{
	uint8_t set[16384];
	size_t len = sizeof(set);

	if (!tracee_general_registers(tracee->tid, &thread->regs))
		return false;
	if (!vectors)
		return true;
	if (get_regset(tracee->tid, NT_PRFPREG, set, &len)) {
		thread->fpregs.data = arena_memdup(arena, set, len);
		thread->fpregs.len = thread->fpregs.data ? len : 0;
	}
	len = sizeof(set);
	if (arch_host()->id == ARCH_X86_64 &&
	    get_regset(tracee->tid, NT_X86_XSTATE, set, &len)) {
		thread->xstate.data = arena_memdup(arena, set, len);
		thread->xstate.len = thread->xstate.data ? len : 0;
	}
	return true;
}

void tracee_keep_first_chance(struct tracee *tracee, const struct signal_info *info)
{
	if (!tracee->first_chance)
		tracee->first_chance = calloc(1, sizeof(*tracee->first_chance));
	struct first_chance *f = tracee->first_chance;
	if (!f)
		return;
	f->info = (struct signal_info){};
	f->thread = (struct thread){ .tid = tracee->tid };
	if (!tracee_general_registers(tracee->tid, &f->thread.regs))
		return;
	size_t len = sizeof(f->fpregs);
	if (get_regset(tracee->tid, NT_PRFPREG, f->fpregs, &len))
		f->thread.fpregs = (struct bytes){ f->fpregs, len };
	len = sizeof(f->xstate);
	if (arch_host()->id == ARCH_X86_64 &&
	    get_regset(tracee->tid, NT_X86_XSTATE, f->xstate, &len))
		f->thread.xstate = (struct bytes){ f->xstate, len };
	f->at = realtime_now();
	f->info = *info;
}

bool traced_dispositions(const struct traced *process, uint64_t *ignored, uint64_t *caught)
{
	char text[8192];
	ssize_t n = pread(process->status_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *ign = strstr(text, "\nSigIgn:"), *cgt = strstr(text, "\nSigCgt:");
	if (!ign || !cgt)
		return false;
	*ignored = strtoull(ign + 8, NULL, 16);
	*caught = strtoull(cgt + 8, NULL, 16);
	return true;
}

bool tracee_exits_alone(const struct tracee *t)
{
	struct regs regs;
	size_t others = 0;

	for (const struct tracee *o = t->process->tracees; o; o = o->next_in_process)
		if (o != t && o->state != TRACEE_AT_EXIT && o->state != TRACEE_ENDED)
			others++;
	if (!others || !tracee_general_registers(t->tid, &regs))
		return false;
	struct procmem live;
	procmem_init(&live, t->process->pid, t->process->mem_fd);
	return regs_syscall_at(&regs, &live.mem) == regs.arch->nr_exit;
}
