/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_SNAPSHOT_H
#define PCATCH_TARGET_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../arena.h"
#include "../error.h"
#include "arch.h"
#include "mem.h"

/*
 * A process at one moment, as plain values: what capture takes, what a dump holds, what analysis
 * reads. Everything hangs on `arena`. Strings are never NULL unless said; those that come from
 * the target are made clean (buf_clean) when they are captured, raw /proc texts are not.
 * Times are nanoseconds since the epoch (CLOCK_REALTIME), 0 for unknown.
 */

/* Stands where a secret was (redact.h). */
#define REDACTED "[redacted]"

struct bytes {
	uint8_t *data; /* a NUL stands behind the last byte */
	size_t len;
};

typedef LIST(char *) strings;

/* Something that the report should have and has not. `remedy` may be NULL. */
struct gap {
	char *what, *why, *remedy;
};

typedef LIST(struct gap) gaps;

/* A signal's siginfo, in our own layout: the dump may be of another architecture. */
struct signal_info {
	int signo; /* 0: there is none */
	int code;
	taddr addr;	  /* fault address; SIGSYS: the call's address */
	pid_t pid;	  /* sender, for codes <= 0 (SI_USER, SI_QUEUE, SI_TKILL); in the target's namespace */
	uid_t uid;
	int timer_id;	  /* SI_TIMER */
	uint64_t value;	  /* SI_QUEUE, SI_TIMER */
	int syscall;	  /* SIGSYS */
	int child_status; /* SIGCHLD */
};

/* Another process, as far as it could still be looked up. Strings may be NULL. */
struct process_ref {
	pid_t pid; /* in our namespace */
	uid_t uid; /* (uid_t)-1: unknown */
	char *comm, *exe;
	strings cmdline;
};

typedef LIST(struct process_ref) process_refs;

/* Who raised a signal. */
enum sender_kind {
	SENDER_UNKNOWN,
	SENDER_SELF,	/* the process that died */
	SENDER_PROCESS,
	SENDER_KERNEL,
	SENDER_OUTSIDE, /* of the target's pid namespace; who, cannot be seen from siginfo */
};

enum sender_relation {
	RELATION_UNKNOWN,
	RELATION_SELF,
	RELATION_PARENT,
	RELATION_CHILD,
	RELATION_SIBLING,
	RELATION_ANCESTOR,
	RELATION_OTHER,
};

enum sender_source { SOURCE_NONE, SOURCE_SIGINFO, SOURCE_TRACEPOINT, SOURCE_AUDIT, SOURCE_INFERRED };

/* What the thread that a signal was sent in the name of was about. */
enum sender_life {
	SENDER_LIFE_UNKNOWN,
	SENDER_RUNNING, /* not at its end */
	SENDER_ENDING,	/* it could make no calls any more: the kernel sent it, by reason of its end */
};

struct sender {
	enum sender_kind kind;
	struct process_ref process; /* pid 0: unknown */
	pid_t tid;		    /* 0: unknown */
	char *user;		    /* NULL: unknown */
	process_refs ancestors;	    /* parent first */
	enum sender_relation relation;
	enum sender_source source;
	bool gone; /* had ended before it could be looked at */
	/* The signal reached the target through `pcatch run`, which had it from this sender. */
	bool forwarded;
	/*
	 * It sent no signal itself: the kernel did, in its name, while serving another request of it.
	 * Writing to cgroup.kill is the one that is known.
	 */
	bool on_behalf;
	enum sender_life life;
};

/* A signal that came before the end. Equal ones in a row are counted, not listed. */
struct signal_event {
	struct signal_info info;
	pid_t tid;	/* thread that took it */
	int64_t at;	/* time of the first, and ... */
	int64_t last;	/* ... of the last of `count` */
	uint64_t count;
	enum {
		SIGNAL_DEFAULT,
		SIGNAL_IGNORED,
		SIGNAL_HANDLED,
		SIGNAL_UNTAKEN, /* was sent, but never came: blocked, or read from a signalfd */
	} disposition; /* as it was then */
	struct sender sender;
};

