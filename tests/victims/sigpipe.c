// SPDX-License-Identifier: GPL-3.0-or-later
// Writes to a pipe that nobody reads.
#include "truth.h"

static void write_to_nobody(int fd)
{
	truth(", \"function\": \"write_to_nobody\", \"fd\": %d", fd);
	MUST(write(fd, "x", 1) == 1);
}

int main(void)
{
	int ends[2];

	MUST(pipe(ends) == 0);
	close(ends[0]);
	write_to_nobody(ends[1]);
}
