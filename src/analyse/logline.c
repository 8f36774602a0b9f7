/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "logline.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../cleanup.h"

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)

// How far into a line its head is looked for, and how many words make one.
#define HEAD_MAX 120
#define HEAD_WORDS 8
// What is left for a plain word or two, such as the name of a logger, before a pid in brackets.
#define HEAD_PLAIN_WORDS 2
#define PID_MAX_LIMIT 4194304 // pid_max(5)'s bound on 64-bit kernels

static bool digits(const char **s, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)(*s)[i]))
			return false;
		v = 10 * v + ((*s)[i] - '0');
	}
	*s += n;
	*ret = v;
	return true;
}

static bool eat(const char **s, const char *one_of)
{
	if (!**s || !strchr(one_of, **s))
		return false;
	(*s)++;
	return true;
}

// "08:03:39", with ".123", ",123456" behind it.
static bool parse_clock(const char **s, struct tm *tm, int64_t *fraction)
{
	const char *at = *s;

	if (!digits(&at, 2, &tm->tm_hour) || !eat(&at, ":") || !digits(&at, 2, &tm->tm_min) ||
	    !eat(&at, ":") || !digits(&at, 2, &tm->tm_sec))
		return false;
	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
		return false;
	*fraction = 0;
	if ((*at == '.' || *at == ',') && isdigit((unsigned char)at[1])) {
		int64_t unit = SECOND / 10;

		for (at++; isdigit((unsigned char)*at); at++, unit /= 10)
			*fraction += unit * (*at - '0');
	}
	*s = at;
	return true;
}

// "Z", "+01:00", " +0000"; seconds east.
static bool parse_zone(const char **s, int64_t *ret)
{
	const char *at = *s;
	int h, m = 0;

	if (*at == 'Z') {
		*ret = 0;
		*s = at + 1;
		return true;
	}
	at += *at == ' ';
	int sign = *at == '-' ? -1 : 1;
	if (!eat(&at, "+-") || !digits(&at, 2, &h))
		return false;
	eat(&at, ":");
	if (!digits(&at, 2, &m) || h > 14 || m > 59 || isdigit((unsigned char)*at))
		return false;
	*ret = sign * (h * 3600 + m * 60);
	*s = at;
	return true;
}

static int month(const char *s)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (!strncmp(s, names + 3 * i, 3))
			return i;
	return -1;
}

static bool sane_day(const struct tm *tm)
{
	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31;
}

// 0 for a time that nanoseconds cannot count to: any year may stand in a line.
static int64_t epoch(struct tm *tm, int64_t fraction, int64_t offset)
{
	int64_t at;

	if (__builtin_mul_overflow((int64_t)timegm(tm) - offset, SECOND, &at) ||
	    __builtin_add_overflow(at, fraction, &at))
		return 0;
	return at;
}

struct stamp {
	int64_t at;
	const char *end;
	bool zoned;
};

// "2026-11-26 08:03:39,123", "2026-11-26T08:03:39.5Z", "2026/11/26 08:03:39"
static bool stamp_iso(const char *s, const struct log_clock *clock, struct stamp *ret)
{
	struct tm tm = {};
	int64_t fraction, offset = clock->utc_offset;
	int year;

	if (!digits(&s, 4, &year) || year < 1970 || year > 2200 || !eat(&s, "-/") ||
	    !digits(&s, 2, &tm.tm_mon) || !eat(&s, "-/") || !digits(&s, 2, &tm.tm_mday) ||
	    !eat(&s, "T _") || !parse_clock(&s, &tm, &fraction))
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon--;
	if (!sane_day(&tm))
		return false;
	bool zoned = parse_zone(&s, &offset);
	*ret = (struct stamp){ epoch(&tm, fraction, offset), s, zoned };
	return true;
}

