/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_JOURNAL_H
#define PCATCH_LIVE_JOURNAL_H

#include "../target/snapshot.h"

/*
 * What the system wrote down about a process that is gone. Everything is put into SNAPSHOT, whose
 * process.pid and autopsy.since are set; what could not be asked is a gap. Errors are ours alone.
 *
 * journal_ask() runs journalctl, as it was installed by the system, with bounded time and output:
 * what the process wrote there becomes a log, what systemd, the kernel and systemd-coredump say of
 * it is told in autopsy.told. From its entries comes also who the process was (comm, exe, command
 * line, user, cgroup), which journald had from the kernel.
 */
struct error *journal_ask(struct snapshot *snapshot) __attribute__((warn_unused_result));

/*
 * The kernel's log: its ring, and the files that syslog daemons write below FOLDER ("/var/log").
 * Kept are lines about the pid, OOM kills and crashes of any process, which may be of its threads.
 */
struct error *kernel_log_ask(struct snapshot *snapshot, const char *folder)
	__attribute__((warn_unused_result));

#endif
