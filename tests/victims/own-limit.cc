// SPDX-License-Identifier: GPL-3.0-or-later
// own-limit.cc new|malloc: memory is asked for until the process's own limit refuses it.
#include <new>
#include <stdlib.h>
#include <sys/resource.h>
#include "truth.h"

int main(int argc, char **argv)
{
	bool cplusplus = argc > 1 && !strcmp(argv[1], "new");
	struct rlimit limit = { 256 << 20, 256 << 20 };

	truth("");
	MUST(setrlimit(RLIMIT_AS, &limit) == 0);
	for (;;) {
		void *memory = cplusplus ? operator new(1 << 20) : malloc(1 << 20);
		if (!memory)
			abort();
	}
}
