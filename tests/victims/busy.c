// SPDX-License-Identifier: GPL-3.0-or-later
// busy.c: threads that come and go, system calls, signals: a load that must not notice that it is
// watched. SIGTERM: prints {"errors": N} and exits with 0.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include "truth.h"

static volatile int stop;
static unsigned long errors, loops;

static void on_term(int signo)
{
	(void)signo;
	stop = 1;
}

static void *short_life(void *argument)
{
	return argument;
}

static void *make_threads(void *unused)
{
	(void)unused;
	while (!stop) {
		pthread_t thread;
		void *ret = NULL;
		if (pthread_create(&thread, NULL, short_life, &errors) ||
		    pthread_join(thread, &ret) || ret != &errors)
			__atomic_add_fetch(&errors, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void *talk(void *unused)
{
	int ends[2];

	(void)unused;
	MUST(pipe(ends) == 0);
	while (!stop) {
		char out = 'x', in = 0;
		if (write(ends[1], &out, 1) != 1 || read(ends[0], &in, 1) != 1 || in != 'x')
			__atomic_add_fetch(&errors, 1, __ATOMIC_SEQ_CST);
		loops++;
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[3];
	sigset_t term;

	signal(SIGTERM, on_term);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	truth(", \"function\": \"talk\"");
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	MUST(pthread_create(&threads[0], NULL, make_threads, NULL) == 0);
	MUST(pthread_create(&threads[1], NULL, talk, NULL) == 0);
	MUST(pthread_create(&threads[2], NULL, talk, NULL) == 0);
	pthread_sigmask(SIG_UNBLOCK, &term, NULL);
	while (!stop)
		pause();
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("{\"errors\": %lu, \"loops\": %lu}\n", errors, loops);
	return 0;
}
