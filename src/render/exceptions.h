/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_EXCEPTIONS_H
#define PCATCH_RENDER_EXCEPTIONS_H

#include "../analyse/findings.h"
#include "page.h"

/*
 * The section about the exception that the interpreter or a log tells of; none for nothing. What
 * only a log tells of is the one that nobody caught where that is the verdict; else it may be
 * another process's, or have come to nothing.
 */
void exceptions_section(struct page *page, const struct findings *findings);

/* What THREAD was handling or raising, as lines; none for nothing. */
void exceptions_print(struct page *page, const struct thread_findings *thread);

#endif
