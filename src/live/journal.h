/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_JOURNAL_H
#define PCATCH_LIVE_JOURNAL_H

#include "../target/snapshot.h"

/*
 * What the system wrote down about a process that is gone, into SNAPSHOT, whose process.pid,
 * process.cgroup and autopsy are set as far as they are known. journalctl is run, with bounded time
 * and output: what the process wrote there becomes a log; what systemd, the kernel and
 * systemd-coredump say of it, or of the unit that it ran in, is told in autopsy.told. From its
 * entries comes also who the process was (comm, exe, command line, user, cgroup), which journald
 * had from the kernel. What could not be asked is a gap; errors are ours alone.
 */
struct error *journal_ask(struct snapshot *snapshot) __attribute__((warn_unused_result));

#endif
