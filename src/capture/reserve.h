/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_RESERVE_H
#define PCATCH_CAPTURE_RESERVE_H

#include <stdbool.h>

/*
 * A victim of the OOM killer keeps its memory for two seconds, and whoever shares its cgroup (as
 * `pcatch run` does) waits out just these in the first page fault that needs memory: what was to be
 * read is gone by then. So what an ordinary capture needs is there beforehand, in this process's
 * own heap, and what has been touched stays.
 */

/*
 * While watching the process at PROC_DIR, be no likelier for the OOM killer to choose than that is,
 * size for size, where the rights allow it; and no less likely, so that nobody is killed in our
 * place. -1: be as likely as without it, while thinking, which may take much memory itself, and
 * while starting what must not inherit it.
 */
void reserve_guard(int proc_dir);

/*
 * Fill the reserve; again after anything that may have used it up. Cheap when it is full, and put
 * off for as long as the victim may still keep its memory when it has just been given back. With
 * LEND there is something to give back, too; once asked for, it stays. It helps where a limit
 * is shared: what is given back to a whole machine that is short of memory goes to anybody.
 */
void reserve_fill(bool lend);

/*
 * Give back to the cgroup what was only held for this moment, so that the kernel has something to lend
 * us, whatever thread of ours is waiting for it. May be called from any thread.
 */
void reserve_release(void);

#endif
