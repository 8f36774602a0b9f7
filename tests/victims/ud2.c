// SPDX-License-Identifier: GPL-3.0-or-later
// Runs an instruction that no processor has.
#include "truth.h"

static void illegal(void)
{
	truth_fault("illegal", NULL);
#ifdef __x86_64__
	__asm__ volatile("ud2");
#else
	__asm__ volatile(".inst 0");
#endif
}

int main(void)
{
	illegal();
}