// "26/Nov/2026:08:03:39 +0000"
static bool stamp_access(const char *s, const struct log_clock *clock, struct stamp *ret)
{
	struct tm tm = {};
	int64_t fraction, offset = clock->utc_offset;
	int year;

	if (!digits(&s, 2, &tm.tm_mday) || !eat(&s, "/"))
		return false;
	tm.tm_mon = month(s);
	if (tm.tm_mon < 0 || s[3] != '/')
		return false;
	s += 4;
	if (!digits(&s, 4, &year) || !eat(&s, ": ") || !parse_clock(&s, &tm, &fraction))
		return false;
	tm.tm_year = year - 1900;
	if (year < 1970 || year > 2200 || !sane_day(&tm))
		return false;
	bool zoned = parse_zone(&s, &offset);
	*ret = (struct stamp){ epoch(&tm, fraction, offset), s, zoned };
	return true;
}

// "Nov 26 08:03:39": the latest such day that is not in the future.
static bool stamp_syslog(const char *s, const struct log_clock *clock, struct stamp *ret)
{
	struct tm tm = { .tm_mon = month(s) };
	time_t latest = (time_t)(clock->latest / SECOND + clock->utc_offset);
	int64_t fraction;

	if (tm.tm_mon < 0 || s[3] != ' ' || !clock->latest)
		return false;
	s += 4;
	s += *s == ' ';
	if (!digits(&s, isdigit((unsigned char)s[1]) ? 2 : 1, &tm.tm_mday) || !eat(&s, " ") ||
	    !parse_clock(&s, &tm, &fraction) || !sane_day(&tm))
		return false;
	struct tm now;
	if (!gmtime_r(&latest, &now))
		return false;
	tm.tm_year = now.tm_year;
	struct tm copy = tm;
	int64_t at = epoch(&copy, fraction, clock->utc_offset);
	if (at > clock->latest + DAY) {
		tm.tm_year--;
		at = epoch(&tm, fraction, clock->utc_offset);
	}
	*ret = (struct stamp){ at, s, false };
	return true;
}

// "1700000000.123"
static bool stamp_epoch(const char *s, struct stamp *ret)
{
	int64_t v = 0, fraction = 0, unit = SECOND / 10;
	int n = 0;

	for (; isdigit((unsigned char)s[n]) && n < 11; n++)
		v = 10 * v + (s[n] - '0');
	// Ten digits reach further than nanoseconds do.
	if (n != 10 || v >= INT64_MAX / SECOND || (s[n] != '.' && s[n] != ' '))
		return false;
	s += n;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s); s++, unit /= 10)
			fraction += unit * (*s - '0');
	*ret = (struct stamp){ v * SECOND + fraction, s, true };
	return true;
}

// "08:03:39.123" alone: of the day that makes it no later than the latest.
static bool stamp_clock(const char *s, const struct log_clock *clock, struct stamp *ret)
{
	time_t latest = (time_t)(clock->latest / SECOND + clock->utc_offset);
	struct tm tm = {}, day;
	int64_t fraction;

	if (!clock->latest || !parse_clock(&s, &tm, &fraction) || !gmtime_r(&latest, &day))
		return false;
	tm.tm_year = day.tm_year;
	tm.tm_mon = day.tm_mon;
	tm.tm_mday = day.tm_mday;
	int64_t at = epoch(&tm, fraction, clock->utc_offset);
	*ret = (struct stamp){ at > clock->latest + 60 * SECOND ? at - DAY : at, s, false };
	return true;
}

static bool parse_stamp(const char *line, const struct log_clock *clock, struct stamp *ret)
{
	for (size_t i = 0; line[i] && i < HEAD_MAX; i++) {
		bool first = i == 0 || strchr("[(<\"> '", line[i - 1]);

		// In the middle of a word no time begins.
		if (i && (isalnum((unsigned char)line[i - 1]) || line[i - 1] == '.'))
			continue;
		if (isdigit((unsigned char)line[i]) &&
		    (stamp_iso(line + i, clock, ret) || stamp_access(line + i, clock, ret)))
			return true;
		if (i <= 5 && first &&
		    (stamp_syslog(line + i, clock, ret) || stamp_epoch(line + i, ret) ||
		     stamp_clock(line + i, clock, ret)))
			return true;
	}
	return false;
}

