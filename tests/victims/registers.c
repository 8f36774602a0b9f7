// SPDX-License-Identifier: GPL-3.0-or-later
// registers PID: takes all debug registers of that process, says so, and holds them until its stdin ends.
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "truth.h"

int main(int argc, char **argv)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_X,
		.bp_len = sizeof(long),
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int n = 0;
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;

	for (long at = 0x10000; n < 64; n++) {
		attr.bp_addr = at + n * 4096;
		if (syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0) < 0)
			break;
	}
	truth(", \"held\": %d", n);
	return 0;
}
