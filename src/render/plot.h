/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_PLOT_H
#define PCATCH_RENDER_PLOT_H

#include "../analyse/findings.h"
#include "../buf.h"
#include "page.h"

/* The section that holds the plot, in whose place a web page has the drawing. */
#define PLOT_SECTION "memory"

/* Memory over time as a section of block characters; nothing with too few samples for a plot. */
void plot_print(struct page *page, const struct findings *findings);

/* The same as a drawing (SVG); it scales, and has the page's colours. */
void plot_draw(const struct findings *findings, struct buf *ret);

#endif
