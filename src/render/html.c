// SPDX-License-Identifier: GPL-3.0-or-later
#include "render.h"

#include <string.h>

#include "../cleanup.h"
#include "plot.h"
#include "report.h"

static const char head[] = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			   "<meta http-equiv=\"Content-Security-Policy\" "
			   "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
			   "<meta name=\"viewport\" content=\"width=device-width\">\n";

static const char style[] =
	"<style>\n"
	"body{max-width:62rem;margin:1.5rem auto;padding:0 1rem;font:1rem/1.45 "
	"system-ui,sans-serif;"
	"color:#1c1c1c;background:#fff}\n"
	"h1{font-size:1.35rem;line-height:1.35;border-left:.35rem solid #b3261e;padding-left:.8rem;"
	"overflow-wrap:anywhere}\n"
	"h2,summary{font-size:1.05rem;font-weight:600;margin:1.4rem 0 "
	".3rem;overflow-wrap:anywhere}\n"
	"summary{cursor:pointer}\n"
	"pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;"
	"font:.85rem/1.4 ui-monospace,monospace}\n"
	".label{color:#3d5a73}.strong{font-weight:600}.faint{color:#666}\n"
	".alert{color:#9a3412;font-weight:600}\n"
	"@media(prefers-color-scheme:dark){body{color:#e4e4e4;background:#161616}.label{color:#"
	"8fb4d4}"
	".faint{color:#9a9a9a}.alert{color:#ffb480}}\n"
	"</style>\n";

static const char *const classes[] = {
	[STYLE_PLAIN] = NULL,	   [STYLE_VERDICT] = "strong", [STYLE_LABEL] = "label",
	[STYLE_STRONG] = "strong", [STYLE_FAINT] = "faint",    [STYLE_ALERT] = "alert",
};

static void add_escaped(struct buf *buf, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&':
			buf_addstr(buf, "&amp;");
			break;
		case '<':
			buf_addstr(buf, "&lt;");
			break;
		case '>':
			buf_addstr(buf, "&gt;");
			break;
		case '"':
			buf_addstr(buf, "&quot;");
			break;
		case '\'':
			buf_addstr(buf, "&#39;");
			break;
		default:
			buf_add(buf, text, 1);
		}
}

static void add_line(struct buf *buf, const struct page_line *line)
{
	for (size_t i = 0; i < line->runs.n; i++) {
		const struct page_run *run = &line->runs.v[i];
		const char *class = classes[run->style];

		if (class)
			buf_printf(buf, "<span class=\"%s\">", class);
		add_escaped(buf, run->text);
		if (class)
			buf_addstr(buf, "</span>");
	}
	buf_addstr(buf, "\n");
}

static void add_section(struct buf *buf, const struct page_section *section, size_t first_line,
			const struct findings *findings)
{
	bool folds = section->depth != PAGE_SHOWN;

	buf_printf(buf, folds ? "<details class=\"%s\">\n" : "<section class=\"%s\">\n",
		   section->id);
	if (section->title) {
		buf_addstr(buf, folds ? "<summary>" : "<h2>");
		add_escaped(buf, section->title);
		buf_addstr(buf, folds ? "</summary>\n" : "</h2>\n");
	}
	if (!strcmp(section->id, PLOT_SECTION)) {
		plot_draw(findings, buf);
		buf_addstr(buf, "</section>\n");
		return;
	}
	buf_addstr(buf, "<pre>");
	for (size_t i = first_line; i < section->lines.n; i++)
		add_line(buf, &section->lines.v[i]);
	buf_addstr(buf, folds ? "</pre>\n</details>\n" : "</pre>\n</section>\n");
}

struct error *render_html(const struct findings *findings, struct buf *ret)
{
	const struct process *process = &findings->snapshot->process;
	_cleanup_(page_deinit) struct page page = {};
	_cleanup_(buf_deinit) struct buf clean = {};

	struct error *err = report_page(findings, &page);
	if (err)
		return err;
	buf_clean(&clean, process->comm, strlen(process->comm), "");
	_cleanup_(freep) char *comm = buf_steal(&clean);
	if (!comm)
		return error_nomem();
	buf_printf(ret, "%s<title>%s: ", head, cause_name(findings->verdict.cause));
	add_escaped(ret, comm);
	buf_printf(ret, " %d</title>\n%s</head>\n<body>\n<h1>", (int)process->pid, style);
	// The page's first line is the verdict, and an empty one follows.
	const struct page_section *first = &page.sections.v[0];
	for (size_t i = 0; i < first->lines.v[0].runs.n; i++)
		add_escaped(ret, first->lines.v[0].runs.v[i].text);
	buf_addstr(ret, "</h1>\n");
	for (size_t i = 0; i < page.sections.n; i++)
		add_section(ret, &page.sections.v[i], i ? 0 : 2, findings);
	buf_addstr(ret, "</body>\n</html>\n");
	return buf_error(ret);
}
