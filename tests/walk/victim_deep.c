/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads that sleep at the end of fifty frames of every kind: with and without a frame pointer, of a
 * size that is known at run time only, on a signal's frame, called back by a library.
 */
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES 50

static pthread_barrier_t there;
static __thread int depth;

static int step(void);

static void sleep_for_ever(void)
{
	pthread_barrier_wait(&there);
	for (;;)
		pause();
}

__attribute__((noinline, optimize("omit-frame-pointer"))) static int lean(void)
{
	int got = step();

	return got + 1;
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static int with_pointer(void)
{
	int got = step();

	return got + 2;
}

__attribute__((noinline)) static int of_any_size(void)
{
	volatile char *room = alloca(100 + (size_t)depth * 16);

	room[0] = 1;
	return step() + room[0];
}

static int compare(const void *a, const void *b)
{
	return step() + (a < b);
}

__attribute__((noinline)) static int called_back(void)
{
	int values[] = { 2, 1 };

	qsort(values, 2, sizeof(*values), compare);
	return values[0];
}

static void handler(int signo)
{
	step();
}

__attribute__((noinline)) static int interrupted(void)
{
	return raise(SIGUSR1) + depth;
}

static int step(void)
{
	static int (*const kinds[])(void) = { lean, with_pointer, of_any_size, called_back };

	if (++depth == FRAMES / 2)
		return interrupted();
	if (depth >= FRAMES)
		sleep_for_ever();
	return kinds[depth % 4]();
}

static void *run(void *unused)
{
	step();
	return unused;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	pthread_barrier_init(&there, NULL, 4);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, run, NULL))
			return 1;
	pthread_barrier_wait(&there);
	puts("there");
	fflush(stdout);
	getchar();
	_exit(0);
}
