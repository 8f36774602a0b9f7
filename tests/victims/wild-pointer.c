// SPDX-License-Identifier: GPL-3.0-or-later
// Reads where nothing is mapped, far from everything.
#include <sys/mman.h>
#include "truth.h"

static int wild(volatile int *p)
{
	truth_fault("wild", p);
	return *p;
}

int main(void)
{
	// A hole of our own, so that nobody has moved in by chance.
	char *hole = mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(hole != MAP_FAILED);
	MUST(munmap(hole, 64 << 20) == 0);
	return wild((volatile int *)(hole + (32 << 20)));
}
