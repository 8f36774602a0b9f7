// SPDX-License-Identifier: GPL-3.0-or-later
// family.c: a child by fork that exits with 0, one by fork that crashes, one by vfork that execs
// this program again and exits with 5. Says their pids and ends with 0 when they have ended.
#include <sys/wait.h>
#include "truth.h"

static int crash_in_child(volatile int *p)
{
	return *p;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 5;

	truth(", \"function\": \"crash_in_child\"");
	pid_t good = fork();
	if (good == 0)
		_exit(0);
	pid_t bad = fork();
	if (bad == 0) {
		crash_in_child(NULL);
		_exit(95);
	}
	pid_t execs = vfork();
	if (execs == 0) {
		execl(argv[0], argv[0], "five", (char *)NULL);
		_exit(96);
	}
	int status;
	while (wait(&status) > 0)
		;
	printf("{\"good\": %d, \"bad\": %d, \"execs\": %d}\n", good, bad, execs);
}
