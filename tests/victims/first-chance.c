// SPDX-License-Identifier: GPL-3.0-or-later
// Handles its own fault as faulthandler does: restores the default and raises the signal again.
#include <signal.h>
#include "truth.h"

static void report_and_reraise(int signo)
{
	signal(signo, SIG_DFL);
	raise(signo);
}

static int first_fault(volatile int *p)
{
	truth_fault("first_fault", p);
	return *p;
}

int main(void)
{
	struct sigaction action = { .sa_handler = report_and_reraise, .sa_flags = SA_NODEFER };

	MUST(sigaction(SIGSEGV, &action, NULL) == 0);
	return first_fault((volatile int *)8);
}
