/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_SURROUNDINGS_H
#define PCATCH_RENDER_SURROUNDINGS_H

#include "../analyse/findings.h"
#include "page.h"

/*
 * What lay around the process when it ended: open files, last log lines, limits, signals and
 * memory, modules, environment, the time before. THREAD's stack says which modules matter; NULL
 * for none.
 */
void surroundings_print(struct page *page, const struct findings *findings,
			const struct thread_findings *thread);

#endif
