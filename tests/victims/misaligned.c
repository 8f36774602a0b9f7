// SPDX-License-Identifier: GPL-3.0-or-later
// An aligned SSE access at an address that is not aligned.
#include "truth.h"

static char buffer[64] __attribute__((aligned(16)));

static void misaligned(char *p)
{
	truth_fault("misaligned", p);
	__asm__ volatile("movaps %%xmm0, (%0)" : : "r"(p) : "memory");
}

int main(void)
{
	misaligned(buffer + 1);
}
