/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_PAST_H
#define PCATCH_LIVE_PAST_H

#include "../target/snapshot.h"

/*
 * What is left of a process when nobody was there: fills SNAPSHOT, whose process.pid is set (0:
 * unknown). Errors are ours alone, and files that the user named and that cannot be read.
 */

/*
 * Each of PATHS, of which only the end is looked at: its last LINES lines, the last LINES that
 * mention the pid, and what stands around the last of those and around a traceback or a dump of
 * faulthandler. Where a file was rotated after the pid was last mentioned, FILE.1 is read, too.
 */
struct error *past_logs(struct snapshot *snapshot, const strings *paths, int lines)
	__attribute__((warn_unused_result));

/*
 * When the machine was started, and, by WTMP ("/var/log/wtmp"), whether it was shut down in order;
 * in a container, when that was started. snapshot->host has to be there.
 */
struct error *past_boot(struct snapshot *snapshot, const char *wtmp)
	__attribute__((warn_unused_result));

/*
 * Who has the pid now; a zombie's end, as the kernel keeps it for its parent, is put into
 * snapshot->death.
 */
struct error *past_holder(struct snapshot *snapshot) __attribute__((warn_unused_result));

/*
 * The pid of a session or process group whose leader has gone while others of it still write to one
 * of PATHS: a daemon that left its workers behind. 0 for none, or several.
 */
pid_t past_leader(const strings *paths);

/*
 * Processes of its session or process group, and those that write to one of PATHS. From the former
 * comes its cgroup.
 */
struct error *past_leftovers(struct snapshot *snapshot, const strings *paths)
	__attribute__((warn_unused_result));

/*
 * How often the OOM killer came to the cgroup that it was in, as long as processes that it left
 * keep that in being; unknown is a gap.
 */
struct error *past_cgroup(struct snapshot *snapshot) __attribute__((warn_unused_result));

#endif
