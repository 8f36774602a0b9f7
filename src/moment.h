/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_MOMENT_H
#define PCATCH_MOMENT_H

#include <stdint.h>

#include "error.h"

/*
 * A moment as people write it: RFC 3339 ("2026-11-26T08:03:39Z", with a blank for the T too, and
 * with a zone); without a zone, without seconds, without a clock ("2026-11-26") or without a date
 * ("08:03") as clocks here show it; "2 hours ago" (seconds to weeks); or seconds since 1970. NOW
 * and RET are nanoseconds since the epoch. ERROR_INPUT for everything else, and for what is not
 * before NOW.
 */
struct error *moment_parse(const char *text, int64_t now, int64_t *ret)
	__attribute__((warn_unused_result));

#endif
