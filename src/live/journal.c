/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "command.h"
#include "testimony.h"
#include "tracer.h"

#define SECOND INT64_C(1000000000)

#define OUTPUT_MAX   ((size_t)8 << 20) // of one answer
#define SECONDS_MAX  10		       // for all of them
#define ENTRIES	     "500"	       // the newest
#define KERNEL_LINES "5000"	       // likewise, most of which say nothing to us
#define TEXT_KEPT    2000

// A daemon writes its pidfile some time after its first words.
#define BEFORE_PIDFILE (60 * SECOND)

static const char sudo_remedy[] =
	"run pcatch as root, or as a member of the group systemd-journal";

static void decrefp(json_t **value)
{
	json_decref(*value);
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
	size_t n = json_is_array(message) ? json_array_size(message) : 0;

	for (size_t i = 0; i < n && i < TEXT_KEPT; i++) {
		uint8_t byte = (uint8_t)json_integer_value(json_array_get(message, i));

		buf_add(ret, &byte, 1);
	}
	buf_add(ret, "", 1);
	return buf_error(ret);
}

struct reading {
	struct snapshot *snapshot;
	struct log *log; /* what the process itself wrote */
	const char *program;
	int64_t deadline;
	char unit[256], user_unit[256]; /* that it ran in; "" not known */
	char boot[64], invocation[64];	/* of the newest of its entries; "" not known */
	size_t entries;			/* that could be read */
	int64_t kernel_from, kernel_until;
};

// Systemd's words for how the main process of a unit ended; other processes of it end like that,
// too.
static void systemd_status(const json_t *entry, const char *message, int *signo, int *exit_code)
{
	const char *how = field(entry, "EXIT_CODE");
	int status = number(entry, "EXIT_STATUS");

	if (!strstr(message, "Main process exited"))
		return;
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
	time_t seconds = (time_t)(at / SECOND);
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
	*line = testimony_text(&snapshot->arena, (const char *)text.data, text.len);
	return *line ? NULL : error_nomem();
}

static struct error *take_text(struct snapshot *snapshot, const json_t *entry, const char *name,
			       char **ret)
{
	const char *s = field(entry, name);

	if (!*s)
		return NULL;
	*ret = testimony_text(&snapshot->arena, s, strlen(s));
	return *ret ? NULL : error_nomem();
}

/* Where journald, or systemd-coredump, puts what it had from the kernel about a process. */
struct identity {
	const char *comm, *exe, *cmdline, *cgroup, *uid, *unit, *user_unit;
};

static const struct identity of_writer = { "_COMM",	       "_EXE", "_CMDLINE",
					   "_SYSTEMD_CGROUP",  "_UID", "_SYSTEMD_UNIT",
					   "_SYSTEMD_USER_UNIT" };
static const struct identity of_dumped = { "COREDUMP_COMM",   "COREDUMP_EXE", "COREDUMP_CMDLINE",
					   "COREDUMP_CGROUP", "COREDUMP_UID", "COREDUMP_UNIT",
					   "COREDUMP_USER_UNIT" };

static struct error *identify(struct reading *r, const json_t *entry, const struct identity *names)
{
	struct snapshot *snapshot = r->snapshot;
	struct process *process = &snapshot->process;
	const char *uid = field(entry, names->uid);
	char *command = NULL;
	struct error *err = take_text(snapshot, entry, names->comm, &process->comm);

	if (!err)
		err = take_text(snapshot, entry, names->exe, &process->exe);
	if (!err)
		err = take_text(snapshot, entry, names->cgroup, &process->cgroup);
	if (!err)
		err = take_text(snapshot, entry, names->cmdline, &command);
	if (err)
		return err;
	if (isdigit((unsigned char)*uid))
		process->uid = (uid_t)strtoul(uid, NULL, 10);
	// The arguments are joined by blanks in there, and quoted by newer versions.
	if (command) {
		process->cmdline.n = 0;
		char **word = LIST_ADD(&snapshot->arena, &process->cmdline);

		if (!word)
			return error_nomem();
		*word = command;
	}
	snprintf(r->unit, sizeof(r->unit), "%s", field(entry, names->unit));
	snprintf(r->user_unit, sizeof(r->user_unit), "%s", field(entry, names->user_unit));
	return NULL;
}