struct thread {
	pid_t tid;
	char *name;
	char state; /* as in /proc/TID/stat before we stopped it; 0: unknown */
	struct regs regs;
	struct bytes fpregs; /* NT_PRFPREG, empty when not captured */
	struct bytes xstate; /* NT_X86_XSTATE, empty when not captured */
	uint64_t blocked, pending; /* signal sets, bit 0 is signal 1 */
	bool have_masks;
	/*
	 * Registers are those of the first chance (a fault that a handler then took); the thread
	 * was elsewhere when the rest was captured.
	 */
	bool first_chance;
	taddr stack_start, stack_end; /* the bytes captured of its stack; equal: none */
	bool stack_cut;		      /* a cap was met below stack_end's mapping top */
};

struct mapping {
	taddr start, end;
	uint64_t offset, inode;
	uint32_t dev_major, dev_minor;
	char permissions[5]; /* "r-xp" */
	char *name;	     /* path, "[stack]", "" */
	bool deleted;	     /* " (deleted)" has been taken off the name */
};

#define BUILD_ID_MAX 64

/* The mappings of one file, first to last. Module 0 is the main executable. */
struct module {
	taddr start, end;
	char *path;	/* as mapped */
	/*
	 * What it calls itself (DT_SONAME), where its file is gone or there is one of that name in
	 * the same folder: others know it by that. NULL: not so.
	 */
	char *soname;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint8_t build_id[BUILD_ID_MAX];
	unsigned build_id_len; /* 0: none, or could not be read */
	bool deleted;	       /* unlinked or replaced on disk */
	bool in_memory;	       /* vDSO: its ELF image is among the memory regions */
	int fd;		       /* its file, held open since the target lived; -1 after a dump was read */
};

/* A stretch of captured memory. Sorted by address, not overlapping, not empty. */
typedef LIST(struct mem_range) regions;

/* A stretch of the address space, and where its bytes are in a file. */
struct segment {
	taddr at;
	uint64_t size, offset;
	char permissions[5];
};

/* Sorted by address, not overlapping. */
typedef LIST(struct segment) segments;

/*
 * The whole memory, where it was asked for: it went straight into a file while the process was held,
 * since it is more than we should hold ourselves. No dump has it.
 */
#define FULL_CORE "full core" /* what gaps in it are called */

struct bulk {
	bool has_file;
	int file;	   /* without a name: what nobody makes one of is gone when this is closed */
	segments segments; /* what is in the file */
	uint64_t end;	   /* the offset behind everything that may have been written to it */
	char *failed;	   /* why there is no file though it was wanted; NULL: nothing is wrong */
};

struct socket {
	char *family, *type;	     /* "inet", "stream"; NULL unknown */
	char *local, *peer, *state;  /* "127.0.0.1:8000", "127.0.0.1:51234", "CLOSE_WAIT"; NULL unknown */
};

struct fd {
	int fd;
	char *target; /* as readlink says */
	bool is_socket;
	struct socket socket;
};

/* Lines of a log that were left out. */
struct log_cut {
	uint64_t before; /* the index of the line that comes next */
	uint64_t lines;
};

struct log {
	char *path;
	int fd;	 /* of the target, -1: named by the user */
	strings lines; /* oldest first, without newlines */
	bool ends_in_newline;
	int64_t modified; /* when the file was last written to; 0 unknown */
	LIST(struct log_cut) cuts; /* in order of `before` */
};

/*
 * One level of the hierarchy of control groups that a process's memory is counted in. Bytes and
 * counts; -1 is unknown, or no limit.
 */
struct cgroup_level {
	char *path; /* from the hierarchy's root */
	int64_t limit, usage, peak; /* usage as of the last look, peak as of the end */
	/* Processes of this very level that the OOM killer ended, and how often its limit was the reason. */
	int64_t kills_before, kills_after, ooms_before, ooms_after;
};

enum pidfile_state { PIDFILE_NONE, PIDFILE_REMOVED, PIDFILE_STALE, PIDFILE_REPLACED, PIDFILE_MISSING };

enum role { ROLE_MAIN, ROLE_CHILD };

