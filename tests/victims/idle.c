// SPDX-License-Identifier: GPL-3.0-or-later
// idle.c [zombie]: waits; ends with 0 at the end of stdin. "zombie": has a child that ended, unreaped.
#include "truth.h"

int main(int argc, char **argv)
{
	pid_t zombie = 0;

	if (argc > 1 && !strcmp(argv[1], "zombie")) {
		zombie = fork();
		if (zombie == 0)
			_exit(0);
	}
	truth(", \"function\": \"main\", \"zombie\": %d", (int)zombie);
	return 0;
}
