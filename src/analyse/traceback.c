/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traceback.h"

#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "hints.h"

// The logs are of anybody's making: every one of these is met by a hostile file only.
#define MAX_LINES 20000
#define MAX_FRAMES 4096
#define MAX_CHAIN 32
#define MAX_MESSAGE_LINES 200
#define MAX_MESSAGE 4096
#define MAX_NAME 512

#define HEADER "Traceback (most recent call last):"
#define GROUP_HEADER "  + Exception Group Traceback (most recent call last):"
#define GROUP_MARGIN "  | "
#define FATAL "Fatal Python error: "

enum line_kind {
	LINE_BLANK,
	LINE_PLAIN,
	LINE_TRACEBACK, /* the header of one */
	LINE_GROUP,	/* the header of an exception group's */
	LINE_SYNTAX,	/* `  File "x", line 3`: where a SyntaxError of the main script begins */
	LINE_CHAIN,	/* "During handling of ..." between two of them */
	LINE_NOTICE,	/* the interpreter speaks of another exception than the main one */
	LINE_RECORD,	/* looks like a log record */
};

enum owner { OWNER_MAIN, OWNER_CHILD, OWNER_LOGGED, OWNER_NOBODY };

// The lines of a log up to the last that is not blank; what stands before the margin is no line.
struct text {
	const strings *lines;
	size_t end;
	const char *margin;
	bool shared; /* others write here, too, without a mark: a record that follows may be theirs */
};

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static bool blank(const char *s)
{
	return s[strspn(s, " \t\r")] == 0;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *text_line(const struct text *text, size_t i)
{
	if (i >= text->end || !starts(text->lines->v[i], text->margin))
		return NULL;
	return text->lines->v[i] + strlen(text->margin);
}

// At most MAX bytes of S, made clean, cut between two characters.
static char *bounded(struct arena *arena, const char *s, size_t len, size_t max, const char *keep)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	bool cut = len > max;

	if (cut) {
		len = max;
		while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	buf_clean(&buf, s, len, keep);
	if (cut)
		buf_addstr(&buf, "...");
	if (buf.failed)
		return NULL;
	return arena_strndup(arena, (const char *)buf.data, buf.len);
}

// "2024-01-02", "02/Jan", "12:34:56", "1700000000.123": how a record's time begins.
static bool starts_with_time(const char *s)
{
	size_t n = strspn(s, "0123456789");

	if (n == 4 && (s[4] == '-' || s[4] == '/') && digit(s[5]))
		return true;
	if (n == 2 && (s[2] == ':' || s[2] == '/' || s[2] == '-') && digit(s[3]))
		return true;
	return n == 10 && (s[10] == '.' || s[10] == ' ');
}

static bool starts_with_syslog_time(const char *s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	if (strlen(s) < 15)
		return false;
	for (size_t i = 0; i + 3 < sizeof(months); i += 3)
		if (!memcmp(s, months + i, 3))
			return s[3] == ' ' && s[6] == ' ' && s[9] == ':';
	return false;
}

static bool starts_with_level(const char *s)
{
	static const char *const levels[] = {
		"TRACE", "DEBUG", "INFO", "NOTICE", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL",
		"Trace", "Debug", "Info", "Notice", "Warning", "Warn", "Error", "Critical", "Fatal",
		"trace", "debug", "info", "notice", "warning", "warn", "error", "critical", "fatal",
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		size_t n = strlen(levels[i]);

		// A word of prose goes on in small letters: "Error in line", "info on".
		if (!strncmp(s, levels[i], n) &&
		    (strchr(":]|-", s[n]) || (s[n] == ' ' && (s[0] < 'a' && s[1] < 'a'))))
			return s[n] != 0;
	}
	return false;
}

static bool is_record(const char *s)
{
	if (starts(s, "{\"") || starts(s, "time=") || starts(s, "ts=") || starts(s, "level="))
		return true;
	if (strstr(s, " - - ["))
		return true;
	if (*s == '[' || *s == '<' || *s == '(')
		s++;
	return starts_with_time(s) || starts_with_syslog_time(s) || starts_with_level(s);
}

static bool is_chain(const char *s)
{
	return starts(s, "The above exception was the direct cause of the following exception") ||
	       starts(s, "During handling of the above exception, another exception occurred");
}

static bool is_notice(const char *s)
{
	static const char *const notices[] = {
		"Exception ignored ",
		"Exception in thread ",
		"Exception in callback ",
		"Unhandled exception in thread ",
		"Error in atexit.",
		"Error in sys.excepthook:",
		"Original exception was:",
		"--- Logging error ---",
		FATAL,
		"sys:1: ",
		"Task exception was never retrieved",
		"Future exception was never retrieved",
		"Task was destroyed but it is pending!",
	};

	for (size_t i = 0; i < ARRAY_SIZE(notices); i++)
		if (starts(s, notices[i]))
			return true;
	// "/usr/lib/python3.11/multiprocessing/resource_tracker.py:224: UserWarning: ..."
	if (strstr(s, ".py:") && strstr(s, "Warning: "))
		return true;
	return starts(s, "Process ") && ends(s, ":");
}

/*
 * `  File "PATH", line N` with `, in FUNCTION` behind it, except where a SyntaxError points to.
 * PATH may hold quotes and commas: the last `", line ` is the one that counts.
 */
struct file_line {
	const char *path, *function; /* function NULL: none */
	size_t path_len;
	int line;
};

static bool parse_file_line(const char *s, struct file_line *ret)
{
	static const char mark[] = "\", line ";
	const char *at = NULL;

	if (!starts(s, "  File \""))
		return false;
	s += strlen("  File \"");
	for (const char *p = s; (p = strstr(p, mark)); p++)
		if (digit(p[sizeof(mark) - 1]))
			at = p;
	if (!at)
		return false;
	char *end;
	// A number too large comes back as LONG_MAX, which is no line either.
	long line = strtol(at + sizeof(mark) - 1, &end, 10);
	*ret = (struct file_line){ .path = s, .path_len = (size_t)(at - s) };
	ret->line = line > 0 && line < 100000000 ? (int)line : 0;
	if (starts(end, ", in "))
		ret->function = end + strlen(", in ");
	else if (!blank(end))
		return false;
	return true;
}

static enum line_kind line_kind(const char *s)
{
	struct file_line file;

	if (blank(s))
		return LINE_BLANK;
	if (!strcmp(s, HEADER))
		return LINE_TRACEBACK;
	if (!strcmp(s, GROUP_HEADER))
		return LINE_GROUP;
	if (is_chain(s))
		return LINE_CHAIN;
	if (is_notice(s))
		return LINE_NOTICE;
	if (is_record(s))
		return LINE_RECORD;
	if (parse_file_line(s, &file) && !file.function)
		return LINE_SYNTAX;
	return LINE_PLAIN;
}

// The length of "package.module.Type" at the start of a line that says "Type" or "Type: message".
static size_t type_length(const char *s)
{
	size_t n = 0;

	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || s[n] == '_' ||
	       (unsigned char)s[n] >= 0x80 || (n && (digit(s[n]) || strchr(".<>", s[n]) != NULL))) {
		if (!s[n])
			break;
		n++;
	}
	if (!n || s[n - 1] == '.' || (s[n] != 0 && s[n] != ':'))
		return 0;
	return s[n] == ':' && s[n + 1] != ' ' && s[n + 1] != 0 ? 0 : n;
}

