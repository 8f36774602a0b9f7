// SPDX-License-Identifier: GPL-3.0-or-later
// Recursion without end.
#include <sys/resource.h>
#include "truth.h"

static int recurse(volatile int depth)
{
	volatile char room[512];

	room[0] = (char)depth;
	return recurse(depth + 1) + room[0];
}

int main(void)
{
	truth_fault("recurse", NULL);
	return recurse(0);
}
