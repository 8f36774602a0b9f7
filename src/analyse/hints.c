/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hints.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "logline.h"

#define SECOND INT64_C(1000000000)

#define LINES_MAX 20000 // of one log; more than are ever kept
#define HINTS_MAX 200
#define LINE_LOOKED_AT 400 // bytes of a line that are searched for words

// A heartbeat: at least so many beats, of which so many in a hundred come on time.
#define BEATS_MIN	5
#define BEATS_MIN_NAMED 3
#define ON_TIME_PERCENT 80
#define INTERVAL_MIN	(SECOND / 5)

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

// One of WORDS is in LINE, which is in small letters.
static bool has_one(const char *line, const char *const *words)
{
	for (; *words; words++)
		if (strstr(line, *words))
			return true;
	return false;
}

static void small_letters(const char *line, char *ret, size_t size)
{
	size_t n = 0;

	for (; line[n] && n < size - 1; n++)
		ret[n] = (char)tolower((unsigned char)line[n]);
	ret[n] = '\0';
}

/* Whose lines they are. */

static bool is_own_pid(const struct process *process, pid_t pid)
{
	for (size_t i = 0; i < process->ns_pids.n; i++)
		if (process->ns_pids.v[i] == pid)
			return true;
	return pid == process->pid;
}

// Where naked pids stand in this log's lines, learnt from those that have our own; -1: nowhere.
static int own_slot(const struct process *process, const strings *lines)
{
	size_t counts[16] = {};
	int best = -1;

	for (size_t i = 0; process->pid > 0 && i < lines->n; i++) {
		int slot = logline_slot(lines->v[i], process->pid);

		for (size_t k = 0; slot < 0 && k < process->ns_pids.n; k++)
			slot = logline_slot(lines->v[i], process->ns_pids.v[k]);
		if (slot >= 0 && slot < (int)ARRAY_SIZE(counts))
			counts[slot]++;
	}
	for (int i = 0; i < (int)ARRAY_SIZE(counts); i++)
		if (counts[i] > 1 && (best < 0 || counts[i] > counts[best]))
			best = i;
	return best;
}

/*
 * Times without a zone are the machine's own or UTC, as the program pleases. The file says when it
 * was last written to: the zone that comes closer to it with the last line is the one.
 */
static int64_t log_offset(const struct log *log, const struct log_clock *clock)
{
	struct log_clock utc = { .latest = clock->latest };
	bool zoned = false;

	for (size_t i = log->lines.n; log->modified && i-- > 0;) {
		int64_t local = logline_time(log->lines.v[i], clock, NULL, &zoned);
		int64_t other = logline_time(log->lines.v[i], &utc, NULL, &zoned);

		if (!local)
			continue;
		if (!zoned && llabs(other - log->modified) < llabs(local - log->modified))
			return 0;
		break;
	}
	return clock->utc_offset;
}

/*
 * A record of an error is often followed by lines without a mark: its traceback. Behind any other
 * record a traceback is nobody's yet: it may be the interpreter's last word, in the middle of workers'
 * lines.
 */
static bool opens_more(const char *line)
{
	static const char *const words[] = { "error", "critical", "fatal", "exception", NULL };
	char small[LINE_LOOKED_AT];

	small_letters(line, small, sizeof(small));
	return has_one(small, words);
}

static bool goes_on(const char *line)
{
	return *line == ' ' || *line == '\t' || starts(line, "Traceback (most recent call last):");
}

static struct error *read_lines(struct findings *findings, const struct log *log,
				struct log_findings *ret)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct process *process = &snapshot->process;
	struct log_clock clock = { .latest = snapshot->time.death,
				   .utc_offset = snapshot->host.utc_offset };
	int slot = own_slot(process, &log->lines);
	struct line_findings *before = NULL;
	bool more = false;

	if (log->modified > clock.latest)
		clock.latest = log->modified;
	clock.utc_offset = log_offset(log, &clock);
	ret->lines = arena_alloc(&findings->arena,
				 (log->lines.n ? log->lines.n : 1) * sizeof(*ret->lines));
	if (!ret->lines)
		return error_nomem();
	for (size_t i = 0; i < log->lines.n; i++) {
		struct line_findings *line = &ret->lines[i];
		const char *text = log->lines.v[i];

		line->at = logline_time(text, &clock, NULL, NULL);
		line->pid = logline_pid(text);
		if (!line->pid && slot >= 0)
			line->pid = logline_at_slot(text, slot);
		if (line->pid || line->at)
			more = opens_more(text);
		else if (more && before && goes_on(text))
			line->pid = before->pid;
		before = line;
		// Without a pid of ours there is nothing to tell a mark from another number.
		if (!line->pid || process->pid <= 0)
			continue;
		line->author = is_own_pid(process, line->pid) ? AUTHOR_SELF : AUTHOR_OTHER;
		ret->n_self += line->author == AUTHOR_SELF;
		ret->n_other += line->author == AUTHOR_OTHER;
	}
	return NULL;
}

