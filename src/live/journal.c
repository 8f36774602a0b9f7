/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "../target/kernlog.h"
#include "procfs.h"
#include "tracer.h"

#define OUTPUT_MAX ((size_t)8 << 20)
#define SECONDS_MAX 10
#define ENTRIES "500" // of the journal, the newest
#define TEXT_KEPT 2000
#define TOLD_MAX 200
#define TAIL_MAX ((off_t)32 << 20) // of a log file
#define KMSG_RECORDS_MAX 200000

static const char sudo_remedy[] = "run pcatch as root, or as a member of the group systemd-journal";

static void decrefp(json_t **value)
{
	json_decref(*value);
}

static char *clean(struct arena *arena, const char *s, size_t len)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	buf_clean(&buf, s, len < TEXT_KEPT ? len : TEXT_KEPT, "");
	return buf.failed ? NULL : arena_strndup(arena, (const char *)buf.data, buf.len);
}

static struct error *tell(struct snapshot *snapshot, enum testimony_source source, const char *where,
			  int64_t at, const char *text, size_t len, int signo, int exit_code)
{
	struct testimony *t;

	// What is newer tells more.
	if (snapshot->autopsy.told.n == TOLD_MAX) {
		t = snapshot->autopsy.told.v;
		memmove(t, t + 1, (TOLD_MAX - 1) * sizeof(*t));
		t += TOLD_MAX - 1;
	} else {
		t = LIST_ADD(&snapshot->arena, &snapshot->autopsy.told);
	}
	if (!t)
		return error_nomem();
	*t = (struct testimony){ .source = source,
				 .where = arena_strdup(&snapshot->arena, where),
				 .at = at,
				 .text = clean(&snapshot->arena, text, len),
				 .signo = signo,
				 .exit_code = exit_code };
	return t->where && t->text ? NULL : error_nomem();
}

/* journalctl */

static const char *journalctl(void)
{
	// Nothing that PATH leads to: it may lead into a target's own file system.
	static const char *const paths[] = { "/usr/bin/journalctl", "/bin/journalctl" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!access(paths[i], X_OK))
			return paths[i];
	return NULL;
}

static void run_child(const char *const *argv, int out)
{
	static const char *const environment[] = { "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=",
						   "PATH=/usr/bin:/bin", NULL };
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0)
		_exit(127);
	execve(argv[0], (char *const *)argv, (char *const *)environment);
	_exit(127);
}

/*
 * What ARGV writes to its standard output, up to bounds of size and time; what was read by then is
 * returned, and TRUNCATED_RET says that it is not all.
 */
static struct error *output_of(const char *const *argv, struct buf *ret, bool *truncated_ret)
{
	int64_t deadline = monotonic_now() + SECONDS_MAX * INT64_C(1000000000);
	int ends[2], status;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(errno, "cannot make a pipe");
	_cleanup_(closep) int in = ends[0];
	pid_t pid = fork();
	if (pid == 0)
		run_child(argv, ends[1]);
	close(ends[1]);
	if (pid < 0)
		return error_errno(errno, "cannot run %s", argv[0]);
	*truncated_ret = true;
	while (ret->len < OUTPUT_MAX) {
		char piece[65536];
		int64_t left = deadline - monotonic_now();
		struct pollfd p = { .fd = in, .events = POLLIN };

		if (left <= 0 || poll(&p, 1, (int)(left / 1000000) + 1) == 0)
			break;
		ssize_t n = read(in, piece, sizeof(piece));
		if (n == 0)
			*truncated_ret = false;
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		buf_add(ret, piece, n > 0 ? (size_t)n : 0);
	}
	if (*truncated_ret)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return error_new(ERROR_SYSTEM, "cannot run %s", argv[0]);
	return buf_error(ret);
}

static const char *field(const json_t *entry, const char *name)
{
	const char *s = json_string_value(json_object_get(entry, name));

	return s ? s : "";
}

static int64_t microseconds(const json_t *entry, const char *name)
{
	char *end;
	const char *s = field(entry, name);
	long long v = strtoll(s, &end, 10);

	return !*s || *end || v < 0 || v > INT64_MAX / 1000 ? 0 : v * 1000;
}

static int number(const json_t *entry, const char *name)
{
	char *end;
	const char *s = field(entry, name);
	long v = strtol(s, &end, 10);

	return !*s || *end || v < 0 || v > 255 ? -1 : (int)v;
}

// MESSAGE, which journalctl gives as an array of numbers when it is no text.
static struct error *message_of(const json_t *entry, struct buf *ret)
{
	const json_t *message = json_object_get(entry, "MESSAGE");

	if (json_is_string(message))
		buf_addstr(ret, json_string_value(message));
	for (size_t i = 0; json_is_array(message) && i < json_array_size(message) && i < TEXT_KEPT; i++) {
		uint8_t byte = (uint8_t)json_integer_value(json_array_get(message, i));

		buf_add(ret, &byte, 1);
	}
	buf_add(ret, "", 1);
	return buf_error(ret);
}

