/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "moment.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"

#define SECOND INT64_C(1000000000)
#define SECONDS_MAX (INT64_MAX / SECOND)

static bool parse_count(const char *s, int64_t *ret, const char **end_ret)
{
	char *end;

	errno = 0;
	long long v = strtoll(s, &end, 10);
	if (!isdigit((unsigned char)*s) || errno || v > SECONDS_MAX)
		return false;
	*ret = v;
	*end_ret = end;
	return true;
}

// "2 hours ago", "90 s ago"
static bool parse_ago(const char *s, int64_t now, int64_t *ret)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {
		{ "seconds", 1 }, { "second", 1 },   { "sec", 1 },	{ "s", 1 },
		{ "minutes", 60 }, { "minute", 60 }, { "min", 60 },	{ "m", 60 },
		{ "hours", 3600 }, { "hour", 3600 }, { "h", 3600 },	{ "days", 86400 },
		{ "day", 86400 },  { "d", 86400 },   { "weeks", 604800 }, { "week", 604800 },
	};
	int64_t count;

	if (!parse_count(s, &count, &s))
		return false;
	s += strspn(s, " ");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(s, units[i].name, len) || strcmp(s + len, " ago"))
			continue;
		if (count > now / SECOND / units[i].seconds)
			return false;
		*ret = now - count * units[i].seconds * SECOND;
		return true;
	}
	return false;
}

static bool number_at(const char *s, int n, int low, int high, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
		v = 10 * v + (s[i] - '0');
	}
	*ret = v;
	return v >= low && v <= high;
}

// "HH:MM", "HH:MM:SS" and a fraction; what is behind it.
static const char *parse_clock(const char *s, struct tm *tm, int64_t *fraction)
{
	*fraction = 0;
	if (!number_at(s, 2, 0, 23, &tm->tm_hour) || s[2] != ':' ||
	    !number_at(s + 3, 2, 0, 59, &tm->tm_min))
		return NULL;
	s += 5;
	if (*s != ':')
		return s;
	if (!number_at(s + 1, 2, 0, 60, &tm->tm_sec))
		return NULL;
	s += 3;
	if ((*s == '.' || *s == ',') && isdigit((unsigned char)s[1])) {
		int64_t unit = SECOND / 10;

		for (s++; isdigit((unsigned char)*s); s++, unit /= 10)
			*fraction += unit * (*s - '0');
	}
	return s;
}

static bool parse_zone(const char *s, int64_t *offset)
{
	int hours, minutes;

	*offset = 0;
	if (!strcmp(s, "Z") || !strcmp(s, "z"))
		return true;
	if ((*s != '+' && *s != '-') || !number_at(s + 1, 2, 0, 23, &hours) || s[3] != ':' ||
	    !number_at(s + 4, 2, 0, 59, &minutes) || s[6])
		return false;
	*offset = (*s == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

// TM as this machine counts it; what no clock here shows, such as 30 February, is none.
static bool local_time(const struct tm *tm, time_t *ret)
{
	struct tm copy = *tm;

	copy.tm_isdst = -1;
	*ret = mktime(&copy);
	return *ret != -1 && copy.tm_mday == tm->tm_mday && copy.tm_mon == tm->tm_mon;
}

// "2026-11-26T08:03:39Z"; without a zone, seconds or clock, as programs here write them.
static bool parse_date(const char *s, int64_t *ret)
{
	struct tm tm = {};
	int64_t fraction = 0, offset;
	int year, month;
	time_t at;

	if (strlen(s) < 10 || !number_at(s, 4, 1970, 2200, &year) || s[4] != '-' ||
	    !number_at(s + 5, 2, 1, 12, &month) || s[7] != '-' ||
	    !number_at(s + 8, 2, 1, 31, &tm.tm_mday))
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	s += 10;
	if (*s) {
		s = strchr("Tt ", *s) ? parse_clock(s + 1, &tm, &fraction) : NULL;
		if (!s)
			return false;
	}
	if (!*s) {
		if (!local_time(&tm, &at))
			return false;
		*ret = (int64_t)at * SECOND + fraction;
		return true;
	}
	// timegm() makes 2 March of 30 February.
	struct tm day = { .tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday };
	timegm(&day);
	if (!parse_zone(s, &offset) || day.tm_mon != month - 1)
		return false;
	*ret = ((int64_t)timegm(&tm) - offset) * SECOND + fraction;
	return true;
}

// "08:03", "08:03:39": the last time that the clocks here showed it.
static bool parse_hour(const char *s, int64_t now, int64_t *ret)
{
	time_t seconds = (time_t)(now / SECOND), at;
	struct tm tm;
	int64_t fraction;

	if (!localtime_r(&seconds, &tm))
		return false;
	tm.tm_sec = 0;
	const char *rest = parse_clock(s, &tm, &fraction);
	if (!rest || *rest || !local_time(&tm, &at))
		return false;
	*ret = (int64_t)at * SECOND + fraction;
	if (*ret <= now)
		return true;
	tm.tm_mday--;
	tm.tm_isdst = -1;
	*ret = (int64_t)mktime(&tm) * SECOND + fraction;
	return true;
}

struct error *moment_parse(const char *text, int64_t now, int64_t *ret)
{
	int64_t at, seconds;
	const char *end;

	if (parse_ago(text, now, &at) || parse_date(text, &at) || parse_hour(text, now, &at))
		;
	else if (parse_count(text, &seconds, &end) && !*end)
		at = seconds * SECOND;
	else
		return error_new(ERROR_INPUT,
				 "'%s' is no time: write 2026-11-26T08:03:39Z, \"2026-11-26 "
				 "08:03\" or 08:03 as clocks here show it, \"2 hours ago\", or "
				 "seconds since 1970",
				 text);
	if (at <= 0 || at > now)
		return error_new(ERROR_INPUT, "'%s' is not in the past", text);
	*ret = at;
	return NULL;
}
