/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reserve.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../cleanup.h"

// Heap that was touched before, and memory that is given back at the right moment: together more
// than the capture of a server of some ten threads was seen to take. What does not fit is taken
// from the system as ever.
#define RESERVE ((size_t)512 << 10)
#define BALLAST ((size_t)1 << 20)
#define STACK_RESERVE ((size_t)192 << 10)
#define HEAP_CHUNK ((int)32 << 20)

static void *ballast = MAP_FAILED;

static void touch(volatile char *p, size_t len)
{
	for (size_t i = 0; i < len; i += 4096)
		p[i] = 0;
}

__attribute__((noinline)) static void touch_stack(void)
{
	char room[STACK_RESERVE];

	touch(room, sizeof(room));
}

void reserve_guard(bool guarded)
{
	static char before[16];
	static bool is_guarded;
	_cleanup_(closep) int fd = -1;

	if (guarded == is_guarded)
		return;
	fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!*before) {
		ssize_t n = read(fd, before, sizeof(before) - 1);

		before[n < 0 ? 0 : n] = '\0';
	}
	// proc(5): only CAP_SYS_RESOURCE may lower it; -1000 is never chosen.
	const char *score = guarded ? "-1000" : before;
	if (pwrite(fd, score, strlen(score), 0) == (ssize_t)strlen(score))
		is_guarded = guarded;
}

void reserve_fill(void)
{
	static bool prepared;

	if (!prepared) {
		prepared = true;
#ifdef M_TRIM_THRESHOLD
		// Freed memory stays with us, and large pieces come from the heap as well: what was
		// touched once is what the next allocation gets.
		mallopt(M_TRIM_THRESHOLD, HEAP_CHUNK);
		mallopt(M_MMAP_THRESHOLD, HEAP_CHUNK);
		// One heap for all threads.
		mallopt(M_ARENA_MAX, 1);
#endif
		touch_stack();
		// Code that was needed once must not be dropped under the very pressure that kills: it
		// would have to be read again. Without the right or the room, it is as it was.
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	}
	char *p = malloc(RESERVE);
	if (p)
		touch(p, RESERVE);
	free(p);
	if (ballast != MAP_FAILED)
		return;
	// MAP_POPULATE does nothing for what is locked as it is touched.
	ballast = mmap(NULL, BALLAST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ballast != MAP_FAILED)
		touch(ballast, BALLAST);
}

void reserve_release(void)
{
	if (ballast != MAP_FAILED)
		munmap(ballast, BALLAST);
	ballast = MAP_FAILED;
}
