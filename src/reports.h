/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_REPORTS_H
#define PCATCH_REPORTS_H

#include "options.h"
#include "store/file.h"

/* The reports in the folder, grouped by cause and signature, on standard output. */
struct error *reports_list(const struct options *options) __attribute__((warn_unused_result));

/* Remove what is beyond the bounds, saying what; with --dry-run only say it. */
struct error *reports_prune(const struct options *options) __attribute__((warn_unused_result));

/* The same in silence, after a report has been written to STORE. */
struct error *reports_tidy(const struct store *store, const struct options *options)
	__attribute__((warn_unused_result));

#endif
