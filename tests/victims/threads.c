// SPDX-License-Identifier: GPL-3.0-or-later
// threads.c N: N threads wait; the one in the middle then reads through a null pointer.
#include <pthread.h>
#include "truth.h"

static pthread_barrier_t all_there;
static pthread_mutex_t locked_for_ever = PTHREAD_MUTEX_INITIALIZER;
static int count;

static int fault_in_thread(volatile int *p)
{
	truth(", \"function\": \"fault_in_thread\", \"address\": \"0x0\", \"threads\": %d",
	      count + 1);
	return *p;
}

static void *wait_for_ever(void *argument)
{
	long index = (long)argument;

	pthread_barrier_wait(&all_there);
	if (index == count / 2)
		fault_in_thread(NULL);
	pthread_mutex_lock(&locked_for_ever);
	return NULL;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? atoi(argv[1]) : 4;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	pthread_mutex_lock(&locked_for_ever);
	pthread_barrier_init(&all_there, NULL, count);
	for (long i = 0; i < count; i++) {
		pthread_t thread;
		MUST(pthread_create(&thread, &attr, wait_for_ever, (void *)i) == 0);
	}
	for (;;)
		pause();
}
