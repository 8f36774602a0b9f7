// SPDX-License-Identifier: GPL-3.0-or-later
#include "digest.h"

#include <jansson.h>
#include <string.h>

#include "../cleanup.h"
#include "report.h"
#include "words.h"

#define STACK_LINES 64
#define STACK_BYTES 4096
#define LINE_BYTES  300

void digest_deinit(struct digest *digest)
{
	arena_deinit(&digest->arena);
	buf_deinit(&digest->json);
	*digest = (struct digest){};
}

// TEXT fit for JSON and for anybody's terminal, cut at MAX bytes but not within a character.
static char *clean(struct arena *arena, const char *text, size_t max)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	buf_clean(&buf, text, strlen(text), "");
	size_t len = buf.len < max ? buf.len : max;
	while (len && len < buf.len && (buf.data[len] & 0xc0) == 0x80)
		len--;
	return buf.failed ? NULL : arena_strndup(arena, buf.len ? (char *)buf.data : "", len);
}

// "send_report (slow_report.py:26)", "strlen (libc.so.6)"
static char *frame_line(struct arena *arena, const struct frame *frame)
{
	const char *function = frame->function ? frame->function : "??";
	const char *in = frame->file     ? frame->file
			 : frame->module ? module_name(frame->module)
					 : "??";
	char *line = frame->line > 0
			     ? arena_printf(arena, "%s (%s:%d)", function, path_basename(in), frame->line)
			     : arena_printf(arena, "%s (%s)", function, path_basename(in));

	return line ? clean(arena, line, LINE_BYTES) : NULL;
}

// The stack that says most: the Python lines alone where there are any, else everything.
static struct error *stack_lines(const struct findings *findings, struct arena *arena, strings *ret)
{
	const struct thread_findings *thread = report_thread(findings);
	const struct stack *stack = !thread			     ? NULL
				    : thread->python.frames.n ? &thread->python
							      : &thread->native;

	for (size_t i = 0; stack && i < stack->frames.n && i < STACK_LINES; i++) {
		char **line = LIST_ADD(arena, ret);

		if (!line)
			return error_nomem();
		*line = frame_line(arena, &stack->frames.v[i]);
		if (!*line)
			return error_nomem();
	}
	return NULL;
}

static bool note(struct digest *digest, const char *key, const char *value)
{
	struct digest_note *note = value ? LIST_ADD(&digest->arena, &digest->notes) : NULL;

	if (note)
		*note = (struct digest_note){ key, clean(&digest->arena, value, STACK_BYTES) };
	return note && note->value;
}

static struct error *add_notes(const struct findings *findings, const strings *stack,
			       struct digest *digest)
{
	const struct verdict *verdict = &findings->verdict;
	_cleanup_(buf_deinit) struct buf lines = {};

	for (size_t i = 0; i < stack->n && lines.len < STACK_BYTES; i++)
		buf_printf(&lines, "%s%s", i ? "; " : "", stack->v[i]);
	buf_zero(&lines, 1);
	bool ok = !lines.failed && note(digest, "verdict", verdict->summary) &&
		  note(digest, "cause", cause_name(verdict->cause)) &&
		  note(digest, "confidence", confidence_name(verdict->confidence)) &&
		  (!*findings->signature || note(digest, "signature", findings->signature)) &&
		  (!stack->n || note(digest, "stack", (const char *)lines.data));
	return ok ? NULL : error_nomem();
}

static struct error *add_json(const struct findings *findings, const strings *stack,
			      struct digest *digest)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct verdict *verdict = &findings->verdict;
	struct arena *arena = &digest->arena;
	char *time = words_rfc3339(arena, snapshot->time.death);
	char *comm = clean(arena, snapshot->process.comm, LINE_BYTES);
	char *end = words_death(arena, &snapshot->death);
	char *summary = clean(arena, verdict->summary, STACK_BYTES);
	json_t *lines = json_array();
	bool ok = time && comm && end && summary && lines;

	for (size_t i = 0; ok && i < stack->n; i++)
		ok = !json_array_append_new(lines, json_string(stack->v[i]));
	// "o" takes LINES over, also when it fails.
	json_t *root = json_pack(
		"{s:s, s:s, s:s, s:{s:i, s:s, s:s}, s:s, s:s, s:s, s:s, s:s?, s:o}", "schema",
		"pcatch.digest/1", "id", snapshot->id, "time", ok ? time : "", "process", "pid",
		(int)snapshot->process.pid, "comm", ok ? comm : "", "role",
		snapshot->process.role == ROLE_MAIN ? "main" : "child", "end", ok ? end : "", "cause",
		cause_name(verdict->cause), "confidence", confidence_name(verdict->confidence),
		"summary", ok ? summary : "", "signature",
		*findings->signature ? findings->signature : NULL, "stack", lines);
	_cleanup_(freep) char *text = ok && root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (!text)
		return error_nomem();
	buf_addstr(&digest->json, text);
	return buf_error(&digest->json);
}

struct error *render_digest(const struct findings *findings, struct digest *ret)
{
	_cleanup_(digest_deinit) struct digest digest = {};
	strings stack = {};
	struct error *err = stack_lines(findings, &digest.arena, &stack);

	if (!err)
		err = add_json(findings, &stack, &digest);
	if (!err)
		err = add_notes(findings, &stack, &digest);
	if (err)
		return err;
	*ret = TAKE(digest);
	return NULL;
}
