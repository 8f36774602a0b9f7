/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_KERNLOG_H
#define PCATCH_TARGET_KERNLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mem.h"

/*
 * Lines of the kernel's log that concern a process, in the words of Linux 3.10 to 6.x. Pure: a line
 * of text becomes values that point into it. The log is anybody's to write to (/dev/kmsg takes
 * lines of root's), comm is the process's own choice: nothing here is more than what a line says.
 */

struct kernlog_text {
	const char *s; /* not terminated; NULL: not said */
	size_t len;
};

enum kernlog_kind {
	KERNLOG_OTHER,
	KERNLOG_OOM_INVOKED, /* "COMM invoked oom-killer": who asked for the memory; no pid */
	KERNLOG_OOM_CONTEXT, /* "oom-kill:constraint=...,task=COMM,pid=N,uid=N": the victim, its cgroup */
	KERNLOG_OOM_KILL,    /* "Killed process N (COMM) total-vm:..." */
	KERNLOG_OOM_REAPED,  /* "oom_reaper: reaped process N (COMM), ..." */
	KERNLOG_FAULT,	     /* "COMM[N]: segfault at ..." and aarch64's "unhandled ..." */
	KERNLOG_TRAP,	     /* "traps: COMM[N] general protection fault ...", "trap divide error" */
	KERNLOG_ABEND,	     /* audit's record of an end by a signal that dumps core */
	KERNLOG_SECCOMP,     /* audit's record of a system call that seccomp forbade */
	KERNLOG_HUNG,	     /* "INFO: task COMM:N blocked for more than ... seconds." */
	KERNLOG_LOCKUP,	     /* "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [COMM:N]" */
};

struct kernlog_event {
	enum kernlog_kind kind;
	/*
	 * As the initial pid namespace counts; of FAULT, TRAP, HUNG and LOCKUP it is the thread's,
	 * whose name is COMM.
	 * 0: not said.
	 */
	pid_t pid;
	struct kernlog_text comm;
	int signo;	       /* 0: not said */
	struct kernlog_text what; /* TRAP: "general protection fault"; FAULT: "segfault" */
	bool have_address, have_pc;
	taddr address, pc;	   /* FAULT, TRAP */
	struct kernlog_text module; /* FAULT, TRAP: "libfoo.so"; not said for code in no file */
	bool memcg;		   /* OOM_*: a cgroup's limit was met, not the machine's memory */
	struct kernlog_text oom_memcg, task_memcg; /* OOM_CONTEXT: whose limit; the victim's cgroup */
	/* OOM_KILL, in bytes; -1 not said. */
	int64_t total_vm, anon_rss, file_rss, shmem_rss;
};

/* What MESSAGE, without its prefixes, says. False, and KERNLOG_OTHER, for what concerns no process. */
bool kernlog_parse(const char *message, struct kernlog_event *ret);

/*
 * "Nov 26 08:03:39 host kernel: [ 5.1] MESSAGE", as syslog daemons write it: the message; NULL for who
 * else writes there.
 */
const char *kernlog_syslog(const char *line);

/*
 * Take a record of /dev/kmsg ("6,339,5140900,-;message" and continuation lines) apart. The message
 * is up to its first newline, its escapes (\x0a) left alone. BOOT_US: microseconds since the boot.
 */
bool kernlog_record(const char *record, size_t len, uint64_t *sequence, int64_t *boot_us,
		    struct kernlog_text *message);

#endif
