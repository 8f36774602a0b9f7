/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_SYSTEMD_H
#define PCATCH_ANALYSE_SYSTEMD_H

#include <stdbool.h>
#include <sys/types.h>

/* What systemd writes of a unit, in the words of versions 219 to 257. */

enum unit_event_kind {
	UNIT_OTHER,
	UNIT_STOPPING, /* "Stopping web.service...": for systemctl, another unit or a shutdown */
	UNIT_OVERDUE,  /* "State 'stop-sigterm' timed out. Killing." */
	UNIT_UNHEARD,  /* "Watchdog timeout (limit 30s)!" */
	UNIT_EXPIRED,  /* "Service reached runtime time limit. Stopping." */
	/* "Killing process 42 (web) with signal SIGKILL.": of systemd's own accord */
	UNIT_SIGNALLED,
	/* "Sent signal SIGTERM to main process 42 (web) on client request.": systemctl kill */
	UNIT_REQUESTED,
	/* "A process of this unit has been killed by the OOM killer.": which, it cannot say */
	UNIT_OOM,
	UNIT_OOMD,     /* "systemd-oomd killed 3 process(es) in this unit." */
};

struct unit_event {
	enum unit_event_kind kind;
	pid_t pid; /* UNIT_SIGNALLED, UNIT_REQUESTED; else 0 */
	int signo; /* likewise */
};

/* False, and UNIT_OTHER, for anything else. */
bool systemd_parse(const char *message, struct unit_event *ret);

#endif
