// SPDX-License-Identifier: GPL-3.0-or-later
// Loads the library that its first argument names, with a second one a copy of it that has no file,
// and calls the function `die` of it.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "truth.h"

static int copy_without_file(const char *path)
{
	char piece[65536];
	int from = open(path, O_RDONLY), to = memfd_create("plugin", 0);

	MUST(from >= 0 && to >= 0);
	for (ssize_t n; (n = read(from, piece, sizeof(piece))) > 0;)
		MUST(write(to, piece, (size_t)n) == n);
	return to;
}

int main(int argc, char **argv)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s", argv[1]);
	if (argc > 2)
		snprintf(path, sizeof(path), "/proc/self/fd/%d", copy_without_file(argv[1]));
	void *library = dlopen(path, RTLD_NOW);
	MUST(library);
	void (*die)(void) = (void (*)(void))dlsym(library, "die");
	MUST(die);
	truth("");
	die();
	return 0;
}