// Numbers of processes come again: with another boot, or another run of a service, it is another
// one.
static void begin_anew_for_another(struct reading *r, const json_t *entry)
{
	const char *boot = field(entry, "_BOOT_ID");
	const char *invocation = field(entry, "_SYSTEMD_INVOCATION_ID");
	bool other = (*r->boot && strcmp(boot, r->boot)) ||
		     (*r->invocation && *invocation && strcmp(invocation, r->invocation));

	if (other)
		r->log->lines.n = 0;
	if (other || *invocation)
		snprintf(r->invocation, sizeof(r->invocation), "%s", invocation);
	snprintf(r->boot, sizeof(r->boot), "%s", boot);
}

// Whoever has the pid now, and had it not when the pidfile was written, writes under it, too.
static bool is_its_successor_s(const struct snapshot *snapshot, int64_t at)
{
	const struct autopsy *autopsy = &snapshot->autopsy;

	return autopsy->holder_started && autopsy->pidfile_written &&
	       autopsy->holder_started > autopsy->pidfile_written + SECOND &&
	       at > autopsy->holder_started;
}

static struct error *take_core(struct reading *r, const json_t *entry, struct testimony *told)
{
	const char *core = field(entry, "COREDUMP_FILENAME"), *when = "COREDUMP_TIMESTAMP";
	struct snapshot *snapshot = r->snapshot;
	int64_t at = microseconds(entry, when);
	int signo = number(entry, "COREDUMP_SIGNAL");
	char first[TEXT_KEPT];

	// Its stack traces would fill a page; they are in the core.
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(told->text, "\n"), told->text);
	told->text = first;
	told->source = TOLD_BY_COREDUMP;
	told->at = at ? at : told->at;
	told->signo = signo > 0 ? signo : 0;
	if (*core && !access(core, F_OK))
		told->core = (char *)core;
	struct error *err = identify(r, entry, &of_dumped);
	if (!err)
		err = testimony_add(snapshot, told);
	if (!err && *core && !told->core)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "its core",
			       "keep cores for longer (tmpfiles.d, MaxUse= in coredump.conf)",
			       "systemd-coredump had written %s, which is gone", core);
	return err;
}

// Anybody may write any field whose name does not begin with "_"; those are journald's own word.
static bool is_by_coredump(const json_t *entry)
{
	static const char *const programs[] = { "/usr/lib/systemd/systemd-coredump",
						"/lib/systemd/systemd-coredump" };
	static const char unit[] = "systemd-coredump@";
	bool known = !strncmp(field(entry, "_SYSTEMD_UNIT"), unit, strlen(unit));

	for (size_t i = 0; !known && i < ARRAY_SIZE(programs); i++)
		known = !strcmp(field(entry, "_EXE"), programs[i]);
	return known && *field(entry, "COREDUMP_PID");
}

// True: ENTRY is systemd's about the unit, and about that run of it that the process was of.
static bool is_by_manager(const struct reading *r, const json_t *entry)
{
	const char *invocation = field(entry, "INVOCATION_ID");

	// The manager of a user's services has that scope to itself.
	if (*field(entry, "USER_UNIT") &&
	    !strcmp(field(entry, "_SYSTEMD_USER_UNIT"), "init.scope"))
		return true;
	if (!*field(entry, "UNIT") || number(entry, "_PID") != 1)
		return false;
	return !*invocation || !*r->invocation || !strcmp(invocation, r->invocation);
}

static struct error *take_entry(struct reading *r, const json_t *entry)
{
	struct snapshot *snapshot = r->snapshot;
	_cleanup_(buf_deinit) struct buf message = {};
	struct error *err = message_of(entry, &message);
	struct testimony told = { .where = (char *)"the journal",
				  .at = microseconds(entry, "__REALTIME_TIMESTAMP"),
				  .text = (char *)message.data,
				  .exit_code = -1 };

