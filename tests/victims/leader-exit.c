// SPDX-License-Identifier: GPL-3.0-or-later
// The thread that the process is named after ends; another one crashes later.
#include <pthread.h>
#include "truth.h"

static pthread_t leader;

static int crash_alone(volatile int *p)
{
	truth_fault("crash_alone", p);
	return *p;
}

static void *outlive(void *unused)
{
	(void)unused;
	pthread_join(leader, NULL);
	crash_alone(NULL);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	leader = pthread_self();
	MUST(pthread_create(&thread, NULL, outlive, NULL) == 0);
	pthread_exit(NULL);
}
