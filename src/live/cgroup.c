/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"

// memory.limit_in_bytes of an unlimited v1 cgroup: PAGE_COUNTER_MAX, a little below 2^63.
#define UNLIMITED INT64_C(0x7ffffffffffff000)

// Where the hierarchy that controls memory is mounted, v1's before the unified one.
static bool find_mount(const char *fs, const char *option, char *ret, size_t size)
{
	char line[4096], point[2048], type[64], options[1024];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		const char *rest = strstr(line, " - ");

		// proc(5): "36 35 98:0 /root /point options fields - type source options"
		if (!rest || sscanf(line, "%*s %*s %*s %*s %2047s", point) != 1 ||
		    sscanf(rest, " - %63s %*s %1023s", type, options) != 2 || strcmp(type, fs))
			continue;
		const char *at = option ? strstr(options, option) : options;
		found = at != NULL;
	}
	if (f)
		fclose(f);
	if (found)
		snprintf(ret, size, "%s", point);
	return found;
}

static bool read_number(const char *dir, const char *name, const char *key, int64_t *ret)
{
	char path[4096], text[4096];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return false;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *at = text;
	if (key) {
		at = strstr(text, key);
		// "oom_kill" must not be found in "oom_kill_disable".
		while (at && ((at != text && at[-1] != '\n') || at[strlen(key)] != ' '))
			at = strstr(at + 1, key);
		if (!at)
			return false;
		at += strlen(key);
	}
	char *end;
	*ret = strtoll(at, &end, 10);
	return end != at;
}

void procfs_cgroup_memory(const struct process *process, int64_t *limit, int64_t *usage,
			  int64_t *oom_kills)
{
	char mount[2048], dir[4096];

	*limit = *usage = *oom_kills = -1;
	if (!process->cgroup)
		return;
	if (find_mount("cgroup", "memory", mount, sizeof(mount))) {
		snprintf(dir, sizeof(dir), "%s%s", mount, process->cgroup);
		read_number(dir, "memory.limit_in_bytes", NULL, limit);
		read_number(dir, "memory.usage_in_bytes", NULL, usage);
		read_number(dir, "memory.oom_control", "oom_kill", oom_kills);
	} else if (find_mount("cgroup2", NULL, mount, sizeof(mount))) {
		snprintf(dir, sizeof(dir), "%s%s", mount, process->cgroup);
		read_number(dir, "memory.max", NULL, limit);
		read_number(dir, "memory.current", NULL, usage);
		read_number(dir, "memory.events", "oom_kill", oom_kills);
	}
	if (*limit >= UNLIMITED)
		*limit = -1;
}
