/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_DOCTOR_H
#define PCATCH_DOCTOR_H

#include "options.h"

/*
 * Say on standard output what pcatch can do here and now, for this user and for the process
 * options->pid (0: for none in particular), and for each thing that it cannot the one way to mend it.
 * By trying wherever that harms nobody: on children of our own; the process itself is looked at, not
 * stopped. WORKS_RET: a death could be caught and reported.
 */
struct error *doctor(const struct options *options, bool *works_ret)
	__attribute__((warn_unused_result));

#endif
