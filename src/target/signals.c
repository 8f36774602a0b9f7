/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "arch.h"

// Linux's numbers on every architecture but alpha, mips, parisc and sparc; written out because
// <signal.h> may be another architecture's.
enum {
	LINUX_SIGHUP = 1, LINUX_SIGINT, LINUX_SIGQUIT, LINUX_SIGILL, LINUX_SIGTRAP, LINUX_SIGABRT,
	LINUX_SIGBUS, LINUX_SIGFPE, LINUX_SIGKILL, LINUX_SIGUSR1, LINUX_SIGSEGV, LINUX_SIGUSR2,
	LINUX_SIGPIPE, LINUX_SIGALRM, LINUX_SIGTERM, LINUX_SIGSTKFLT, LINUX_SIGCHLD,
	LINUX_SIGCONT, LINUX_SIGSTOP, LINUX_SIGTSTP, LINUX_SIGTTIN, LINUX_SIGTTOU, LINUX_SIGURG,
	LINUX_SIGXCPU, LINUX_SIGXFSZ, LINUX_SIGVTALRM, LINUX_SIGPROF, LINUX_SIGWINCH,
	LINUX_SIGIO, LINUX_SIGPWR, LINUX_SIGSYS,
	// What the C libraries call SIGRTMIN: glibc keeps 32 and 33 for itself.
	LINUX_SIGRTMIN = 34, LINUX_SIGRTMAX = 64,
};

static const char *const names[] = {
	NULL,	   "SIGHUP",  "SIGINT",	   "SIGQUIT", "SIGILL",	  "SIGTRAP",   "SIGABRT",
	"SIGBUS",  "SIGFPE",  "SIGKILL",   "SIGUSR1", "SIGSEGV",  "SIGUSR2",   "SIGPIPE",
	"SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT",  "SIGSTOP",   "SIGTSTP",
	"SIGTTIN", "SIGTTOU", "SIGURG",	   "SIGXCPU", "SIGXFSZ",  "SIGVTALRM", "SIGPROF",
	"SIGWINCH", "SIGIO",  "SIGPWR",	   "SIGSYS",  "SIG32",	  "SIG33",
#define RT(n) "SIGRTMIN+" #n
	"SIGRTMIN", RT(1),  RT(2),  RT(3),  RT(4),  RT(5),  RT(6),  RT(7),  RT(8),  RT(9),  RT(10),
	RT(11),	    RT(12), RT(13), RT(14), RT(15), RT(16), RT(17), RT(18), RT(19), RT(20), RT(21),
	RT(22),	    RT(23), RT(24), RT(25), RT(26), RT(27), RT(28), RT(29), RT(30),
#undef RT
};

_Static_assert(ARRAY_SIZE(names) == LINUX_SIGRTMAX + 1, "a name for every signal");

const char *signal_name(int signo)
{
	return signo > 0 && signo <= LINUX_SIGRTMAX ? names[signo] : NULL;
}

// The decimal number at S and nothing behind it, -1 when it is none or above MAX.
static long decimal(const char *s, long max)
{
	long v = 0;

	if (!*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (*s - '0');
		if (v > max)
			return -1;
	}
	return v;
}

int signal_number(const char *name)
{
	long n = decimal(name, LINUX_SIGRTMAX);

	if (n >= 0)
		return (int)n;
	if (!strncmp(name, "SIG", 3))
		name += 3;
	for (int i = 1; i <= LINUX_SIGRTMAX; i++)
		if (!strcmp(name, names[i] + 3))
			return i;
	if (!strcmp(name, "IOT"))
		return LINUX_SIGABRT;
	if (!strcmp(name, "POLL"))
		return LINUX_SIGIO;
	if (!strcmp(name, "CLD"))
		return LINUX_SIGCHLD;
	if (!strcmp(name, "RTMAX"))
		return LINUX_SIGRTMAX;
	if (!strncmp(name, "RTMAX-", 6)) {
		n = decimal(name + 6, LINUX_SIGRTMAX - LINUX_SIGRTMIN);
		return n < 0 ? 0 : LINUX_SIGRTMAX - (int)n;
	}
	return 0;
}

bool signal_default_kills(int signo)
{
	switch (signo) {
	case LINUX_SIGCHLD:
	case LINUX_SIGCONT:
	case LINUX_SIGURG:
	case LINUX_SIGWINCH:
	case LINUX_SIGSTOP:
	case LINUX_SIGTSTP:
	case LINUX_SIGTTIN:
	case LINUX_SIGTTOU:
		return false;
	default:
		return signo > 0 && signo <= LINUX_SIGRTMAX;
	}
}

bool signal_is_fault(int signo)
{
	return signo == LINUX_SIGSEGV || signo == LINUX_SIGBUS || signo == LINUX_SIGILL ||
	       signo == LINUX_SIGFPE || signo == LINUX_SIGTRAP || signo == LINUX_SIGSYS;
}

bool signal_is_stop(int signo)
{
	return signo == LINUX_SIGSTOP || signo == LINUX_SIGTSTP || signo == LINUX_SIGTTIN ||
	       signo == LINUX_SIGTTOU;
}

