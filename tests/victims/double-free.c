// SPDX-License-Identifier: GPL-3.0-or-later
// Frees twice; glibc notices.
#include "truth.h"

static void free_twice(char *p)
{
	free(p);
	truth_fault("free_twice", NULL);
	free(p);
}

int main(void)
{
	char *volatile p = malloc(40);
	free_twice(p);
}
