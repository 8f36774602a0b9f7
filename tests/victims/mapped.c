// SPDX-License-Identifier: GPL-3.0-or-later
// Dies in a library that is named on the command line, in its function library_crash.
#include <dlfcn.h>
#include "truth.h"

int main(int argc, char **argv)
{
	void *library = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);
	MUST(library);
	void (*crash)(void) = (void (*)(void))dlsym(library, "library_crash");
	MUST(crash);
	truth_fault("library_crash", NULL);
	crash();
	return 0;
}
