// SPDX-License-Identifier: GPL-3.0-or-later
// A child that wants to be told by SIGTERM when its parent dies. The parent waits for stdin, then dies.
#include <signal.h>
#include <sys/prctl.h>
#include "truth.h"

int main(void)
{
	int ready[2];

	MUST(pipe(ready) == 0);
	pid_t child = fork();
	MUST(child >= 0);
	if (child == 0) {
		MUST(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
		MUST(write(ready[1], "", 1) == 1);
		close(0);
		for (;;)
			pause();
	}
	char byte;
	MUST(read(ready[0], &byte, 1) == 1);
	truth(", \"child\": %d", (int)child);
	_exit(0);
}
