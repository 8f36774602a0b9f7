/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage: held PID COMMAND [ARG]...
 *
 * Run COMMAND and print for how many milliseconds it held process PID still, as seen from
 * outside: the time from the first to the last moment at which one of some of its threads (the
 * first, the last and a few between) was in a stop. Any tool is measured alike, whatever it says of
 * itself. What is held for less than two looks (some 20 us each) is missed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WATCHED 4
#define THREADS_MAX 65536

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int open_stat(int pid, int tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

// The state letter follows the name in parentheses, which may hold any of them.
static char state_of(int fd)
{
	char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	const char *end = strrchr(text, ')');
	return end && end[1] ? end[2] : 0;
}

int main(int argc, char **argv)
{
	static int tids[THREADS_MAX];
	int n = 0, fds[WATCHED], pid = argc > 2 ? atoi(argv[1]) : 0;
	char path[64];

	if (pid <= 0) {
		fprintf(stderr, "usage: held PID COMMAND [ARG]...\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *dir = opendir(path);
	if (!dir) {
		perror(path);
		return 1;
	}
	for (struct dirent *d; n < THREADS_MAX && (d = readdir(dir));)
		if (atoi(d->d_name) > 0)
			tids[n++] = atoi(d->d_name);
	closedir(dir);
	for (int i = 0; i < WATCHED; i++)
		fds[i] = open_stat(pid, tids[(n - 1) * i / (WATCHED - 1)]);
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	double first = 0, last = 0;
	int status;
	while (waitpid(child, &status, WNOHANG) == 0)
		for (int i = 0; i < WATCHED; i++) {
			char state = state_of(fds[i]);

			if (state != 't' && state != 'T')
				continue;
			last = now();
			if (!first)
				first = last;
		}
	printf("%.3f\n", last - first);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
