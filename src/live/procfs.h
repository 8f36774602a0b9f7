/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_PROCFS_H
#define PCATCH_LIVE_PROCFS_H

#include "../target/snapshot.h"

/*
 * What /proc says about a process. Functions fill the snapshot and turn what they may not or
 * cannot read into gaps in it; errors are ours alone (no memory), or ERROR_GONE.
 */

/* A whole /proc file of unknown size, at most MAX bytes, relative to descriptor DIR ("/proc/PID"). */
struct error *procfs_read(int dir, const char *name, size_t max, struct arena *arena,
			  struct bytes *ret) __attribute__((warn_unused_result));

/*
 * As much as fits of a small /proc file, as a string. For what is read often, or while a process
 * is held; the length, 0 when it cannot be read.
 */
size_t procfs_peek(int dir, const char *name, char *ret, size_t size);

/* Open /proc/PID. ERROR_GONE when there is none. */
struct error *procfs_open(pid_t pid, int *ret) __attribute__((warn_unused_result));

/* Fields of /proc/PID/status that decisions are made of; cheap enough for every signal. */
struct procfs_status {
	char name[64];
	char state;
	pid_t tgid, pid, ppid, tracer;
	uid_t uid, euid;
	gid_t gid;
	uint64_t pending, shared_pending, blocked, ignored, caught; /* bit 0 is signal 1 */
	int threads;
	bool kernel_thread;
	int n_ns_pids;
	pid_t ns_pids[32]; /* outermost first */
};

struct error *procfs_status(pid_t tid, struct procfs_status *ret) __attribute__((warn_unused_result));

/* The machine, and the report's id: everything of snapshot->host. */
struct error *procfs_host(struct snapshot *snapshot) __attribute__((warn_unused_result));

/*
 * The texts that are gone with the process: status, stat, limits, auxv, cmdline, environ,
 * cwd, exe, cgroup, fds by readlink, dispositions. Called while the process is held: each of them
 * is bounded. Called again, it replaces what it can still read and keeps the rest.
 */
struct error *procfs_process(struct snapshot *snapshot, int proc_dir, bool redact)
	__attribute__((warn_unused_result));

/*
 * Read snapshot->process.maps anew and parse it; modules that were there keep file and build id.
 * MAPS_FD is an open /proc/PID/maps of the present image, or -1.
 */
struct error *procfs_maps(struct snapshot *snapshot, int maps_fd, int proc_dir)
	__attribute__((warn_unused_result));

/* What may wait until the process has been let go: names of users and terminals. */
struct error *procfs_finish(struct snapshot *snapshot) __attribute__((warn_unused_result));

/*
 * Name and state of every thread in snapshot->threads, from task/TID; signal masks of the first.
 * The state of one that we hold stays unknown.
 */
struct error *procfs_threads(struct snapshot *snapshot, int proc_dir) __attribute__((warn_unused_result));

/*
 * For the fds that are sockets: family, type, addresses, state, from the target's own
 * /proc/PID/net tables; for sockets those no longer list, through a duplicate of the descriptor (pidfd_getfd, getpeername,
 * SO_PEERNAME). PIDFD may be -1. ONLY_FD >= 0 restricts it to that fd.
 */
struct error *procfs_sockets(struct snapshot *snapshot, int proc_dir, int pidfd, int only_fd)
	__attribute__((warn_unused_result));

/* PID's comm, exe, cmdline, uid into RET; what cannot be read stays NULL. False when it is gone. */
bool procfs_ref(pid_t pid, struct arena *arena, struct process_ref *ret);

/* PID's ancestors, parent first, up to 64. */
struct error *procfs_ancestors(pid_t pid, struct arena *arena, process_refs *ret)
	__attribute__((warn_unused_result));

/* Children of PID as of now, up to 1024. */
struct error *procfs_children(pid_t pid, struct arena *arena, process_refs *ret)
	__attribute__((warn_unused_result));

/*
 * Fill sender from siginfo: kind, process, user, ancestors, relation to PROCESS, as of now. INFO's
 * pid is in the target's pid namespace (0: outside of it) and is translated into ours.
 */
struct error *procfs_sender(const struct process *process, const struct signal_info *info,
			    struct arena *arena, struct sender *ret) __attribute__((warn_unused_result));

/*
 * What follows for a sender from the process that it sent to: their relation, itself or an ancestor
 * that was known before; and the user's name. Its strings may be those of TARGET.
 */
struct error *procfs_sender_finish(const struct process *target, struct arena *arena,
				   struct sender *sender) __attribute__((warn_unused_result));

/* The part of it that does not wait: what is in /proc of PID, which sent something, and who is above it. */
void procfs_sender_now(pid_t pid, struct arena *arena, struct sender *sender);

#define PID_NAMESPACES_MAX 32 /* include/linux/pid_namespace.h: they are no deeper */

/* The pid namespace of a process, and those above it up to ours. */
struct pid_namespace {
	uint64_t inode; /* 0: unknown */
	uint64_t above[PID_NAMESPACES_MAX];
	unsigned n_above;
	int depth; /* so many numbers each process in it has for us; 0: unknown */
};

/* PID's, as far as it can be seen. */
struct pid_namespace procfs_pid_namespace(pid_t pid);

/* Who is in ONE is known not to be in OTHER, or in any below it. */
bool procfs_is_outside(const struct pid_namespace *one, const struct pid_namespace *other);

/* Open the files of modules, read their build ids, mark the deleted ones, vDSO included. */
struct error *procfs_modules(struct snapshot *snapshot, int proc_dir, const struct mem *mem)
	__attribute__((warn_unused_result));

/*
 * Modules of TO that are the same file at the same place as one of FROM take over its descriptor
 * and build id. FROM keeps those that nobody took.
 */
void procfs_keep_files(struct module *to, size_t n_to, struct module *from, size_t n_from);

/* The last LINES lines of the files behind fd 1 and 2 (regular files) and of each PATH. */
struct error *procfs_logs(struct snapshot *snapshot, int proc_dir, const strings *paths, int lines)
	__attribute__((warn_unused_result));

#endif
