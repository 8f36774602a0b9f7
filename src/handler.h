/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_HANDLER_H
#define PCATCH_HANDLER_H

#include "options.h"

/*
 * What the kernel starts for a crash when kernel.core_pattern says so: the core comes on standard
 * input, and the process is held until that has been read or closed. The report belongs to the
 * user whose process it was if the user might have looked into that, else to root.
 */
struct error *handle_core(const struct options *options) __attribute__((warn_unused_result));

#endif
