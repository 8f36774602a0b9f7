// SPDX-License-Identifier: GPL-3.0-or-later
// A fault inside of the handler of a fault, which the kernel ends with the default action.
#include <signal.h>
#include "truth.h"

static void worse(int signo)
{
	(void)signo;
	*(volatile int *)16 = 1;
}

static int bad(volatile int *p)
{
	truth_fault("worse", (void *)16);
	return *p;
}

int main(void)
{
	signal(SIGSEGV, worse);
	return bad(NULL);
}
