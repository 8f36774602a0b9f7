/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sampler.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"
#include "tracer.h"

#define FDS_COUNTED 65536

// What SELDOM does may take this part of the time.
#define SELDOM_PART 4000

/*
 * For smaps_rollup the kernel walks all pages and holds the lock of the address space, for which
 * mmap() in the process waits: 0.4 ms for 64 MiB, 1.2 ms for these.
 */
#define PSS_RSS_MAX (INT64_C(256) << 20)

#define FAMILY_MAX  64  // descendants
#define THREADS_MAX 512 // of all of them together, each of which has a list of children

void sampler_init(struct sampler *sampler, double seconds)
{
	sampler->n = 0;
	sampler->step = 1;
	sampler->next = 0;
	sampler->last_at = 0;
	sampler->pss = sampler->family = (struct seldom){};
	sampler->interval = (int64_t)(seconds * 1e9);
}

// Since Linux 6.2 the folder's size says how many there are; before, they are to be counted.
static int count_fds(int proc_dir)
{
	struct stat st;
	int n = 0;
	_cleanup_(closep) int fd = openat(proc_dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		return (int)st.st_size;
	DIR *dir = fdopendir(TAKE_FD(fd));
	if (!dir)
		return -1;
	for (struct dirent *d; n < FDS_COUNTED && (d = readdir(dir));)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void join(struct sample *to, const struct sample *newer)
{
	struct sample joined = *newer;

	joined.merged = to->merged + newer->merged;
	if (to->rss_min >= 0 && (joined.rss_min < 0 || to->rss_min < joined.rss_min))
		joined.rss_min = to->rss_min;
	if (to->rss_max > joined.rss_max)
		joined.rss_max = to->rss_max;
	if (joined.pss < 0)
		joined.pss = to->pss;
	if (joined.children < 0) {
		joined.children = to->children;
		joined.children_rss = to->children_rss;
	}
	if (to->cpu_percent >= 0 && newer->cpu_percent >= 0)
		joined.cpu_percent = (to->cpu_percent * to->merged +
				      newer->cpu_percent * newer->merged) /
				     joined.merged;
	*to = joined;
}

// Join what is older than the newest ones until there is room for a good while.
static void thin(struct sampler *s)
{
	size_t old = s->n - SAMPLES_RECENT, n;

	for (;; s->step *= 2) {
		n = 1;
		for (size_t i = 1; i < old; i++)
			if (n > 1 && s->v[n - 1].merged + s->v[i].merged <= s->step)
				join(&s->v[n - 1], &s->v[i]);
			else
				s->v[n++] = s->v[i];
		memmove(s->v + n, s->v + old, (s->n - old) * sizeof(*s->v));
		s->n -= old - n;
		old = n;
		if (s->n <= SAMPLES_MAX / 4 * 3)
			return;
	}
}

void sampler_add(struct sampler *s, const struct sample *sample)
{
	if (s->n == SAMPLES_MAX)
		thin(s);
	s->v[s->n] = *sample;
	s->v[s->n].merged = 1;
	s->v[s->n].rss_min = s->v[s->n].rss_max = sample->rss;
	s->n++;
}

// "voluntary_ctxt_switches:    1234" of a status text.
static int64_t count(const char *status, const char *key)
{
	const char *at = strstr(status, key);
	long long v;

	return at && sscanf(at + strlen(key), "%lld", &v) == 1 && v >= 0 ? v : -1;
}

// "VmRSS:    1234 kB"
static int64_t kilobytes(const char *status, const char *key)
{
	int64_t v = count(status, key);

	return v < INT64_MAX / 1024 ? v * (v < 0 ? 1 : 1024) : -1;
}

static void from_status(struct sample *sample, const char *status)
{
	sample->rss = kilobytes(status, "\nVmRSS:");
	sample->swap = kilobytes(status, "\nVmSwap:");
	sample->voluntary_switches = count(status, "\nvoluntary_ctxt_switches:");
	sample->involuntary_switches = count(status, "\nnonvoluntary_ctxt_switches:");
}

// CPU time in nanoseconds, -1 unknown.
static int64_t from_stat(struct sample *sample, const char *stat)
{
	unsigned long long minor, major, user, kernel;
	const char *rest = strrchr(stat, ')');

	// proc(5): after the name come state and numbers; minflt and majflt are fields 10 and 12, utime
	// and stime 14 and 15, num_threads is 20.
	if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu %*u %llu %llu %*d "
				  "%*d %*d %*d %d",
			    &minor, &major, &user, &kernel, &sample->threads) != 5)
		return -1;
	sample->minor_faults = (int64_t)minor;
	sample->major_faults = (int64_t)major;
	return (int64_t)(user + kernel) * (INT64_C(1000000000) / sysconf(_SC_CLK_TCK));
}

