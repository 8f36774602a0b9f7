// SPDX-License-Identifier: GPL-3.0-or-later
// Lives from SIGSEGV: a page is closed, touched, opened by the handler, and so on. For every byte
// on stdin it prints a line {"faults": N, "ns": T}; at the end of stdin it exits with 0.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include "truth.h"

static char *page;
static volatile unsigned long faults;

static void open_page(int signo)
{
	(void)signo;
	faults++;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void *touch(void *unused)
{
	(void)unused;
	for (;;) {
		mprotect(page, 4096, PROT_NONE);
		*(volatile char *)page = 1;
	}
	return NULL;
}

int main(void)
{
	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(page != MAP_FAILED);
	struct sigaction action = { .sa_handler = open_page };
	MUST(sigaction(SIGSEGV, &action, NULL) == 0);
	truth(", \"function\": \"touch\"");

	pthread_t thread;
	MUST(pthread_create(&thread, NULL, touch, NULL) == 0);
	char byte;
	while (read(0, &byte, 1) == 1) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		printf("{\"faults\": %lu, \"ns\": %lld}\n", faults,
		       now.tv_sec * 1000000000LL + now.tv_nsec);
		fflush(stdout);
	}
	_exit(0);
}
