/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program that was linked with a libpython, of version PY_HEX. Without arguments it initializes it
 * and runs Python, from a function of its own; with some it lets Python have them as its own.
 */
#include <stdio.h>
#include <stdlib.h>

void Py_InitializeEx(int);
void Py_Finalize(void);
int PyRun_SimpleString(const char *);
#if PY_HEX >= 0x0308
int Py_BytesMain(int, char **);
#elif PY_HEX >= 0x0300
int Py_Main(int, wchar_t **);
#else
int Py_Main(int, char **);
#endif

static const char code[] = "import sys\n"
			   "def hello():\n"
			   "    sys.stdout.write('there\\n'), sys.stdout.flush(), sys.stdin.readline()\n"
			   "hello()\n";

__attribute__((noinline)) static int serve_request(void)
{
	int failed = PyRun_SimpleString(code);

	fflush(stdout); // also that there is no tail call, and this has a frame
	return failed;
}

__attribute__((noinline)) static int be_python(int argc, char **argv)
{
#if PY_HEX >= 0x0308
	int status = Py_BytesMain(argc, argv);
#elif PY_HEX >= 0x0300
	wchar_t **wide = calloc((size_t)argc + 1, sizeof(*wide));

	for (int i = 0; i < argc; i++) {
		wide[i] = calloc(4096, sizeof(**wide));
		mbstowcs(wide[i], argv[i], 4095);
	}
	int status = Py_Main(argc, wide);
#else
	int status = Py_Main(argc, argv);
#endif
	fflush(stdout);
	return status;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return be_python(argc, argv);
	Py_InitializeEx(0);
	int failed = serve_request();
	Py_Finalize();
	return failed;
}
