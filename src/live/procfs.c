/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "cgroup.h"
#include "../target/redact.h"
#include "errand.h"

#define TEXT_MAX ((size_t)64 << 10)
#define ARGUMENTS_MAX ((size_t)1 << 20)
#define MAPS_MAX ((size_t)64 << 20)
#define FDS_LISTED 1024
#define CHILDREN_MAX 1024
#define ANCESTORS_MAX 64

static const char ptrace_remedy[] = "run pcatch as root or with CAP_SYS_PTRACE";

struct error *procfs_open(pid_t pid, int *ret)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return error_new(ERROR_GONE, "process %d has ended", (int)pid);
	if (fd < 0)
		return error_errno(errno, "cannot open %s", path);
	*ret = fd;
	return NULL;
}

size_t procfs_peek(int dir, const char *name, char *ret, size_t size)
{
	ssize_t n = -1;

	if (errand_may_block(name)) {
		_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

		n = fd < 0 ? -1 : read(fd, ret, size - 1);
		errand_came_back();
	}
	ret[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

static struct error *read_open(int fd, const char *name, size_t max, struct buf *buf)
{
	char chunk[16384];
	size_t start = buf->len;

	while (buf->len - start < max) {
		size_t got = buf->len - start, want = max - got;
		ssize_t n = pread(fd, chunk, want < sizeof(chunk) ? want : sizeof(chunk), (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(errno, "cannot read /proc/PID/%s", name);
		if (!n)
			break;
		buf_add(buf, chunk, (size_t)n);
	}
	return buf_error(buf);
}

static struct error *read_whole(int dir, const char *name, size_t max, struct buf *buf)
{
	_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return error_new(ERROR_GONE, "the process has ended");
	if (fd < 0)
		return error_errno(errno, "cannot open /proc/PID/%s", name);
	return read_open(fd, name, max, buf);
}

// The file NAME below DIR into BUF, which grows. ERROR_GONE when the process has gone.
static struct error *read_into(int dir, const char *name, size_t max, struct buf *buf)
{
	if (!errand_may_block(name))
		return error_errno(errno, "cannot read /proc/PID/%s", name);
	struct error *err = read_whole(dir, name, max, buf);
	errand_came_back();
	return err;
}

struct error *procfs_read(int dir, const char *name, size_t max, struct arena *arena,
			  struct bytes *ret)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	struct error *err = read_into(dir, name, max, &buf);

	if (err)
		return err;
	uint8_t *data = (uint8_t *)arena_strndup(arena, (char *)buf.data, buf.len);
	if (!data)
		return error_nomem();
	*ret = (struct bytes){ .data = data, .len = buf.len };
	return NULL;
}

// LEN bytes of the target's making as a string that may be shown.
static char *clean(struct arena *arena, const void *data, size_t len)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	buf_clean(&buf, data, len, "");
	if (buf.failed)
		return NULL;
	return arena_strndup(arena, (char *)buf.data, buf.len);
}

// What follows "KEY:" in a status text and white space; NULL when it has no such line.
static const char *status_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		if (line != text)
			line++;
		if (!strncmp(line, key, len) && line[len] == ':') {
			line += len + 1;
			return line + strspn(line, " \t");
		}
	}
	return NULL;
}

static long status_number(const char *text, const char *key, long missing)
{
	const char *value = status_value(text, key);

	return value ? strtol(value, NULL, 10) : missing;
}

static uint64_t status_mask(const char *text, const char *key)
{
	const char *value = status_value(text, key);

	return value ? strtoull(value, NULL, 16) : 0;
}

