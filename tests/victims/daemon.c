// SPDX-License-Identifier: GPL-3.0-or-later
// daemon.c crash|exit N|sleep: goes into the background as daemons do: fork, setsid, fork. The
// starter ends with 0.
#include <fcntl.h>
#include "truth.h"

static int crash_in_background(volatile int *p)
{
	return *p;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "crash";
	int ready[2];

	MUST(pipe(ready) == 0);
	pid_t child = fork();
	MUST(child >= 0);
	if (child) {
		// The starter leaves when the daemon is there, as good ones do.
		char byte;
		close(ready[1]);
		MUST(read(ready[0], &byte, 1) == 1);
		_exit(0);
	}
	setsid();
	child = fork();
	MUST(child >= 0);
	if (child)
		_exit(0);
	MUST(write(ready[1], "", 1) == 1);
	truth(", \"function\": \"crash_in_background\"");
	if (!strcmp(how, "crash"))
		crash_in_background(NULL);
	else if (!strcmp(how, "exit"))
		_exit(argc > 2 ? atoi(argv[2]) : 0);
	for (;;)
		pause();
}