/* What they say. */

static struct error *add_hint(struct findings *findings, enum hint_kind kind, size_t log, size_t line,
			      int signo, int exit_code)
{
	const struct line_findings *of = &findings->hints.logs[log].lines[line];

	if (findings->hints.list.n == HINTS_MAX)
		return NULL;
	struct hint *hint = LIST_ADD(&findings->arena, &findings->hints.list);
	if (!hint)
		return error_nomem();
	*hint = (struct hint){ .kind = kind,
			       .log = log,
			       .line = line,
			       .at = of->at,
			       .author = of->author,
			       .signo = signo,
			       .exit_code = exit_code };
	return NULL;
}

// "(exit code 3)", "exited with status 3", "exit status 3; not expected"; -1: none.
static int exit_code_in(const char *small)
{
	static const char *const keys[] = { "exit code", "exit status", "exited with code",
					    "exited with status", "exitcode", "exited with" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *at = strstr(small, keys[i]);

		if (!at)
			continue;
		at += strlen(keys[i]);
		at += strspn(at, " :=#(");
		if (isdigit((unsigned char)*at) && atoi(at) >= 0 && atoi(at) <= 255)
			return atoi(at);
	}
	return -1;
}

// What a shell says of its child: "start.sh: line 3:  4242 Killed     python app.py".
static int shell_word(const char *behind)
{
	static const struct {
		const char *word;
		int signo;
	} words[] = {
		{ "Killed", SIGKILL },	      { "Segmentation fault", SIGSEGV },
		{ "Aborted", SIGABRT },	      { "Terminated", SIGTERM },
		{ "Bus error", SIGBUS },      { "Illegal instruction", SIGILL },
		{ "Hangup", SIGHUP },	      { "Floating point exception", SIGFPE },
		{ "Broken pipe", SIGPIPE },   { "Trace/breakpoint trap", SIGTRAP },
		{ "CPU time limit", SIGXCPU }, { "Alarm clock", SIGALRM },
	};

	behind += strspn(behind, " ");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (starts(behind, words[i].word) && strchr(" (", behind[strlen(words[i].word)]))
			return words[i].signo;
	return 0;
}

// Another one's words about us: BEHIND is the text behind our pid or, for supervisord, our name.
static struct error *judge_notice(struct findings *findings, size_t log, size_t line,
				  const char *small, const char *behind)
{
	static const char *const killing[] = { "killing '", "worker timeout", NULL };
	static const char *const ended[] = { "was sent sig",	   "terminated due to signal",
					     "terminated by sig",  "killed by sig",
					     "was killed",	   "exited",
					     "exit code",	   "exit status",
					     "exitcode",	   "died",
					     "has been killed",	   "received sig",
					     NULL };
	int signo = shell_word(behind);

	if (signo)
		return add_hint(findings, HINT_NOTICED, log, line, signo, -1);
	signo = logline_signal(small);
	if (has_one(small, killing))
		return add_hint(findings, HINT_KILLING, log, line, signo, -1);
	if (has_one(small, ended))
		return add_hint(findings, HINT_NOTICED, log, line, signo,
				signo ? -1 : exit_code_in(small));
	return NULL;
}

// "2026-11-26 08:03:39,123 INFO spawned: 'web' with pid 4242": the name in quotes, "" for another.
static void learn_name(const char *line, const struct process *process, char *name, size_t size)
{
	const char *at = strstr(line, " spawned: '"), *end;

	if (!at)
		return;
	at += strlen(" spawned: '");
	end = strstr(at, "' with pid ");
	if (end && is_own_pid(process, (pid_t)atoi(end + strlen("' with pid "))))
		snprintf(name, size, "%.*s", (int)(end - at), at);
	else if (end && (size_t)(end - at) == strlen(name) && !strncmp(at, name, strlen(name)))
		// The name is another one's from here on.
		*name = '\0';
}

static bool supervisord_on(const char *line, const char *name, const char *verb)
{
	const char *at = strstr(line, verb);

	if (!at || !*name)
		return false;
	at += strlen(verb);
	return starts(at, name) && starts(at + strlen(name), " (");
}