struct error *procfs_status(pid_t tid, struct procfs_status *ret)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	_cleanup_(closep) int dir = -1;
	struct procfs_status s = {};
	struct error *err = procfs_open(tid, &dir);

	if (!err)
		err = read_into(dir, "status", TEXT_MAX, &buf);
	buf_add(&buf, "", 1);
	if (!err)
		err = buf_error(&buf);
	if (err)
		return err;
	const char *text = (char *)buf.data, *name = status_value(text, "Name");
	_cleanup_(buf_deinit) struct buf shown = {};
	if (name)
		buf_clean(&shown, name, strcspn(name, "\n"), "");
	buf_add(&shown, "", 1);
	err = buf_error(&shown);
	if (err)
		return err;
	snprintf(s.name, sizeof(s.name), "%s", (char *)shown.data);
	const char *state = status_value(text, "State"), *uid = status_value(text, "Uid");
	s.state = state ? *state : 0;
	if (uid)
		sscanf(uid, "%u %u", &s.uid, &s.euid);
	s.tgid = (pid_t)status_number(text, "Tgid", 0);
	s.pid = (pid_t)status_number(text, "Pid", 0);
	s.ppid = (pid_t)status_number(text, "PPid", 0);
	s.tracer = (pid_t)status_number(text, "TracerPid", 0);
	s.gid = (gid_t)status_number(text, "Gid", 0);
	s.threads = (int)status_number(text, "Threads", 0);
	s.pending = status_mask(text, "SigPnd");
	s.shared_pending = status_mask(text, "ShdPnd");
	s.blocked = status_mask(text, "SigBlk");
	s.ignored = status_mask(text, "SigIgn");
	s.caught = status_mask(text, "SigCgt");
	// "Kthread:" came with Linux 6.7; before, what has no memory and is no zombie is one.
	s.kernel_thread = status_number(text, "Kthread",
					!status_value(text, "VmSize") && s.state != 'Z' &&
						s.state != 'X') != 0;
	for (const char *p = status_value(text, "NSpid"); p && isdigit((unsigned char)*p);) {
		char *end;

		s.ns_pids[s.n_ns_pids++] = (pid_t)strtol(p, &end, 10);
		if (s.n_ns_pids == (int)ARRAY_SIZE(s.ns_pids))
			break;
		p = end + strspn(end, " \t");
	}
	*ret = s;
	return NULL;
}

// A text that may be missing: that is a gap, unless the process has gone, which the caller says.
static struct error *take_text(struct snapshot *snapshot, int dir, const char *name, size_t max,
			       struct bytes *ret)
{
	struct bytes text;
	struct error *err = procfs_read(dir, name, max, &snapshot->arena, &text);

	if (!err) {
		// A zombie's files are empty: what was read while it lived says more.
		if (text.len || !ret->len)
			*ret = text;
		return NULL;
	}
	bool denied = err->errnum == EACCES || err->errnum == EPERM;
	return gaps_take(&snapshot->arena, &snapshot->gaps, name, denied ? ptrace_remedy : NULL, err);
}

static char *read_link(int dir, const char *name, struct arena *arena)
{
	char target[PATH_MAX];

	if (!errand_may_block(name))
		return NULL;
	ssize_t n = readlinkat(dir, name, target, sizeof(target));
	errand_came_back();
	return n < 0 ? NULL : clean(arena, target, (size_t)n);
}

// NUL-separated strings, as in cmdline and environ.
static struct error *split(struct arena *arena, const struct bytes *text, strings *ret)
{
	*ret = (strings){};
	for (size_t at = 0; at < text->len;) {
		size_t len = strnlen((char *)text->data + at, text->len - at);
		char **s = LIST_ADD(arena, ret);

		if (!s || !(*s = clean(arena, text->data + at, len)))
			return error_nomem();
		at += len + 1;
	}
	return NULL;
}

static struct error *take_arguments(struct snapshot *snapshot, int dir, bool redact)
{
	struct process *p = &snapshot->process;
	struct bytes cmdline = {}, environment = {};
	size_t gaps_before = snapshot->gaps.n;
	struct error *err = take_text(snapshot, dir, "cmdline", ARGUMENTS_MAX, &cmdline);