static void reverse(struct stack *stack)
{
	for (size_t i = 0, j = stack->frames.n; i + 1 < j; i++) {
		j--;
		struct frame frame = stack->frames.v[i];
		stack->frames.v[i] = stack->frames.v[j];
		stack->frames.v[j] = frame;
	}
}

static struct error *add_frame(struct arena *arena, const struct file_line *file,
			       struct stack *stack)
{
	if (stack->frames.n == MAX_FRAMES) {
		stack->gap =
			arena_printf(arena, "the traceback has more than %d frames", MAX_FRAMES);
		return stack->gap ? NULL : error_nomem();
	}
	struct frame *frame = LIST_ADD(arena, &stack->frames);
	if (!frame)
		return error_nomem();
	frame->kind = FRAME_PYTHON;
	frame->symbol_offset = -1;
	frame->line = file->line;
	frame->file = bounded(arena, file->path, file->path_len, MAX_NAME, "");
	if (file->function)
		frame->function =
			bounded(arena, file->function, strlen(file->function), MAX_NAME, "");
	return frame->file && (frame->function || !file->function) ? NULL : error_nomem();
}

// The frames that begin at line AT; NEXT_RET is the line behind them and their source lines.
static struct error *parse_frames(struct arena *arena, const struct text *text, size_t at,
				  struct stack *stack, size_t *next_ret)
{
	const char *line;
	struct file_line file;

