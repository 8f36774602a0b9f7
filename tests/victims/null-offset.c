// SPDX-License-Identifier: GPL-3.0-or-later
// Writes to a member of a structure that is not there.
#include "truth.h"

struct thing {
	char before[24];
	int member;
};

static void set_member(volatile struct thing *thing)
{
	truth_fault("set_member", &thing->member);
	thing->member = 1;
}

int main(void)
{
	set_member(NULL);
}
