/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_REPORT_H
#define PCATCH_RENDER_REPORT_H

#include "../analyse/findings.h"
#include "page.h"

/*
 * The whole report, most useful first. The first section has no title; its first line is the
 * verdict's summary on one line and nothing else. The same findings give the same page always.
 */
struct error *report_page(const struct findings *findings, struct page *ret)
	__attribute__((warn_unused_result));

/* "process", "ended", "cause" and so on: the facts that a reader wants right below the verdict. */
void report_head(struct page *page, const struct findings *findings, bool brief);

/* The thread whose stack says most: the dying one, else the main thread; NULL: there are none. */
const struct thread_findings *report_thread(const struct findings *findings);

#endif
