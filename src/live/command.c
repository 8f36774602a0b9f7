/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "tracer.h"

#define CANNOT_RUN 127

bool command_find(const char *name, char ret[PATH_MAX])
{
	const char *path = secure_getenv("PATH");

	if (!path)
		path = "/usr/bin:/bin";
	for (size_t len; *path; path += len + (path[len] == ':')) {
		len = strcspn(path, ":");
		// A relative one leads to where the user is: that may be anybody's folder.
		if (*path != '/')
			continue;
		int n = snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, path, name);
		if (n < PATH_MAX && !access(ret, X_OK))
			return true;
	}
	return false;
}

static _Noreturn void run(const char *const *argv, int out, pid_t parent)
{
	static const char *const environment[] = { "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=",
						   "PATH=/usr/bin:/bin", NULL };
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CANNOT_RUN);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0)
		_exit(CANNOT_RUN);
	execve(argv[0], (char *const *)argv, (char *const *)environment);
	_exit(CANNOT_RUN);
}

// Until its output ends; true: it did.
static bool read_all(int fd, int64_t deadline, size_t max, struct buf *ret, enum command_end *end)
{
	for (size_t taken = 0; taken < max;) {
		char piece[65536];
		int64_t left = deadline - monotonic_now();
		struct pollfd p = { .fd = fd, .events = POLLIN };

		*end = COMMAND_TOO_LONG;
		if (left <= 0)
			return false;
		if (poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
			continue;
		size_t want = max - taken < sizeof(piece) ? max - taken : sizeof(piece);
		ssize_t n = read(fd, piece, want);
		if (n == 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		buf_add(ret, piece, n > 0 ? (size_t)n : 0);
		taken += n > 0 ? (size_t)n : 0;
	}
	*end = COMMAND_TOO_MUCH;
	return false;
}

// Who has closed its output need not end for that.
static bool has_ended(pid_t pid, int64_t deadline)
{
	const int how = WEXITED | WNOWAIT | WNOHANG;
	siginfo_t info;

	do {
		info.si_pid = 0;
		if (waitid(P_PID, (id_t)pid, &info, how) == 0 && info.si_pid)
			return true;
		poll(NULL, 0, 5);
	} while (monotonic_now() < deadline);
	return false;
}

struct error *command_output(const char *const *argv, int64_t deadline, size_t max, struct buf *ret,
			     enum command_end *end_ret, int *status_ret)
{
	enum command_end end = COMMAND_ENDED;
	pid_t parent = getpid();
	int ends[2], status = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(errno, "cannot make a pipe");
	_cleanup_(closep) int in = ends[0];
	pid_t pid = fork();
	if (pid == 0)
		run(argv, ends[1], parent);
	int why = errno;
	close(ends[1]);
	if (pid < 0)
		return error_errno(why, "cannot run %s", argv[0]);
	// Both sides say so, so that it is so for whoever comes first.
	setpgid(pid, pid);
	bool ended = read_all(in, deadline, max, ret, &end) && has_ended(pid, deadline);
	// It is not waited for yet, so the group is still its own.
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ended)
		end = WIFEXITED(status) ? COMMAND_ENDED : COMMAND_KILLED;
	if (ended && WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_RUN)
		return error_new(ERROR_SYSTEM, "cannot run %s", argv[0]);
	*end_ret = end;
	*status_ret = ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return buf_error(ret);
}
