/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_PIDFILE_H
#define PCATCH_LIVE_PIDFILE_H

#include <stdint.h>
#include <sys/types.h>

#include "../error.h"

/*
 * The pid in the file that a daemon wrote: a number, alone but for white space. WRITTEN_RET (may be
 * NULL) is when that was, nanoseconds since the epoch. ERROR_SYSTEM, with ENOENT when there is no
 * such file, in one line that names it.
 */
struct error *pidfile_read(const char *path, pid_t *ret, int64_t *written_ret)
	__attribute__((warn_unused_result));

#endif
