// SPDX-License-Identifier: GPL-3.0-or-later
// A breakpoint instruction with nobody to take it.
#include "truth.h"

static void trap(void)
{
	truth_fault("trap", NULL);
#ifdef __x86_64__
	__asm__ volatile("int3");
#else
	__asm__ volatile("brk #0");
#endif
}

int main(void)
{
	trap();
}