	if (err)
		return err;
	r->entries++;
	if (!strcmp(field(entry, "_TRANSPORT"), "kernel")) {
		if (!r->kernel_from)
			r->kernel_from = told.at;
		r->kernel_until = told.at;
		return testimony_of_kernel(snapshot, told.where, told.at, told.text, told.text);
	}
	if (is_its_successor_s(snapshot, told.at))
		return NULL;
	if (is_by_coredump(entry))
		return take_core(r, entry, &told);
	// What systemd says of a unit names it in UNIT, whoever's log it is in.
	if (is_by_manager(r, entry)) {
		systemd_status(entry, told.text, &told.signo, &told.exit_code);
		told.source = TOLD_BY_SYSTEMD;
		return testimony_add(snapshot, &told);
	}
	if (snapshot->process.pid <= 0 ||
	    strtol(field(entry, "_PID"), NULL, 10) != snapshot->process.pid)
		return NULL;
	begin_anew_for_another(r, entry);
	err = identify(r, entry, &of_writer);
	return err ? err : add_line(snapshot, r->log, entry, told.text);
}

static struct error *miss(struct reading *r, const char *remedy, const char *why)
{
	return gaps_add(&r->snapshot->arena, &r->snapshot->gaps, "the journal", remedy, "%s", why);
}

// What it says of the LEN bytes at S, a line for each entry.
static struct error *take_entries(struct reading *r, const char *s, size_t len, bool cut)
{
	struct error *err = NULL;
	size_t bad = 0;

	for (size_t at = 0, end; !err && at < len; at = end + 1) {
		const char *newline = memchr(s + at, '\n', len - at);

		end = newline ? (size_t)(newline - s) : len;
		_cleanup_(decrefp) json_t *entry = json_loadb(s + at, end - at, 0, NULL);
		if (json_is_object(entry))
			err = take_entry(r, entry);
		else if (newline || !cut)
			bad += end > at;
	}
	if (err || !bad)
		return err;
	return gaps_add(&r->snapshot->arena, &r->snapshot->gaps, "the journal", NULL,
			"%zu lines of what %s wrote make no sense", bad, r->program);
}

// Ask for the newest COUNT entries that match MATCHES, whose end is NULL.
static struct error *ask(struct reading *r, const char *count, const char *const *matches)
{
	const struct autopsy *autopsy = &r->snapshot->autopsy;
	int64_t from = autopsy->pidfile_written > BEFORE_PIDFILE
			       ? autopsy->pidfile_written - BEFORE_PIDFILE
			       : 0;
	char since[48];
	const char *argv[24] = { r->program, "-q", "--no-pager", "-o", "json", "-n", count, since };
	_cleanup_(buf_deinit) struct buf out = {};
	enum command_end end;
	char why[128];
	size_t n = 8;
	int status;

	if (monotonic_now() >= r->deadline)
		return NULL;
	if (autopsy->since > from)
		from = autopsy->since;
	snprintf(since, sizeof(since), "--since=@%" PRId64, from / SECOND);
	for (size_t i = 0; matches[i] && n < ARRAY_SIZE(argv) - 1; i++)
		argv[n++] = matches[i];
	struct error *err = command_output(argv, r->deadline, OUTPUT_MAX, &out, &end, &status);
	if (err)
		return gaps_take(&r->snapshot->arena, &r->snapshot->gaps, "the journal", NULL, err);
	err = take_entries(r, (const char *)out.data, out.len, end == COMMAND_TOO_MUCH);
	if (err)
		return err;
	switch (end) {
	case COMMAND_TOO_LONG:
		snprintf(why, sizeof(why), "journalctl took longer than %d s and was stopped",
			 SECONDS_MAX);
		return miss(r, "a closer --since is faster", why);
	case COMMAND_TOO_MUCH:
		snprintf(why, sizeof(why), "of what journalctl wrote the first %zu MiB were read",
			 OUTPUT_MAX >> 20);
		return miss(r, "a closer --since leaves less", why);
	case COMMAND_KILLED:
		return miss(r, NULL, "journalctl was ended by a signal");
	case COMMAND_ENDED:
		// It says so too where there is no journal, or none for this user.
		if (!status)
			return NULL;
		snprintf(why, sizeof(why), "journalctl failed with exit status %d", status);
		return miss(r, sudo_remedy, why);
	}
	return NULL;
}

