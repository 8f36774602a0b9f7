// SPDX-License-Identifier: GPL-3.0-or-later
// Reads through a null pointer.
#include "truth.h"

static int deref(volatile int *p)
{
	truth_fault("deref", p);
	return *p;
}

int main(void)
{
	return deref(NULL);
}
