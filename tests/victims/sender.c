// SPDX-License-Identifier: GPL-3.0-or-later
// sender.c PID: queues SIGRTMIN to PID, one after the other, until stdin ends; then says how many.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include "truth.h"

int main(int argc, char **argv)
{
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	unsigned long sent = 0;

	MUST(pid > 1);
	truth(", \"function\": \"main\"");
	MUST(fcntl(0, F_SETFL, O_NONBLOCK) == 0);
	char byte;
	while (read(0, &byte, 1) != 0) {
		for (int i = 0; i < 8; i++) {
			if (sigqueue(pid, SIGRTMIN, (union sigval){ 0 }) == 0)
				sent++;
			else
				MUST(errno == EAGAIN);
		}
		usleep(500);
	}
	printf("{\"sent\": %lu}\n", sent);
}