// include/uapi/asm-generic/siginfo.h
static const struct code {
	int signo; // 0: of every signal
	int code;
	const char *name;
} codes[] = {
	{ 0, 0, "SI_USER" },
	{ 0, 0x80, "SI_KERNEL" },
	{ 0, -1, "SI_QUEUE" },
	{ 0, -2, "SI_TIMER" },
	{ 0, -3, "SI_MESGQ" },
	{ 0, -4, "SI_ASYNCIO" },
	{ 0, -5, "SI_SIGIO" },
	{ 0, -6, "SI_TKILL" },
	{ 0, -7, "SI_DETHREAD" },
	{ 0, -60, "SI_ASYNCNL" },
	{ LINUX_SIGILL, 1, "ILL_ILLOPC" },
	{ LINUX_SIGILL, 2, "ILL_ILLOPN" },
	{ LINUX_SIGILL, 3, "ILL_ILLADR" },
	{ LINUX_SIGILL, 4, "ILL_ILLTRP" },
	{ LINUX_SIGILL, 5, "ILL_PRVOPC" },
	{ LINUX_SIGILL, 6, "ILL_PRVREG" },
	{ LINUX_SIGILL, 7, "ILL_COPROC" },
	{ LINUX_SIGILL, 8, "ILL_BADSTK" },
	{ LINUX_SIGILL, 9, "ILL_BADIADDR" },
	{ LINUX_SIGFPE, 1, "FPE_INTDIV" },
	{ LINUX_SIGFPE, 2, "FPE_INTOVF" },
	{ LINUX_SIGFPE, 3, "FPE_FLTDIV" },
	{ LINUX_SIGFPE, 4, "FPE_FLTOVF" },
	{ LINUX_SIGFPE, 5, "FPE_FLTUND" },
	{ LINUX_SIGFPE, 6, "FPE_FLTRES" },
	{ LINUX_SIGFPE, 7, "FPE_FLTINV" },
	{ LINUX_SIGFPE, 8, "FPE_FLTSUB" },
	{ LINUX_SIGFPE, 14, "FPE_FLTUNK" },
	{ LINUX_SIGFPE, 15, "FPE_CONDTRAP" },
	{ LINUX_SIGSEGV, 1, "SEGV_MAPERR" },
	{ LINUX_SIGSEGV, 2, "SEGV_ACCERR" },
	{ LINUX_SIGSEGV, 3, "SEGV_BNDERR" },
	{ LINUX_SIGSEGV, 4, "SEGV_PKUERR" },
	{ LINUX_SIGSEGV, 5, "SEGV_ACCADI" },
	{ LINUX_SIGSEGV, 6, "SEGV_ADIDERR" },
	{ LINUX_SIGSEGV, 7, "SEGV_ADIPERR" },
	{ LINUX_SIGSEGV, 8, "SEGV_MTEAERR" },
	{ LINUX_SIGSEGV, 9, "SEGV_MTESERR" },
	{ LINUX_SIGSEGV, 10, "SEGV_CPERR" },
	{ LINUX_SIGBUS, 1, "BUS_ADRALN" },
	{ LINUX_SIGBUS, 2, "BUS_ADRERR" },
	{ LINUX_SIGBUS, 3, "BUS_OBJERR" },
	{ LINUX_SIGBUS, 4, "BUS_MCEERR_AR" },
	{ LINUX_SIGBUS, 5, "BUS_MCEERR_AO" },
	{ LINUX_SIGTRAP, 1, "TRAP_BRKPT" },
	{ LINUX_SIGTRAP, 2, "TRAP_TRACE" },
	{ LINUX_SIGTRAP, 3, "TRAP_BRANCH" },
	{ LINUX_SIGTRAP, 4, "TRAP_HWBKPT" },
	{ LINUX_SIGTRAP, 5, "TRAP_UNK" },
	{ LINUX_SIGTRAP, 6, "TRAP_PERF" },
	{ LINUX_SIGCHLD, 1, "CLD_EXITED" },
	{ LINUX_SIGCHLD, 2, "CLD_KILLED" },
	{ LINUX_SIGCHLD, 3, "CLD_DUMPED" },
	{ LINUX_SIGCHLD, 4, "CLD_TRAPPED" },
	{ LINUX_SIGCHLD, 5, "CLD_STOPPED" },
	{ LINUX_SIGCHLD, 6, "CLD_CONTINUED" },
	{ LINUX_SIGIO, 1, "POLL_IN" },
	{ LINUX_SIGIO, 2, "POLL_OUT" },
	{ LINUX_SIGIO, 3, "POLL_MSG" },
	{ LINUX_SIGIO, 4, "POLL_ERR" },
	{ LINUX_SIGIO, 5, "POLL_PRI" },
	{ LINUX_SIGIO, 6, "POLL_HUP" },
	{ LINUX_SIGSYS, 1, "SYS_SECCOMP" },
	{ LINUX_SIGSYS, 2, "SYS_USER_DISPATCH" },
};

const char *signal_code_name(int signo, int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code && (!codes[i].signo || codes[i].signo == signo))
			return codes[i].name;
	return NULL;
}
