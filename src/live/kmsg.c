/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "../target/kernlog.h"
#include "tracer.h"

// Lines kept; an OOM report on a machine of a thousand processes has as many. Older ones make room,
// those that nobody asked about first.
#define LINES_MAX 2048
// Lines of one report of the OOM killer; of a longer one its end is what names the victim.
#define REPORT_LINES 1200
// Records read at a time: what a burst may have written since the last look.
#define READS_MAX 16384

struct line {
	uint64_t sequence;
	int64_t at; /* nanoseconds since boot */
	/* Number of the OOM report that it is part of; 0: of none. */
	unsigned report;
	bool concerns; /* names a task that was watched when it was read */
	char *text;
};

struct kmsg {
	int fd;
	int errnum; /* why it cannot be read; 0 */
	bool foreign; /* the log counts pids as another namespace does */
	struct line *v;
	size_t n;
	uint64_t next; /* sequence number expected */
	uint64_t lost;
	unsigned reports;      /* of the OOM killer, begun so far */
	size_t report_lines;   /* of the last one, while it is open */
	bool report_open;
	bool after_fault; /* the last line was about a fault that concerns: its code follows */
};

struct error *kmsg_create(const char *path, struct kmsg **ret)
{
	struct kmsg *k = calloc(1, sizeof(*k));
	char link[64] = "";

	if (!k)
		return error_nomem();
	k->fd = open(path ? path : "/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (k->fd < 0)
		k->errnum = errno;
	else if (lseek(k->fd, 0, SEEK_END) < 0)
		k->errnum = errno;
	// pid_namespaces(7): the initial namespace has this inode number in every kernel.
	k->foreign = readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0 &&
		     strcmp(link, "pid:[4026531836]") != 0;
	*ret = k;
	return NULL;
}

void kmsg_destroy(struct kmsg *k)
{
	if (!k)
		return;
	closep(&k->fd);
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i].text);
	free(k->v);
	free(k);
}

// The oldest line that nobody asked about, else the oldest.
static void make_room(struct kmsg *k)
{
	size_t victim = 0;

	while (victim < k->n && k->v[victim].concerns)
		victim++;
	if (victim == k->n)
		victim = 0;
	free(k->v[victim].text);
	memmove(k->v + victim, k->v + victim + 1, (k->n - victim - 1) * sizeof(*k->v));
	k->n--;
}

static void keep(struct kmsg *k, const struct line *line, const char *text, size_t len)
{
	_cleanup_(buf_deinit) struct buf clean = {};

	if (k->n == LINES_MAX)
		make_room(k);
	// Room is 0, 16, 32, 64 ...: the count alone says when it is used up.
	if (k->n == 0 || (k->n >= 16 && (k->n & (k->n - 1)) == 0)) {
		size_t room = k->n ? k->n * 2 : 16;
		void *v = realloc(k->v, room * sizeof(*k->v));

		if (!v) {
			k->lost++;
			return;
		}
		k->v = v;
	}
	buf_clean(&clean, text, len, "\t");
	char *s = buf_steal(&clean);
	if (!s) {
		k->lost++;
		return;
	}
	k->v[k->n] = *line;
	k->v[k->n++].text = s;
}

static bool is_concern(kmsg_concerns *concerns, const void *data, const struct kernlog_event *event)
{
	return (event->pid || event->comm.len) && concerns(data, event->pid, event->comm.s ?: "",
							   event->comm.len);
}

void kmsg_take(struct kmsg *k, const char *record, size_t len, kmsg_concerns *concerns,
	       const void *data)
{
	struct kernlog_event event;
	struct kernlog_text message;
	struct line line = {};
	int64_t us;
	char text[KMSG_RECORD];

	if (!kernlog_record(record, len, &line.sequence, &us, &message))
		return;
	if (k->next && line.sequence > k->next)
		k->lost += line.sequence - k->next;
	k->next = line.sequence + 1;
	// The priority has the facility above its three low bits, and 0 is the kernel's: a process that
	// writes to the log cannot claim it (kernel/printk/printk.c, devkmsg_write).
	if (strtoul(record, NULL, 10) >> 3 || message.len >= sizeof(text))
		return;
	line.at = us * 1000;
	memcpy(text, message.s, message.len);
	text[message.len] = '\0';
	bool known = kernlog_parse(text, &event);
	bool fault = known && (event.kind == KERNLOG_FAULT || event.kind == KERNLOG_TRAP);
	if (known && event.kind == KERNLOG_OOM_INVOKED) {
		k->report_open = true;
		k->report_lines = 0;
		k->reports++;
	}
	bool oom = known && (event.kind == KERNLOG_OOM_CONTEXT || event.kind == KERNLOG_OOM_KILL);
	line.concerns = known && event.kind != KERNLOG_OOM_INVOKED && is_concern(concerns, data, &event);
	if (k->report_open || oom) {
		line.report = k->reports;
		// A long report loses its middle, the table of tasks.
		if (oom || k->report_lines++ < REPORT_LINES)
			keep(k, &line, message.s, message.len);
		if (known && event.kind == KERNLOG_OOM_KILL)
			k->report_open = false;
	} else if (line.concerns || (k->after_fault && !strncmp(text, "Code: ", 6))) {
		line.concerns = true;
		keep(k, &line, message.s, message.len);
	}
	k->after_fault = fault && line.concerns;
}

