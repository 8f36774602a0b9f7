/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_TEXT_H
#define PCATCH_RENDER_TEXT_H

#include "../buf.h"
#include "page.h"

/* LINE with its newline and no spaces before that; with COLOUR in ANSI colours. */
void text_line(const struct page_line *line, bool colour, struct buf *ret);

/* All sections of PAGE but the details. */
struct error *text_page(const struct page *page, bool colour, struct buf *ret)
	__attribute__((warn_unused_result));

#endif