	for (; (line = text_line(text, at)); at++) {
		if (parse_file_line(line, &file)) {
			struct error *err = add_frame(arena, &file, stack);

			if (err)
				return err;
		} else if (starts(line, "  [Previous line repeated ") && stack->frames.n) {
			long times = strtol(line + strlen("  [Previous line repeated "), NULL, 10);
			const struct frame *frame = &stack->frames.v[stack->frames.n - 1];

			// The words stand in for the frames: their number is the log's to choose.
			stack->gap = arena_printf(arena, "line %d in %s is there %ld times more",
						  frame->line,
						  frame->function ? frame->function : "?", times);
			if (!stack->gap)
				return error_nomem();
		} else if (blank(line)) {
			// Within a statement of several lines (3.13) only.
			const char *behind = text_line(text, at + 1);

			if (!behind || !starts(behind, "    "))
				break;
		} else if (!starts(line, "    ")) {
			break;
		}
	}
	*next_ret = at;
	return NULL;
}

// Where the message that begins on line AT ends: at what the interpreter or a logger wrote next.
static size_t message_end(const struct text *text, size_t at)
{
	const char *line;
	size_t last = at + 1;

	for (size_t i = at + 1; i <= at + MAX_MESSAGE_LINES && (line = text_line(text, i)); i++) {
		enum line_kind kind = line_kind(line);

		if (kind == LINE_BLANK)
			continue;
		if (kind != LINE_PLAIN)
			break;
		last = i + 1;
	}
	return last;
}

/*
 * More was written behind the exception's own line, and nothing in it says that it belongs to
 * the message: a second line of it, a note, or the program speaking on.
 */
static bool speaks_on(const struct text *text, size_t at, size_t end)
{
	const char *line = end > at + 1 ? text_line(text, end - 1) : NULL;

	return line && !strchr(" \t[](){}<>*|^\"'`~=+-", line[0]);
}

static struct error *parse_message(struct arena *arena, const struct text *text, size_t at,
				   struct exception *exception, size_t *next_ret)
{
	const char *line = text_line(text, at);
	size_t type = type_length(line), end = message_end(text, at);
	_cleanup_(buf_deinit) struct buf message = {};

	exception->type = bounded(arena, line, type, MAX_NAME, "");
	if (!exception->type)
		return error_nomem();
	if (line[type] == ':')
		buf_addstr(&message, line + type + 1 + (line[type + 1] == ' '));
	for (size_t i = at + 1; i < end && message.len <= MAX_MESSAGE; i++) {
		buf_addstr(&message, message.len || i > at + 1 ? "\n" : "");
		buf_addstr(&message, text_line(text, i));
	}
	if (message.failed)
		return error_nomem();
	if (message.len) {
		exception->message = bounded(arena, (const char *)message.data, message.len,
					     MAX_MESSAGE, "\n\t");
		if (!exception->message)
			return error_nomem();
	}
	exception->followed = speaks_on(text, at, end);
	*next_ret = end;
	return NULL;
}

