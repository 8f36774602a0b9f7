/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_COREDUMP_H
#define PCATCH_CAPTURE_COREDUMP_H

#include "capture.h"

/*
 * A report on a process whose core the kernel is writing to us, which it is held for as long as we
 * do not read on. CORE is what the first bytes of it say: registers, death, auxiliary vector.
 * Memory and everything else come from /proc/PID; PIDFD (-1: none) names the process for sure.
 * ERROR_GONE when PID is not, or no longer, the process that the core is of. RET is the caller's
 * to deinitialise and free.
 */
struct error *capture_coredump(pid_t pid, int pidfd, const struct snapshot *core,
			       const struct capture_options *options, struct snapshot **ret)
	__attribute__((warn_unused_result));

#endif
