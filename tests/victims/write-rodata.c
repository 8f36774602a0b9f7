// SPDX-License-Identifier: GPL-3.0-or-later
// Writes to a constant.
#include "truth.h"

static const char constant[] = "constant";

static void scribble(volatile char *p)
{
	truth_fault("scribble", p);
	*p = 'x';
}

int main(void)
{
	scribble((char *)constant);
}
