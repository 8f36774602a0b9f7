/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"

// memory.limit_in_bytes of an unlimited v1 cgroup: PAGE_COUNTER_MAX, a little below 2^63.
#define UNLIMITED INT64_C(0x7ffffffffffff000)
// Bytes read of a group's list of processes; who has more has company enough.
#define PROCS_READ 65536
// cgroup_namespaces(7): the first namespace has this inode number in every kernel.
#define FIRST_NAMESPACE "cgroup:[4026531835]"

// In the octal escapes of mountinfo: \040 is a blank.
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		unsigned v;

		if (*s == '\\' && sscanf(s + 1, "%3o", &v) == 1 && strlen(s) > 3) {
			*to = (char)v;
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = '\0';
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = options; (at = strstr(at, name)); at += len)
		if ((at == options || at[-1] == ',') && (!at[len] || at[len] == ',' || at[len] == '\n'))
			return true;
	return false;
}

static bool in_first_namespace(void)
{
	char link[64] = "";

	return readlink("/proc/self/ns/cgroup", link, sizeof(link) - 1) > 0 &&
	       !strcmp(link, FIRST_NAMESPACE);
}

void cgroup_find(const char *mountinfo, struct cgroup_tree *ret)
{
	char line[2 * PATH_MAX + 1024], type[64], options[1024];
	struct cgroup_tree tree = {};
	FILE *f = fopen(mountinfo, "re");

	*ret = tree;
	// proc(5): "36 35 98:0 /root /point options fields - type source options". Version 1 has the
	// controller when it is mounted at all.
	while (f && fgets(line, sizeof(line), f)) {
		const char *rest = strstr(line, " - ");

		if (!rest || sscanf(rest, " - %63s %*s %1023s", type, options) != 2 ||
		    sscanf(line, "%*s %*s %*s %4095s %4095s", tree.root, tree.point) != 2)
			continue;
		tree.unified = !strcmp(type, "cgroup2");
		if (!tree.unified && (strcmp(type, "cgroup") != 0 || !has_option(options, "memory")))
			continue;
		if (ret->found && !(ret->unified && !tree.unified))
			continue;
		unescape(tree.root);
		unescape(tree.point);
		tree.found = true;
		*ret = tree;
	}
	if (f)
		fclose(f);
	ret->whole = ret->found && !strcmp(ret->root, "/") && in_first_namespace();
}

bool cgroup_path(const char *text, const char **ret, size_t *len_ret)
{
	bool found = false;

	// cgroups(7): "4:memory:/path" of version 1, "0::/path" of the unified hierarchy.
	for (const char *line = text; line && *line; line += *line == '\n') {
		size_t len = strcspn(line, "\n");
		const char *first = memchr(line, ':', len);
		const char *second =
			first ? memchr(first + 1, ':', len - (size_t)(first + 1 - line)) : NULL;

		if (second) {
			char names[256];
			size_t n = (size_t)(second - first - 1);

			snprintf(names, sizeof(names), "%.*s", (int)(n < 255 ? n : 255), first + 1);
			bool memory = has_option(names, "memory");
			if (memory || (!n && !found)) {
				*ret = second + 1;
				*len_ret = len - (size_t)(second + 1 - line);
				found = true;
			}
			if (memory)
				return true;
		}
		line += len;
	}
	return found;
}