int64_t logline_time(const char *line, const struct log_clock *clock, size_t *head_ret,
		     bool *zoned_ret)
{
	struct log_clock sane = *clock;
	struct stamp stamp;

	// The clock may be a dump's: no zone is that far away, and no death that far ahead.
	if (sane.utc_offset < -DAY / SECOND || sane.utc_offset > DAY / SECOND)
		sane.utc_offset = 0;
	if (sane.latest < 0 || sane.latest > INT64_MAX - 2 * DAY)
		sane.latest = 0;
	if (head_ret)
		*head_ret = 0;
	if (!parse_stamp(line, &sane, &stamp))
		return 0;
	if (head_ret)
		*head_ret = (size_t)(stamp.end - line);
	if (zoned_ret)
		*zoned_ret = stamp.zoned;
	return stamp.at;
}

// A number that may be a pid, with no digit or letter on either side.
static pid_t parse_pid(const char *s, const char **end_ret)
{
	char *end;

	if (!isdigit((unsigned char)*s) || *s == '0')
		return 0;
	long v = strtol(s, &end, 10);
	if (v > PID_MAX_LIMIT || isalnum((unsigned char)*end) || *end == '_')
		return 0;
	*end_ret = end;
	return (pid_t)v;
}

static bool is_level(const char *s, size_t len)
{
	static const char *const levels[] = { "trace",	  "debug", "info",     "notice",
					      "warning",  "warn",  "error",    "err",
					      "critical", "fatal", "emerg",    "alert",
					      "crit",	  "exception" };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (len == strlen(levels[i]) && !strncasecmp(s, levels[i], len))
			return true;
	return false;
}

// "pid=4242", "pid: 4242", "\"process\": 4242": the key ends at AT.
static pid_t keyed_pid(const char *line, const char **end_ret)
{
	static const char *const keys[] = { "pid", "process", "process_id", "processid" };

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		size_t len = strlen(keys[k]);

		for (const char *at = line; (at = strcasestr(at, keys[k])); at += len) {
			const char *s = at + len;

			if (at != line && (isalnum((unsigned char)at[-1]) || at[-1] == '_' ||
					   at[-1] == '-'))
				continue;
			s += *s == '"';
			s += *s == ' ' && (s[1] == '=' || s[1] == ':');
			if (!eat(&s, "=:"))
				continue;
			while (*s == ' ' || *s == '"')
				s++;
			pid_t pid = parse_pid(s, end_ret);
			if (pid)
				return pid;
		}
	}
	return 0;
}

// "[4242]" with no more than a few plain words before it, or right behind a word: "sshd[4242]:".
static pid_t bracketed_pid(const char *line, size_t head)
{
	int plain = 0;

	for (const char *s = line + head; *s && s < line + HEAD_MAX + head;) {
		if (*s == '[') {
			const char *end;
			pid_t pid = parse_pid(s + 1, &end);
			bool behind_word =
				s > line && (isalnum((unsigned char)s[-1]) || s[-1] == ')');

			if (pid && *end == ']' && (!behind_word || end[1] == ':'))
				return pid;
			s++;
		} else if (isalpha((unsigned char)*s) || *s == '_') {
			size_t len = 0;

			while (s[len] && !strchr(" []()|,;:\t", s[len]))
				len++;
			if (!is_level(s, len) && ++plain > HEAD_PLAIN_WORDS)
				return 0;
			s += len;
		} else {
			s++;
		}
	}
	return 0;
}

// What a server says of itself when it starts and when it ends.
static pid_t announced_pid(const char *line)
{
	static const char *const words[] = {
		"Started server process [",  "Finished server process [",  "Started parent process [",
		"Stopping parent process [", "Started reloader process [",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *at = strstr(line, words[i]), *end;
		pid_t pid = at ? parse_pid(at + strlen(words[i]), &end) : 0;

		if (pid && *end == ']')
			return pid;
	}
	return 0;
}