// systemd's words for how the main process of a unit ended: EXIT_CODE says whether it was a signal.
static void systemd_status(const json_t *entry, int *signo, int *exit_code)
{
	const char *how = field(entry, "EXIT_CODE");
	int status = number(entry, "EXIT_STATUS");

	if (!strcmp(how, "killed") || !strcmp(how, "dumped"))
		*signo = status > 0 && status <= 64 ? status : 0;
	else if (!strcmp(how, "exited"))
		*exit_code = status;
}

// "2026-11-26T08:03:39.123456Z IDENTIFIER[PID]: MESSAGE", as a line of a log.
static struct error *add_line(struct snapshot *snapshot, struct log *log, const json_t *entry,
			      const char *message)
{
	int64_t at = microseconds(entry, "__REALTIME_TIMESTAMP");
	time_t seconds = (time_t)(at / 1000000000);
	char when[32];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		return NULL;
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	_cleanup_(buf_deinit) struct buf text = {};
	buf_printf(&text, "%s.%06" PRId64 "Z %s[%s]: %s", when, at / 1000 % 1000000,
		   field(entry, "SYSLOG_IDENTIFIER"), field(entry, "_PID"), message);
	struct error *err = buf_error(&text);
	if (err)
		return err;
	char **line = LIST_ADD(&snapshot->arena, &log->lines);
	if (!line)
		return error_nomem();
	*line = clean(&snapshot->arena, (const char *)text.data, text.len);
	return *line ? NULL : error_nomem();
}

// journald had these from the kernel when the process sent the entry.
static struct error *identify(struct snapshot *snapshot, const json_t *entry)
{
	struct process *process = &snapshot->process;
	struct arena *arena = &snapshot->arena;
	const char *comm = field(entry, "_COMM"), *exe = field(entry, "_EXE");
	const char *command = field(entry, "_CMDLINE"), *cgroup = field(entry, "_SYSTEMD_CGROUP");
	const char *uid = field(entry, "_UID");

	if (*comm) {
		process->comm = clean(arena, comm, strlen(comm));
		if (!process->comm)
			return error_nomem();
	}
	if (*exe) {
		process->exe = clean(arena, exe, strlen(exe));
		if (!process->exe)
			return error_nomem();
	}
	if (*cgroup) {
		process->cgroup = clean(arena, cgroup, strlen(cgroup));
		if (!process->cgroup)
			return error_nomem();
	}
	if (isdigit((unsigned char)*uid))
		process->uid = (uid_t)strtoul(uid, NULL, 10);
	// The arguments are joined by blanks in there, and quoted by newer versions.
	if (*command && !process->cmdline.n) {
		char **word = LIST_ADD(arena, &process->cmdline);

		if (!word)
			return error_nomem();
		*word = clean(arena, command, strlen(command));
		if (!*word)
			return error_nomem();
	}
	return NULL;
}

struct reading {
	struct snapshot *snapshot;
	struct log *log;
	char unit[256];
	size_t entries;
};

static struct error *take_entry(struct reading *r, const json_t *entry)
{
	static const char where[] = "the journal";
	struct snapshot *snapshot = r->snapshot;
	_cleanup_(buf_deinit) struct buf message = {};
	struct error *err = message_of(entry, &message);
	int64_t at = microseconds(entry, "__REALTIME_TIMESTAMP");
	const char *text = (const char *)message.data, *unit = field(entry, "_SYSTEMD_UNIT");
	int signo = 0, exit_code = -1;

	if (err)
		return err;
	r->entries++;
	if (!strcmp(field(entry, "_TRANSPORT"), "kernel"))
		return tell(snapshot, TOLD_BY_KERNEL, where, at, text, strlen(text), 0, -1);
	if (*field(entry, "COREDUMP_PID")) {
		signo = number(entry, "COREDUMP_SIGNAL");
		int64_t when = microseconds(entry, "COREDUMP_TIMESTAMP");
		// Its stack traces would fill a page; they are coredumpctl's to show.
		return tell(snapshot, TOLD_BY_COREDUMP, where, when ? when : at, text,
			    strcspn(text, "\n"), signo > 0 ? signo : 0, -1);
	}
	// What systemd says of a unit names it in UNIT, whoever's log it is in.
	if (*field(entry, "UNIT") && number(entry, "_PID") == 1) {
		systemd_status(entry, &signo, &exit_code);
		return tell(snapshot, TOLD_BY_SYSTEMD, where, at, text, strlen(text), signo, exit_code);
	}
	if (atoi(field(entry, "_PID")) != snapshot->process.pid)
		return NULL;
	if (*unit)
		snprintf(r->unit, sizeof(r->unit), "%s", unit);
	err = identify(snapshot, entry);
	return err ? err : add_line(snapshot, r->log, entry, text);
}

