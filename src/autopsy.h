/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_AUTOPSY_H
#define PCATCH_AUTOPSY_H

#include "options.h"
#include "store/file.h"

/*
 * Gather what is left of a process that ended while nobody was attached, and report it as deliver()
 * does. ALIVE_RET says that the process has not ended at all; that is reported, too.
 */
struct error *autopsy(const struct store *store, const struct options *options, bool *alive_ret)
	__attribute__((warn_unused_result));

#endif
