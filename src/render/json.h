/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_JSON_H
#define PCATCH_RENDER_JSON_H

#include "../analyse/findings.h"
#include "out.h"

/* Parts of the report that render_json() puts together. New references; a failure is in O. */

json_t *process_json(struct out *o, const struct process *process);
/* null when there are no samples. */
json_t *timeline_json(struct out *o, const struct findings *findings);

#endif
