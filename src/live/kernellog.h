/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_KERNELLOG_H
#define PCATCH_LIVE_KERNELLOG_H

#include "../target/snapshot.h"

/*
 * The kernel's log of a time when nobody followed it: its ring, and the files that syslog daemons
 * write below FOLDER ("/var/log"). Kept are lines about the pid, and crashes of any process, which
 * may be of its threads. What may not be read is a gap; errors are ours alone.
 */
struct error *kernel_log_ask(struct snapshot *snapshot, const char *folder)
	__attribute__((warn_unused_result));

#endif
