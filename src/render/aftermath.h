/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_AFTERMATH_H
#define PCATCH_RENDER_AFTERMATH_H

#include <jansson.h>

#include "../analyse/findings.h"
#include "page.h"

/* Of an autopsy: between which moments it ended. */
void aftermath_head(struct page *page, const struct findings *findings);

/* Who is left and what others wrote down; nothing where the report is no autopsy. */
void aftermath_print(struct page *page, const struct findings *findings);

/* The same as JSON, null for no autopsy; NULL when there is no memory. ARENA is for the making only. */
json_t *aftermath_json(const struct findings *findings, struct arena *arena);

#endif
