/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program that loads the libpythons that are its arguments, privately. One with a + before it
 * is started, too; the last of those runs Python until stdin says to go.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char code[] = "import sys\n"
			   "def hello():\n"
			   "    sys.stdout.write('there\\n'), sys.stdout.flush(), sys.stdin.readline()\n"
			   "hello()\n";

int main(int argc, char **argv)
{
	int (*run)(const char *) = NULL;
	int own_homes = 0;

	for (int i = 1; i < argc; i++) {
		const char *path = argv[i] + (*argv[i] == '+');
		void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

		if (!library) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		if (*argv[i] != '+')
			continue;
		// One has the home that it is told, several have those beside them: .../lib/libpython.so
		char *home = strdup(path);
		for (int k = 0; k < 2 && strrchr(home, '/'); k++)
			*strrchr(home, '/') = '\0';
		if (!getenv("PYTHONHOME") || own_homes) {
			setenv("PYTHONHOME", home, 1);
			own_homes = 1;
		}
		((void (*)(int))dlsym(library, "Py_InitializeEx"))(0);
		run = (int (*)(const char *))dlsym(library, "PyRun_SimpleString");
	}
	return run ? run(code) : 1;
}
