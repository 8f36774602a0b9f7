// SPDX-License-Identifier: GPL-3.0-or-later
// A thread that is not the leader execs; the new program crashes.
#include <pthread.h>
#include "truth.h"

static int crash_after_exec(volatile int *p)
{
	truth(", \"function\": \"crash_after_exec\", \"address\": \"0x0\"");
	return *p;
}

static char *self;

static void *exec_self(void *unused)
{
	(void)unused;
	execl(self, self, "again", NULL);
	_exit(96);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return crash_after_exec(NULL);

	self = argv[0];
	truth(", \"function\": \"exec_self\"");
	pthread_t thread;
	MUST(pthread_create(&thread, NULL, exec_self, NULL) == 0);
	for (;;)
		pause();
}
