/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reserve.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../live/procfs.h"
#include "../live/tracer.h"

// Heap that was touched before, and memory that is given back at the right moment: together more
// than the capture of a server of some ten threads was seen to take. What does not fit is taken
// from the system as ever.
#define RESERVE ((size_t)512 << 10)
#define BALLAST ((size_t)3 << 20)
#define STACK_RESERVE ((size_t)192 << 10)
#define HEAP_CHUNK ((int)32 << 20)
// More than capturing and telling a death ever takes at once.
#define ROOM ((size_t)1 << 30)

#define OOM_NEVER (-1000)

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

// How long the OOM killer's victim may keep its memory, and some more.
#define REFILL_AFTER INT64_C(3000000000)

static void *ballast = MAP_FAILED;
static atomic_bool ballast_full;
static _Atomic int64_t released; // CLOCK_MONOTONIC, when it was given back; 0: never

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

// proc(5): from -1000, never chosen, to 1000.
static bool read_score(int proc_dir, int *ret)
{
	char text[16];

	return procfs_peek(proc_dir, "oom_score_adj", text, sizeof(text)) &&
	       sscanf(text, "%d", ret) == 1;
}

void reserve_guard(int proc_dir)
{
	static bool known;
	static int before, now;
	_cleanup_(closep) int self = -1, fd = -1;
	int target, score;

	if (!known) {
		self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		known = self >= 0 && read_score(self, &before);
		now = before;
	}
	if (!known)
		return;
	score = before;
	if (proc_dir >= 0 && read_score(proc_dir, &target) && target < before)
		score = target > OOM_NEVER ? target : OOM_NEVER + 1;
	if (score == now)
		return;
	// Only CAP_SYS_RESOURCE may lower it.
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && dprintf(fd, "%d", score) > 0)
		now = score;
}

/*
 * Code that was needed once must not be dropped under the very pressure that kills: it would have to
 * be read again. Without the right or the room, it is as it was.
 */
static void lock(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return;
	// mlock(2): where RLIMIT_MEMLOCK holds, whatever exceeds it fails from now on: threads, the heap,
	// a stack that grows.
	void *probe = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (probe != MAP_FAILED) {
		munmap(probe, ROOM);
		return;
	}
	munlockall();
}

void reserve_fill(bool lend)
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
		lock();
	}
	int64_t since = atomic_load(&released);
	if (since && monotonic_now() - since < REFILL_AFTER)
		return;
	char *p = malloc(RESERVE);
	if (p)
		touch(p, RESERVE);
	free(p);
	if (lend && ballast == MAP_FAILED)
		ballast = mmap(NULL, BALLAST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
	if (ballast == MAP_FAILED || atomic_load(&ballast_full))
		return;
	// MAP_POPULATE does nothing for what is locked as it is touched.
	touch(ballast, BALLAST);
	atomic_store(&ballast_full, true);
}

void reserve_release(void)
{
	if (!atomic_exchange(&ballast_full, false))
		return;
	atomic_store(&released, monotonic_now());
	// Not unmapped: that would have to wait for a thread that is in the middle of a page fault.
	if (madvise(ballast, BALLAST, MADV_DONTNEED_LOCKED) == 0)
		return;
	// Kernels before 5.18 want it unlocked first.
	munlock(ballast, BALLAST);
	madvise(ballast, BALLAST, MADV_DONTNEED);
}