// What of PATH lies below the tree's root; NULL: it is elsewhere.
static const char *below(const struct cgroup_tree *tree, const char *path)
{
	size_t len = strcmp(tree->root, "/") ? strlen(tree->root) : 0;

	if (!tree->found || path[0] != '/' || strstr(path, "/.."))
		return NULL;
	// A container's own namespace may name groups from its root while the mount names the host's.
	if (strncmp(path, tree->root, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path + len;
}

size_t cgroup_level(const struct cgroup_tree *tree, const char *path, unsigned n)
{
	const char *rest = below(tree, path);
	size_t len = strlen(path), least = rest ? (size_t)(rest - path) : 0;

	if (!rest || n >= CGROUP_LEVELS)
		return 0;
	while (len > least && path[len - 1] == '/')
		len--;
	for (; n; n--) {
		if (len <= least)
			return 0;
		while (len > least && path[len - 1] != '/')
			len--;
		if (len > least)
			len--;
	}
	return len ? len : 1;
}

static int open_file(const struct cgroup_tree *tree, const char *path, size_t len, const char *name)
{
	char file[2 * PATH_MAX + 64];
	const char *rest = below(tree, path);

	if (!rest)
		return -1;
	size_t skip = (size_t)(rest - path);
	int n = snprintf(file, sizeof(file), "%s/%.*s/%s", tree->point,
			 len > skip ? (int)(len - skip) : 0, rest, name);
	return n < (int)sizeof(file) ? open(file, O_RDONLY | O_CLOEXEC) : -1;
}

static size_t read_open(int fd, char *ret, size_t size)
{
	ssize_t got = fd < 0 ? -1 : pread(fd, ret, size - 1, 0);

	ret[got < 0 ? 0 : got] = '\0';
	return got < 0 ? 0 : (size_t)got;
}

static size_t read_file(const struct cgroup_tree *tree, const char *path, size_t len,
			const char *name, char *ret, size_t size)
{
	_cleanup_(closep) int fd = open_file(tree, path, len, name);

	return read_open(fd, ret, size);
}

// The number behind KEY at a line's start, the text's first when KEY is NULL; -1 when there is none.
static int64_t number_in(const char *text, const char *key)
{
	const char *at = text;
	char *end;

	if (key) {
		size_t len = strlen(key);

		// "oom_kill" must not be found in "oom_kill_disable".
		for (at = strstr(text, key);
		     at && ((at != text && at[-1] != '\n') || at[len] != ' ');)
			at = strstr(at + 1, key);
		if (!at)
			return -1;
		at += len;
	}
	long long v = strtoll(at, &end, 10);
	return end == at || v < 0 ? -1 : v;
}

static int64_t read_number(const struct cgroup_tree *tree, const char *path, size_t len,
			   const char *name)
{
	char text[64];

	// "max", no limit, is no number.
	return read_file(tree, path, len, name, text, sizeof(text)) ? number_in(text, NULL) : -1;
}

struct cgroup_sizes cgroup_sizes(const struct cgroup_tree *tree, const char *path, size_t len)
{
	static const char *const names[2][3] = {
		{ "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes" },
		{ "memory.max", "memory.current", "memory.peak" },
	};
	struct cgroup_sizes sizes = {
		.limit = read_number(tree, path, len, names[tree->unified][0]),
		.usage = read_number(tree, path, len, names[tree->unified][1]),
		.peak = read_number(tree, path, len, names[tree->unified][2]),
	};

	if (sizes.limit >= UNLIMITED)
		sizes.limit = -1;
	return sizes;
}

bool cgroup_shares_limit(const struct cgroup_tree *tree, const char *path, const char *other)
{
	unsigned n = 0;
	size_t len;

	if (!tree->whole || !below(tree, path) || !below(tree, other))
		return true;
	for (; (len = cgroup_level(tree, path, n)); n++) {
		bool both = !strncmp(path, other, len) && (len == 1 || !other[len] || other[len] == '/');

		if (both && cgroup_sizes(tree, path, len).limit >= 0)
			return true;
	}
	// Too deep to be looked at to its root.
	return n == CGROUP_LEVELS;
}

int cgroup_open_events(const struct cgroup_tree *tree, const char *path, size_t len)
{
	if (!tree->unified)
		return open_file(tree, path, len, "memory.oom_control");
	// memory.events counts the groups below too; its like for one level came with 5.2.
	int fd = open_file(tree, path, len, "memory.events.local");
	return fd >= 0 ? fd : open_file(tree, path, len, "memory.events");
}

int cgroup_open_procs(const struct cgroup_tree *tree, const char *path, size_t len)
{
	return open_file(tree, path, len, "cgroup.procs");
}

struct cgroup_events cgroup_read_events(int fd)
{
	char text[4096];

	if (!read_open(fd, text, sizeof(text)))
		return (struct cgroup_events){ -1, -1 };
	return (struct cgroup_events){ .kills = number_in(text, "oom_kill"),
				       .ooms = number_in(text, "oom") };
}

int cgroup_read_others(int fd, pid_t one, pid_t other)
{
	static char text[PROCS_READ];
	int n = 0;

	if (!read_open(fd, text, sizeof(text)))
		return -1;
	for (char *p = text, *end;; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			return n;
		// 0 is a process of another pid namespace.
		n += pid != one && pid != other;
	}
}

int64_t cgroup_usage(const struct cgroup_tree *tree, const char *path)
{
	return read_number(tree, path, strlen(path),
			   tree->unified ? "memory.current" : "memory.usage_in_bytes");
}

static double average(const char *text, const char *kind)
{
	const char *line = strstr(text, kind), *at = line ? strstr(line, "avg10=") : NULL;
	char *end;

	if (!at)
		return -1;
	double v = strtod(at + strlen("avg10="), &end);
	return end == at + strlen("avg10=") || v < 0 || v > 100 ? -1 : v;
}

void cgroup_pressure(const struct cgroup_tree *tree, const char *path, double *some_ret,
		     double *full_ret)
{
	char text[1024] = "";

	if (tree->unified)
		read_file(tree, path, strlen(path), "memory.pressure", text, sizeof(text));
	if (!*text) {
		_cleanup_(closep) int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (!procfs_peek(fd, "pressure/memory", text, sizeof(text)))
			*text = '\0';
	}
	*some_ret = average(text, "some ");
	*full_ret = average(text, "full ");
}

int64_t cgroup_machine_kills(int vmstat_fd)
{
	static char text[16384];

	return read_open(vmstat_fd, text, sizeof(text)) ? number_in(text, "oom_kill") : -1;
}
