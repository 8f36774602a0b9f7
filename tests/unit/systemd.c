/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analyse/systemd.h"
#include "cleanup.h"

static void test_words_of_all_versions(void **state)
{
	static const struct {
		const char *message;
		struct unit_event want;
	} table[] = {
		{ "web.service: State 'stop-sigterm' timed out. Killing.", { UNIT_OVERDUE, 0, 0 } },
		{ "web.service stop-sigterm timed out. Killing.", { UNIT_OVERDUE, 0, 0 } },
		{ "web.service: start operation timed out. Terminating.", { UNIT_OVERDUE, 0, 0 } },
		{ "web.service: Watchdog timeout (limit 30s)!", { UNIT_UNHEARD, 0, 0 } },
		{ "web.service watchdog timeout (limit 30s)!", { UNIT_UNHEARD, 0, 0 } },
		{ "web.service: Killing process 4242 (python3) with signal SIGKILL.",
		  { UNIT_SIGNALLED, 4242, SIGKILL } },
		{ "web.service: Killing process 4242 (a process 7) with signal SIGABRT.",
		  { UNIT_SIGNALLED, 4242, SIGABRT } },
		{ "web.service: Sent signal SIGTERM to main process 4242 (python3) on client "
		  "request.",
		  { UNIT_REQUESTED, 4242, SIGTERM } },
		{ "web.service: A process of this unit has been killed by the OOM killer.",
		  { UNIT_OOM, 0, 0 } },
		{ "web.service: The kernel OOM killer killed some processes in this unit.",
		  { UNIT_OOM, 0, 0 } },
		{ "web.service: systemd-oomd killed 3 process(es) in this unit.",
		  { UNIT_OOMD, 0, 0 } },
		{ "web.service: Service reached runtime time limit. Stopping.",
		  { UNIT_EXPIRED, 0, 0 } },
		{ "Stopping web.service - The web...", { UNIT_STOPPING, 0, 0 } },
		{ "Stopped web.service - The web.", { UNIT_OTHER, 0, 0 } },
		{ "web.service: Main process exited, code=killed, status=9/KILL",
		  { UNIT_OTHER, 0, 0 } },
		{ "web.service: Killing process x (python3) with signal SIGKILL.",
		  { UNIT_OTHER, 0, 0 } },
		{ "web.service: Killing process 99999999999 (x) with signal SIGKILL.",
		  { UNIT_OTHER, 0, 0 } },
		{ "web.service: Killing process 4242 (x) with signal SIGNONE.",
		  { UNIT_OTHER, 0, 0 } },
		{ "", { UNIT_OTHER, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct unit_event got;
		bool known = systemd_parse(table[i].message, &got);

		if (got.kind != table[i].want.kind || got.pid != table[i].want.pid ||
		    got.signo != table[i].want.signo || known != (got.kind != UNIT_OTHER))
			fail_msg("%s: kind %d, pid %d, signal %d", table[i].message, (int)got.kind,
				 (int)got.pid, got.signo);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_of_all_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
