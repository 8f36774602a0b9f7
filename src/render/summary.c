// SPDX-License-Identifier: GPL-3.0-or-later
#include "render.h"

#include <stdio.h>
#include <string.h>

#include "../cleanup.h"
#include "report.h"
#include "stacks.h"
#include "text.h"

#define LINES_MAX    25
#define FRAMES_MAX   9
#define EVIDENCE_MAX 3
#define NATIVE_FIRST 2 // native frames that may stand among the Python ones
#define LABEL_WIDTH  14

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
	char *name = function ? page_elide(arena, function, 36) : NULL;
	char *place = name ? frame_place(arena, frame, true) : NULL;
	// The end of a path says which file it is.
	char *fitting = place ? page_elide_head(arena, place,
						PAGE_WIDTH - LABEL_WIDTH - page_columns(name) - 2)
			      : NULL;

	if (!fitting) {
		page->failed = true;
		return;
	}
	page_line(page);
	page_add(page, STYLE_LABEL, "  %s", first ? "where" : "");
	page_pad(page, LABEL_WIDTH);
	page_add(page, frame->kind == FRAME_PYTHON ? STYLE_STRONG : STYLE_FAINT, "%s  %s", name, fitting);
}

static void add_frames(struct page *page, const struct findings *findings)
{
	const struct thread_findings *thread = report_thread(findings);
	size_t shown = 0, native = 0;

	if (!thread)
		return;
	bool python = thread->python.frames.n;
	// After an orderly exit the C stack is the interpreter's way out, which says nothing.
	if (!python && findings->snapshot->death.kind == DEATH_EXIT)
		return;
	for (size_t i = 0; i < thread->merged.frames.n && shown < FRAMES_MAX; i++) {
		const struct frame *frame = &thread->merged.frames.v[i];

		if (python && frame->kind == FRAME_NATIVE && native++ >= NATIVE_FIRST)
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

struct error *render_summary(const struct findings *findings, const char *path, bool colour,
			     struct buf *ret)
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
	buf_addstr(ret, "report: ");
	buf_clean(ret, path, strlen(path), "");
	buf_addstr(ret, "\n");
	return buf_error(ret);
}