// "[4242] 2026-11-26 08:03:39 ...": a number alone may be anything, before a time it is the
// writer's.
static pid_t leading_pid(const char *line, const struct log_clock *clock)
{
	const char *end;
	struct stamp stamp;
	pid_t pid = *line == '[' ? parse_pid(line + 1, &end) : 0;

	if (!pid || strncmp(end, "] ", 2) || (!isdigit((unsigned char)end[2]) && end[2] != '['))
		return 0;
	return parse_stamp(end + 2, clock, &stamp) ? pid : 0;
}

pid_t logline_pid(const char *line)
{
	static const struct log_clock no_clock = { .latest = SECOND };
	const char *end;
	size_t head;

	logline_time(line, &no_clock, &head, NULL);
	pid_t pid = leading_pid(line, &no_clock);
	if (!pid)
		pid = bracketed_pid(line, head);
	if (!pid)
		pid = announced_pid(line);
	return pid ? pid : keyed_pid(line, &end);
}

// The next word of a head; NULL at its end.
static const char *next_word(const char *s, size_t *len)
{
	s += strspn(s, " \t[](){}|,;:<>-\"'");
	*len = strcspn(s, " \t[](){}|,;:<>\"'");
	return *len ? s : NULL;
}

int logline_slot(const char *line, pid_t pid)
{
	size_t len = 0;
	const char *end, *s = line;

	for (int i = 0; i < HEAD_WORDS && (s = next_word(s, &len)); i++, s += len)
		if (parse_pid(s, &end) == pid && end == s + len)
			return i;
	return -1;
}

pid_t logline_at_slot(const char *line, int slot)
{
	size_t len = 0;
	const char *end, *s = line;

	for (int i = 0; i < HEAD_WORDS && (s = next_word(s, &len)); i++, s += len)
		if (i == slot) {
			pid_t pid = parse_pid(s, &end);

			return end == s + len ? pid : 0;
		}
	return 0;
}

const char *logline_mention(const char *line, pid_t pid)
{
	char number[16];
	int len = snprintf(number, sizeof(number), "%d", (int)pid);

	if (pid <= 0)
		return NULL;
	for (const char *at = line; (at = strstr(at, number)); at += len)
		if ((at == line || (!isalnum((unsigned char)at[-1]) && !strchr("._-", at[-1]))) &&
		    !isalnum((unsigned char)at[len]) && at[len] != '_' &&
		    !(at[len] == '.' && isdigit((unsigned char)at[len + 1])))
			return at + len;
	return NULL;
}

int logline_signal(const char *line)
{
	static const struct {
		const char *name;
		int signo;
	} names[] = {
		{ "term", 15 }, { "int", 2 },	{ "kill", 9 }, { "hup", 1 },   { "quit", 3 },
		{ "abrt", 6 },	{ "segv", 11 }, { "bus", 7 },  { "fpe", 8 },   { "ill", 4 },
		{ "pipe", 13 }, { "trap", 5 },	{ "sys", 31 }, { "usr1", 10 }, { "usr2", 12 },
		{ "alrm", 14 }, { "xcpu", 24 }, { "xfsz", 25 },
	};

	for (const char *at = line; (at = strstr(at, "sig")); at += 3) {
		const char *s = at + 3;

		if (at != line && isalnum((unsigned char)at[-1]))
			continue;
		if (!strncmp(s, "nal", 3)) {
			s += 3;
			s += strspn(s, " :=#(");
			if (isdigit((unsigned char)*s)) {
				int v = atoi(s);

				return v > 0 && v <= 64 ? v : 0;
			}
			s += strncmp(s, "sig", 3) ? 0 : 3;
		}
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			size_t len = strlen(names[i].name);

			if (!strncmp(s, names[i].name, len) && !isalnum((unsigned char)s[len]))
				return names[i].signo;
		}
	}
	return 0;
}
