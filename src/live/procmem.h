/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_PROCMEM_H
#define PCATCH_LIVE_PROCMEM_H

#include <sys/types.h>

#include "../target/mem.h"

/*
 * The memory of a living process. /proc/PID/mem reads what its page protections hide as well;
 * where it cannot be opened, process_vm_readv() reads the rest.
 */
struct procmem {
	struct mem mem;
	pid_t pid;
	int fd; /* /proc/PID/mem, borrowed; -1: none */
};

void procmem_init(struct procmem *procmem, pid_t pid, int fd);

struct procmem_range {
	taddr at;
	size_t len;
	void *to;   /* LEN bytes of ours */
	size_t got; /* how many were read: a prefix */
};

/*
 * Read N ranges in as few system calls as there can be. None is begun after DEADLINE
 * (CLOCK_MONOTONIC nanoseconds).
 */
void procmem_read_ranges(const struct procmem *procmem, struct procmem_range *ranges, size_t n,
			 int64_t deadline);

#endif
