/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sampler.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"
#include "tracer.h"

#define FDS_COUNTED 65536

void sampler_init(struct sampler *sampler, double seconds)
{
	sampler->n = 0;
	sampler->next = 0;
	sampler->last_at = 0;
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

static void thin(struct sampler *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i += 2)
		s->v[n++] = s->v[i];
	s->n = n;
	s->interval *= 2;
}

void sampler_take(struct sampler *s, int proc_dir, int64_t now)
{
	char text[1024];
	struct sample sample = { .rss = -1, .cgroup_memory = -1, .threads = -1, .cpu_percent = -1 };
	long long resident;
	unsigned long long user, kernel;

	if (!s->interval || now < s->next)
		return;
	sample.at = realtime_now();
	if (procfs_peek(proc_dir, "statm", text, sizeof(text)) &&
	    sscanf(text, "%*d %lld", &resident) == 1)
		sample.rss = resident * sysconf(_SC_PAGESIZE);
	// proc(5): after the name come state and numbers; utime and stime are fields 14 and 15,
	// num_threads is 20.
	char *rest = procfs_peek(proc_dir, "stat", text, sizeof(text)) ? strrchr(text, ')') : NULL;
	if (rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d "
				 "%*d %*d %d",
			   &user, &kernel, &sample.threads) == 3) {
		int64_t cpu = (int64_t)(user + kernel) * (INT64_C(1000000000) / sysconf(_SC_CLK_TCK));

		if (s->last_at && now > s->last_at)
			sample.cpu_percent =
				100.0 * (double)(cpu - s->last_cpu) / (double)(now - s->last_at);
		s->last_cpu = cpu;
		s->last_at = now;
	}
	sample.fds = count_fds(proc_dir);
	if (s->n == SAMPLES_MAX)
		thin(s);
	s->v[s->n++] = sample;
	s->next = now + s->interval;
}

struct error *sampler_copy(const struct sampler *s, struct snapshot *snapshot)
{
	snapshot->timeline.interval = (double)s->interval / 1e9;
	for (size_t i = 0; i < s->n; i++) {
		struct sample *to = LIST_ADD(&snapshot->arena, &snapshot->timeline.samples);

		if (!to)
			return error_nomem();
		*to = s->v[i];
	}
	return NULL;
}