// Ask for entries that match any of MATCHES; LAST_ARGUMENT ends them.
static struct error *ask(struct reading *r, const char *program, const char *const *matches)
{
	char since[48] = "--since=@0";
	const char *argv[24] = { program, "-q",	 "--no-pager", "-o", "json",
				 "-n",	  ENTRIES, since };
	_cleanup_(buf_deinit) struct buf out = {};
	size_t n = 8;
	bool truncated;

	if (r->snapshot->autopsy.since)
		snprintf(since, sizeof(since), "--since=@%" PRId64,
			 r->snapshot->autopsy.since / 1000000000);
	for (size_t i = 0; matches[i] && n < ARRAY_SIZE(argv) - 1; i++)
		argv[n++] = matches[i];
	struct error *err = output_of(argv, &out, &truncated);
	if (!err && truncated)
		err = gaps_add(&r->snapshot->arena, &r->snapshot->gaps, "the journal", NULL,
			       "journalctl was stopped after %d s or %zu MiB", SECONDS_MAX,
			       OUTPUT_MAX >> 20);
	for (size_t at = 0, end; !err && at < out.len; at = end + 1) {
		const uint8_t *newline = memchr(out.data + at, '\n', out.len - at);

		end = newline ? (size_t)(newline - out.data) : out.len;
		_cleanup_(decrefp) json_t *entry =
			json_loadb((const char *)out.data + at, end - at, 0, NULL);
		// A line cut short by the bounds is none.
		if (json_is_object(entry))
			err = take_entry(r, entry);
	}
	return err;
}

struct error *journal_ask(struct snapshot *snapshot)
{
	const char *program = journalctl();
	struct reading r = { .snapshot = snapshot };
	struct log log = { .fd = -1, .ends_in_newline = true };
	pid_t pid = snapshot->process.pid;
	char own[32], core[40], unit[300];

	if (!program)
		return gaps_add(&snapshot->arena, &snapshot->gaps, "the journal", NULL,
				"there is no journalctl in /usr/bin");
	r.log = &log;
	log.path = arena_printf(&snapshot->arena, "the journal (_PID=%d)", (int)pid);
	if (!log.path)
		return error_nomem();
	snprintf(own, sizeof(own), "_PID=%d", (int)pid);
	snprintf(core, sizeof(core), "COREDUMP_PID=%d", (int)pid);
	struct error *err = NULL;
	if (pid > 0)
		err = ask(&r, program, (const char *const[]){ own, "+", core, NULL });
	if (!err && *r.unit) {
		snprintf(unit, sizeof(unit), "UNIT=%s", r.unit);
		err = ask(&r, program, (const char *const[]){ unit, "_PID=1", NULL });
	}
	if (!err && log.lines.n) {
		struct log *to = LIST_ADD(&snapshot->arena, &snapshot->logs);

		if (!to)
			return error_nomem();
		*to = log;
	}
	if (!err && !r.entries)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "the journal", sudo_remedy,
			       "it has no entry of the process, or none that may be read");
	return err;
}

/* The kernel's log. */

// Lines that are about this pid, or may be about one of its threads, or about memory.
static bool is_wanted(const char *message, pid_t pid)
{
	struct kernlog_event event;

	if (!kernlog_parse(message, &event))
		return false;
	switch (event.kind) {
	case KERNLOG_OOM_CONTEXT:
	case KERNLOG_OOM_KILL:
	case KERNLOG_FAULT:
	case KERNLOG_TRAP:
		return true;
	default:
		return event.pid == pid && pid > 0;
	}
}

static void note_oldest(struct snapshot *snapshot, int64_t at)
{
	struct autopsy *autopsy = &snapshot->autopsy;

	autopsy->kernel_log_read = true;
	if (at && (!autopsy->kernel_log_from || at < autopsy->kernel_log_from))
		autopsy->kernel_log_from = at;
}

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
		note_oldest(snapshot, at);
		snprintf(text, sizeof(text), "%.*s", (int)message.len, message.s);
		if (is_wanted(text, snapshot->process.pid) &&
		    (!snapshot->autopsy.since || at >= snapshot->autopsy.since))
			err = tell(snapshot, TOLD_BY_KERNEL, "/dev/kmsg", at, text, strlen(text), 0, -1);
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
		snapshot->autopsy.kernel_log_read = true;
		// Its time is read with all others of logs, when it is analysed.
		if (is_wanted(message, snapshot->process.pid))
			err = tell(snapshot, TOLD_BY_KERNEL, path, 0, line, strlen(line), 0, -1);
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

	snapshot->autopsy.kernel_tells_faults = trace >= 0 && read(trace, &value, 1) == 1 && value != '0';
	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		err = read_file(snapshot, path);
	}
	if (!err && denied)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "the kernel's log",
			       "run pcatch as root or with CAP_SYSLOG, or: sysctl kernel.dmesg_restrict=0",
			       "/dev/kmsg may not be read%s",
			       snapshot->autopsy.kernel_log_read ? "; older lines were found in /var/log"
								 : "");
	return err;
}
