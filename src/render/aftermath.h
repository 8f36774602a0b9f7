/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_AFTERMATH_H
#define PCATCH_RENDER_AFTERMATH_H

#include "../analyse/findings.h"
#include "out.h"
#include "page.h"

/* Of an autopsy: between which moments it ended. */
void aftermath_head(struct page *page, const struct findings *findings);

/* Who is left and what others wrote down; nothing where the report is no autopsy. */
void aftermath_print(struct page *page, const struct findings *findings);

/* The same as JSON, null for no autopsy. */
json_t *aftermath_json(struct out *o, const struct findings *findings);

#endif