void kmsg_read(struct kmsg *k, kmsg_concerns *concerns, const void *data)
{
	char record[KMSG_RECORD];

	for (int i = 0; !k->errnum && i < READS_MAX; i++) {
		ssize_t n = read(k->fd, record, sizeof(record));

		if (n > 0)
			kmsg_take(k, record, (size_t)n, concerns, data);
		else if (n < 0 && errno == EPIPE)
			// Overwritten before it was read; the next record's number tells how many.
			k->lost += !k->next;
		else if (n == 0 || (errno != EINTR && errno != EINVAL))
			return;
	}
}

bool kmsg_wait(const struct kmsg *k, int64_t deadline)
{
	struct pollfd poll_fd = { .fd = k->fd, .events = POLLIN };
	int64_t left = deadline - monotonic_now();

	return !k->errnum && left > 0 && poll(&poll_fd, 1, (int)(left / 1000000) + 1) > 0;
}

bool kmsg_has_kill(const struct kmsg *k, kmsg_concerns *concerns, const void *data)
{
	struct kernlog_event event;

	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].report && kernlog_parse(k->v[i].text, &event) &&
		    event.kind == KERNLOG_OOM_KILL && is_concern(concerns, data, &event))
			return true;
	return false;
}

static bool names_group(const struct kernlog_text *text, const char *cgroup)
{
	return cgroup && text->s && text->len > 1 && !strncmp(cgroup, text->s, text->len) &&
	       (!cgroup[text->len] || cgroup[text->len] == '/');
}

// The report that V[FROM] begins is of interest; *END_RET is where it ends.
static bool report_matters(const struct kmsg *k, size_t from, size_t *end_ret,
			   kmsg_concerns *concerns, const void *data, const char *cgroup)
{
	struct kernlog_event event;
	bool matters = false;
	size_t i = from;

	for (; i < k->n && k->v[i].report == k->v[from].report; i++) {
		if (!kernlog_parse(k->v[i].text, &event))
			continue;
		if (event.kind == KERNLOG_OOM_CONTEXT)
			matters |= !event.memcg || names_group(&event.oom_memcg, cgroup) ||
				   names_group(&event.task_memcg, cgroup);
		if (event.kind == KERNLOG_OOM_KILL || event.kind == KERNLOG_OOM_CONTEXT)
			matters |= is_concern(concerns, data, &event);
	}
	*end_ret = i;
	return matters;
}

static struct error *add_line(struct snapshot *snapshot, const struct line *line)
{
	struct kernel_line *to = LIST_ADD(&snapshot->arena, &snapshot->kernel_log.lines);

	if (!to)
		return error_nomem();
	to->at = line->at;
	to->text = arena_strdup(&snapshot->arena, line->text);
	return to->text ? NULL : error_nomem();
}

static struct error *add_gaps(const struct kmsg *k, struct snapshot *snapshot)
{
	const char *remedy = error_remedy(k->errnum);
	struct arena *arena = &snapshot->arena;
	struct error *err = NULL;

	if (k->errnum == EPERM || k->errnum == EACCES)
		return gaps_add(arena, &snapshot->gaps, "the kernel's log",
				"run pcatch as root or with CAP_SYSLOG (setcap cap_syslog+ep), or set "
				"kernel.dmesg_restrict to 0",
				"no permission to read /dev/kmsg");
	if (k->errnum && !remedy)
		remedy = "look at dmesg or journalctl -k, in a container on the host";
	if (k->errnum)
		return gaps_add(arena, &snapshot->gaps, "the kernel's log", remedy,
				"/dev/kmsg cannot be read: %s", strerror(k->errnum));
	if (k->lost)
		err = gaps_add(arena, &snapshot->gaps, "part of the kernel's log",
			       "make the kernel's ring larger (log_buf_len=)",
			       "%llu messages were overwritten before they could be read",
			       (unsigned long long)k->lost);
	if (!err && k->foreign)
		err = gaps_add(arena, &snapshot->gaps, "the kernel's log by pid",
			       "run pcatch on the host",
			       "it counts pids as the host does, and pcatch runs in a pid namespace: "
			       "lines were chosen by the program's name");
	return err;
}

struct error *kmsg_copy(const struct kmsg *k, kmsg_concerns *concerns, const void *data,
			struct snapshot *snapshot)
{
	struct error *err = add_gaps(k, snapshot);
	struct kernlog_event event;

	snapshot->kernel_log.followed = !k->errnum;
	snapshot->kernel_log.whole = !k->errnum && !k->lost;
	for (size_t i = 0, end; !err && i < k->n; i = end) {
		end = i + 1;
		bool matters;

		if (k->v[i].report)
			matters = report_matters(k, i, &end, concerns, data,
						 snapshot->process.cgroup);
		else if (kernlog_parse(k->v[i].text, &event))
			matters = is_concern(concerns, data, &event);
		else
			// The code behind a fault.
			matters = i && snapshot->kernel_log.lines.n &&
				  kernlog_parse(k->v[i - 1].text, &event) &&
				  is_concern(concerns, data, &event);
		for (size_t j = i; !err && matters && j < end; j++)
			err = add_line(snapshot, &k->v[j]);
	}
	return err;
}
