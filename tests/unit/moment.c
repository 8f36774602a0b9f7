/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cleanup.h"
#include "moment.h"

#define SECOND INT64_C(1000000000)
#define NOW    (INT64_C(1764144219) * SECOND) /* 2025-11-26 08:03:39 UTC */

static void test_moments_as_people_write_them(void **state)
{
	static const struct {
		const char *text;
		int64_t at; /* nanoseconds; 0: none */
	} moments[] = {
		{ "2025-11-26T08:03:39Z", NOW },
		{ "2025-11-26 08:03:38.5Z", NOW - SECOND / 2 },
		{ "2025-11-26T09:03:39+01:00", NOW },
		{ "2024-02-29T00:00:00Z", INT64_C(1709164800) * SECOND },
		{ "2 hours ago", NOW - 7200 * SECOND },
		{ "90 s ago", NOW - 90 * SECOND },
		{ "1 week ago", NOW - 604800 * SECOND },
		{ "1764144219", NOW },
		// Clocks here are two hours ahead.
		{ "2025-11-26T10:03:39", NOW },
		{ "2025-11-26 10:03:38,5", NOW - SECOND / 2 },
		{ "2025-11-26 10:03", NOW - 39 * SECOND },
		{ "2025-11-26", NOW - (10 * 3600 + 3 * 60 + 39) * SECOND },
		{ "10:03", NOW - 39 * SECOND },
		{ "10:03:39", NOW },
		{ "10:03:39\0" "9", NOW }, // what is behind the end is not of it
		{ "10:04", NOW - (86400 - 21) * SECOND },
		{ "2025-02-30", 0 },
		{ "2025-02-30 10:00", 0 },
		{ "2025-11-26 10", 0 },
		{ "2025-11-26 10:03:", 0 },
		{ "2025-11-26 10:03:39 CET", 0 },
		{ "2025-11-26x", 0 },
		{ "10:60", 0 },
		{ "24:00", 0 },
		{ "1:03", 0 },
		{ "10:03Z", 0 },
		{ "", 0 },
		{ "now", 0 },
		{ "-5", 0 },
		{ "0", 0 },
		{ "99999999999999999999", 0 },
		{ "9223372036 days ago", 0 },
		{ "2 hours", 0 },
		{ "2 hours ago!", 0 },
		{ "2 fortnights ago", 0 },
		{ "2025-11-26T08:03:39ZZ", 0 },
		{ "2025-02-30T08:03:39Z", 0 },
		{ "2025-13-01T08:03:39Z", 0 },
		{ "2025-11-26T08:03:40Z", 0 },
	};

	(void)state;
	setenv("TZ", "EET-2", 1);
	tzset();
	for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
		int64_t at = 0;
		struct error *err = moment_parse(moments[i].text, NOW, &at);

		if (!err != (moments[i].at != 0) || (!err && at != moments[i].at))
			fail_msg("'%s': %lld", moments[i].text, (long long)at);
		error_free(err);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments_as_people_write_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
