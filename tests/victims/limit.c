// SPDX-License-Identifier: GPL-3.0-or-later
// limit.c cpu|file|alarm|vtalrm: a limit is met, or a timer expires.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include "truth.h"

static void spin(void)
{
	for (volatile unsigned long i = 0;; i++)
		;
}

static void fill(int fd)
{
	static char block[4096];

	for (;;)
		MUST(write(fd, block, sizeof(block)) > 0);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "cpu";

	if (!strcmp(what, "cpu")) {
		truth(", \"function\": \"spin\"");
		MUST(setrlimit(RLIMIT_CPU, &(struct rlimit){ 1, 5 }) == 0);
		spin();
	} else if (!strcmp(what, "file")) {
		FILE *file = tmpfile();
		MUST(file);
		truth(", \"function\": \"fill\", \"fd\": %d", fileno(file));
		MUST(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 8192, 8192 }) == 0);
		fill(fileno(file));
	} else if (!strcmp(what, "alarm")) {
		truth(", \"function\": \"main\"");
		struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
		MUST(setitimer(ITIMER_REAL, &soon, NULL) == 0);
		for (;;)
			pause();
	} else {
		truth(", \"function\": \"spin\"");
		struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
		MUST(setitimer(ITIMER_VIRTUAL, &soon, NULL) == 0);
		spin();
	}
}