// What closes the members of a group. Groups within groups close at their own depth, the outer then
// not.
static bool is_ruler(const char *s)
{
	s += strspn(s, " ");
	return starts(s, "+--") && s[1 + strspn(s + 1, "-")] == 0;
}

static bool in_group(const char *s)
{
	size_t n = strspn(s, " ");

	return n >= 2 && (s[n] == '|' || s[n] == '+');
}

/*
 * The members of an exception group, from the "+-+------ 1 ------" line at AT on: the first few
 * are named in the message, all are passed over.
 */
static struct error *parse_members(struct arena *arena, const struct text *text, size_t at,
				   struct exception *group, size_t *next_ret)
{
	_cleanup_(buf_deinit) struct buf message = {};
	int named = 0;

	buf_addstr(&message, group->message ? group->message : "");
	for (; at < text->end; at++) {
		const char *line = text->lines->v[at];

		// A member's second line may stand without its margin (3.11, 3.12).
		if (line_kind(line) != LINE_PLAIN && !starts(line, "  "))
			break;
		if (is_ruler(line) && (at + 1 >= text->end || !in_group(text->lines->v[at + 1]))) {
			at++;
			break;
		}
		size_t type = starts(line, "    | ") ? type_length(line + 6) : 0;
		// A name alone is as likely a word of a message.
		if (!type || (line[6 + type] == 0 && !ends(line, "Error")) || named == 3)
			continue;
		buf_addstr(&message, named++ ? "; " : ": ");
		buf_addstr(&message, line + 6);
	}
	*next_ret = at;
	if (message.failed)
		return error_nomem();
	if (!message.len)
		return NULL;
	group->message =
		bounded(arena, (const char *)message.data, message.len, MAX_MESSAGE, "\n\t");
	return group->message ? NULL : error_nomem();
}

// One traceback whose first frame would be on line AT; RET is NULL when it is none. NEXT_RET is
// behind what was looked at in either case, so that no line is looked at twice.
static struct error *parse_block(struct arena *arena, const struct text *lines, size_t at,
				 bool group, struct exception **ret, size_t *next_ret)
{
	struct text text = *lines;
	struct error *err;

	text.margin = group ? GROUP_MARGIN : "";
	*ret = NULL;
	struct exception *exception = arena_alloc(arena, sizeof(*exception));
	if (!exception)
		return error_nomem();
	size_t next = at;
	err = parse_frames(arena, &text, at, &exception->traceback, &next);
	if (err)
		return err;
	*next_ret = next;
	const char *line = text_line(&text, next);
	if (!line || !type_length(line))
		return NULL;
	err = parse_message(arena, &text, next, exception, &next);
	if (err)
		return err;
	if (group) {
		exception->followed = false;
		err = parse_members(arena, lines, next, exception, &next);
		if (err)
			return err;
	}
	reverse(&exception->traceback);
	*ret = exception;
	*next_ret = next;
	return NULL;
}

// The line of the first frame of the traceback that line AT opens, SIZE_MAX when it opens none.
static size_t block_opens(const struct text *text, size_t at, bool *group_ret)
{
	const char *line = text_line(text, at);
	enum line_kind kind = line ? line_kind(line) : LINE_BLANK;

	*group_ret = kind == LINE_GROUP;
	if (kind == LINE_TRACEBACK || kind == LINE_GROUP)
		return at + 1;
	return kind == LINE_SYNTAX ? at : SIZE_MAX;
}

// The last exception of the chain that begins at AT, the earlier ones as its causes. NEXT_RET is
// behind AT, whether there is one or not.
static struct error *parse_chain(struct arena *arena, const struct text *text, size_t at,
				 struct exception **ret, size_t *next_ret)
{
	struct exception *last = NULL;
	bool group, headless = at < text->end && line_kind(text->lines->v[at]) == LINE_SYNTAX;