	if (!err && cmdline.len)
		err = split(&snapshot->arena, &cmdline, &p->cmdline);
	if (!err && cmdline.len && redact)
		err = redact_arguments(&snapshot->arena, p->cmdline.v, p->cmdline.n);
	if (!err)
		err = take_text(snapshot, dir, "environ", ARGUMENTS_MAX, &environment);
	if (err || (!environment.len && (p->have_environ || snapshot->gaps.n > gaps_before)))
		return err;
	err = split(&snapshot->arena, &environment, &p->environ);
	for (size_t i = 0; !err && redact && i < p->environ.n; i++)
		err = redact_assignment(&snapshot->arena, p->environ.v[i], &p->environ.v[i]);
	p->have_environ = !err;
	p->environ_redacted = redact;
	return err;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

// proc(5), /proc/PID/stat: after the name in parentheses, which may hold any of them itself.
static void parse_stat(struct snapshot *snapshot)
{
	struct process *p = &snapshot->process;
	char *text = (char *)p->stat.data, *end = text ? strrchr(text, ')') : NULL;
	unsigned long long start;
	int ppid, pgid, sid, tty;
	char state;

	if (!end || sscanf(end, ") %c %d %d %d %d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
				"%*d %llu",
			   &state, &ppid, &pgid, &sid, &tty, &start) != 6)
		return;
	p->ppid = ppid;
	p->pgid = pgid;
	p->sid = sid;
	// proc(5): major in bits 15 to 8, minor in 31 to 20 and 7 to 0; 136 to 143 are pseudo terminals.
	unsigned major = (unsigned)tty >> 8 & 0xff,
		 minor = ((unsigned)tty >> 12 & 0xfff00) | ((unsigned)tty & 0xff);
	if (tty && major >= 136 && major <= 143)
		p->tty = arena_printf(&snapshot->arena, "/dev/pts/%u", (major - 136) * 256 + minor);
	else if (tty && major == 4)
		p->tty = arena_printf(&snapshot->arena, minor < 64 ? "/dev/tty%u" : "/dev/ttyS%u",
				      minor < 64 ? minor : minor - 64);
	else if (tty)
		p->tty = arena_printf(&snapshot->arena, "terminal %u:%u", major, minor);
	int64_t boot = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME), since_boot, begin;
	if (!__builtin_mul_overflow(start, INT64_C(1000000000) / sysconf(_SC_CLK_TCK), &since_boot) &&
	    !__builtin_add_overflow(boot, since_boot, &begin))
		snapshot->time.process_start = begin;
}

static struct error *parse_status(struct snapshot *snapshot)
{
	struct process *p = &snapshot->process;
	const char *text = (char *)p->status.data;

	if (!text || !p->status.len)
		return NULL;
	const char *name = status_value(text, "Name"), *ids = status_value(text, "NSpid");
	if (name) {
		p->comm = clean(&snapshot->arena, name, strcspn(name, "\n"));
		if (!p->comm)
			return error_nomem();
	}
	p->uid = (uid_t)status_number(text, "Uid", -1);
	p->gid = (gid_t)status_number(text, "Gid", -1);
	// After the exit began the kernel says 0 for both.
	if (status_value(text, "SigCgt")) {
		p->ignored = status_mask(text, "SigIgn");
		p->caught = status_mask(text, "SigCgt");
		p->have_dispositions = true;
	}
	p->ns_pids.v = NULL;
	p->ns_pids.n = 0;
	for (char *end; ids && isdigit((unsigned char)*ids); ids = end + strspn(end, " \t")) {
		pid_t *pid = LIST_ADD(&snapshot->arena, &p->ns_pids);

		if (!pid)
			return error_nomem();
		*pid = (pid_t)strtol(ids, &end, 10);
	}
	return NULL;
}

// Files of a process that is not dumpable are root's; of root's processes all are. One that has no
// memory any more is nobody's, which says nothing.
static void take_dumpable(struct process *p, int dir)
{
	const char *text = (char *)p->status.data, *users = text ? status_value(text, "Uid") : NULL;
	struct stat st;
	unsigned real, effective;

	if (!users || !status_value(text, "VmSize") || fstatat(dir, "status", &st, 0) < 0 ||
	    sscanf(users, "%u %u", &real, &effective) != 2 || !effective)
		return;
	p->dumpable = st.st_uid == effective;
}