struct process {
	pid_t pid, ppid, pgid, sid;
	LIST(pid_t) ns_pids; /* outermost first; the first is pid as we see it */
	uid_t uid;
	gid_t gid;
	char *user, *tty; /* NULL: none */
	char *comm, *exe; /* exe NULL: unknown */
	char *cwd;	  /* NULL: unknown */
	strings cmdline;
	strings environ; /* "NAME=value"; redacted unless told otherwise */
	bool environ_redacted;
	bool have_environ;
	process_refs ancestors; /* parent first */
	process_refs children;
	char *cgroup; /* path, NULL unknown */
	int64_t memory_limit, memory_usage, oom_kills_before, oom_kills_after; /* of the cgroup; -1 unknown */
	LIST(struct cgroup_level) cgroup_levels; /* its own first, then upwards as far as can be seen */
	int cgroup_others; /* most processes seen in its cgroup besides it and pcatch; -1 unknown */
	signed char dumpable; /* 0 or 1 as PR_GET_DUMPABLE would say; -1 unknown */
	uint64_t ignored, caught; /* signal dispositions, bit 0 is signal 1 */
	bool have_dispositions;
	pid_t tracer; /* at the time of attaching */
	LIST(struct fd) fds;
	bool have_fds;
	enum role role;
	enum pidfile_state pidfile_state;
	char *pidfile; /* NULL unless --pidfile */
	pid_t pidfile_names; /* the pid in it, 0: none */
	/* Raw texts of /proc/PID: empty when they could not be had. */
	struct bytes status, stat, limits, maps, auxv, cgroup_text, mountinfo;
};

enum death_kind { DEATH_EXIT, DEATH_SIGNAL, DEATH_SNAPSHOT, DEATH_UNKNOWN };

struct death {
	enum death_kind kind;
	int exit_code;		   /* DEATH_EXIT */
	int signo;		   /* DEATH_SIGNAL: what ended it */
	struct signal_info info;   /* siginfo of that signal; with first_chance, of the first fault */
	bool first_chance;	   /* a handler took the fault first and then re-raised it */
	bool since_abort; /* time.finalization is when a SIGABRT came that it took by ending */
	pid_t tid;		   /* thread that faulted, called exit or took the signal; 0 unknown */
	struct sender sender;
	int core_dumped;	   /* 0, 1, -1 unknown */
	LIST(struct signal_event) earlier; /* oldest first */
	uint64_t earlier_dropped;  /* how many more there were */
	/* The kernel's records of who sends signals were listened to, so many of which were lost. */
	bool listened;
	uint64_t records_lost;
};

/* Where the interpreter keeps its state, found while the target lived. */
struct python_hint {
	bool found;
	taddr runtime;	   /* _PyRuntime; for 3.6 and older, interp_head */
	unsigned version;  /* PY_VERSION_HEX; the low 16 bits may be 0 when only major.minor is known */
	char *found_by;	   /* "symbol", "section", "search" */
	char *module;	   /* path of the executable or library that holds it */
	bool free_threaded;
	taddr asyncio;	   /* what its module _asyncio publishes, 3.14 on; 0: nothing was found */
	uint64_t asyncio_size;
	bool locals;	      /* variables are wanted, and their pages among the memory */
	bool locals_redacted; /* and what smells of a secret is not shown */
};

struct host {
	char *hostname, *kernel; /* uname -r */
	char *uname;		 /* uname -srvmo */
	const struct arch *arch;
	int cpus;
	int64_t memory;
	struct bytes cpuinfo, os_release; /* raw texts */
	uint32_t cpu_vendor[3], cpu_version, cpu_features, cpu_amd_features; /* x86: cpuid */
	uint16_t cpu_family, cpu_model_stepping;
	int64_t utc_offset; /* seconds east of it, as programs there print their times */
	bool in_container; /* our own pid namespace is not the initial one, as far as can be told */
};

