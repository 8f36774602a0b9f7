/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_EXCEPTIONS_H
#define PCATCH_RENDER_EXCEPTIONS_H

#include "../analyse/findings.h"
#include "page.h"

/* The section about EXCEPTION, which nobody caught. */
void exceptions_section(struct page *page, const struct exception *exception);

/* What THREAD was handling or raising, as lines; none for nothing. */
void exceptions_print(struct page *page, const struct thread_findings *thread);

#endif
