// SPDX-License-Identifier: GPL-3.0-or-later
// counter.c THREADS: counts queued signals SIGRTMIN in several threads. SIGRTMIN+1: print how many, exit.
#include <pthread.h>
#include <signal.h>
#include "truth.h"

static volatile unsigned long received;

static void count(int signo)
{
	(void)signo;
	__atomic_add_fetch(&received, 1, __ATOMIC_SEQ_CST);
}

static void *wait_for_signals(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 3;
	struct sigaction action = { .sa_handler = count, .sa_flags = SA_RESTART };
	sigset_t last, old;

	MUST(sigaction(SIGRTMIN, &action, NULL) == 0);
	sigemptyset(&last);
	sigaddset(&last, SIGRTMIN + 1);
	MUST(pthread_sigmask(SIG_BLOCK, &last, &old) == 0);
	for (int i = 0; i < threads; i++) {
		pthread_t thread;
		MUST(pthread_create(&thread, NULL, wait_for_signals, NULL) == 0);
	}
	truth(", \"function\": \"count\"");
	for (;;) {
		int signo;
		MUST(sigwait(&last, &signo) == 0);
		// The lower number is delivered first, but perhaps to another thread: let it count.
		unsigned long seen;
		do {
			seen = received;
			usleep(200000);
		} while (seen != received);
		printf("{\"received\": %lu}\n", seen);
		fflush(stdout);
		_exit(0);
	}
}