/* What a process used at a moment. -1 is unknown, of doubles whatever is < 0. */
struct sample {
	int64_t at;
	int64_t rss, cgroup_memory, swap; /* bytes */
	int64_t minor_faults, major_faults; /* since its start */
	int threads, fds;
	double cpu_percent;		     /* of one CPU since the sample before */
	double pressure_some, pressure_full; /* of memory, in percent of the last 10 s */
	int64_t pss;			     /* its share of what it has; where that is not dear to know */
	int64_t children_rss;		     /* of its descendants */
	int children;			     /* how many these are, as far as they were counted */
	int64_t voluntary_switches, involuntary_switches; /* of the main thread, since its start */
	/* Samples that this one, the newest of them, stands for, and the extremes of their rss. */
	unsigned merged;
	int64_t rss_min, rss_max;
};

/* One of which nothing is known; it stands for itself alone. */
extern const struct sample sample_unknown;

/* What somebody had written down of a process that is gone. */
struct testimony {
	enum testimony_source { TOLD_BY_KERNEL, TOLD_BY_SYSTEMD, TOLD_BY_COREDUMP } source;
	char *where; /* "/dev/kmsg", "/var/log/kern.log", "the journal" */
	int64_t at;  /* 0: only what the text says */
	char *text;
	int signo;     /* that ended it; 0: not said */
	int exit_code; /* -1: not said */
	char *core;    /* where it is kept, as of the autopsy; NULL: nowhere */
	bool by_pid;   /* the kernel's: the line has the process's pid, and not just any */
};

/* A process that is still there and had to do with the one that is gone. */
struct leftover {
	struct process_ref process;
	struct process_ref parent;
	bool same_family; /* in the session or process group that the gone one led */
	bool same_log;	  /* writes to a log of its */
	char *listens;	  /* "127.0.0.1:8000"; NULL: nowhere, as far as can be seen */
};

/* What was found by somebody who came when all was over. */
struct autopsy {
	bool made;     /* this snapshot is one */
	int64_t at;
	int64_t since; /* nothing older was looked at; 0: no bound */
	int64_t boot;  /* when the machine, or the container, was started; 0 unknown */
	int64_t halt;  /* ... and was shut down in order before, by wtmp; 0 unknown */
	int64_t pidfile_written;
	/* Who has the pid now: pid 0 nobody. */
	struct process_ref holder;
	int64_t holder_started;
	pid_t holder_thread_of; /* the pid is that of a thread of this process; 0: it is not */
	bool holder_zombie;
	LIST(struct leftover) left;
	LIST(struct testimony) told;
	bool kernel_log_read;	 /* some of it at least, ... */
	int64_t kernel_log_from; /* ... as far back as this; 0 unknown */
	bool kernel_tells_faults; /* it writes a line for every crash (debug.exception-trace) */
};

/* A line of the kernel's own log; AT is since boot. */
struct kernel_line {
	int64_t at;
	char *text;
};

struct places;

struct snapshot {
	struct arena arena;
	char id[37]; /* UUID in text */
	char *generator; /* version of the pcatch that captured */
	struct host host;
	struct {
		int64_t process_start, attached, death;
		/*
		 * When threads and memory were captured, if that was as Python began to take itself
		 * down (or see death.since_abort) and not at the death; 0 otherwise.
		 */
		int64_t finalization;
		int64_t frozen; /* how long it was held still, nanoseconds; -1 unknown */
	} time;
	struct process process;
	struct death death;
	LIST(struct thread) threads; /* the dying thread first, then by tid */
	LIST(struct mapping) mappings; /* by address */
	LIST(struct module) modules;
	regions memory;
	struct bulk bulk;
	struct {
		uint64_t bytes;	  /* of the whole memory were copied, 0: none */
		uint64_t swapped; /* of them had been swapped out */
		int64_t held;	  /* nanoseconds that the process was held for it */
	} full_core;
	struct python_hint python;
	LIST(struct log) logs;
	struct { double interval; LIST(struct sample) samples; } timeline;
	struct autopsy autopsy;
	struct {
		bool followed; /* it could be read from the attach on: no lines means that it said nothing */
		bool whole;    /* ... and nothing of it was overwritten before it had been read */
		LIST(struct kernel_line) lines; /* about the process, and reports of the OOM killer */
	} kernel_log;
	int64_t machine_kills_before, machine_kills_after; /* of the OOM killer; -1 unknown */
	bool unredacted; /* nothing was replaced that looked like a secret: --no-redact */
	gaps gaps;
	const struct places *places; /* where modules' files may be here, borrowed; NULL: at their paths */
};

