/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "calls.h"

#include <inttypes.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

// Arguments by kind: d a signed int, u a size, p an address, l a signed 64-bit number.
static const struct {
	const char *name, *arguments;
} calls[] = {
	{ "accept", "dpp" }, { "accept4", "dppd" }, { "clock_nanosleep", "ddpp" }, { "close", "d" },
	{ "connect", "dpu" }, { "copy_file_range", "dpdpuu" }, { "dup", "d" }, { "dup2", "dd" },
	{ "dup3", "ddd" }, { "epoll_ctl", "dddp" }, { "epoll_pwait", "dpddpu" },
	{ "epoll_pwait2", "dpdppu" }, { "epoll_wait", "dpdd" }, { "exit", "d" },
	{ "exit_group", "d" }, { "fcntl", "ddp" }, { "fdatasync", "d" }, { "flock", "dd" },
	{ "fsync", "d" }, { "ftruncate", "dl" }, { "futex", "pddppd" }, { "futex_wait", "pppdpd" },
	{ "getrandom", "puu" }, { "io_getevents", "pllpp" }, { "ioctl", "dpp" }, { "kill", "dd" },
	{ "lseek", "dld" }, { "madvise", "pud" }, { "mmap", "pudddl" }, { "mprotect", "pud" },
	{ "msync", "pud" }, { "munmap", "pu" }, { "nanosleep", "pp" }, { "newfstatat", "dppd" },
	{ "openat", "dpd" }, { "pause", "" }, { "poll", "pud" }, { "ppoll", "puppu" },
	{ "pread64", "dpul" }, { "preadv", "dpul" }, { "pselect6", "dppppp" },
	{ "pwrite64", "dpul" }, { "pwritev", "dpul" }, { "read", "dpu" }, { "readv", "dpd" },
	{ "recvfrom", "dpudpp" }, { "recvmmsg", "dpudp" }, { "recvmsg", "dpd" },
	{ "rt_sigsuspend", "pu" }, { "rt_sigtimedwait", "pppu" }, { "sched_yield", "" },
	{ "select", "dpppp" }, { "semop", "dpu" }, { "semtimedop", "dpup" }, { "sendfile", "ddpu" },
	{ "sendmmsg", "dpud" }, { "sendmsg", "dpd" }, { "sendto", "dpudpu" }, { "shutdown", "dd" },
	{ "splice", "dpdpuu" }, { "tgkill", "ddd" }, { "tkill", "dd" }, { "wait4", "dpdp" },
	{ "waitid", "ddpdp" }, { "write", "dpu" }, { "writev", "dpd" },
};

static const char *arguments_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (!strcmp(name, calls[i].name))
			return calls[i].arguments;
	return NULL;
}

struct error *call_describe(const struct thread *thread, const struct mem *mem,
			    struct arena *arena, char **name_ret, char **text_ret)
{
	const struct regs *regs = &thread->regs;
	_cleanup_(buf_deinit) struct buf buf = {};

	*name_ret = *text_ret = NULL;
	// The thread faulted; a call's number in its registers is an old one.
	if (!regs->arch || thread->first_chance)
		return NULL;
	long nr = regs_syscall_at(regs, mem);
	if (nr < 0)
		return NULL;
	const char *known = arch_syscall_name(regs->arch, nr);
	char *name = known ? arena_strdup(arena, known) : arena_printf(arena, "syscall_%ld", nr);
	if (!name)
		return error_nomem();
	const char *arguments = arguments_of(name);
	buf_addstr(&buf, name);
	size_t n_arguments = arguments ? strlen(arguments) : 0;
	// A call without any still has its parentheses.
	for (size_t i = 0; arguments && i < 6 && i < (n_arguments ? n_arguments : 1); i++) {
		uint64_t v = regs->r[regs->arch->arguments[i]];

		buf_addstr(&buf, i ? ", " : "(");
		switch (arguments[i]) {
		case 'd':
			buf_printf(&buf, "%" PRId32, (int32_t)v);
			break;
		case 'u':
			buf_printf(&buf, "%" PRIu64, v);
			break;
		case 'l':
			buf_printf(&buf, "%" PRId64, (int64_t)v);
			break;
		case 'p':
			if (v)
				buf_printf(&buf, "0x%" PRIx64, v);
			else
				buf_addstr(&buf, "NULL");
			break;
		default:
			break;
		}
	}
	if (arguments)
		buf_addstr(&buf, ")");
	buf_add(&buf, "", 1);
	if (buf.failed)
		return error_nomem();
	char *text = arena_strdup(arena, (char *)buf.data);
	if (!text)
		return error_nomem();
	*name_ret = name;
	*text_ret = text;
	return NULL;
}
