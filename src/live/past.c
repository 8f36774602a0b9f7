/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "past.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#include "../cleanup.h"
#include "cgroup.h"
#include "procfs.h"
#include "tracer.h"

#define SECOND INT64_C(1000000000)

#define PROCESSES_MAX 100000
#define FDS_MAX	      4096 // looked through of one process
#define LEFT_MAX      64
#define LISTENING_MAX 16 // whose sockets are looked at
#define PATHS_MAX     64
#define WTMP_MAX      ((off_t)4 << 20)

static int64_t boot_time(void)
{
	struct timespec since;

	clock_gettime(CLOCK_BOOTTIME, &since);
	return realtime_now() - (int64_t)since.tv_sec * SECOND - since.tv_nsec;
}

/* Fields of /proc/PID/stat, proc(5). */
struct stat_fields {
	char state;
	pid_t ppid, pgid, sid;
	int64_t started; /* nanoseconds since the epoch */
	int exit_code;	 /* a wait status; 0 also where it is not ours to know */
};

static bool read_stat(pid_t pid, struct stat_fields *ret)
{
	char text[2048];
	_cleanup_(closep) int dir = -1;
	unsigned long long ticks = 0;
	int ppid, pgid, sid, code = 0;

	if (error_drop(procfs_open(pid, &dir)) || !procfs_peek(dir, "stat", text, sizeof(text)))
		return false;
	// The comm may hold anything, also a parenthesis.
	const char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %c %d %d %d", &ret->state, &ppid, &pgid, &sid) != 4)
		return false;
	const char *at = rest + 1;
	for (int i = 3; at && i <= 52; i++) {
		at += strspn(at, " ");
		if (i == 22)
			ticks = strtoull(at, NULL, 10);
		if (i == 52)
			code = atoi(at);
		at = strchr(at, ' ');
	}
	ret->ppid = ppid;
	ret->pgid = pgid;
	ret->sid = sid;
	ret->exit_code = code;
	int64_t hertz = sysconf(_SC_CLK_TCK);
	ret->started = boot_time() + (int64_t)(ticks / (uint64_t)hertz) * SECOND +
		       (int64_t)(ticks % (uint64_t)hertz) * (SECOND / hertz);
	return true;
}

struct error *past_boot(struct snapshot *snapshot, const char *wtmp)
{
	struct autopsy *autopsy = &snapshot->autopsy;
	struct stat st;
	struct utmp entry;
	struct stat_fields first;

	autopsy->boot = boot_time();
	// A container begins with its first process, and is gone with that.
	if (snapshot->host.in_container) {
		if (read_stat(1, &first) && first.started > autopsy->boot)
			autopsy->boot = first.started;
		return NULL;
	}
	_cleanup_(closep) int fd = open(wtmp, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	off_t at = st.st_size > WTMP_MAX ? st.st_size - WTMP_MAX : 0;
	for (at -= at % (off_t)sizeof(entry);
	     pread(fd, &entry, sizeof(entry), at) == (ssize_t)sizeof(entry);
	     at += (off_t)sizeof(entry)) {
		int64_t when = (int64_t)entry.ut_tv.tv_sec * SECOND;

		if (when > autopsy->boot + 60 * SECOND)
			break;
		if (entry.ut_type == RUN_LVL &&
		    !strncmp(entry.ut_user, "shutdown", sizeof("shutdown")))
			autopsy->halt = when;
		else if (entry.ut_type == BOOT_TIME && when < autopsy->boot - 60 * SECOND)
			// Of an earlier boot; what was said before it is of no interest.
			autopsy->halt = 0;
	}
	return NULL;
}

struct error *past_holder(struct snapshot *snapshot)
{
	struct autopsy *autopsy = &snapshot->autopsy;
	pid_t pid = snapshot->process.pid;
	struct procfs_status status;
	struct stat_fields stat;

