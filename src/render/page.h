/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_PAGE_H
#define PCATCH_RENDER_PAGE_H

#include <stdarg.h>
#include <stdbool.h>

#include "../arena.h"

/*
 * A report laid out in lines of PAGE_WIDTH columns, before it becomes a terminal's text or a web
 * page. Sections hold lines, lines hold runs of one style. Whatever is put on it is made clean
 * (buf_clean): no text can leave its line or drive a terminal. A failed append is remembered
 * and reported by page_error() once at the end, as with struct buf.
 */
#define PAGE_WIDTH 80

enum style { STYLE_PLAIN, STYLE_VERDICT, STYLE_LABEL, STYLE_STRONG, STYLE_FAINT, STYLE_ALERT };

struct page_run {
	enum style style;
	char *text;
};

struct page_line {
	LIST(struct page_run) runs;
	size_t width; /* columns, a code point each */
};

enum page_depth {
	PAGE_SHOWN,
	PAGE_FOLDED, /* a web page keeps it closed until it is asked for */
	PAGE_DETAIL, /* the same, and the text report leaves it out */
};

struct page_section {
	const char *id; /* names the section in a web page; static */
	char *title;	/* NULL: none */
	enum page_depth depth;
	LIST(struct page_line) lines;
};

struct page {
	struct arena arena;
	LIST(struct page_section) sections;
	bool failed;
};

void page_deinit(struct page *page);
struct error *page_error(const struct page *page) __attribute__((warn_unused_result));

void page_section(struct page *page, const char *id, enum page_depth depth, const char *title, ...)
	__attribute__((format(printf, 4, 5)));

/* Start a line in the last section. */
void page_line(struct page *page);

/* Add to the last line, whatever its width. */
void page_add(struct page *page, enum style style, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Spaces up to COLUMN; two when the line is there or beyond. */
void page_pad(struct page *page, size_t column);

/*
 * Add words, going to new lines that start at COLUMN when PAGE_WIDTH is met. A word that is
 * wider than a line, such as a path, stays whole so that it can be copied, within reason.
 */
void page_words(struct page *page, enum style style, size_t column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A line "  label       words". */
void page_field(struct page *page, const char *label, enum style style, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A line "  - words". */
void page_bullet(struct page *page, enum style style, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* One line of somebody else's text behind "  | ", broken only where the page ends. */
void page_quote(struct page *page, const char *text);
/* The same behind "  MARK ". */
void page_quote_as(struct page *page, char mark, const char *text);

/*
 * The next line of *TEXT, which goes on behind it, and its length, cut to a sane one; NULL when
 * there is none.
 */
const char *page_next_line(const char **text, int *len);

/* Columns of TEXT, one for each code point. */
size_t page_columns(const char *text);

/* TEXT, or its two ends with "..." between them when it is wider than MAX; lives in ARENA. */
char *page_elide(struct arena *arena, const char *text, size_t max)
	__attribute__((warn_unused_result));

/* The same, but the beginning stays. */
char *page_elide_tail(struct arena *arena, const char *text, size_t max)
	__attribute__((warn_unused_result));

/* The same, but the end stays. */
char *page_elide_head(struct arena *arena, const char *text, size_t max)
	__attribute__((warn_unused_result));

#endif
