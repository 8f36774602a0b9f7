/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage: timed COMMAND [ARG]...
 *
 * Run COMMAND with its output thrown away and print three numbers: milliseconds from exec to its end,
 * the most memory in KiB that it or any child that it waited for had resident, and the most that it
 * had itself. It is started from here because Linux counts what the process that forks had
 * resident as the child's: a small one spoils no figure (fs/exec.c, setmax_mm_hiwater_rss()).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static long peak_of(pid_t pid)
{
	char path[64], line[256];
	long peak = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &peak) == 1)
			break;
	if (f)
		fclose(f);
	return peak;
}

static _Noreturn void run(char **command, const int go[2])
{
	int null = open("/dev/null", O_RDWR);
	char byte;

	close(go[1]);
	while (read(go[0], &byte, 1) < 0 && errno == EINTR)
		;
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	execvp(command[0], command);
	_exit(127);
}

int main(int argc, char **argv)
{
	struct rusage usage = {};
	long own = 0;
	int go[2], status = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: timed COMMAND [ARG]...\n");
		return 2;
	}
	if (pipe2(go, O_CLOEXEC)) {
		perror("timed");
		return 1;
	}
	pid_t child = fork();
	if (child == 0)
		run(argv + 1, go);
	// Its own memory is looked at as it ends, while it is still there; nothing else stops it.
	if (child < 0 || ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACEEXIT)) {
		perror("timed");
		return 1;
	}
	double start = now();
	close(go[0]);
	close(go[1]);
	while (wait4(child, &status, 0, &usage) == child && WIFSTOPPED(status)) {
		int event = status >> 16, signo = WSTOPSIG(status);

		if (event == PTRACE_EVENT_EXIT)
			own = peak_of(child);
		ptrace(PTRACE_CONT, child, NULL, event ? 0 : signo);
	}
	printf("%.2f %ld %ld\n", now() - start, usage.ru_maxrss, own);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
