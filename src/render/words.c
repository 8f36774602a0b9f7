// SPDX-License-Identifier: GPL-3.0-or-later
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../buf.h"
#include "../cleanup.h"
#include "page.h"

#define SECOND INT64_C(1000000000)

static char *time_text(struct arena *arena, int64_t at, char between, int digits)
{
	time_t seconds = at / SECOND;
	int64_t rest = at % SECOND;
	struct tm tm = {};

	if (rest < 0) {
		rest += SECOND;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	for (int i = digits; i < 9; i++)
		rest /= 10;
	return arena_printf(arena, "%04d-%02d-%02d%c%02d:%02d:%02d.%0*" PRId64 "Z",
			    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, between, tm.tm_hour,
			    tm.tm_min, tm.tm_sec, digits, rest);
}

char *words_time(struct arena *arena, int64_t at)
{
	return time_text(arena, at, ' ', 3);
}

char *words_rfc3339(struct arena *arena, int64_t at)
{
	return time_text(arena, at, 'T', 6);
}

int64_t words_elapsed(int64_t from, int64_t to)
{
	int64_t ret;

	if (!from || !to || __builtin_sub_overflow(to, from, &ret) || ret < 0)
		return -1;
	return ret;
}

char *words_duration(struct arena *arena, int64_t ns)
{
	int64_t s = ns / SECOND;

	if (ns < SECOND)
		return arena_printf(arena, "%" PRId64 " ms", ns / 1000000);
	if (s < 60)
		return arena_printf(arena, "%" PRId64 ".%" PRId64 " s", s,
				    ns % SECOND / (SECOND / 10));
	if (s < 3600)
		return arena_printf(arena, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	if (s < 86400)
		return arena_printf(arena, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	return arena_printf(arena, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
}

char *words_size(struct arena *arena, int64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024)
		return arena_printf(arena, "%" PRId64 " B", bytes);
	for (v /= 1024; v >= 1023.95 && unit + 1 < ARRAY_SIZE(units); unit++)
		v /= 1024;
	return arena_printf(arena, "%.1f %s", v, units[unit]);
}

char *words_command(struct arena *arena, const strings *argv, size_t max)
{
	_cleanup_(buf_deinit) struct buf line = {};

	// A UTF-8 character has up to four bytes: past this nothing can be on show.
	for (size_t i = 0; i < argv->n && line.len <= 4 * max; i++) {
		const char *arg = argv->v[i];
		bool quote = !*arg || strpbrk(arg, " \t\n'\"\\$`|&;<>()*?");

		if (i)
			buf_addstr(&line, " ");
		if (!quote) {
			buf_addstr(&line, arg);
			continue;
		}
		buf_addstr(&line, "'");
		for (; *arg; arg++)
			if (*arg == '\'')
				buf_addstr(&line, "'\\''");
			else
				buf_add(&line, arg, 1);
		buf_addstr(&line, "'");
	}
	_cleanup_(freep) char *text = buf_steal(&line);
	return text ? page_elide(arena, text, max) : NULL;
}

char *words_process(struct arena *arena, const struct process_ref *ref)
{
	if (ref->comm && *ref->comm)
		return arena_printf(arena, "pid %d %s", (int)ref->pid, ref->comm);
	return arena_printf(arena, "pid %d", (int)ref->pid);
}

char *words_user(struct arena *arena, const char *user, uid_t uid)
{
	if (uid == (uid_t)-1 && !(user && *user))
		return arena_strdup(arena, "user unknown");
	if (user && *user)
		return arena_printf(arena, "user %s (%u)", user, (unsigned)uid);
	return arena_printf(arena, "uid %u", (unsigned)uid);
}

char *words_sender(struct arena *arena, const struct sender *sender)
{
	switch (sender->kind) {
	case SENDER_SELF:
		return arena_strdup(arena, "itself");
	case SENDER_KERNEL:
		return arena_strdup(arena, "the kernel");
	case SENDER_OUTSIDE:
		if (!sender->process.pid)
			return arena_strdup(arena, "a process outside of its pid namespace");
		break;
	case SENDER_PROCESS:
		break;
	case SENDER_UNKNOWN:
		return arena_strdup(arena, "an unknown sender");
	}
	char *who = words_process(arena, &sender->process);
	char *user = words_user(arena, sender->user, sender->process.uid);
	if (!who || !user)
		return NULL;
	return arena_printf(arena, "%s, %s%s%s%s%s", who, user, relation_words(sender->relation),
			    sender->kind == SENDER_OUTSIDE ? ", outside of its pid namespace" : "",
			    sender->gone ? ", gone since" : "",
			    sender->forwarded ? ", through pcatch run" : "");
}

char *words_signal(struct arena *arena, int signo)
{
	const char *name = signal_name(signo);

	return name ? arena_strdup(arena, name) : arena_printf(arena, "SIG%d", signo);
}

char *words_death(struct arena *arena, const struct death *death)
{
	switch (death->kind) {
	case DEATH_EXIT:
		return arena_printf(arena, "exit status %d", death->exit_code);
	case DEATH_SIGNAL: {
		char *name = words_signal(arena, death->signo);
		const char *code = death->info.signo == death->signo
					   ? signal_code_name(death->signo, death->info.code)
					   : NULL;

		return name ? arena_printf(arena, "%s (%d)%s%s%s", name, death->signo,
					   code ? ", " : "", code ? code : "",
					   death->core_dumped == 1 ? ", core dumped" : "")
			    : NULL;
	}
	case DEATH_SNAPSHOT:
		return arena_strdup(arena, "it lives on");
	case DEATH_UNKNOWN:
		break;
	}
	return arena_strdup(arena, "nobody saw how");
}

const char *words_state(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "uninterruptible";
	case 'T':
		return "stopped";
	case 't':
		return "traced";
	case 'Z':
		return "zombie";
	case 'X':
		return "dead";
	case 'I':
		return "idle";
	case 'P':
		return "parked";
	}
	return "";
}

char *words_kernel_line(struct arena *arena, const struct kernel_line *line)
{
	return arena_printf(arena, "[%5" PRId64 ".%06" PRId64 "] %s", line->at / SECOND,
			    line->at % SECOND / 1000, line->text);
}

// A length of time that was measured, or guessed, and not counted: "12 s", "43 min", "3 h".
static char *about(struct arena *arena, int64_t ns)
{
	static const struct {
		int64_t unit, until;
		const char *name;
	} units[] = { { 1, 100, "s" }, { 60, 100 * 60, "min" }, { 3600, 48 * 3600, "h" } };
	int64_t s = (ns + SECOND / 2) / SECOND;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (s < units[i].until)
			return arena_printf(arena, "%" PRId64 " %s",
					    (s + units[i].unit / 2) / units[i].unit, units[i].name);
	return arena_printf(arena, "%" PRId64 " d", (s + 43200) / 86400);
}

// Of bytes a size, of anything else a number.
static char *amount(struct arena *arena, const struct trend *trend, double v)
{
	if (trend->what == TREND_MEMORY)
		return words_size(arena, v < 9e18 ? (int64_t)v : INT64_MAX);
	return arena_printf(arena, v < 10 && v != (double)(int)v ? "%.1f" : "%.0f", v);
}

// ", 3 min short of its cgroup's limit (512.0 MiB)"; "" where no limit is near.
static char *short_of(struct arena *arena, const struct trend *trend)
{
	if (trend->limit < 0 || (!trend->reached && trend->left < 0))
		return arena_strdup(arena, "");
	char *limit = amount(arena, trend, (double)trend->limit);
	if (trend->reached)
		return limit ? arena_printf(arena, ", at %s (%s)", trend->limit_name, limit) : NULL;
	char *left = about(arena, trend->left);
	return limit && left ? arena_printf(arena, ", %s short of %s (%s)", left, trend->limit_name,
					    limit)
			     : NULL;
}

// "memory grew 11.0 MiB/min for 43 min"; by the second where it did not take minutes.
static char *growth(struct arena *arena, const struct trend *trend, const char *name,
		    const char *verb)
{
	bool quick = trend->duration < 60 * SECOND;
	char *rate = amount(arena, trend, quick ? trend->rate / 60 : trend->rate);
	char *time = about(arena, trend->duration);

	return rate && time
		       ? arena_printf(arena, "%s %s %s%s/%s for %s", name, verb,
				      trend->what == TREND_MEMORY ? "" : "by ", rate,
				      quick ? "s" : "min", time)
		       : NULL;
}

static char *level_words(struct arena *arena, const struct trend *trend, const char *name)
{
	char *from = amount(arena, trend, trend->from), *to = amount(arena, trend, trend->to);
	char *time = about(arena, trend->duration), *limit = short_of(arena, trend);
	char *grew = growth(arena, trend, name, trend->shape == TREND_SHRANK ? "shrank" : "grew");
	char *flat = about(arena, trend->flat);

	if (!from || !to || !time || !limit || !grew || !flat)
		return NULL;
	switch (trend->shape) {
	case TREND_GREW:
		return trend->what == TREND_MEMORY
			       ? arena_printf(arena, "%s%s", grew, limit)
			       : arena_printf(arena, "%s and reached %s%s", grew, to, limit);
	case TREND_SHRANK:
		return grew;
	case TREND_GREW_THEN_FLAT:
		return arena_printf(arena, "%s, then stayed at %s for %s%s", grew, to, flat, limit);
	case TREND_SAWTOOTH:
		return arena_printf(arena, "%s went up and down between %s and %s, %u times in %s",
				    name, from, to, trend->times, time);
	case TREND_JUMPED:
		return arena_printf(arena, "%s jumped from %s to %s in the last %s%s", name, from,
				    to, time, limit);
	case TREND_STEADY:
	case TREND_HIGH:
		break;
	}
	return arena_printf(arena, "%s was steady at %s for %s%s", name, to, time, limit);
}

static char *trend_words(struct arena *arena, const struct trend *trend)
{
	char *time = about(arena, trend->duration);

	if (!time)
		return NULL;
	switch (trend->what) {
	case TREND_MEMORY:
		return level_words(arena, trend, "memory");
	case TREND_FILES:
		return level_words(arena, trend, "open files");
	case TREND_THREADS:
		return level_words(arena, trend, "threads");
	case TREND_CPU:
		return arena_printf(arena, "it kept %.1f CPUs busy for the last %s",
				    trend->to / 100, time);
	case TREND_PRESSURE:
		return arena_printf(arena,
				    "memory was short: something waited for it %.0f %% of the "
				    "last %s",
				    trend->to, time);
	case TREND_PAGING:
		break;
	}
	return arena_printf(arena, "%.0f pages/s were read back from disk in the last %s",
			    trend->rate / 60, time);
}

char *words_trends(struct arena *arena, const struct findings *findings)
{
	char *ret = arena_strdup(arena, "");

	for (size_t i = 0; ret && i < findings->trends.n; i++) {
		char *words = trend_words(arena, &findings->trends.v[i]);

		ret = words ? arena_printf(arena, "%s%s%s", ret, i ? "; " : "", words) : NULL;
	}
	return ret;
}