static int64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void take_pss(struct sample *sample, int proc_dir)
{
	char text[2048];

	if (procfs_peek(proc_dir, "smaps_rollup", text, sizeof(text)))
		sample->pss = kilobytes(text, "\nPss:");
}

struct family {
	pid_t pids[FAMILY_MAX];
	size_t n;
	int threads;
};

// proc(5): children lists those of one thread, where the kernel has been built with it.
static bool add_children(struct family *family, int proc_dir)
{
	char name[300], text[4096];
	bool known = false;
	_cleanup_(closep) int fd = openat(proc_dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return false;
	fd = -1;
	for (struct dirent *d; family->threads < THREADS_MAX && (d = readdir(dir));) {
		if (d->d_name[0] == '.')
			continue;
		family->threads++;
		snprintf(name, sizeof(name), "%s/children", d->d_name);
		known |= faccessat(dirfd(dir), name, R_OK, 0) == 0;
		procfs_peek(dirfd(dir), name, text, sizeof(text));
		char *at = text, *end;
		while (family->n < FAMILY_MAX) {
			pid_t pid = (pid_t)strtol(at, &end, 10);

			if (end == at)
				break;
			at = end;
			family->pids[family->n++] = pid;
		}
	}
	closedir(dir);
	return known;
}

// Breadth first: those that are left out of many are the youngest generation's.
static void take_family(struct sample *sample, int proc_dir)
{
	struct family family = {};
	char path[32], text[128];
	long long pages;

	if (!add_children(&family, proc_dir))
		return;
	sample->children_rss = 0;
	for (size_t i = 0; i < family.n; i++) {
		snprintf(path, sizeof(path), "/proc/%d", (int)family.pids[i]);
		_cleanup_(closep) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0)
			continue;
		if (procfs_peek(dir, "statm", text, sizeof(text)) &&
		    sscanf(text, "%*d %lld", &pages) == 1 && pages >= 0 && pages < INT64_MAX >> 24)
			sample->children_rss += pages * sysconf(_SC_PAGESIZE);
		add_children(&family, dir);
	}
	sample->children = (int)family.n;
}

// TAKE something into SAMPLE if that has been long enough ago for what it cost.
static void take_seldom(struct seldom *seldom, void (*take)(struct sample *sample, int proc_dir),
			struct sample *sample, int proc_dir, int64_t now)
{
	if (now < seldom->next)
		return;
	int64_t begin = cpu_now();
	take(sample, proc_dir);
	seldom->next = now + (cpu_now() - begin) * SELDOM_PART;
}

void sampler_take(struct sampler *s, int proc_dir, const struct cgroup_tree *tree, const char *path,
		  int64_t now)
{
	char text[4096];
	struct sample sample = sample_unknown;

	if (!s->interval || now < s->next)
		return;
	sample.at = realtime_now();
	if (procfs_peek(proc_dir, "status", text, sizeof(text)))
		from_status(&sample, text);
	int64_t cpu = procfs_peek(proc_dir, "stat", text, sizeof(text)) ? from_stat(&sample, text) : -1;
	if (cpu >= 0) {
		if (s->last_at && now > s->last_at)
			sample.cpu_percent =
				100.0 * (double)(cpu - s->last_cpu) / (double)(now - s->last_at);
		s->last_cpu = cpu;
		s->last_at = now;
	}
	sample.fds = count_fds(proc_dir);
	if (sample.rss >= 0 && sample.rss <= PSS_RSS_MAX)
		take_seldom(&s->pss, take_pss, &sample, proc_dir, now);
	take_seldom(&s->family, take_family, &sample, proc_dir, now);
	if (path) {
		sample.cgroup_memory = cgroup_usage(tree, path);
		cgroup_pressure(tree, path, &sample.pressure_some, &sample.pressure_full);
	}
	sampler_add(s, &sample);
	s->next = now + s->interval;
}

struct error *sampler_copy(const struct sampler *s, struct snapshot *snapshot)
{
	const struct process *process = &snapshot->process;
	struct sample last = sample_unknown, *to;

	snapshot->timeline.interval = (double)s->interval / 1e9;
	for (size_t i = 0; i < s->n; i++) {
		to = LIST_ADD(&snapshot->arena, &snapshot->timeline.samples);
		if (!to)
			return error_nomem();
		*to = s->v[i];
	}
	if (!s->n || snapshot->time.death <= s->v[s->n - 1].at)
		return NULL;
	last.at = snapshot->time.death;
	from_status(&last, (char *)process->status.data);
	from_stat(&last, (char *)process->stat.data);
	if (last.rss < 0)
		return NULL;
	if (process->have_fds)
		last.fds = (int)process->fds.n;
	last.merged = 1;
	last.rss_min = last.rss_max = last.rss;
	to = LIST_ADD(&snapshot->arena, &snapshot->timeline.samples);
	if (!to)
		return error_nomem();
	*to = last;
	return NULL;
}