/*
 * What snapshot_init leaves is empty and may be deinitialised: numbers that can be unknown are,
 * strings that may not be NULL are "", raw texts have their NUL.
 */
void snapshot_init(struct snapshot *snapshot);
void snapshot_deinit(struct snapshot *snapshot); /* closes files that it has open, too */

/* NULL when there is none. They rely on the orders named above. */
const struct mapping *snapshot_mapping_at(const struct snapshot *snapshot, taddr at);
const struct module *snapshot_module_at(const struct snapshot *snapshot, taddr at);
const struct thread *snapshot_thread(const struct snapshot *snapshot, pid_t tid);

/* The captured bytes as memory; borrows the snapshot. */
void snapshot_mem(const struct snapshot *snapshot, struct mem_bytes *ret);

/*
 * Put bytes into snapshot->memory. DATA is not copied: it lives in the snapshot's arena. Regions
 * may come in any order and overlap until snapshot_settle_memory() has sorted them, cut overlaps
 * off (what was added first stays) and joined what touches; readers want them settled.
 */
struct error *snapshot_add_memory(struct snapshot *snapshot, taddr at, const void *data, size_t len)
	__attribute__((warn_unused_result));
struct error *snapshot_settle_memory(struct snapshot *snapshot) __attribute__((warn_unused_result));

/*
 * Parse process.maps into mappings and modules, in place of those of an earlier call, whose fds are
 * closed; fds of modules are -1, build ids empty. A line that makes no sense is a gap.
 */
struct error *snapshot_parse_maps(struct snapshot *snapshot) __attribute__((warn_unused_result));

/* FROM with everything that it points to copied into ARENA. */
struct error *sender_copy(struct arena *arena, const struct sender *from, struct sender *to)
	__attribute__((warn_unused_result));

/* Let go of the file with the whole memory; the numbers stay. */
void snapshot_drop_bulk(struct snapshot *snapshot);

/*
 * Put the whole memory of FROM, with the gaps in it, in the place of that of TO, which has whatever
 * FROM points to from then on: FROM is of no use but to be deinitialised, before TO.
 */
struct error *snapshot_take_bulk(struct snapshot *to, struct snapshot *from)
	__attribute__((warn_unused_result));

/*
 * Put the threads, the memory, the mappings and modules, and the place of the interpreter, of FROM
 * in the place of those of TO, as having been captured at Python's finalization. FROM keeps nothing of it.
 */
struct error *snapshot_take_scene(struct snapshot *to, struct snapshot *from)
	__attribute__((warn_unused_result));

/* The second half of it: modules of the mappings, which may come from elsewhere than process.maps. */
struct error *snapshot_find_modules(struct snapshot *snapshot) __attribute__((warn_unused_result));

/* Give M the name that the kernel wrote as LEN bytes at S: clean, and with its " (deleted)" off. */
struct error *mapping_set_name(struct arena *arena, const char *s, size_t len, struct mapping *m)
	__attribute__((warn_unused_result));

/* Note that WHAT is missing, because WHY. REMEDY may be NULL. The texts are copied. */
struct error *gaps_add(struct arena *arena, gaps *list, const char *what, const char *remedy,
		       const char *why, ...)
	__attribute__((format(printf, 5, 6), warn_unused_result));

/*
 * Turn ERR, which is consumed, into a gap: "WHAT: its text". NULL does nothing; ERROR_NOMEM is
 * handed back, as it is no news about the target.
 */
struct error *gaps_take(struct arena *arena, gaps *list, const char *what, const char *remedy,
			struct error *err) __attribute__((warn_unused_result));

/* The value of an entry of an auxiliary vector, as of /proc/PID/auxv; 0 when there is none. */
uint64_t auxv_value(const struct bytes *auxv, uint64_t type);

/* What to call MODULE in a word: the name of its file; of one that is gone its own, where it has any. */
const char *module_name(const struct module *module);

/* "server.py" for "/srv/server.py": what follows the last slash. */
const char *path_basename(const char *path);

#endif
