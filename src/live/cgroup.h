/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_CGROUP_H
#define PCATCH_LIVE_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The control groups that a process's memory is counted in, of either version. Nothing here
 * allocates, so it may be asked while memory is short.
 */

#define CGROUP_LEVELS 32

/* Where the counts can be read. Paths of groups are as in /proc/PID/cgroup. */
struct cgroup_tree {
	bool found;
	bool unified;	      /* version 2 */
	bool whole;	      /* nothing lies above `root` that cannot be seen from here */
	char point[PATH_MAX]; /* the folder of ... */
	char root[PATH_MAX];  /* ... this group, which is all that a container may see */
};

/* Bytes, -1 unknown or no limit. */
struct cgroup_sizes {
	int64_t limit, usage, peak;
};

/* Counts, -1 unknown. */
struct cgroup_events {
	int64_t kills; /* processes of this very group that the OOM killer ended */
	int64_t ooms;  /* times that its limit made the OOM killer start; version 2 only */
};

/* Find the tree in MOUNTINFO, the path of a file as /proc/self/mountinfo. */
void cgroup_find(const char *mountinfo, struct cgroup_tree *ret);

/* The group that TEXT, as /proc/PID/cgroup, puts its process's memory in: not terminated. */
bool cgroup_path(const char *text, const char **ret, size_t *len_ret);

/* Length of PATH's part that names its level N: 0 is itself, 1 its parent. 0: there is none that can be seen. */
size_t cgroup_level(const struct cgroup_tree *tree, const char *path, unsigned n);

/*
 * A limit on memory holds for PATH and OTHER together, or may: one in a group above those that can be
 * seen, as a container's own usually is, cannot be ruled out.
 */
bool cgroup_shares_limit(const struct cgroup_tree *tree, const char *path, const char *other);

/* What the group named by the first LEN bytes of PATH may use, uses and has used. */
struct cgroup_sizes cgroup_sizes(const struct cgroup_tree *tree, const char *path, size_t len);

/*
 * Files of that group to be read again and again, -1 for none: reading one that is open takes no
 * memory, which may be what is short.
 */
int cgroup_open_events(const struct cgroup_tree *tree, const char *path, size_t len);
int cgroup_open_procs(const struct cgroup_tree *tree, const char *path, size_t len);
struct cgroup_events cgroup_read_events(int fd);

/* Processes listed in FD besides ONE and OTHER; -1 unknown. */
int cgroup_read_others(int fd, pid_t one, pid_t other);

/* Its usage alone, -1 unknown. */
int64_t cgroup_usage(const struct cgroup_tree *tree, const char *path);

/* Memory pressure of the group, else the machine's: "some" and "full" of the last 10 s, < 0 unknown. */
void cgroup_pressure(const struct cgroup_tree *tree, const char *path, double *some_ret,
		     double *full_ret);

/* How often the OOM killer has struck anywhere since boot; FD is /proc/vmstat. -1 unknown. */
int64_t cgroup_machine_kills(int vmstat_fd);

#endif
