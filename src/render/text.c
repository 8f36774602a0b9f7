// SPDX-License-Identifier: GPL-3.0-or-later
#include "render.h"

#include <string.h>

#include "../cleanup.h"
#include "report.h"
#include "text.h"

static const char *const colours[] = {
	[STYLE_PLAIN] = NULL,	    [STYLE_VERDICT] = "\033[1;31m", [STYLE_LABEL] = "\033[36m",
	[STYLE_STRONG] = "\033[1m", [STYLE_FAINT] = "\033[2m",	    [STYLE_ALERT] = "\033[1;33m",
};

void text_line(const struct page_line *line, bool colour, struct buf *ret)
{
	size_t spaces = 0;

	for (size_t i = 0; i < line->runs.n; i++) {
		const struct page_run *run = &line->runs.v[i];
		const char *on = colour ? colours[run->style] : NULL;
		size_t lead = strspn(run->text, " "), len = strlen(run->text), end = len;

		// Spaces wait for what follows them, so that no line ends with one.
		spaces += lead;
		if (lead == len)
			continue;
		while (run->text[end - 1] == ' ')
			end--;
		buf_printf(ret, "%*s", (int)spaces, "");
		spaces = len - end;
		if (on)
			buf_addstr(ret, on);
		buf_add(ret, run->text + lead, end - lead);
		if (on)
			buf_addstr(ret, "\033[0m");
	}
	buf_addstr(ret, "\n");
}

struct error *text_page(const struct page *page, bool colour, struct buf *ret)
{
	for (size_t i = 0; i < page->sections.n; i++) {
		const struct page_section *section = &page->sections.v[i];

		if (section->depth == PAGE_DETAIL)
			continue;
		if (i)
			buf_addstr(ret, "\n");
		if (section->title)
			buf_printf(ret, colour ? "\033[1;4m%s\033[0m\n" : "%s\n", section->title);
		for (size_t k = 0; k < section->lines.n; k++)
			text_line(&section->lines.v[k], colour, ret);
	}
	return buf_error(ret);
}

struct error *render_text(const struct findings *findings, bool colour, struct buf *ret)
{
	_cleanup_(page_deinit) struct page page = {};
	struct error *err = report_page(findings, &page);

	return err ? err : text_page(&page, colour, ret);
}
