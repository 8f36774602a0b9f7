/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TESTS_RENDER_SAMPLES_H
#define PCATCH_TESTS_RENDER_SAMPLES_H

#include "analyse/findings.h"

/* Findings made by hand, as a report may meet them. */
struct sample_case {
	const char *name;
	void (*make)(struct snapshot *snapshot, struct findings *findings);
};

extern const struct sample_case sample_cases[];
extern const size_t n_sample_cases;

/* The findings of the case NAME, which must be one; release with sample_deinit. */
struct sample_findings {
	struct snapshot snapshot;
	struct findings findings;
};

void sample_init(struct sample_findings *sample, const char *name);
void sample_deinit(struct sample_findings *sample);

/* The names of what can be rendered: "text", "colour", "summary", "json", "html". */
struct buf sample_render(const struct sample_findings *sample, const char *format);

#endif