	for (size_t first = block_opens(text, at, &group); first != SIZE_MAX;) {
		struct exception *exception;
		struct error *err = parse_block(arena, text, first, group, &exception, next_ret);

		if (err)
			return err;
		// Without a header only an error of the compiler's is written.
		if (exception && headless && !last && !ends(exception->type, "Error"))
			break;
		if (!exception && last)
			last->followed = true;
		if (!exception)
			break;
		exception->cause = last;
		last = exception;
		size_t i = *next_ret;
		while (i < text->end && blank(text->lines->v[i]))
			i++;
		if (i >= text->end || !is_chain(text->lines->v[i]))
			break;
		for (i++; i < text->end && blank(text->lines->v[i]);)
			i++;
		first = block_opens(text, i, &group);
	}
	struct exception *kept = last;
	for (size_t n = 1; kept && n < MAX_CHAIN; n++)
		kept = kept->cause;
	if (kept)
		kept->cause = NULL;
	*ret = last;
	return NULL;
}

// Whose exception a traceback is, from the line before it.
static enum owner owner_of(const char *before)
{
	static const char *const errors[] = { "ERROR",	"CRITICAL",  "FATAL",	    "[error]",
					      "error:", "\"error\"", "level=error", "EXCEPTION" };
	static const char *const asyncio[] = { "future: <",	   "task: <",	  "handle: <",
					       "source_traceback", "protocol: <", "transport: <" };

	if (starts(before, "Original exception was:"))
		return OWNER_MAIN;
	if (starts(before, "Process ") && ends(before, ":"))
		return OWNER_CHILD;
	if (is_notice(before))
		return OWNER_NOBODY;
	for (size_t i = 0; i < ARRAY_SIZE(asyncio); i++)
		if (starts(before, asyncio[i]))
			return OWNER_LOGGED;
	// logger.exception() writes its record, then the same traceback that the interpreter would.
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (is_record(before) && strstr(before, errors[i]))
			return OWNER_LOGGED;
	return OWNER_MAIN;
}

// multiprocessing runs the target of a child under its own handler, which prints and exits with 1.
static bool is_multiprocessing_child(const struct findings *findings)
{
	const strings *cmdline = &findings->snapshot->process.cmdline;

	for (size_t i = 0; i < cmdline->n; i++)
		if (strstr(cmdline->v[i], "--multiprocessing-fork") ||
		    strstr(cmdline->v[i], "from multiprocessing."))
			return true;
	if (!findings->dying)
		return false;
	const struct stack *python = &findings->dying->python;
	for (size_t i = 0; i < python->frames.n; i++)
		if (python->frames.v[i].file &&
		    strstr(python->frames.v[i].file, "multiprocessing/popen_fork"))
			return true;
	return false;
}

struct scan {
	struct exception *uncaught, *logged;
};

/*
 * A traceback without its head: the log's lines begin in the middle of it. RET is left alone when
 * they do not.
 */
static struct error *scan_head(struct arena *arena, const struct text *text, size_t *at,
			       struct scan *scan)
{
	struct file_line file;
	struct exception *exception;
	size_t first = *at, next;

	while (first < text->end && starts(text->lines->v[first], "    "))
		first++;
	if (first >= text->end || !parse_file_line(text->lines->v[first], &file) || !file.function)
		return NULL;
	struct error *err = parse_block(arena, text, first, false, &exception, &next);
	if (err || !exception)
		return err;
	if (!exception->traceback.gap) {
		exception->traceback.gap =
			arena_strdup(arena, "its beginning is not among the lines that were kept");
		if (!exception->traceback.gap)
			return error_nomem();
	}
	scan->uncaught = exception;
	*at = next;
	return NULL;
}

