// SPDX-License-Identifier: GPL-3.0-or-later
// Reads at an address that cannot exist: the kernel does not say which one it was.
#include "truth.h"

static int overwritten(volatile int *p)
{
	truth_fault("overwritten", p);
	return *p;
}

int main(void)
{
	return overwritten((volatile int *)0x4141414141414140);
}
