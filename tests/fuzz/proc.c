/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts of /proc, in a folder that looks like that of a process: the input is their contents,
 * separated by form feeds, in the order below.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fuzz.h"
#include "live/cgroup.h"
#include "live/pidfile.h"
#include "live/procfs.h"

static const char *const files[] = {
	"status",  "stat",    "limits",	   "maps",    "cgroup",	  "cmdline",	 "environ",
	"net/tcp", "net/tcp6", "net/udp",  "net/udp6", "net/unix", "task/1/stat", "mountinfo",
	"pidfile", "auxv",    "memory.events",
};

static char folder[] = "/tmp/pcatch-fuzz-XXXXXX";
static int dir = -1;

static void remove_folder(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(dir, files[i], 0);
	unlinkat(dir, "fd/0", 0);
	unlinkat(dir, "fd/1", 0);
	unlinkat(dir, "task/1", AT_REMOVEDIR);
	for (size_t i = 0; i < 3; i++)
		unlinkat(dir, ((const char *const[]){ "task", "net", "fd" })[i], AT_REMOVEDIR);
	rmdir(folder);
}

static void make_folder(void)
{
	if (!mkdtemp(folder) || (dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    mkdirat(dir, "net", 0700) || mkdirat(dir, "task", 0700) ||
	    mkdirat(dir, "task/1", 0700) || mkdirat(dir, "fd", 0700) ||
	    symlinkat("socket:[77]", dir, "fd/0") || symlinkat("socket:[78]", dir, "fd/1"))
		abort();
	atexit(remove_folder);
}

static void write_files(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const uint8_t *end = size ? memchr(data, '\f', size) : NULL;
		size_t len = end ? (size_t)(end - data) : size;
		_cleanup_(closep) int fd = openat(dir, files[i],
						  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		if (fd < 0 || (len && write(fd, data, len) != (ssize_t)len))
			abort();
		data += len + !!end;
		size -= len + !!end;
	}
}

static void read_groups(struct snapshot *snapshot)
{
	_cleanup_(freep) struct cgroup_tree *tree = calloc(1, sizeof(*tree));
	_cleanup_(closep) int events = openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
	char path[64];
	const char *group;
	size_t len;

	snprintf(path, sizeof(path), "%s/mountinfo", folder);
	if (!tree)
		return;
	cgroup_find(path, tree);
	cgroup_read_events(events);
	cgroup_read_others(events, 1, 2);
	cgroup_machine_kills(events);
	if (!snapshot->process.cgroup_text.data ||
	    !cgroup_path((char *)snapshot->process.cgroup_text.data, &group, &len))
		return;
	char *copy = arena_strndup(&snapshot->arena, group, len);
	for (unsigned n = 0; copy && n < 64 && (len = cgroup_level(tree, copy, n)); n++)
		if (tree->found)
			cgroup_sizes(tree, copy, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	char path[64];
	int64_t written;
	pid_t pid;

	if (dir < 0)
		make_folder();
	write_files(data, size);
	snapshot_init(&snapshot);
	snapshot.host.arch = arch_host();
	struct thread *thread = LIST_ADD(&snapshot.arena, &snapshot.threads);
	if (!thread)
		return 0;
	*thread = (struct thread){ .tid = 1, .name = (char *)"" };
	error_drop(procfs_process(&snapshot, dir, true));
	error_drop(procfs_maps(&snapshot, -1, dir));
	error_drop(procfs_threads(&snapshot, dir));
	error_drop(procfs_sockets(&snapshot, dir, -1, -1));
	read_groups(&snapshot);
	snprintf(path, sizeof(path), "%s/pidfile", folder);
	error_drop(pidfile_read(path, &pid, &written));
	return 0;
}
