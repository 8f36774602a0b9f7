/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "aftermath.h"

#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "words.h"

#define TOLD_SHOWN 20

static const char *const source_words[] = {
	[TOLD_BY_KERNEL] = "the kernel",
	[TOLD_BY_SYSTEMD] = "systemd",
	[TOLD_BY_COREDUMP] = "systemd-coredump",
};

void aftermath_head(struct page *page, const struct findings *findings)
{
	const struct aftermath *a = &findings->aftermath;
	char *seen = a->seen ? words_time(&page->arena, a->seen) : NULL;
	char *gone = a->gone ? words_time(&page->arena, a->gone) : NULL;
	const struct death *death = &findings->snapshot->death;
	char *how = death->kind == DEATH_UNKNOWN ? arena_strdup(&page->arena, "nobody was attached")
						 : words_death(&page->arena, death);

	if (!how || (a->seen && !seen) || (a->gone && !gone)) {
		page->failed = true;
		return;
	}
	// When the kernel or systemd has told the time, somebody has seen how.
	if (a->end.at || a->oom_at || a->crash_at)
		page_field(page, "ended", STYLE_PLAIN, "%s", gone ? gone : "at an unknown time");
	else if (seen)
		page_field(page, "ended", STYLE_PLAIN, "between %s and %s, %s", seen,
			   gone ? gone : "?", how);
	else
		page_field(page, "ended", STYLE_PLAIN, "before %s, %s", gone ? gone : "?", how);
}

static void print_left(struct page *page, const struct leftover *left)
{
	char *who = words_process(&page->arena, &left->process);
	char *parent = words_process(&page->arena, &left->parent);
	char *command = words_command(&page->arena, &left->process.cmdline, 120);

	if (!who || !parent || !command) {
		page->failed = true;
		return;
	}
	page_bullet(page, STYLE_PLAIN, "%s%s%s%s%s; its parent is now %s%s%s", who,
		    left->same_family ? ", of its session" : "",
		    left->same_log ? ", writes to its log" : "",
		    left->listens ? ", listens on " : "", left->listens ? left->listens : "",
		    left->parent.pid ? parent : "outside", *command ? ": " : "", command);
}

void aftermath_print(struct page *page, const struct findings *findings)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const struct aftermath *a = &findings->aftermath;
	bool titled = false;

	if (!a->present || a->fate == FATE_ALIVE)
		return;
	if (autopsy->left.n)
		page_section(page, "left", PAGE_SHOWN, "What is left of it:");
	for (size_t i = 0; i < autopsy->left.n; i++)
		print_left(page, &autopsy->left.v[i]);
	for (size_t i = 0, shown = 0; i < autopsy->told.n && shown < TOLD_SHOWN; i++) {
		const struct testimony *told = &autopsy->told.v[i];

		// Of the kernel's, the lines that were found to be about others are in the JSON
		// report.
		if (told->source == TOLD_BY_KERNEL && told != a->oom && told != a->crash)
			continue;
		if (!titled)
			page_section(page, "told", PAGE_SHOWN, "What others wrote down:");
		titled = true;
		shown++;
		char *at = told->at ? words_time(&page->arena, told->at)
				    : arena_strdup(&page->arena, "");
		if (at)
			page_field(page, "", STYLE_LABEL, "%s, in %s%s%s:",
				   source_words[told->source], told->where, *at ? ", " : "", at);
		page->failed |= !at;
		page_quote(page, told->text);
	}
}

static json_t *ref_value(const struct process_ref *ref)
{
	if (!ref->pid)
		return json_null();
	return json_pack("{s:i, s:o, s:o}", "pid", (int)ref->pid, "comm", out_string(ref->comm),
			 "exe", out_string(ref->exe));
}

static json_t *left_list(struct out *o, const struct autopsy *autopsy)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < autopsy->left.n; i++) {
		const struct leftover *left = &autopsy->left.v[i];
		json_t *object = json_pack("{s:o, s:o, s:b, s:b, s:o}", "process",
					   ref_value(&left->process), "parent",
					   ref_value(&left->parent), "same_session",
					   left->same_family, "same_log", left->same_log, "listens",
					   out_string(left->listens));

		out_append(o, ret, object);
	}
	return ret;
}

static json_t *told_list(struct out *o, const struct autopsy *autopsy)
{
	static const char *const sources[] = {
		[TOLD_BY_KERNEL] = "kernel",
		[TOLD_BY_SYSTEMD] = "systemd",
		[TOLD_BY_COREDUMP] = "coredump",
	};
	json_t *ret = json_array();

	for (size_t i = 0; i < autopsy->told.n; i++) {
		const struct testimony *told = &autopsy->told.v[i];
		json_t *object = json_pack("{s:s, s:o, s:o, s:o, s:o}", "source",
					   sources[told->source], "where", out_string(told->where),
					   "at", out_time(o, told->at), "text",
					   out_string(told->text), "core", out_string(told->core));

		out_append(o, ret, object);
	}
	return ret;
}

json_t *aftermath_json(struct out *o, const struct findings *findings)
{
	static const char *const fates[] = { [FATE_GONE] = "gone",
					     [FATE_ALIVE] = "alive",
					     [FATE_ZOMBIE] = "zombie",
					     [FATE_REUSED] = "pid-reused" };
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const struct aftermath *a = &findings->aftermath;

	if (!a->present)
		return json_null();
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:b}", "at",
			 out_time(o, autopsy->at), "fate", fates[a->fate], "last_seen",
			 out_time(o, a->seen), "gone_by", out_time(o, a->gone), "since",
			 out_time(o, autopsy->since), "boot", out_time(o, autopsy->boot),
			 "pid_holder", ref_value(&autopsy->holder), "kernel_log_read",
			 autopsy->kernel_log_read, "left", left_list(o, autopsy), "told",
			 told_list(o, autopsy), "restarted", a->restarted);
}
