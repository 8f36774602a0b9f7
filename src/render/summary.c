// SPDX-License-Identifier: GPL-3.0-or-later
#include "render.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../cleanup.h"
#include "report.h"
#include "stacks.h"
#include "text.h"

#define LINES_MAX	 25
#define FRAMES_MAX	 8
#define EVIDENCE_MAX	 3
#define NATIVE_FIRST	 2 // native frames that may stand among the Python ones
#define LABEL_WIDTH	 14

#define NAME_COLUMNS	 24 // of a function
#define NAME_MAX_COLUMNS 36

// One line, whatever its text: what does not fit is left to the report.
static void line_of(struct page *page, const char *label, const char *text)
{
	char *fitting = page_elide_tail(&page->arena, text, PAGE_WIDTH - LABEL_WIDTH);

	page_line(page);
	page_add(page, STYLE_LABEL, "  %s", label);
	page_pad(page, LABEL_WIDTH);
	page_add(page, STYLE_PLAIN, "%s", fitting ? fitting : "");
	page->failed |= !fitting;
}

static void add_frame(struct page *page, const struct frame *frame, bool first)
{
	struct arena *arena = &page->arena;
	char *function = frame_function(arena, frame);
	char *name = function ? page_elide(arena, function, NAME_MAX_COLUMNS) : NULL;
	char *place = frame_place(arena, frame, true);

	if (!name || !place) {
		page->failed = true;
		return;
	}
	size_t width = page_columns(name) < NAME_COLUMNS ? NAME_COLUMNS : page_columns(name);
	// The end of a path says which file it is.
	char *fitting = page_elide_head(arena, place, PAGE_WIDTH - LABEL_WIDTH - width - 2);
	page_line(page);
	page_add(page, STYLE_LABEL, "  %s", first ? "where" : "");
	page_pad(page, LABEL_WIDTH);
	page_add(page, frame->kind == FRAME_PYTHON ? STYLE_STRONG : STYLE_FAINT, "%s", name);
	page_pad(page, LABEL_WIDTH + width + 2);
	page_add(page, frame->kind == FRAME_PYTHON ? STYLE_STRONG : STYLE_FAINT, "%s",
		 fitting ? fitting : "");
	page->failed |= !fitting;
}

// The stack that says most about the end; NULL when none does.
static const struct stack *telling_stack(const struct findings *findings)
{
	const struct thread_findings *thread = report_thread(findings);

	if (thread && thread->python.frames.n)
		return &thread->merged;
	if (findings->python.exception)
		return &findings->python.exception->traceback;
	// After an orderly exit the C stack is the interpreter's way out, which says nothing.
	return thread && findings->snapshot->death.kind != DEATH_EXIT ? &thread->merged : NULL;
}

static void add_frames(struct page *page, const struct findings *findings)
{
	const struct stack *stack = telling_stack(findings);
	_cleanup_(frame_set_deinit) struct frame_set set = {};
	size_t shown = 0, native = 0, python = 0;

	for (size_t i = 0; stack && i < stack->frames.n; i++)
		python += stack->frames.v[i].kind == FRAME_PYTHON;
	for (size_t i = 0; stack && i < stack->frames.n && shown < FRAMES_MAX; i++) {
		const struct frame *frame = &stack->frames.v[i];

		if (python && frame->kind == FRAME_NATIVE &&
		    (native++ >= NATIVE_FIRST || !frame->function))
			continue;
		// A recursion takes one round here.
		size_t known = set.frames.n, number = frame_set_add(&set, frame);
		if (number == SIZE_MAX)
			page->failed = true;
		if (number != known)
			continue;
		add_frame(page, frame, !shown);
		shown++;
	}
}

static void add_evidence(struct page *page, const struct verdict *verdict)
{
	size_t shown = 0;

	for (size_t i = 0; i < verdict->evidence.n && shown < EVIDENCE_MAX; i++)
		if (verdict->evidence.v[i].supports) {
			line_of(page, shown ? "" : "why", verdict->evidence.v[i].text);
			shown++;
		}
}

static void add_gaps(struct page *page, const gaps *list)
{
	char count[48] = "";

	if (!list->n)
		return;
	const struct gap *gap = &list->v[0];
	// One that can be mended is worth more to the reader than one that cannot.
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].remedy && *list->v[i].remedy) {
			gap = &list->v[i];
			break;
		}
	if (list->n > 1)
		snprintf(count, sizeof(count), "%zu things, such as ", list->n);
	char *text = arena_printf(&page->arena, "%s%s: %s", count, gap->what, gap->why);
	if (text)
		line_of(page, "not seen", text);
	page->failed |= !text;
	if (gap->remedy && *gap->remedy)
		line_of(page, "next time", gap->remedy);
}

struct error *render_summary(const struct findings *findings, bool colour, struct buf *ret)
{
	_cleanup_(page_deinit) struct page page = {};

	page_section(&page, "summary", PAGE_SHOWN, NULL);
	page_line(&page);
	page_add(&page, STYLE_VERDICT, "%s", findings->verdict.summary);
	report_head(&page, findings, true);
	add_frames(&page, findings);
	add_evidence(&page, &findings->verdict);
	add_gaps(&page, &findings->gaps);
	struct error *err = page_error(&page);
	if (err)
		return err;
	const struct page_section *section = &page.sections.v[0];
	// Names that somebody made long may have filled more lines than were planned for.
	for (size_t i = 0; i < section->lines.n && i < LINES_MAX - 1; i++)
		text_line(&section->lines.v[i], colour, ret);
	return buf_error(ret);
}
