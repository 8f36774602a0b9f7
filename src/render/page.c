// SPDX-License-Identifier: GPL-3.0-or-later
#include "page.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

#define FIELD_COLUMN 14
#define WORD_MAX     180  // columns of one unbroken word; a longer one is nobody's path
#define TEXT_MAX     2000 // columns of one piece of running text
#define LINE_MAX_LEN 4096 // bytes of one line of a text
#define QUOTE_MAX    2000 // columns of one quoted line

void page_deinit(struct page *page)
{
	arena_deinit(&page->arena);
	*page = (struct page){};
}

struct error *page_error(const struct page *page)
{
	return page->failed ? error_nomem() : NULL;
}

static bool continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t page_columns(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += !continuation(*text);
	return n;
}

// What follows the first N code points.
static const char *skip_columns(const char *text, size_t n)
{
	while (*text && n) {
		do
			text++;
		while (continuation(*text));
		n--;
	}
	return text;
}

char *page_elide(struct arena *arena, const char *text, size_t max)
{
	size_t width = page_columns(text);

	if (width <= max)
		return arena_strdup(arena, text);
	// The end of a name or a path says more than its beginning.
	size_t keep = max > 3 ? max - 3 : 0, tail = keep - keep / 2;
	const char *head = skip_columns(text, keep / 2);

	return arena_printf(arena, "%.*s...%s", (int)(head - text), text,
			    skip_columns(head, width - keep / 2 - tail));
}

char *page_elide_tail(struct arena *arena, const char *text, size_t max)
{
	if (page_columns(text) <= max)
		return arena_strdup(arena, text);
	const char *end = skip_columns(text, max > 3 ? max - 3 : 0);
	return arena_printf(arena, "%.*s...", (int)(end - text), text);
}

char *page_elide_head(struct arena *arena, const char *text, size_t max)
{
	size_t width = page_columns(text);

	if (width <= max)
		return arena_strdup(arena, text);
	return arena_printf(arena, "...%s", skip_columns(text, width - (max > 3 ? max - 3 : 0)));
}

