// SPDX-License-Identifier: GPL-3.0-or-later
#include "exceptions.h"

#include "stacks.h"

#define EXCEPTIONS_MAX 16 // of a chain of causes
#define TRACEBACK_MAX  60 // lines
#define BRIEF_MAX      4  // of a chain beneath a thread
#define BRIEF_COLUMNS  300

static void print_traceback(struct page *page, const struct stack *traceback)
{
	size_t n = traceback->frames.n, left_out = n > TRACEBACK_MAX ? n - TRACEBACK_MAX : 0;

	if (!n)
		return;
	page_line(page);
	page_add(page, STYLE_LABEL, "  Traceback (most recent call last):");
	// As the interpreter prints it, which is the other way round than our stacks.
	for (size_t i = 0; i < n; i++) {
		const struct frame *frame = &traceback->frames.v[n - 1 - i];

		page_line(page);
		if (left_out && i == TRACEBACK_MAX / 2) {
			page_add(page, STYLE_LABEL, "    ... %zu frames are left out here",
				 left_out);
			i += left_out - 1;
			continue;
		}
		page_words(page, STYLE_PLAIN, 6, "    File \"%s\", line %d, in %s",
			   frame->file ? frame->file : "?", frame->line,
			   frame->function ? frame->function : "?");
	}
}

// TEXT as lines of its own, the first behind TYPE.
static void print_said(struct page *page, const char *type, const char *text)
{
	int len = 0;
	const char *line = page_next_line(&text, &len);

	page_line(page);
	page_words(page, STYLE_STRONG, 4, "  %s%s%.*s", type, line && *type ? ": " : "", len,
		   line ? line : "");
	while ((line = page_next_line(&text, &len))) {
		page_line(page);
		page_words(page, STYLE_STRONG, 4, "  %.*s", len, line);
	}
}

static void print_label(struct page *page, const char *label)
{
	page_line(page);
	page_words(page, STYLE_LABEL, 4, "  %s", label);
}

static void print_one(struct page *page, const struct exception *e)
{
	print_traceback(page, &e->traceback);
	print_said(page, e->type, e->message ? e->message : "");
	for (size_t i = 0; i < e->notes.n; i++)
		print_said(page, "", e->notes.v[i]);
	if (e->own_str)
		print_label(page, "[its class has a __str__ of its own, which was not run: this is what "
				  "the built-in class would say]");
	if (e->source) {
		page_line(page);
		page_words(page, STYLE_LABEL, 4, "  [%s%s]", e->source,
			   e->followed ? "; more was written behind it" : "");
	}
}

// What E is made of and came of. Groups may lie in groups, as deep as the walk goes.
static void print_exception(struct page *page, const struct exception *e)
{
	for (int depth = 0; e && depth < EXCEPTIONS_MAX; depth++, e = e->cause) {
		print_one(page, e);
		for (size_t i = 0; i < e->members.n; i++) {
			page_line(page);
			page_words(page, STYLE_LABEL, 4, "  %s, exception %zu of %llu:", e->type, i + 1,
				   (unsigned long long)e->n_members);
			print_exception(page, e->members.v[i]);
		}
		if (e->cause && depth + 1 < EXCEPTIONS_MAX)
			print_label(page, !e->recorded    ? "which came from:"
					  : e->is_context ? "raised during the handling of:"
							  : "directly caused by:");
	}
}

void exceptions_section(struct page *page, const struct findings *findings)
{
	const struct exception *exception = findings->python.exception;

	if (!exception)
		return;
	page_section(page, "exception", PAGE_SHOWN,
		     exception->recorded || findings->verdict.cause == CAUSE_UNCAUGHT_EXCEPTION
			     ? "The exception that nobody caught:"
			     : "The last traceback in a log:");
	print_exception(page, exception);
}

// "ValueError: boom, raised in query (/srv/app.py:10)"
static void print_brief(struct page *page, const char *label, const struct exception *exception)
{
	const struct frame *frame = exception->traceback.frames.n ? &exception->traceback.frames.v[0]
								   : NULL;
	const char *text = exception->message ? exception->message : "";
	int len = 0;
	const char *line = page_next_line(&text, &len);
	char *message = arena_printf(&page->arena, "%s%s%.*s%s", exception->type, line ? ": " : "",
				     len, line ? line : "", *text ? " ..." : "");
	char *brief = message ? page_elide_tail(&page->arena, message, BRIEF_COLUMNS) : NULL;
	char *function = frame ? frame_function(&page->arena, frame) : NULL;
	char *place = frame ? frame_place(&page->arena, frame, false) : NULL;

	if (!brief || (frame && (!function || !place))) {
		page->failed = true;
		return;
	}
	page_line(page);
	page_add(page, STYLE_LABEL, "    %s ", label);
	page_words(page, STYLE_STRONG, 6, "%s", brief);
	if (frame)
		page_words(page, STYLE_PLAIN, 6, ", raised in %s (%s)", function, place);
}

static void print_chain(struct page *page, const char *label, const struct exception *exception)
{
	size_t n = 0;

	for (; exception; exception = exception->cause, n++) {
		if (n < BRIEF_MAX)
			print_brief(page, label, exception);
		label = exception->is_context ? "raised while handling" : "caused by";
	}
	if (n > BRIEF_MAX) {
		page_line(page);
		page_add(page, STYLE_LABEL, "    ... and %zu more that it came of", n - BRIEF_MAX);
	}
}

void exceptions_print(struct page *page, const struct thread_findings *thread)
{
	print_chain(page, "handling", thread->handled);
	print_chain(page, "raising", thread->raised);
}
