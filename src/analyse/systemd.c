/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "systemd.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "logline.h"

// "SIGKILL" up to what is no letter or digit; 0 for what is none.
static int signal_at(const char *s)
{
	char small[16];
	size_t n = 0;

	for (; n < sizeof(small) - 1 && isalnum((unsigned char)s[n]); n++)
		small[n] = (char)tolower((unsigned char)s[n]);
	small[n] = '\0';
	return logline_signal(small);
}

// The number behind WORD; 0 for none that may be a pid.
static pid_t pid_behind(const char *message, const char *word)
{
	const char *at = strstr(message, word);
	long v = at ? strtol(at + strlen(word), NULL, 10) : 0;

	return v > 0 && v <= INT32_MAX ? (pid_t)v : 0;
}

static bool parse_signal(const char *message, const char *verb, const char *with, const char *whom,
			 struct unit_event *ret)
{
	const char *at = strstr(message, verb), *signal = at ? strstr(at, with) : NULL;

	if (!signal)
		return false;
	ret->pid = pid_behind(at, whom);
	ret->signo = signal_at(signal + strlen(with));
	return ret->pid && ret->signo;
}

bool systemd_parse(const char *message, struct unit_event *ret)
{
	static const struct {
		const char *words;
		enum unit_event_kind kind;
	} table[] = {
		{ " timed out. Killing", UNIT_OVERDUE },
		{ " timed out. Terminating", UNIT_OVERDUE },
		{ " timed out. Aborting", UNIT_OVERDUE },
		{ "Watchdog timeout", UNIT_UNHEARD },
		{ " watchdog timeout", UNIT_UNHEARD }, // 219
		{ "Service reached runtime time limit", UNIT_EXPIRED },
		{ "has been killed by the OOM killer", UNIT_OOM },
		{ "The kernel OOM killer killed some processes", UNIT_OOM },
		{ "systemd-oomd killed ", UNIT_OOMD },
	};

	*ret = (struct unit_event){};
	if (parse_signal(message, "Killing process ", " with signal ", "process ", ret))
		ret->kind = UNIT_SIGNALLED;
	else if (parse_signal(message, "Sent signal ", "Sent signal ", " process ", ret))
		ret->kind = UNIT_REQUESTED;
	else if (!strncmp(message, "Stopping ", strlen("Stopping ")))
		ret->kind = UNIT_STOPPING;
	for (size_t i = 0; !ret->kind && i < ARRAY_SIZE(table); i++)
		if (strstr(message, table[i].words))
			ret->kind = table[i].kind;
	if (ret->kind != UNIT_SIGNALLED && ret->kind != UNIT_REQUESTED)
		*ret = (struct unit_event){ .kind = ret->kind };
	return ret->kind != UNIT_OTHER;
}
