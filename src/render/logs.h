/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_LOGS_H
#define PCATCH_RENDER_LOGS_H

#include "../analyse/findings.h"
#include "out.h"
#include "page.h"

/* What the logs tell of the end, and the stack that faulthandler wrote. */
void logs_print_hints(struct page *page, const struct findings *findings);

/* The last lines, with whose they are where they are marked. */
void logs_print(struct page *page, const struct findings *findings);

/* The same as JSON, without any text of the logs: an entry for each line of log INDEX; the hints. */
json_t *logs_json_lines(struct out *o, const struct findings *findings, size_t index);
json_t *logs_json_hints(struct out *o, const struct findings *findings);

#endif
