// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a mapped file behind the end that it has since been cut to.
#include <sys/mman.h>
#include "truth.h"

static int read_behind(volatile char *p)
{
	truth_fault("read_behind", p);
	return *p;
}

int main(void)
{
	FILE *file = tmpfile();
	MUST(file);
	MUST(ftruncate(fileno(file), 1 << 16) == 0);
	char *map = mmap(NULL, 1 << 16, PROT_READ, MAP_SHARED, fileno(file), 0);
	MUST(map != MAP_FAILED);
	MUST(ftruncate(fileno(file), 4) == 0);
	return read_behind(map + (1 << 15));
}
