/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"

static struct error *no_such_process(pid_t pid)
{
	return error_new(ERROR_GONE,
			 "cannot attach to %d: there is no such process; if there was one, 'pcatch "
			 "autopsy --pid %d' says what can still be known",
			 (int)pid, (int)pid);
}

// "pcatch (pid 12)": who holds a process that is already traced.
static void name_of(pid_t pid, char *ret, size_t size)
{
	struct procfs_status status;

	if (error_drop(procfs_status(pid, &status)))
		snprintf(ret, size, "pid %d", (int)pid);
	else
		snprintf(ret, size, "%s (pid %d)", status.name, (int)pid);
}

struct error *attach_possible(pid_t pid)
{
	struct procfs_status s;
	struct error *err = pid > 0 ? procfs_status(pid, &s) : no_such_process(pid);

	if (err && err->kind == ERROR_GONE) {
		error_free(err);
		return no_such_process(pid);
	}
	if (err)
		return error_prefix(err, "cannot attach to %d", (int)pid);
	if (s.tgid != pid)
		return error_new(ERROR_INPUT,
				 "cannot attach to %d: it is a thread of process %d (%s); name "
				 "that pid",
				 (int)pid, (int)s.tgid, s.name);
	if (pid == getpid())
		return error_new(ERROR_DENIED, "cannot attach to %d: that is pcatch itself",
				 (int)pid);
	if (s.kernel_thread)
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): it is a kernel thread, which has no "
				 "program to watch; name a process that has one",
				 (int)pid, s.name);
	if (s.tracer) {
		char tracer[128];

		name_of(s.tracer, tracer, sizeof(tracer));
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): %s is tracing it already, and a "
				 "process can have one tracer; end that one first",
				 (int)pid, s.name, tracer);
	}
	if ((s.state == 'Z' && s.threads <= 1) || s.state == 'X')
		return error_new(ERROR_GONE,
				 "cannot attach to %d (%s): it has ended and is a zombie that its "
				 "parent %d has not collected; 'pcatch autopsy --pid %d' says how "
				 "it ended",
				 (int)pid, s.name, (int)s.ppid, (int)pid);
	return NULL;
}

int attach_yama_scope(void)
{
	char c = '0';
	_cleanup_(closep) int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &c, 1) != 1)
		return -1;
	return c - '0';
}

struct error *attach_refused(pid_t pid, int errnum)
{
	struct error *err = attach_possible(pid);
	struct procfs_status s;
	int scope = attach_yama_scope();

	// What was possible before the attempt may have become plain by now.
	if (err)
		return err;
	if (errnum == ESRCH || error_drop(procfs_status(pid, &s)))
		return no_such_process(pid);
	if (errnum != EPERM && errnum != EACCES)
		return error_errno(errnum ? errnum : EPERM, "cannot attach to %d (%s)", (int)pid,
				   s.name);
	if (scope == 3)
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): kernel.yama.ptrace_scope is 3, which "
				 "forbids tracing until the next boot; set it lower in "
				 "/etc/sysctl.d and reboot",
				 (int)pid, s.name);
	if (geteuid() == 0)
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): no CAP_SYS_PTRACE over its user "
				 "namespace, or a security module forbids it; in a container, "
				 "start it with --cap-add=SYS_PTRACE",
				 (int)pid, s.name);
	if (s.uid != geteuid()) {
		struct passwd *pw = getpwuid(s.uid);
		char owner[64];

		snprintf(owner, sizeof(owner), "uid %u", (unsigned)s.uid);
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): it belongs to %s; run pcatch as root, "
				 "as that user, or with CAP_SYS_PTRACE",
				 (int)pid, s.name, pw ? pw->pw_name : owner);
	}
	if (s.euid != geteuid())
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): by a setuid program it has come to "
				 "more rights than you have; run pcatch as root or with "
				 "CAP_SYS_PTRACE",
				 (int)pid, s.name);
	if (scope == 2)
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): kernel.yama.ptrace_scope is 2; run "
				 "pcatch as root or with CAP_SYS_PTRACE",
				 (int)pid, s.name);
	if (scope == 1)
		return error_new(ERROR_DENIED,
				 "cannot attach to %d (%s): kernel.yama.ptrace_scope is 1; run "
				 "pcatch as root or with CAP_SYS_PTRACE, start the program by "
				 "'pcatch run', or set kernel.yama.ptrace_scope=0",
				 (int)pid, s.name);
	return error_new(ERROR_DENIED,
			 "cannot attach to %d (%s): it is protected (not dumpable, or has more "
			 "rights than you); run pcatch as root or with CAP_SYS_PTRACE",
			 (int)pid, s.name);
}
