// SPDX-License-Identifier: GPL-3.0-or-later
// Divides by zero.
#include "truth.h"

static int divide(volatile int a, volatile int b)
{
	truth_fault("divide", NULL);
	return a / b;
}

int main(void)
{
	return divide(1, 0);
}
