// SPDX-License-Identifier: GPL-3.0-or-later
#include "render.h"

#include <jansson.h>
#include <string.h>

#include "../cleanup.h"
#include "compare.h"
#include "page.h"
#include "text.h"
#include "words.h"

#define VALUE_COLUMN 7

static void print_side(struct page *page, const char *letter, const char *value)
{
	page_line(page);
	page_add(page, STYLE_LABEL, "    %s", letter);
	page_pad(page, VALUE_COLUMN);
	if (value && *value)
		page_words(page, STYLE_PLAIN, VALUE_COLUMN, "%s", value);
	else
		page_add(page, STYLE_FAINT, value ? "empty" : "not there");
}

static void print_report(struct page *page, const char *letter, const char *name,
			 const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	char *when = snapshot->time.death ? words_time(&page->arena, snapshot->time.death)
					  : arena_strdup(&page->arena, "at an unknown time");

	page_line(page);
	page_add(page, STYLE_LABEL, "  %s  ", letter);
	page_words(page, STYLE_STRONG, 5, "%s", name);
	page_line(page);
	page_pad(page, 5);
	page_words(page, STYLE_PLAIN, 5, "pid %d %s, %s", (int)snapshot->process.pid,
		   snapshot->process.comm, when ? when : "");
	page_line(page);
	page_pad(page, 5);
	page_words(page, STYLE_PLAIN, 5, "%s", findings->verdict.summary);
	page->failed |= !when;
}

// A module that one has and the other not is told by its name alone: there are many.
static void print_modules_of_one(struct page *page, const struct comparison *comparison,
				 bool of_a)
{
	bool any = false;

	for (size_t i = 0; i < comparison->differences.n; i++) {
		const struct difference *d = &comparison->differences.v[i];

		if (d->area != AREA_MODULES || (of_a ? d->b : d->a))
			continue;
		if (!any) {
			page_line(page);
			page_add(page, STYLE_STRONG, "  only in %s", of_a ? "A" : "B");
			page_line(page);
			page_pad(page, VALUE_COLUMN);
		}
		page_words(page, STYLE_PLAIN, VALUE_COLUMN, "%s%s", any ? ", " : "", d->what);
		any = true;
	}
}

static void print_differences(struct page *page, const struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->differences.n; i++) {
		const struct difference *d = &comparison->differences.v[i];

		if (!i || d[-1].area != d->area)
			page_section(page, area_name(d->area), PAGE_SHOWN, "%s:",
				     area_title(d->area));
		if (d->area == AREA_MODULES && (!i || d[-1].area != d->area)) {
			print_modules_of_one(page, comparison, true);
			print_modules_of_one(page, comparison, false);
		}
		if (d->area == AREA_MODULES && (!d->a || !d->b))
			continue;
		page_line(page);
		page_add(page, STYLE_STRONG, "  %s", d->what);
		print_side(page, "A", d->a);
		print_side(page, "B", d->b);
	}
}

// What is the same is half of the answer.
static void print_same(struct page *page, const struct comparison *comparison)
{
	bool differs[AREAS] = {}, any = false;

	for (size_t i = 0; i < comparison->differences.n; i++)
		differs[comparison->differences.v[i].area] = true;
	page_section(page, "same", PAGE_SHOWN, "The same in both:");
	page_line(page);
	page_pad(page, 2);
	for (int area = 0; area < AREAS; area++)
		if (!differs[area] && comparison->compared[area]) {
			page_words(page, STYLE_PLAIN, 2, "%s%s", any ? ", " : "", area_name(area));
			any = true;
		}
	if (!any)
		page_add(page, STYLE_FAINT, "nothing as a whole");
}

static void print_gaps(struct page *page, const struct comparison *comparison)
{
	if (comparison->gaps.n)
		page_section(page, "gaps", PAGE_SHOWN, "Not compared:");
	for (size_t i = 0; i < comparison->gaps.n; i++)
		page_bullet(page, STYLE_PLAIN, "%s: %s", comparison->gaps.v[i].what,
			    comparison->gaps.v[i].why);
}

struct error *render_diff_text(const struct findings *a, const struct findings *b,
			       const char *const names[2], bool colour, struct buf *ret)
{
	_cleanup_(comparison_deinit) struct comparison comparison = {};
	_cleanup_(page_deinit) struct page page = {};
	struct error *err = compare(a, b, &comparison);

	if (err)
		return err;
	page_section(&page, "reports", PAGE_SHOWN, NULL);
	page_line(&page);
	page_add(&page, STYLE_VERDICT, "%zu difference%s between A and B.",
		 comparison.differences.n, comparison.differences.n == 1 ? "" : "s");
	print_report(&page, "A", names[0], a);
	print_report(&page, "B", names[1], b);
	print_differences(&page, &comparison);
	print_same(&page, &comparison);
	print_gaps(&page, &comparison);
	err = page_error(&page);
	return err ? err : text_page(&page, colour, ret);
}

static json_t *difference_object(const struct difference *d)
{
	// "s?": what is not there is null.
	return json_pack("{s:s, s:s, s:s?, s:s?}", "area", area_name(d->area), "what", d->what, "a",
			 d->a, "b", d->b);
}

struct error *render_diff_json(const struct findings *a, const struct findings *b,
			       const char *const names[2], struct buf *ret)
{
	_cleanup_(comparison_deinit) struct comparison comparison = {};
	const struct findings *findings[2] = { a, b };
	struct error *err = compare(a, b, &comparison);

	if (err)
		return err;
	json_t *root = json_pack("{s:s, s:[], s:[], s:[]}", "schema", "pcatch.diff/1", "reports",
				 "differences", "gaps");
	bool failed = !root;
	for (int i = 0; !failed && i < 2; i++)
		failed |= json_array_append_new(
				  json_object_get(root, "reports"),
				  json_pack("{s:s, s:s, s:s, s:s}", "file", names[i], "id",
					    findings[i]->snapshot->id, "cause",
					    cause_name(findings[i]->verdict.cause), "summary",
					    findings[i]->verdict.summary)) != 0;
	for (size_t i = 0; !failed && i < comparison.differences.n; i++)
		failed |= json_array_append_new(
				  json_object_get(root, "differences"),
				  difference_object(&comparison.differences.v[i])) != 0;
	for (size_t i = 0; !failed && i < comparison.gaps.n; i++)
		failed |= json_array_append_new(json_object_get(root, "gaps"),
						json_pack("{s:s, s:s}", "what",
							  comparison.gaps.v[i].what, "why",
							  comparison.gaps.v[i].why)) != 0;
	_cleanup_(freep) char *text = failed ? NULL : json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	if (!text)
		return error_nomem();
	buf_printf(ret, "%s\n", text);
	return buf_error(ret);
}
