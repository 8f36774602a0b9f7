/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kernellog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"
#include "testimony.h"
#include "tracer.h"

#define TAIL_MAX	 ((off_t)32 << 20) // of a log file
#define KMSG_RECORDS_MAX 200000

static struct error *read_ring(struct snapshot *snapshot, bool *denied_ret)
{
	int64_t boot = realtime_now() - monotonic_now();
	_cleanup_(closep) int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct error *err = NULL;

	*denied_ret = fd < 0;
	for (int i = 0; !err && fd >= 0 && i < KMSG_RECORDS_MAX; i++) {
		char record[8193], text[4096];
		struct kernlog_text message;
		uint64_t sequence;
		int64_t us;
		ssize_t n = read(fd, record, sizeof(record) - 1);

		// EPIPE: what came next has been overwritten; the following read goes on behind it.
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n < 0 && errno == EPERM)
			*denied_ret = true;
		if (n <= 0)
			break;
		if (!kernlog_record(record, (size_t)n, &sequence, &us, &message))
			continue;
		int64_t at = boot + us * 1000;
		testimony_kernel_since(snapshot, at);
		snprintf(text, sizeof(text), "%.*s", (int)message.len, message.s);
		err = testimony_of_kernel(snapshot, "/dev/kmsg", at, text, text);
	}
	return err;
}

static struct error *read_file(struct snapshot *snapshot, const char *path)
{
	struct stat st;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !st.st_size)
		return NULL;
	_cleanup_(freep) char *line = NULL;
	size_t size = 0;
	FILE *file = fdopen(fd, "re");
	if (!file)
		return error_nomem();
	fd = -1;
	if (st.st_size > TAIL_MAX)
		fseeko(file, st.st_size - TAIL_MAX, SEEK_SET);
	struct error *err = NULL;
	for (off_t done = 0; !err && done < TAIL_MAX;) {
		ssize_t n = getline(&line, &size, file);

		if (n < 0)
			break;
		done += n;
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = '\0';
		const char *message = kernlog_syslog(line);
		if (!message)
			continue;
		testimony_kernel_since(snapshot, 0);
		// Its time is read with all others of logs, when it is analysed.
		err = testimony_of_kernel(snapshot, path, 0, line, message);
	}
	fclose(file);
	return err;
}

struct error *kernel_log_ask(struct snapshot *snapshot, const char *folder)
{
	static const char *const names[] = { "kern.log.1", "kern.log", "messages.1", "messages",
					     "syslog.1",   "syslog" };
	bool denied;
	char value = '0';
	_cleanup_(closep) int trace = open("/proc/sys/debug/exception-trace", O_RDONLY | O_CLOEXEC);
	struct error *err = read_ring(snapshot, &denied);

	snapshot->autopsy.kernel_tells_faults =
		trace >= 0 && read(trace, &value, 1) == 1 && value != '0';
	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		err = read_file(snapshot, path);
	}
	if (!err && denied)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "the kernel's log",
			       "run pcatch as root or with CAP_SYSLOG, or: "
			       "sysctl kernel.dmesg_restrict=0",
			       "/dev/kmsg may not be read%s",
			       snapshot->autopsy.kernel_log_read
				       ? "; some of its lines were found elsewhere"
				       : "");
	return err;
}
