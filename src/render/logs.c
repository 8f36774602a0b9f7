/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "logs.h"

#include <inttypes.h>

#include "../cleanup.h"
#include "stacks.h"
#include "words.h"

#define LOG_LINES_MAX 10000 // of one file; what --lines can ask for at most
#define LOGS_MAX      16
#define HINTS_SHOWN   12
#define DUMP_LINES_MAX 60

static const char *const hint_names[] = {
	[HINT_STARTED] = "started",   [HINT_ASKED] = "asked-to-stop", [HINT_STOPPING] = "stopping",
	[HINT_STOPPED] = "stopped",   [HINT_KILLING] = "killing",     [HINT_NOTICED] = "noticed",
};

static const char *const hint_words[] = {
	[HINT_STARTED] = "a start",
	[HINT_ASKED] = "a signal it took",
	[HINT_STOPPING] = "shutting down",
	[HINT_STOPPED] = "shut down",
	[HINT_KILLING] = "another one's intent",
	[HINT_NOTICED] = "another one's notice",
};

static const char *line_text(const struct findings *findings, size_t log, size_t line)
{
	return findings->snapshot->logs.v[log].lines.v[line];
}

// The end, when it is known well enough to count from; 0: not so.
static int64_t end_of(const struct findings *findings)
{
	const struct aftermath *a = &findings->aftermath;

	if (a->present && !a->end.at && !a->oom_at && !a->crash_at)
		return 0;
	return findings->snapshot->time.death;
}

// How many beats should have come between the last one and the end.
static int64_t missed_beats(const struct findings *findings)
{
	const struct heartbeat *beat = &findings->hints.heartbeat;
	int64_t silent = words_elapsed(beat->last, end_of(findings));

	return silent < 0 ? -1 : silent / beat->interval;
}

static void print_heartbeat(struct page *page, const struct findings *findings)
{
	const struct heartbeat *beat = &findings->hints.heartbeat;
	int64_t silent = words_elapsed(beat->last, end_of(findings));
	char *interval = words_duration(&page->arena, beat->interval);
	char *ago = words_duration(&page->arena, silent < 0 ? 0 : silent);
	char *last = words_time(&page->arena, beat->last);

	if (!interval || !ago || !last) {
		page->failed = true;
		return;
	}
	bool alive = findings->snapshot->death.kind == DEATH_SNAPSHOT;
	page_field(page, "heartbeat", STYLE_STRONG, "every %s, the last %s%s%s", interval,
		   silent < 0 ? "at " : ago, silent < 0 ? last : " before ",
		   silent < 0 ? "" : alive ? "this was taken" : "the end");
	if (missed_beats(findings) > 1)
		page_field(page, "", STYLE_PLAIN,
			   "%lld were missed: it wrote no more well before it ended",
			   (long long)missed_beats(findings));
	page_field(page, "", STYLE_FAINT, "%s", line_text(findings, beat->log, beat->line));
}

void logs_print_hints(struct page *page, const struct findings *findings)
{
	const struct hints *hints = &findings->hints;
	const struct stack *dump = &findings->python.fatal_stack;
	size_t first = hints->list.n > HINTS_SHOWN ? hints->list.n - HINTS_SHOWN : 0;

	if (hints->list.n || hints->heartbeat.present)
		page_section(page, "hints", PAGE_SHOWN, "What the logs say of the end:");
	if (hints->heartbeat.present)
		print_heartbeat(page, findings);
	for (size_t i = first; i < hints->list.n; i++) {
		const struct hint *hint = &hints->list.v[i];

		page_field(page, "", STYLE_LABEL, "%s:", hint_words[hint->kind]);
		page_quote(page, line_text(findings, hint->log, hint->line));
	}
	if (!dump->frames.n)
		return;
	page_section(page, "dump", PAGE_SHOWN, "The Python stack that faulthandler wrote (%s):",
		     findings->python.fatal_error_source ? findings->python.fatal_error_source : "?");
	stacks_print(page, dump, DUMP_LINES_MAX);
}

