/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_RENDER_H
#define PCATCH_RENDER_RENDER_H

#include <stdbool.h>

#include "../analyse/findings.h"
#include "../buf.h"

struct render_files {
	const char *dump, *text, *json, *html; /* paths, NULL: not written */
};

/* The whole report for people, 80 columns; COLOUR puts in ANSI colours. */
struct error *render_text(const struct findings *findings, bool colour, struct buf *ret)
	__attribute__((warn_unused_result));

/* At most 24 lines for stderr at the death; who prints them adds "report: PATH". */
struct error *render_summary(const struct findings *findings, bool colour, struct buf *ret)
	__attribute__((warn_unused_result));

/* The report as report.schema.json has it. FILES may be NULL. */
struct error *render_json(const struct findings *findings, const struct render_files *files,
			  struct buf *ret) __attribute__((warn_unused_result));

/* The text report as one self-contained page: no scripts, nothing loaded from elsewhere. */
struct error *render_html(const struct findings *findings, struct buf *ret)
	__attribute__((warn_unused_result));

/*
 * What differs between two reports, which are called NAMES: for people, and for programs (schema
 * "pcatch.diff/1": reports, differences with area, what, a and b each, and gaps).
 */
struct error *render_diff_text(const struct findings *a, const struct findings *b,
			       const char *const names[2], bool colour, struct buf *ret)
	__attribute__((warn_unused_result));
struct error *render_diff_json(const struct findings *a, const struct findings *b,
			       const char *const names[2], struct buf *ret)
	__attribute__((warn_unused_result));

#endif