static int compare_fds(const void *a, const void *b)
{
	const struct fd *x = a, *y = b;

	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

static struct error *take_fds(struct snapshot *snapshot, int proc_dir)
{
	struct process *p = &snapshot->process;
	int fd = openat(proc_dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0;
	struct error *err = NULL;

	if (!dir) {
		bool denied = errno == EACCES || errno == EPERM;

		err = error_errno(errno, "cannot list /proc/PID/fd");
		closep(&fd);
		return gaps_take(&snapshot->arena, &snapshot->gaps, "open files",
				 denied ? ptrace_remedy : NULL, err);
	}
	struct fd *old = p->fds.v;
	size_t n_old = p->fds.n;
	p->fds.v = NULL;
	p->fds.n = 0;
	for (struct dirent *d; !err && (d = readdir(dir));) {
		if (!isdigit((unsigned char)d->d_name[0]) || ++n > FDS_LISTED)
			continue;
		char *target = read_link(fd, d->d_name, &snapshot->arena);
		struct fd *to = target ? LIST_ADD(&snapshot->arena, &p->fds) : NULL;
		if (!to)
			continue; // closed meanwhile
		*to = (struct fd){ .fd = atoi(d->d_name),
				   .target = target,
				   .is_socket = !strncmp(target, "socket:[", 8) };
	}
	closedir(dir);
	// One that has begun to exit has closed them all.
	if (!n && n_old) {
		p->fds.v = old;
		p->fds.n = n_old;
	}
	if (p->fds.n)
		qsort(p->fds.v, p->fds.n, sizeof(struct fd), compare_fds);
	p->have_fds = true;
	if (n > FDS_LISTED)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "open files", NULL,
			       "%d of %zu were looked at", FDS_LISTED, n);
	return err;
}

static struct error *parse_cgroup(struct snapshot *snapshot)
{
	struct process *p = &snapshot->process;
	const char *path;
	size_t len;

	if (!p->cgroup_text.data || !cgroup_path((char *)p->cgroup_text.data, &path, &len))
		return NULL;
	p->cgroup = clean(&snapshot->arena, path, len);
	return p->cgroup ? NULL : error_nomem();
}

struct error *procfs_process(struct snapshot *snapshot, int proc_dir, bool redact)
{
	struct process *p = &snapshot->process;
	_cleanup_(closep) int own_dir = -1;
	struct error *err;

	// PROC_DIR may be another thread's; these two are of the process, and outlast its first thread.
	if (error_drop(procfs_open(p->pid, &own_dir)))
		own_dir = dup(proc_dir);
	err = take_text(snapshot, own_dir, "status", TEXT_MAX, &p->status);
	if (!err)
		err = parse_status(snapshot);
	if (!err)
		take_dumpable(p, own_dir);
	if (!err)
		err = take_text(snapshot, own_dir, "stat", TEXT_MAX, &p->stat);
	if (!err)
		parse_stat(snapshot);
	if (!err)
		err = take_text(snapshot, proc_dir, "limits", TEXT_MAX, &p->limits);
	if (!err)
		err = take_text(snapshot, proc_dir, "auxv", TEXT_MAX, &p->auxv);
	if (!err)
		err = take_text(snapshot, proc_dir, "cgroup", TEXT_MAX, &p->cgroup_text);
	if (!err)
		err = parse_cgroup(snapshot);
	if (!err)
		err = take_arguments(snapshot, proc_dir, redact);
	char *exe = read_link(proc_dir, "exe", &snapshot->arena);
	char *cwd = read_link(proc_dir, "cwd", &snapshot->arena);
	p->exe = exe ? exe : p->exe;
	p->cwd = cwd ? cwd : p->cwd;
	return err ? err : take_fds(snapshot, proc_dir);
}

struct error *procfs_finish(struct snapshot *snapshot)
{
	char text[4096];
	struct passwd pw, *found = NULL;
	struct process *p = &snapshot->process;

	if (!p->user && getpwuid_r(p->uid, &pw, text, sizeof(text), &found) == 0 && found) {
		p->user = clean(&snapshot->arena, found->pw_name, strlen(found->pw_name));
		if (!p->user)
			return error_nomem();
	}
	return NULL;
}

struct error *procfs_maps(struct snapshot *snapshot, int maps_fd, int proc_dir)
{
	struct process *p = &snapshot->process;
	_cleanup_(buf_deinit) struct buf buf = {};
	struct bytes text = {};
	struct error *err = NULL;

	// The file that was opened before needs no memory of the kernel's, and outlasts the first thread.
	if (maps_fd >= 0 && errand_may_block("maps")) {
		error_drop(read_open(maps_fd, "maps", MAPS_MAX, &buf));
		errand_came_back();
	}
	if (!buf.len) {
		err = procfs_read(proc_dir, "maps", MAPS_MAX, &snapshot->arena, &text);
	} else {
		text.len = buf.len;
		text.data = (uint8_t *)arena_strndup(&snapshot->arena, (char *)buf.data, buf.len);
		if (!text.data)
			return error_nomem();
	}

	// A process whose first thread has ended shows none; what was read before then still holds.
	if (err && err->kind == ERROR_SYSTEM && p->maps.len)
		return gaps_take(&snapshot->arena, &snapshot->gaps, "memory mappings", ptrace_remedy, err);
	if (err)
		return err;
	if (!text.len || (text.len == p->maps.len && !memcmp(text.data, p->maps.data, text.len)))
		return NULL;
	p->maps = text;
	// What says which module is the main executable.
	if (!p->auxv.len)
		error_drop(procfs_read(proc_dir, "auxv", TEXT_MAX, &snapshot->arena, &p->auxv));
	size_t n = snapshot->modules.n;
	_cleanup_(freep) struct module *old = calloc(n + 1, sizeof(*old));
	if (!old)
		return error_nomem();
	for (size_t i = 0; i < n; i++) {
		old[i] = snapshot->modules.v[i];
		snapshot->modules.v[i].fd = -1;
	}
	err = snapshot_parse_maps(snapshot);
	procfs_keep_files(snapshot->modules.v, snapshot->modules.n, old, n);
	for (size_t j = 0; j < n; j++)
		closep(&old[j].fd);
	return err;
}

static struct error *take_thread(struct snapshot *snapshot, int task, struct thread *thread)
{
	char path[32], text[512];

	snprintf(path, sizeof(path), "%d/stat", (int)thread->tid);
	if (!procfs_peek(task, path, text, sizeof(text)))
		return NULL;
	const char *start = strchr(text, '('), *end = strrchr(text, ')');
	if (!start || !end || end < start)
		return NULL;
	thread->name = clean(&snapshot->arena, start + 1, (size_t)(end - start - 1));
	thread->state = end[1] && end[2] != 't' ? end[2] : 0;
	return thread->name ? NULL : error_nomem();
}

struct error *procfs_threads(struct snapshot *snapshot, int proc_dir)
{
	_cleanup_(closep) int task = openat(proc_dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error *err = NULL;

	for (size_t i = 0; !err && task >= 0 && i < snapshot->threads.n; i++)
		err = take_thread(snapshot, task, &snapshot->threads.v[i]);
	if (err || task < 0 || !snapshot->threads.n)
		return err;
	struct thread *first = &snapshot->threads.v[0];
	struct procfs_status status;
	if (!error_drop(procfs_status(first->tid, &status))) {
		first->blocked = status.blocked;
		first->pending = status.pending | status.shared_pending;
		first->have_masks = true;
	}
	return NULL;
}

bool procfs_ref(pid_t pid, struct arena *arena, struct process_ref *ret)
{
	_cleanup_(closep) int dir = -1;
	struct bytes text = {};
	struct procfs_status status;

	*ret = (struct process_ref){ .pid = pid, .uid = (uid_t)-1 };
	if (error_drop(procfs_open(pid, &dir)))
		return false;
	// It may be ending: a zombie has neither of these any more, but still a status.
	if (error_drop(procfs_read(dir, "cmdline", ARGUMENTS_MAX, arena, &text)) ||
	    error_drop(split(arena, &text, &ret->cmdline)) ||
	    error_drop(redact_arguments(arena, ret->cmdline.v, ret->cmdline.n)))
		ret->cmdline = (strings){};
	ret->exe = read_link(dir, "exe", arena);
	if (error_drop(procfs_status(pid, &status)))
		return false;
	ret->comm = arena_strdup(arena, status.name);
	ret->uid = status.uid;
	return true;
}

struct error *procfs_ancestors(pid_t pid, struct arena *arena, process_refs *ret)
{
	struct procfs_status status;

	*ret = (process_refs){};
	for (int i = 0; i < ANCESTORS_MAX && !error_drop(procfs_status(pid, &status)); i++) {
		pid = status.ppid;
		if (pid <= 0)
			break;
		struct process_ref *ref = LIST_ADD(arena, ret);
		if (!ref)
			return error_nomem();
		procfs_ref(pid, arena, ref);
	}
	return NULL;
}

static struct error *add_children(int task, const char *tid, struct arena *arena, process_refs *ret)
{
	char name[64];
	struct bytes text = {};

	snprintf(name, sizeof(name), "%.20s/children", tid);
	if (error_drop(procfs_read(task, name, TEXT_MAX, arena, &text)))
		return NULL;
	for (char *p = (char *)text.data, *end; ret->n < CHILDREN_MAX; p = end) {
		pid_t pid = (pid_t)strtol(p, &end, 10);

		if (end == p)
			break;
		struct process_ref *ref = LIST_ADD(arena, ret);
		if (!ref)
			return error_nomem();
		procfs_ref(pid, arena, ref);
	}
	return NULL;
}

struct error *procfs_children(pid_t pid, struct arena *arena, process_refs *ret)
{
	char path[48];
	struct error *err = NULL;

	*ret = (process_refs){};
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	// proc(5): children lists those of one thread. The process may have gone: then it has none.
	for (struct dirent *d; !err && dir && (d = readdir(dir));)
		if (isdigit((unsigned char)d->d_name[0]))
			err = add_children(dirfd(dir), d->d_name, arena, ret);
	if (dir)
		closedir(dir);
	return err;
}
