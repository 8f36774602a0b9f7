/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"

// So many processes are asked which number they have in the target's pid namespace.
#define SEARCHED_MAX 20000

static bool namespace_of(pid_t pid, char *ret, size_t size)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	ssize_t n = readlink(path, ret, size - 1);
	if (n <= 0)
		return false;
	ret[n] = '\0';
	return true;
}

/*
 * PID is a number in the target's pid namespace; which process is that for us? The same number
 * when both namespaces are one, else it has to be searched for. 0: nobody, any more.
 */
static pid_t translate(const struct process *target, pid_t pid)
{
	char ours[64], theirs[64];
	struct procfs_status self, status;

	if (!namespace_of(getpid(), ours, sizeof(ours)) ||
	    !namespace_of(target->pid, theirs, sizeof(theirs)) || !strcmp(ours, theirs))
		return pid;
	if (error_drop(procfs_status(target->pid, &self)))
		return 0;
	DIR *dir = opendir("/proc");
	pid_t found = 0;
	int searched = 0;
	for (struct dirent *d; !found && dir && (d = readdir(dir)) && searched < SEARCHED_MAX;) {
		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		searched++;
		// A process of a namespace below has a number in this one, too, at the same depth.
		if (error_drop(procfs_status((pid_t)atoi(d->d_name), &status)) ||
		    status.n_ns_pids < self.n_ns_pids ||
		    status.ns_pids[self.n_ns_pids - 1] != pid)
			continue;
		char its[64];
		if (status.n_ns_pids > self.n_ns_pids ||
		    (namespace_of(status.pid, its, sizeof(its)) && !strcmp(its, theirs)))
			found = status.pid;
	}
	if (dir)
		closedir(dir);
	return found;
}

struct pid_namespace procfs_pid_namespace(pid_t pid)
{
	struct pid_namespace ret = {};
	struct procfs_status status;
	struct stat st;
	char path[48];

	if (!error_drop(procfs_status(pid, &status)))
		ret.depth = status.n_ns_pids;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ret;
	ret.inode = st.st_ino;
	while (ret.n_above < PID_NAMESPACES_MAX) {
		// ioctl_ns(2): EPERM where the next one is above ours.
		int parent = ioctl(fd, NS_GET_PARENT);

		if (parent < 0)
			break;
		close(fd);
		fd = parent;
		if (fstat(fd, &st) < 0)
			break;
		ret.above[ret.n_above++] = st.st_ino;
	}
	return ret;
}

bool procfs_is_outside(const struct pid_namespace *one, const struct pid_namespace *other)
{
	if (!one->inode || !other->inode)
		return one->depth && one->depth < other->depth;
	for (unsigned i = 0; i < other->n_above; i++)
		if (one->inode == other->above[i])
			return true;
	return false;
}

// Among ANCESTORS, parent first: at which place, -1 for none.
static int place_among(const process_refs *ancestors, pid_t pid)
{
	for (size_t i = 0; i < ancestors->n; i++)
		if (ancestors->v[i].pid == pid)
			return (int)i;
	return -1;
}

static enum sender_relation relation(const struct process *target, const struct sender *sender)
{
	pid_t pid = sender->process.pid;
	int place = place_among(&target->ancestors, pid);

	if (pid == target->pid)
		return RELATION_SELF;
	if (pid == target->ppid || place == 0)
		return RELATION_PARENT;
	if (place > 0)
		return RELATION_ANCESTOR;
	if (!sender->ancestors.n)
		return RELATION_UNKNOWN;
	if (place_among(&sender->ancestors, target->pid) >= 0)
		return RELATION_CHILD;
	return target->ppid && sender->ancestors.v[0].pid == target->ppid ? RELATION_SIBLING
									  : RELATION_OTHER;
}

struct error *procfs_sender_finish(const struct process *target, struct arena *arena,
				   struct sender *sender)
{
	pid_t pid = sender->process.pid;
	int place = place_among(&target->ancestors, pid);

	if (!pid)
		return NULL;
	// Who was an ancestor when it was looked at last is known even when it is gone.
	if (place >= 0 && !sender->process.cmdline.n)
		sender->process = target->ancestors.v[place];
	if (pid == target->pid && sender->kind == SENDER_PROCESS)
		sender->kind = SENDER_SELF;
	sender->relation = relation(target, sender);
	const struct passwd *pw =
		sender->process.uid == (uid_t)-1 ? NULL : getpwuid(sender->process.uid);
	if (pw && !sender->user) {
		sender->user = arena_strdup(arena, pw->pw_name);
		if (!sender->user)
			return error_nomem();
	}
	return NULL;
}

void procfs_sender_now(pid_t pid, struct arena *arena, struct sender *sender)
{
	bool there = procfs_ref(pid, arena, &sender->process);

	// A zombie still has its name.
	sender->gone = !there || (!sender->process.cmdline.n && !sender->process.exe);
	// Want of memory shortens the list, no more.
	error_drop(procfs_ancestors(pid, arena, &sender->ancestors));
}

// As far as it is still there; a zombie keeps its name.
static struct error *describe(const struct process *target, pid_t pid, struct arena *arena,
			      struct sender *sender)
{
	uid_t uid = sender->process.uid;
	struct error *err = NULL;

	sender->gone = !procfs_ref(pid, arena, &sender->process);
	if (!sender->gone)
		err = procfs_ancestors(pid, arena, &sender->ancestors);
	else
		sender->process = (struct process_ref){ .pid = pid, .uid = uid };
	return err ? err : procfs_sender_finish(target, arena, sender);
}

struct error *procfs_sender(const struct process *process, const struct signal_info *info,
			    struct arena *arena, struct sender *ret)
{
	struct sender sender = { .process.uid = (uid_t)-1, .source = SOURCE_SIGINFO };
	pid_t pid;

	*ret = sender;
	if (!info->signo) {
		ret->source = SOURCE_NONE;
		return NULL;
	}
	// A timer is the process's own doing; faults, limits, alarms and terminals are the kernel's.
	if (info->code == SI_TIMER) {
		ret->kind = SENDER_SELF;
		ret->process.pid = process->pid;
		ret->relation = RELATION_SELF;
		return NULL;
	}
	if (info->code > 0 || info->code == SI_ASYNCIO || info->code == SI_SIGIO) {
		ret->kind = SENDER_KERNEL;
		return NULL;
	}
	sender.process.uid = info->uid;
	if (!info->pid) {
		ret->kind = SENDER_OUTSIDE;
		return NULL;
	}
	pid = translate(process, info->pid);
	if (pid == process->pid) {
		ret->kind = SENDER_SELF;
		ret->process.pid = pid;
		ret->process.uid = info->uid;
		ret->relation = RELATION_SELF;
		return NULL;
	}
	sender.kind = SENDER_PROCESS;
	if (!pid) {
		sender.gone = true;
		*ret = sender;
		return NULL;
	}
	struct error *err = describe(process, pid, arena, &sender);
	if (!err)
		*ret = sender;
	return err;
}