static struct error *scan_tracebacks(struct arena *arena, const struct text *text, size_t start,
				     bool child, struct scan *scan)
{
	size_t at = start, next;
	struct error *err = scan_head(arena, text, &at, scan);

	for (; !err && at < text->end; at = next) {
		enum line_kind kind = line_kind(text->lines->v[at]);
		struct exception *exception = NULL;
		bool group;

		next = at + 1;

		if (block_opens(text, at, &group) != SIZE_MAX)
			err = parse_chain(arena, text, at, &exception, &next);
		if (err)
			break;
		if (!exception) {
			// The program lived on to log: what it wrote before was not its end.
			if (kind == LINE_RECORD && text->shared)
				continue;
			if (kind == LINE_RECORD && scan->uncaught) {
				scan->logged = scan->uncaught;
				scan->uncaught = NULL;
			} else if (kind != LINE_BLANK && scan->uncaught) {
				scan->uncaught->followed = true;
			}
			continue;
		}
		enum owner owner = at > start ? owner_of(text->lines->v[at - 1]) : OWNER_MAIN;
		if (owner == OWNER_MAIN || (owner == OWNER_CHILD && child)) {
			scan->uncaught = exception;
		} else if (owner == OWNER_LOGGED) {
			scan->logged = exception;
			scan->uncaught = NULL;
		} else if (scan->uncaught) {
			scan->uncaught->followed = true;
		}
	}
	return err;
}

bool fatal_error_is_signal(const char *text)
{
	static const char *const names[] = { "Segmentation fault",
					     "Bus error",
					     "Aborted",
					     "Floating point exception",
					     "Floating-point exception",
					     "Illegal instruction" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i]))
			return true;
	return false;
}

// The last line that begins with WHAT and that no log record follows; SIZE_MAX when there is none.
static size_t last_words(const struct text *text, size_t start, const char *what)
{
	for (size_t i = text->end; i-- > start;) {
		const char *line = text->lines->v[i];

		if (starts(line, what))
			return i;
		if (!text->shared && !is_notice(line) && is_record(line))
			return SIZE_MAX;
	}
	return SIZE_MAX;
}

// faulthandler's `  File "PATH", line N in FUNCTION` (no comma), _Py_DumpTraceback().
static bool parse_dump_line(const char *s, struct file_line *ret)
{
	const char *at = NULL;

	if (!starts(s, "  File \""))
		return false;
	s += strlen("  File \"");
	for (const char *p = s; (p = strstr(p, "\", line ")); p++)
		at = p;
	if (!at)
		return false;
	char *end;
	long line = strtol(at + strlen("\", line "), &end, 10);
	*ret = (struct file_line){ .path = s, .path_len = (size_t)(at - s) };
	ret->line = line > 0 && line < 100000000 ? (int)line : 0;
	if (starts(end, " in "))
		ret->function = end + strlen(" in ");
	return true;
}

// The frames of the thread that faulthandler calls the current one, in the dump that begins at AT.
static struct error *parse_dump(struct arena *arena, const struct text *text, size_t at,
				struct stack *ret)
{
	struct file_line file;

	for (at++; at < text->end && !starts(text->lines->v[at], "Current thread "); at++)
		if (!is_notice(text->lines->v[at]) && is_record(text->lines->v[at]))
			return NULL;
	for (at++; at < text->end && parse_dump_line(text->lines->v[at], &file); at++) {
		struct error *err = add_frame(arena, &file, ret);

		if (err || ret->gap)
			return err;
	}
	return NULL;
}

static char *log_name(struct arena *arena, const struct log *log)
{
	char *path = bounded(arena, log->path, strlen(log->path), MAX_NAME, "");

	if (!path || log->fd < 0)
		return path;
	return arena_printf(arena, "%s (fd %d)", path, log->fd);
}

