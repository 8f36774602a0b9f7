// SPDX-License-Identifier: GPL-3.0-or-later
// handled.c exit N|abort|reraise|none: what a SIGTERM handler does. Waits for the signal.
#include <signal.h>
#include "truth.h"

static const char *how = "none";
static int code;

static void on_term(int signo)
{
	if (!strcmp(how, "exit"))
		_exit(code);
	if (!strcmp(how, "abort"))
		abort();
	signal(signo, SIG_DFL);
	raise(signo);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		how = argv[1];
	if (argc > 2)
		code = atoi(argv[2]);
	if (strcmp(how, "none"))
		signal(SIGTERM, on_term);
	truth(", \"function\": \"on_term\"");
	for (;;)
		pause();
}
