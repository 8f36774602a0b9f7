/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "breakpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"

// Where the kernel does not say it is the customary default.
#define PARANOID_DEFAULT 2

// The C library's own signals, by which threads are cancelled and change their user. No header has
// them.
#define SIGCANCEL 32
#define SIGSETXID 33

static int paranoid(void)
{
	char text[16];
	_cleanup_(closep) int fd =
		open("/proc/sys/kernel/perf_event_paranoid", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return PARANOID_DEFAULT;
	text[n] = '\0';
	return atoi(text);
}

static struct error *refused(int errnum, const char **remedy)
{
	*remedy = NULL;
	switch (errnum) {
	case ESRCH:
		return error_new(ERROR_GONE, "the process has ended");
	case ENOSPC:
		*remedy = "end what holds hardware breakpoints or watchpoints on it, such as perf or a "
			  "debugger";
		return error_new(ERROR_DENIED, "all debug registers of the processor are taken");
	case EACCES:
	case EPERM:
		if (geteuid() != 0 && paranoid() > PARANOID_DEFAULT) {
			*remedy = "run pcatch as root or with CAP_PERFMON, or set "
				  "kernel.perf_event_paranoid=2";
			return error_new(ERROR_DENIED,
					 "perf_event_open is refused: kernel.perf_event_paranoid is %d",
					 paranoid());
		}
		*remedy = "in a container, allow perf_event_open in its seccomp profile or add "
			  "CAP_PERFMON";
		return error_new(ERROR_DENIED, "perf_event_open is refused: %s", strerror(errnum));
	case ENOSYS:
		return error_new(ERROR_UNSUPPORTED, "the kernel has no perf_event_open");
	default:
		*remedy = error_remedy(errnum);
		return error_new(ERROR_UNSUPPORTED, "the kernel sets no hardware breakpoint: %s",
				 strerror(errnum));
	}
}

static int open_event(pid_t pid, taddr at)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = at,
		.bp_len = sizeof(long),
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		// Threads, but not processes (Linux 5.13).
		.inherit = 1,
		.inherit_thread = 1,
		.remove_on_exec = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0 || (errno != EINVAL && errno != E2BIG))
		return fd;
	// Before 5.13: the first thread alone, which is the one that ends an interpreter.
	attr.inherit = attr.inherit_thread = attr.remove_on_exec = 0;
	return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/*
 * The C library blocks everything for a moment, as around a fork in glibc since 2.41 and in musl,
 * and its own two signals with it, which it lets no program block. That says nothing of the
 * program's plans, and the signal comes when the moment is over.
 */
static bool blocks_for_a_moment(const struct procfs_status *status)
{
	return status->blocked >> (SIGCANCEL - 1) & status->blocked >> (SIGSETXID - 1) & 1;
}

// A signal that is ignored by default, and that the target has no plans for. 0: there is none.
static int choose_signal(pid_t pid)
{
	static const int ignored_by_default[] = { SIGURG, SIGWINCH };
	struct procfs_status status;

	if (error_drop(procfs_status(pid, &status)))
		return ignored_by_default[0];
	uint64_t planned = status.caught | (blocks_for_a_moment(&status) ? 0 : status.blocked);
	for (size_t i = 0; i < ARRAY_SIZE(ignored_by_default); i++) {
		int signo = ignored_by_default[i];

		if (!(planned >> (signo - 1) & 1))
			return signo;
	}
	return 0;
}

struct error *breakpoint_set(struct breakpoint *breakpoint, pid_t pid, taddr at,
			     const char **remedy_ret)
{
	struct f_owner_ex owner = { .type = F_OWNER_PID, .pid = pid };
	int signo = choose_signal(pid);

	*remedy_ret = NULL;
	if (!signo)
		return error_new(ERROR_UNSUPPORTED, "the process catches or blocks both SIGURG and "
						    "SIGWINCH, which would tell of it");
	_cleanup_(closep) int fd = open_event(pid, at);
	if (fd < 0)
		return refused(errno, remedy_ret);
	// In this order: until it has a signal of its own, O_ASYNC sends SIGIO, which kills.
	if (fcntl(fd, F_SETSIG, signo) < 0 || fcntl(fd, F_SETOWN_EX, &owner) < 0 ||
	    fcntl(fd, F_SETFL, O_ASYNC) < 0 || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return refused(errno, remedy_ret);
	breakpoint_clear(breakpoint);
	*breakpoint = (struct breakpoint){ .set = true, .at = at, .signo = signo };
	breakpoint->fd = TAKE_FD(fd);
	return NULL;
}

void breakpoint_clear(struct breakpoint *breakpoint)
{
	if (breakpoint->set)
		close(breakpoint->fd);
	*breakpoint = (struct breakpoint){};
}

static uint64_t count(const struct breakpoint *breakpoint)
{
	uint64_t n;

	return read(breakpoint->fd, &n, sizeof(n)) == sizeof(n) ? n : breakpoint->hits;
}

bool breakpoint_was_hit(struct breakpoint *breakpoint, const siginfo_t *si)
{
	if (!breakpoint->set || si->si_signo != breakpoint->signo)
		return false;
	// Where the kernel had no room for the siginfo it is that of a kill by nobody.
	bool bare = si->si_code == SI_USER && si->si_pid == 0;
	if (!bare && (si->si_code != POLL_IN || si->si_fd != breakpoint->fd))
		return false;
	// The target may send itself what it likes; the kernel's count is not its to raise.
	uint64_t n = count(breakpoint);
	if (n == breakpoint->hits)
		return false;
	breakpoint->hits = n;
	return true;
}

bool breakpoint_was_missed(const struct breakpoint *breakpoint)
{
	return breakpoint->set && count(breakpoint) != breakpoint->hits;
}