static struct error *take_words(struct arena *arena, const struct text *text, size_t start,
				const char *name, struct python_findings *python)
{
	size_t at = python->fatal_error ? SIZE_MAX : last_words(text, start, FATAL);

	if (at != SIZE_MAX) {
		const char *fatal = text->lines->v[at] + strlen(FATAL);

		python->fatal_error = bounded(arena, fatal, strlen(fatal), MAX_MESSAGE, "");
		python->fatal_error_source = arena_strdup(arena, name);
		if (!python->fatal_error || !python->fatal_error_source)
			return error_nomem();
		struct error *err = parse_dump(arena, text, at, &python->fatal_stack);
		if (err)
			return err;
	}
	at = python->watchdog ? SIZE_MAX : last_words(text, start, "Timeout (");
	const char *timeout = at != SIZE_MAX ? text->lines->v[at] + strlen("Timeout (") : "";
	if (ends(timeout, ")!")) {
		python->watchdog = bounded(arena, timeout, strlen(timeout) - 2, MAX_NAME, "");
		if (!python->watchdog)
			return error_nomem();
	}
	return NULL;
}

// The lines of log INDEX but for those that another process marked as its own.
static struct error *own_lines(struct findings *findings, size_t index, strings *ret)
{
	const strings *lines = &findings->snapshot->logs.v[index].lines;

	if (!findings->hints.logs || !findings->hints.logs[index].n_other) {
		*ret = *lines;
		return NULL;
	}
	ret->v = arena_alloc(&findings->arena, lines->n * sizeof(*ret->v));
	if (!ret->v)
		return error_nomem();
	for (size_t i = 0; i < lines->n; i++)
		if (hints_author(findings, index, i) != AUTHOR_OTHER)
			ret->v[ret->n++] = lines->v[i];
	return NULL;
}

static struct error *from_log(struct findings *findings, size_t index)
{
	const struct log *log = &findings->snapshot->logs.v[index];
	struct arena *arena = &findings->arena;
	struct python_findings *python = &findings->python;
	strings lines = {};
	struct scan scan = {};

	struct error *err = own_lines(findings, index, &lines);
	if (err)
		return err;
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	struct text text = { .lines = &lines, .end = lines.n, .margin = "" };
	for (size_t i = 0; i < autopsy->left.n; i++)
		text.shared |= autopsy->left.v[i].same_log;
	while (text.end && blank(lines.v[text.end - 1]))
		text.end--;
	size_t start = text.end > MAX_LINES ? text.end - MAX_LINES : 0;
	err = scan_tracebacks(arena, &text, start, is_multiprocessing_child(findings), &scan);
	if (err)
		return err;
	char *name = log_name(arena, log);
	if (!name)
		return error_nomem();
	struct exception *recorded = python->exception && python->exception->recorded
					     ? python->exception
					     : NULL;
	// What a __str__ says is known when it was run; in the log the type has its module before it.
	if (recorded && !recorded->message && scan.uncaught && ends(scan.uncaught->type, recorded->type))
		recorded->message = scan.uncaught->message;
	if (scan.uncaught && !python->exception) {
		scan.uncaught->source = arena_printf(arena, "traceback in %s", name);
		if (!scan.uncaught->source)
			return error_nomem();
		python->exception = scan.uncaught;
	}
	if (scan.logged && !python->logged_exception) {
		const char *message = scan.logged->message ? scan.logged->message : "";
		char *line = bounded(arena, message, strcspn(message, "\n"), 200, "");

		if (!line)
			return error_nomem();
		python->logged_exception = arena_printf(arena, "%s%s%s in %s", scan.logged->type,
							*line ? ": " : "", line, name);
		if (!python->logged_exception)
			return error_nomem();
	}
	return take_words(arena, &text, start, name, python);
}

struct error *python_from_logs(struct findings *findings)
{
	// The interpreter writes to stderr; where 2>&1 was used the log may be known as fd 1 only.
	static const int order[] = { 2, 1, -1 };

	for (size_t o = 0; o < ARRAY_SIZE(order); o++) {
		for (size_t i = 0; i < findings->snapshot->logs.n; i++) {
			const struct log *log = &findings->snapshot->logs.v[i];

			if (order[o] < 0 ? log->fd == 1 || log->fd == 2 : log->fd != order[o])
				continue;
			struct error *err = from_log(findings, i);
			if (err)
				return err;
		}
	}
	return NULL;
}