static struct error *judge_line(struct findings *findings, size_t log, size_t line, char *name,
				size_t name_size)
{
	static const char *const verbs[] = { "received", "receive",  "caught", "handling",
					     "got ",	 "handler called", "interrupted by", NULL };
	static const char *const reload[] = { "reload", "reopen", "rotat", "hup", "usr", NULL };
	static const char *const starting[] = { "started server process", "starting gunicorn",
						"booting worker with pid", "listening at: ",
						"running on http", "application startup complete",
						"server started", NULL };
	static const char *const stopped[] = { "shutdown complete",	"finished server process",
					       "shutting down: master", "server stopped",
					       "application stopped",	"stopped cleanly",
					       "exited cleanly",	"exiting normally",
					       "clean exit",		"clean shutdown",
					       "goodbye",		NULL };
	static const char *const stopping[] = { "shutting down",     "shutdown initiated",
						"starting shutdown", "graceful shutdown",
						"warm shutdown",     "cold shutdown",
						"worker exiting",    "stopping server",
						"stopping the server", "application shutdown",
						NULL };
	const char *text = findings->snapshot->logs.v[log].lines.v[line], *behind = NULL;
	const struct process *process = &findings->snapshot->process;
	enum author author = findings->hints.logs[log].lines[line].author;
	char small[LINE_LOOKED_AT];

	small_letters(text, small, sizeof(small));
	learn_name(text, process, name, name_size);
	if (author != AUTHOR_SELF) {
		behind = logline_mention(text, process->pid);
		for (size_t i = 0; !behind && i < process->ns_pids.n; i++)
			behind = logline_mention(text, process->ns_pids.v[i]);
		if (!behind && (supervisord_on(text, name, " exited: ") ||
				supervisord_on(text, name, " stopped: ")))
			behind = "";
		if (behind)
			return judge_notice(findings, log, line, small, behind);
	}
	if (author == AUTHOR_OTHER)
		return NULL;
	int signo = logline_signal(small);
	if (signo && (signo == SIGTERM || signo == SIGINT || signo == SIGQUIT || signo == SIGHUP) &&
	    has_one(small, verbs) && (signo != SIGHUP || !has_one(small, reload)))
		return add_hint(findings, HINT_ASKED, log, line, signo, -1);
	if (has_one(small, stopped))
		return add_hint(findings, HINT_STOPPED, log, line, 0, -1);
	if (has_one(small, stopping))
		return add_hint(findings, HINT_STOPPING, log, line, 0, -1);
	if (has_one(small, starting))
		return add_hint(findings, HINT_STARTED, log, line, 0, -1);
	return NULL;
}

/* How regularly it wrote. */

// A line without its numbers, so that beats are alike.
struct beat {
	uint64_t shape;
	int64_t at;
	size_t log, line;
};

// FNV-1a over what stands behind the time, each run of digits as one.
static uint64_t shape_of(const char *s)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; s[i] && i < LINE_LOOKED_AT; i++) {
		unsigned char c = (unsigned char)s[i];

		if (isdigit(c)) {
			if (i && isdigit((unsigned char)s[i - 1]))
				continue;
			c = '0';
		}
		hash = (hash ^ c) * 0x100000001b3u;
	}
	return hash;
}

