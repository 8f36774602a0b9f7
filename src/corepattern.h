/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_COREPATTERN_H
#define PCATCH_COREPATTERN_H

#include "options.h"

/*
 * kernel.core_pattern set to this program as core-handler with the options that were given to it
 * now, and put back. What stood there before is kept in /run until then, since a restart of the
 * machine puts it back, too. What is done, and what it replaces, is said on standard output; with
 * `print` nothing is done, and the commands that would do it are printed.
 */
struct error *core_pattern_install(const struct options *options)
	__attribute__((warn_unused_result));
struct error *core_pattern_uninstall(const struct options *options)
	__attribute__((warn_unused_result));

#endif