void logs_print(struct page *page, const struct findings *findings)
{
	static const char marks[] = { [AUTHOR_UNKNOWN] = '|', [AUTHOR_SELF] = '>',
				      [AUTHOR_OTHER] = ':' };
	const struct snapshot *snapshot = findings->snapshot;

	for (size_t i = 0; i < snapshot->logs.n && i < LOGS_MAX; i++) {
		const struct log *log = &snapshot->logs.v[i];
		const struct log_findings *found =
			findings->hints.logs ? &findings->hints.logs[i] : NULL;
		size_t first = log->lines.n > LOG_LINES_MAX ? log->lines.n - LOG_LINES_MAX : 0;

		if (!log->lines.n)
			continue;
		if (log->fd >= 0)
			page_section(page, "log", PAGE_SHOWN,
				     "Last lines of %s (fd %d):", log->path, log->fd);
		else
			page_section(page, "log", PAGE_SHOWN, "Last lines of %s:", log->path);
		// Where all are its own, or none is marked, there is nothing to tell apart.
		bool shared = found && found->n_other;
		if (shared) {
			page_line(page);
			page_add(page, STYLE_LABEL,
				 "  (> written by this process, : by others, | not marked)");
		}
		for (size_t k = first, cut = 0; k < log->lines.n; k++) {
			for (; cut < log->cuts.n && log->cuts.v[cut].before <= k; cut++)
				if (log->cuts.v[cut].before == k) {
					page_line(page);
					page_add(page, STYLE_LABEL, "  (%" PRIu64 " lines left out)",
						 log->cuts.v[cut].lines);
				}
			page_quote_as(page, shared ? marks[found->lines[k].author] : '|',
				      log->lines.v[k]);
		}
		if (!log->ends_in_newline) {
			page_line(page);
			page_add(page, STYLE_LABEL, "  (the last line is not finished)");
		}
	}
}

static json_t *author_value(enum author author)
{
	return author == AUTHOR_UNKNOWN ? json_null()
					: json_string(author == AUTHOR_SELF ? "self" : "other");
}

json_t *logs_json_lines(struct out *o, const struct findings *findings, size_t index)
{
	const struct log_findings *log = findings->hints.logs ? &findings->hints.logs[index] : NULL;
	json_t *ret = json_array();

	for (size_t i = 0; log && i < findings->snapshot->logs.v[index].lines.n; i++) {
		const struct line_findings *line = &log->lines[i];
		json_t *object = json_pack("{s:o, s:o, s:o}", "author", author_value(line->author), "pid",
					   line->pid ? json_integer(line->pid) : json_null(), "at",
					   out_time(o, line->at));

		out_append(o, ret, object);
	}
	return ret;
}

static json_t *heartbeat_json(struct out *o, const struct findings *findings)
{
	const struct heartbeat *beat = &findings->hints.heartbeat;
	int64_t missed;

	if (!beat->present)
		return json_null();
	missed = missed_beats(findings);
	return json_pack("{s:I, s:I, s:f, s:o, s:I, s:o}", "log", (json_int_t)beat->log, "line",
			 (json_int_t)beat->line, "interval_seconds", (double)beat->interval / 1e9,
			 "last", out_time(o, beat->last), "beats", (json_int_t)beat->beats,
			 "missed", missed < 0 ? json_null() : json_integer(missed));
}

json_t *logs_json_hints(struct out *o, const struct findings *findings)
{
	const struct hints *hints = &findings->hints;
	json_t *events = json_array(), *last = json_null();

	for (size_t i = 0; i < hints->list.n; i++) {
		const struct hint *hint = &hints->list.v[i];
		char *signal = hint->signo ? words_signal(&o->arena, hint->signo) : NULL;
		json_t *object = json_pack(
			"{s:s, s:I, s:I, s:o, s:o, s:s?, s:o}", "kind", hint_names[hint->kind], "log",
			(json_int_t)hint->log, "line", (json_int_t)hint->line, "at",
			out_time(o, hint->at), "author", author_value(hint->author), "signal",
			signal, "exit_code",
			hint->exit_code < 0 ? json_null() : json_integer(hint->exit_code));

		out_append(o, events, object);
	}
	if (hints->last.at)
		last = json_pack("{s:I, s:I, s:o, s:o}", "log", (json_int_t)hints->last.log, "line",
				 (json_int_t)hints->last.line, "at", out_time(o, hints->last.at),
				 "author", author_value(hints->last.author));
	return json_pack("{s:o, s:o, s:o}", "heartbeat", heartbeat_json(o, findings), "events",
			 events, "last_line", last);
}
