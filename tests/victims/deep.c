// SPDX-License-Identifier: GPL-3.0-or-later
// Aborts as many calls deep as the command line says, in a thread with the stack for it.
#include <pthread.h>
#include "truth.h"

static int descend(volatile int left)
{
	if (!left)
		abort();
	return descend(left - 1) + left;
}

static void *begin(void *depth)
{
	truth_fault("descend", NULL);
	descend(*(int *)depth);
	return NULL;
}

int main(int argc, char **argv)
{
	int depth = argc > 1 ? atoi(argv[1]) : 0;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	MUST(!pthread_attr_setstacksize(&attr, ((size_t)depth + 10000) * 128));
	MUST(!pthread_create(&thread, &attr, begin, &depth));
	pthread_join(thread, NULL);
	return 0;
}