static char *clean_text(struct page *page, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

// Formatted and made clean; NULL after a failure. Free it.
static char *clean_text(struct page *page, const char *fmt, va_list ap)
{
	_cleanup_(freep) char *raw = NULL;
	_cleanup_(buf_deinit) struct buf clean = {};

	int len = vasprintf(&raw, fmt, ap);
	if (len < 0) {
		raw = NULL;
		page->failed = true;
		return NULL;
	}
	buf_clean(&clean, raw, (size_t)len, "");
	char *ret = buf_steal(&clean);
	page->failed |= !ret;
	return ret;
}

void page_section(struct page *page, const char *id, enum page_depth depth, const char *title, ...)
{
	struct page_section *section = LIST_ADD(&page->arena, &page->sections);
	va_list ap;

	if (!section) {
		page->failed = true;
		return;
	}
	section->id = id;
	section->depth = depth;
	if (!title)
		return;
	va_start(ap, title);
	_cleanup_(freep) char *text = clean_text(page, title, ap);
	va_end(ap);
	section->title = text ? arena_strdup(&page->arena, text) : NULL;
	page->failed |= !section->title;
}

static struct page_line *last_line(struct page *page)
{
	if (!page->sections.n)
		return NULL;
	struct page_section *section = &page->sections.v[page->sections.n - 1];
	return section->lines.n ? &section->lines.v[section->lines.n - 1] : NULL;
}

void page_line(struct page *page)
{
	struct page_section *section =
		page->sections.n ? &page->sections.v[page->sections.n - 1] : NULL;

	if (!section || !LIST_ADD(&page->arena, &section->lines))
		page->failed = true;
}

static void add_clean(struct page *page, enum style style, const char *text, size_t len)
{
	struct page_line *line = last_line(page);

	if (!len)
		return;
	char *copy = arena_strndup(&page->arena, text, len);
	struct page_run *run = line && copy ? LIST_ADD(&page->arena, &line->runs) : NULL;
	if (!run) {
		page->failed = true;
		return;
	}
	*run = (struct page_run){ .style = style, .text = copy };
	line->width += page_columns(copy);
}

void page_add(struct page *page, enum style style, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_(freep) char *text = clean_text(page, fmt, ap);
	va_end(ap);
	if (text)
		add_clean(page, style, text, strlen(text));
}

void page_pad(struct page *page, size_t column)
{
	const struct page_line *line = last_line(page);
	size_t width = line ? line->width : 0;

	page_add(page, STYLE_PLAIN, "%*s", width < column ? (int)(column - width) : 2, "");
}

static size_t line_width(struct page *page)
{
	const struct page_line *line = last_line(page);

	return line ? line->width : 0;
}

static void indented_line(struct page *page, size_t column)
{
	page_line(page);
	if (column)
		page_pad(page, column);
}

static void add_words(struct page *page, enum style style, size_t column, const char *text)
{
	const char *end = skip_columns(text, TEXT_MAX);
	bool first = true, cut = *end;
	size_t indent = strspn(text, " ");

	add_clean(page, style, text, indent);
	text += indent;
	while (text < end) {
		text += strspn(text, " ");
		const char *word_end = text + strcspn(text, " ");
		if (word_end > end)
			word_end = end;
		if (skip_columns(text, WORD_MAX) < word_end) {
			size_t at = line_width(page) + !first;
			word_end = skip_columns(text, at < PAGE_WIDTH ? PAGE_WIDTH - at : 1);
			if (at + 1 >= PAGE_WIDTH) {
				indented_line(page, column);
				first = true;
				continue;
			}
		}
		if (word_end == text)
			break;
		_cleanup_(freep) char *word = strndup(text, (size_t)(word_end - text));
		if (!word) {
			page->failed = true;
			return;
		}
		if (!first && line_width(page) + 1 + page_columns(word) > PAGE_WIDTH) {
			indented_line(page, column);
			first = true;
		}
		if (!first)
			add_clean(page, style, " ", 1);
		add_clean(page, style, word, strlen(word));
		first = false;
		text = word_end;
		if (page->failed)
			return;
	}
	if (cut)
		page_add(page, style, " ...");
}

void page_words(struct page *page, enum style style, size_t column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_(freep) char *text = clean_text(page, fmt, ap);
	va_end(ap);
	if (text)
		add_words(page, style, column, text);
}

void page_field(struct page *page, const char *label, enum style style, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_(freep) char *text = clean_text(page, fmt, ap);
	va_end(ap);
	page_line(page);
	page_add(page, STYLE_LABEL, "  %s", label);
	page_pad(page, FIELD_COLUMN);
	if (text)
		add_words(page, style, FIELD_COLUMN, text);
}

void page_bullet(struct page *page, enum style style, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_(freep) char *text = clean_text(page, fmt, ap);
	va_end(ap);
	page_line(page);
	page_add(page, STYLE_PLAIN, "  - ");
	if (text)
		add_words(page, style, 4, text);
}

// Where a line of at most WIDTH columns that starts at AT ends: behind a space if one is near.
static const char *line_break(const char *at, const char *end, size_t width)
{
	const char *last = skip_columns(at, width);

	if (last >= end)
		return end;
	for (const char *p = last; p > at + width / 2; p--)
		if (p[-1] == ' ')
			return p;
	return last;
}

void page_quote(struct page *page, const char *text)
{
	page_quote_as(page, '|', text);
}

void page_quote_as(struct page *page, char mark, const char *text)
{
	_cleanup_(buf_deinit) struct buf clean = {};
	size_t width = PAGE_WIDTH - 4;

	// A tab's width is the terminal's business, a log's columns are not ours to keep.
	for (size_t n; *text; text += n) {
		n = strcspn(text, "\t");
		buf_clean(&clean, text, n, "");
		if (text[n] == '\t') {
			buf_addstr(&clean, "    ");
			n++;
		}
	}
	_cleanup_(freep) char *line = buf_steal(&clean);
	if (!line) {
		page->failed = true;
		return;
	}
	const char *at = line, *end = skip_columns(line, QUOTE_MAX);
	page_line(page);
	page_add(page, STYLE_FAINT, "  %c ", mark);
	while (at < end) {
		const char *next = line_break(at, end, at == line ? width : width - 2);

		if (at != line) {
			page_line(page);
			page_add(page, STYLE_FAINT, "  +   ");
		}
		add_clean(page, STYLE_PLAIN, at, (size_t)(next - at));
		at = next;
	}
	if (*end) {
		page_line(page);
		page_add(page, STYLE_FAINT, "  +   ... %zu characters more", page_columns(end));
	}
}

const char *page_next_line(const char **text, int *len)
{
	const char *line = *text;

	if (!*line)
		return NULL;
	size_t n = strcspn(line, "\n");
	*text = line + n + (line[n] == '\n');
	*len = (int)(n < LINE_MAX_LEN ? n : LINE_MAX_LEN);
	return line;
}