static int by_shape_and_time(const void *a, const void *b)
{
	const struct beat *x = a, *y = b;

	if (x->shape != y->shape)
		return x->shape < y->shape ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_named_beat(const char *line)
{
	static const char *const words[] = { "heartbeat", "heart beat", "alive",	 "tick",
					     "watchdog",  "keepalive",	"still running", NULL };
	char small[LINE_LOOKED_AT];

	small_letters(line, small, sizeof(small));
	return has_one(small, words);
}

// The interval of N lines of one shape, 0 when they keep none. ROOM has place for N.
static int64_t interval_of(const struct beat *beats, size_t n, bool named, int64_t *room)
{
	size_t on_time = 0;

	if (n < (size_t)(named ? BEATS_MIN_NAMED : BEATS_MIN))
		return 0;
	for (size_t i = 1; i < n; i++)
		room[i - 1] = beats[i].at - beats[i - 1].at;
	qsort(room, n - 1, sizeof(*room), by_size);
	int64_t median = room[(n - 1) / 2];
	// Times in whole seconds are off by up to one.
	int64_t slack = median / 4 + (median >= 2 * SECOND ? SECOND / 2 : median / 4);
	if (median < INTERVAL_MIN)
		return 0;
	for (size_t i = 0; i < n - 1; i++)
		on_time += llabs(room[i] - median) <= slack;
	return on_time * 100 >= (n - 1) * ON_TIME_PERCENT ? median : 0;
}

static struct error *find_heartbeat(struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	struct heartbeat *best = &findings->hints.heartbeat;
	bool best_named = false, best_own = false;
	size_t n = 0, all = 0;

	for (size_t l = 0; l < snapshot->logs.n; l++)
		all += snapshot->logs.v[l].lines.n;
	_cleanup_(freep) struct beat *beats = malloc((all + 1) * sizeof(*beats));
	_cleanup_(freep) int64_t *room = malloc((all + 1) * sizeof(*room));
	if (!beats || !room)
		return error_nomem();
	for (size_t l = 0; l < snapshot->logs.n; l++) {
		const struct log_findings *log = &findings->hints.logs[l];
		struct log_clock clock = { .latest = SECOND };

		for (size_t i = 0; i < snapshot->logs.v[l].lines.n; i++) {
			const char *text = snapshot->logs.v[l].lines.v[i];
			size_t head;

			// Where lines are marked, those that are not may be anybody's.
			if (!log->lines[i].at || log->lines[i].author == AUTHOR_OTHER ||
			    (log->n_other && log->lines[i].author != AUTHOR_SELF))
				continue;
			logline_time(text, &clock, &head, NULL);
			beats[n++] = (struct beat){ shape_of(text + head), log->lines[i].at, l, i };
		}
	}
	qsort(beats, n, sizeof(*beats), by_shape_and_time);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && beats[end].shape == beats[i].shape;)
			end++;
		const struct beat *last = &beats[end - 1];
		bool named = is_named_beat(snapshot->logs.v[last->log].lines.v[last->line]);
		bool own = findings->hints.logs[last->log].lines[last->line].author == AUTHOR_SELF;
		int64_t interval = interval_of(beats + i, end - i, named, room);

		if (!interval ||
		    (best->present &&
		     (best_own > own || (best_own == own && best_named > named))))
			continue;
		if (best->present && best_own == own && best_named == named &&
		    best->beats >= end - i)
			continue;
		*best = (struct heartbeat){ true,     last->log, last->line,
					    interval, last->at,	 end - i };
		best_named = named;
		best_own = own;
	}
	return NULL;
}

static void find_last(struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	struct hints *hints = &findings->hints;

	for (size_t l = 0; l < snapshot->logs.n; l++) {
		const struct log_findings *log = &hints->logs[l];

		for (size_t i = 0; i < snapshot->logs.v[l].lines.n; i++) {
			const struct line_findings *line = &log->lines[i];

			if (!line->at || line->author == AUTHOR_OTHER ||
			    (line->author == AUTHOR_UNKNOWN && (log->n_self || log->n_other)))
				continue;
			// Its own word counts for more than what may be its own.
			if (hints->last.at && (hints->last.author > line->author ||
					       (hints->last.author == line->author &&
						hints->last.at > line->at)))
				continue;
			hints->last.log = l;
			hints->last.line = i;
			hints->last.at = line->at;
			hints->last.author = line->author;
		}
	}
}

struct error *hints_find(struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	struct hints *hints = &findings->hints;
	struct error *err = NULL;

	hints->logs = arena_alloc(&findings->arena,
				  (snapshot->logs.n ? snapshot->logs.n : 1) *
					  sizeof(*hints->logs));
	if (!hints->logs)
		return error_nomem();
	for (size_t l = 0; !err && l < snapshot->logs.n; l++)
		err = read_lines(findings, &snapshot->logs.v[l], &hints->logs[l]);
	for (size_t l = 0; !err && l < snapshot->logs.n; l++) {
		size_t n = snapshot->logs.v[l].lines.n;
		char name[128] = "";

		for (size_t i = n > LINES_MAX ? n - LINES_MAX : 0; !err && i < n; i++)
			err = judge_line(findings, l, i, name, sizeof(name));
	}
	if (!err)
		err = find_heartbeat(findings);
	if (!err)
		find_last(findings);
	return err;
}

size_t hints_pids(const struct snapshot *snapshot, pid_t *ret, size_t max)
{
	size_t n = 0;

	for (size_t l = 0; l < snapshot->logs.n; l++)
		for (size_t i = 0; i < snapshot->logs.v[l].lines.n; i++) {
			pid_t pid = logline_pid(snapshot->logs.v[l].lines.v[i]);
			size_t k = 0;

			while (k < n && ret[k] != pid)
				k++;
			if (pid && k == n && n < max)
				ret[n++] = pid;
		}
	return n;
}

enum author hints_author(const struct findings *findings, size_t log, size_t line)
{
	if (!findings->hints.logs || log >= findings->snapshot->logs.n ||
	    line >= findings->snapshot->logs.v[log].lines.n)
		return AUTHOR_UNKNOWN;
	return findings->hints.logs[log].lines[line].author;
}