	if (pid <= 0)
		return NULL;
	if (error_drop(procfs_status(pid, &status))) {
		if (kill(pid, 0) < 0 && errno == ESRCH)
			return NULL;
		autopsy->holder.pid = pid;
		return gaps_add(&snapshot->arena, &snapshot->gaps, "who has the pid now",
				"run pcatch as root",
				"process %d exists, but may not be looked at (hidepid)", (int)pid);
	}
	if (status.tgid != pid)
		autopsy->holder_thread_of = status.tgid;
	pid_t holder = status.tgid ? status.tgid : pid;
	procfs_ref(holder, &snapshot->arena, &autopsy->holder);
	autopsy->holder.pid = holder;
	if (!read_stat(holder, &stat))
		return NULL;
	autopsy->holder_started = stat.started;
	autopsy->holder_zombie =
		!autopsy->holder_thread_of && stat.state == 'Z' && status.threads <= 1;
	if (!autopsy->holder_zombie)
		return NULL;
	struct death *death = &snapshot->death;
	// A zombie that exited with 0 and one whose status may not be read look alike.
	bool readable = geteuid() == 0 || geteuid() == status.euid;
	if (WIFSIGNALED(stat.exit_code)) {
		death->kind = DEATH_SIGNAL;
		death->signo = WTERMSIG(stat.exit_code);
		death->core_dumped = WCOREDUMP(stat.exit_code) ? 1 : 0;
	} else if (readable && WIFEXITED(stat.exit_code)) {
		death->kind = DEATH_EXIT;
		death->exit_code = WEXITSTATUS(stat.exit_code);
	}
	snapshot->process.ppid = stat.ppid;
	snapshot->process.pgid = stat.pgid;
	snapshot->process.sid = stat.sid;
	snapshot->process.uid = status.uid;
	snapshot->process.gid = status.gid;
	snapshot->time.process_start = stat.started;
	snapshot->process.comm = autopsy->holder.comm;
	return procfs_ancestors(pid, &snapshot->arena, &snapshot->process.ancestors);
}

/* Who is left. */

struct files {
	struct stat of[PATHS_MAX];
	size_t n;
};

static bool is_one_of(const struct files *files, const struct stat *st)
{
	for (size_t i = 0; i < files->n; i++)
		if (files->of[i].st_dev == st->st_dev && files->of[i].st_ino == st->st_ino)
			return true;
	return false;
}

// The descriptor is open for writing: fdinfo's "flags:" are open(2)'s, in octal.
static bool is_for_writing(int dir, const char *fd)
{
	char name[64], text[512];

	snprintf(name, sizeof(name), "fdinfo/%.16s", fd);
	if (!procfs_peek(dir, name, text, sizeof(text)))
		return false;
	const char *flags = strstr(text, "flags:");
	return flags && (strtol(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool writes_to(pid_t pid, const struct files *files)
{
	_cleanup_(closep) int dir = -1;
	bool found = false;

	if (!files->n || error_drop(procfs_open(pid, &dir)))
		return false;
	int fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *fds = fd < 0 ? NULL : fdopendir(fd);
	if (!fds) {
		closep(&fd);
		return false;
	}
	struct dirent *d;
	for (int i = 0; !found && i < FDS_MAX && (d = readdir(fds)); i++) {
		struct stat st;

		if (d->d_name[0] != '.' && fstatat(dirfd(fds), d->d_name, &st, 0) == 0)
			found = is_one_of(files, &st) && is_for_writing(dir, d->d_name);
	}
	closedir(fds);
	return found;
}

// Where PID listens, and, in SNAPSHOT, the cgroup that it shares with the one that is gone.
static struct error *look_closer(struct snapshot *snapshot, struct leftover *left, bool sockets)
{
	_cleanup_(snapshot_deinit) struct snapshot of;
	_cleanup_(closep) int dir = -1;
	pid_t pid = left->process.pid;

	snapshot_init(&of);
	of.process.pid = pid;
	if (error_drop(procfs_open(pid, &dir)))
		return NULL;
	struct error *err = procfs_process(&of, dir, true);
	if (!err && sockets)
		err = procfs_sockets(&of, dir, -1, -1);
	if (err && err->kind == ERROR_NOMEM)
		return err;
	error_drop(err);
	for (size_t i = 0; i < of.process.fds.n && !left->listens; i++) {
		const struct socket *socket = &of.process.fds.v[i].socket;

		if (!of.process.fds.v[i].is_socket || !socket->state ||
		    strcmp(socket->state, "LISTEN") || !socket->local)
			continue;
		left->listens = arena_strdup(&snapshot->arena, socket->local);
		if (!left->listens)
			return error_nomem();
	}
	if (left->same_family && of.process.cgroup && !snapshot->process.cgroup) {
		snapshot->process.cgroup = arena_strdup(&snapshot->arena, of.process.cgroup);
		if (!snapshot->process.cgroup)
			return error_nomem();
	}
	return NULL;
}

static struct error *add_left(struct snapshot *snapshot, pid_t pid, const struct stat_fields *stat,
			      bool same_family, bool same_log)
{
	struct autopsy *autopsy = &snapshot->autopsy;

	if (autopsy->left.n == LEFT_MAX)
		return NULL;
	struct leftover *left = LIST_ADD(&snapshot->arena, &autopsy->left);
	if (!left)
		return error_nomem();
	left->same_family = same_family;
	left->same_log = same_log;
	procfs_ref(pid, &snapshot->arena, &left->process);
	left->process.pid = pid;
	procfs_ref(stat->ppid, &snapshot->arena, &left->parent);
	left->parent.pid = stat->ppid;
	return look_closer(snapshot, left, autopsy->left.n <= LISTENING_MAX);
}

static void files_of(const strings *paths, struct files *ret)
{
	for (size_t i = 0; i < paths->n && ret->n < PATHS_MAX; i++)
		if (stat(paths->v[i], &ret->of[ret->n]) == 0)
			ret->n++;
}

// The next process of PROC, a folder being read; 0 at its end.
static pid_t next_process(DIR *proc)
{
	struct dirent *d;

	while ((d = readdir(proc)))
		if (isdigit((unsigned char)d->d_name[0]))
			return (pid_t)atoi(d->d_name);
	return 0;
}

static bool is_gone(pid_t pid)
{
	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

pid_t past_leader(const strings *paths)
{
	struct files files = {};
	DIR *proc = opendir("/proc");
	pid_t found = 0, pid;

	files_of(paths, &files);
	for (int i = 0; proc && i < PROCESSES_MAX && (pid = next_process(proc)); i++) {
		struct stat_fields of;

		if (!read_stat(pid, &of))
			continue;
		pid_t leader = is_gone(of.sid) ? of.sid : is_gone(of.pgid) ? of.pgid : 0;
		if (!leader || leader == found || !writes_to(pid, &files))
			continue;
		if (found) {
			found = 0;
			break;
		}
		found = leader;
	}
	if (proc)
		closedir(proc);
	return found;
}

struct error *past_leftovers(struct snapshot *snapshot, const strings *paths)
{
	struct process *process = &snapshot->process;
	struct files files = {};
	DIR *proc = opendir("/proc");
	struct error *err = NULL;
	pid_t pid;

	if (!proc)
		return gaps_take(&snapshot->arena, &snapshot->gaps, "the processes that are left",
				 NULL, error_errno(errno, "/proc cannot be read"));
	files_of(paths, &files);
	for (int i = 0; !err && i < PROCESSES_MAX && (pid = next_process(proc)); i++) {
		struct stat_fields of;

		if (pid == process->pid || pid == getpid() || !read_stat(pid, &of) ||
		    of.state == 'Z')
			continue;
		// The kernel gives a pid to nobody else while a session or a group is named by it.
		bool family = process->pid > 0 &&
			      (of.sid == process->pid || of.pgid == process->pid);
		bool same_log = writes_to(pid, &files);
		if (family || same_log)
			err = add_left(snapshot, pid, &of, family, same_log);
	}
	closedir(proc);
	return err;
}

struct error *past_cgroup(struct snapshot *snapshot)
{
	static const char what[] = "OOM kills in its cgroup";
	static const char remedy[] = "pcatch attach counts them before and after the end";
	struct process *process = &snapshot->process;
	const char *path = process->cgroup;
	bool held = false;
	struct cgroup_tree tree;

	// One that empties is often made anew for the next run, and counts from zero.
	for (size_t i = 0; i < snapshot->autopsy.left.n; i++)
		held |= snapshot->autopsy.left.v[i].same_family;
	if (!path)
		return gaps_add(&snapshot->arena, &snapshot->gaps, what, remedy,
				"nothing says which control group it was in");
	if (!held)
		return gaps_add(&snapshot->arena, &snapshot->gaps, what, remedy,
				"nothing of it is left in %s, whose counts may be of a later run",
				path);
	cgroup_find("/proc/self/mountinfo", &tree);
	_cleanup_(closep) int fd = cgroup_open_events(&tree, path, strlen(path));
	process->oom_kills_after = cgroup_read_events(fd).kills;
	if (process->oom_kills_after >= 0)
		return NULL;
	return gaps_add(&snapshot->arena, &snapshot->gaps, what,
			"mount the cgroup file system, with the memory controller, where pcatch "
			"runs",
			"the counts of %s cannot be read", path);
}