static struct error *ask_about_process(struct reading *r)
{
	int pid = (int)r->snapshot->process.pid;
	char own[32], core[40];

	snprintf(own, sizeof(own), "_PID=%d", pid);
	snprintf(core, sizeof(core), "COREDUMP_PID=%d", pid);
	return ask(r, ENTRIES, (const char *const[]){ own, "+", core, NULL });
}

// "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service": the last that is a
// service.
static void unit_of_cgroup(struct reading *r)
{
	const char *path = r->snapshot->process.cgroup, *part;
	size_t len;

	for (; path && *path; path = part + len) {
		part = path + strspn(path, "/");
		len = strcspn(part, "/");
		if (len < sizeof(r->unit) && len > strlen(".service") &&
		    !strncmp(part + len - strlen(".service"), ".service", strlen(".service")))
			snprintf(r->unit, sizeof(r->unit), "%.*s", (int)len, part);
	}
}

static struct error *ask_about_unit(struct reading *r)
{
	char unit[300], user[32];

	if (!*r->unit)
		unit_of_cgroup(r);
	if (*r->user_unit) {
		snprintf(unit, sizeof(unit), "USER_UNIT=%s", r->user_unit);
		snprintf(user, sizeof(user), "_UID=%u", (unsigned)r->snapshot->process.uid);
		return ask(r, ENTRIES,
			   (const char *const[]){ unit, user,
						  "_SYSTEMD_USER_UNIT=init.scope", NULL });
	}
	snprintf(unit, sizeof(unit), "UNIT=%s", r->unit);
	return *r->unit ? ask(r, ENTRIES, (const char *const[]){ unit, "_PID=1", NULL }) : NULL;
}

static struct error *ask_about_kernel(struct reading *r)
{
	struct error *err =
		ask(r, KERNEL_LINES, (const char *const[]){ "_TRANSPORT=kernel", NULL });

	// An older boot's alone says nothing of how far back this one's is known.
	if (!err && r->kernel_until >= r->snapshot->autopsy.boot && r->kernel_from)
		testimony_kernel_since(r->snapshot, r->kernel_from);
	return err;
}

struct error *journal_ask(struct snapshot *snapshot)
{
	struct log log = { .fd = -1, .ends_in_newline = true };
	struct reading r = { .snapshot = snapshot,
			     .log = &log,
			     .deadline = monotonic_now() + SECONDS_MAX * SECOND };
	char program[PATH_MAX];

	if (!command_find("journalctl", program))
		return gaps_add(&snapshot->arena, &snapshot->gaps, "the journal", NULL,
				"there is no journalctl in $PATH");
	r.program = program;
	log.path = arena_printf(&snapshot->arena, "the journal (_PID=%d)",
				(int)snapshot->process.pid);
	if (!log.path)
		return error_nomem();
	struct error *err = snapshot->process.pid > 0 ? ask_about_process(&r) : NULL;
	size_t own = r.entries;
	if (!err)
		err = ask_about_unit(&r);
	if (!err)
		err = ask_about_kernel(&r);
	if (err)
		return err;
	if (log.lines.n) {
		struct log *to = LIST_ADD(&snapshot->arena, &snapshot->logs);

		if (!to)
			return error_nomem();
		*to = log;
	}
	if (r.entries == own && geteuid())
		return miss(&r, sudo_remedy,
			    "what systemd and the kernel wrote there may not be readable for you");
	if (!own)
		return miss(&r, NULL, "it has no entry of the process");
	return NULL;
}
