/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "cleanup.h"
#include "deliver.h"
#include "render/page.h"
#include "render/text.h"
#include "render/words.h"
#include "store/shelf.h"

#define SHOWN_OF_GROUP 5 // without --verbose
#define DAY	       (INT64_C(86400) * 1000000000)

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static struct shelf_bounds bounds(const struct options *options)
{
	return (struct shelf_bounds){ .reports = options->keep_reports,
				      .bytes = options->keep_bytes,
				      .age = (int64_t)options->keep_days * DAY };
}

static void print_report(struct page *page, const struct shelf_report *report)
{
	char *when = words_time(&page->arena, report->time);

	page_line(page);
	page_add(page, STYLE_PLAIN, "    %-19.19s  ", when ? when : "");
	page_add(page, STYLE_STRONG, "%s", report->name);
	page->failed |= !when;
}

static void print_group(struct page *page, const struct shelf *shelf, size_t g, bool all)
{
	const struct shelf_group *group = &shelf->groups.v[g];
	const char *summary = NULL;
	size_t shown = 0;

	page_section(page, "group", PAGE_SHOWN, NULL);
	page_line(page);
	page_add(page, STYLE_STRONG, "%zu x %s", group->n, group->cause ? group->cause : "not analysed");
	if (group->signature)
		page_add(page, STYLE_FAINT, "  signature %s", group->signature);
	for (size_t i = shelf->reports.n; i-- > 0 && !summary;)
		if (shelf->reports.v[i].group == g)
			summary = shelf->reports.v[i].summary;
	page_line(page);
	page_pad(page, 2);
	page_words(page, STYLE_PLAIN, 2, "%s",
		   summary ? summary : "There is no dump with a verdict in it; pcatch show says more.");
	for (size_t i = shelf->reports.n; i-- > 0 && (all || shown < SHOWN_OF_GROUP);)
		if (shelf->reports.v[i].group == g) {
			print_report(page, &shelf->reports.v[i]);
			shown++;
		}
	if (shown < group->n) {
		page_line(page);
		page_add(page, STYLE_FAINT, "    ... and %zu older (-v shows all)", group->n - shown);
	}
}

static struct error *list_text(const struct shelf *shelf, const char *path, bool all, bool colour,
			       struct buf *ret)
{
	_cleanup_(page_deinit) struct page page = {};
	char *size = words_size(&page.arena, shelf->bytes < INT64_MAX ? (int64_t)shelf->bytes : 0);

	page_section(&page, "folder", PAGE_SHOWN, NULL);
	page_line(&page);
	page_words(&page, STYLE_PLAIN, 2, "%s: %zu report%s, %s%s", path, shelf->reports.n,
		   shelf->reports.n == 1 ? "" : "s", size ? size : "",
		   shelf->cut ? " (there are more files than are looked at)" : "");
	for (size_t g = 0; g < shelf->groups.n; g++)
		print_group(&page, shelf, g, all);
	struct error *err = size ? page_error(&page) : error_nomem();
	return err ? err : text_page(&page, colour, ret);
}

static json_t *report_object(const struct shelf_report *report, char *time)
{
	json_t *files = json_array();
	bool ok = files;

	for (size_t i = 0; ok && i < report->suffixes.n; i++)
		ok = !json_array_append_new(files, json_sprintf("%s.%s", report->name,
								 report->suffixes.v[i]));
	json_t *ret = json_pack("{s:s, s:s, s:s, s:i, s:I, s:s?, s:s?, s:s?, s:o}", "name",
				report->name, "time", time, "comm", report->comm, "pid",
				(int)report->pid, "bytes", (json_int_t)report->bytes, "cause",
				report->cause, "summary", report->summary, "signature",
				report->signature, "files", files);
	if (!ok) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}

static struct error *list_json(const struct shelf *shelf, const char *path, struct buf *ret)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	json_t *reports = json_array(), *groups = json_array();
	bool ok = reports && groups;

	for (size_t i = shelf->reports.n; ok && i-- > 0;) {
		char *time = words_rfc3339(&arena, shelf->reports.v[i].time);

		ok = time && !json_array_append_new(reports,
						    report_object(&shelf->reports.v[i], time));
	}
	for (size_t g = 0; ok && g < shelf->groups.n; g++) {
		const struct shelf_group *group = &shelf->groups.v[g];
		char *first = words_rfc3339(&arena, group->first);
		char *last = words_rfc3339(&arena, group->last);

		ok = first && last &&
		     !json_array_append_new(
			     groups, json_pack("{s:s?, s:s?, s:I, s:s, s:s}", "cause", group->cause,
					       "signature", group->signature, "count",
					       (json_int_t)group->n, "first", first, "last", last));
	}
	json_t *root = json_pack("{s:s, s:s, s:o, s:o}", "schema", "pcatch.list/1", "folder", path,
				 "groups", groups, "reports", reports);
	_cleanup_(freep) char *text = ok && root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	if (!text)
		return error_nomem();
	buf_printf(ret, "%s\n", text);
	return buf_error(ret);
}

struct error *reports_list(const struct options *options)
{
	_cleanup_(store_close) struct store store = { .dir = -1 };
	_cleanup_(shelf_deinit) struct shelf shelf = {};
	_cleanup_(buf_deinit) struct buf out = {};
	struct error *err = store_find(options->output, &store);

	if (!err)
		err = shelf_read(&store, &shelf);
	if (!err && options->formats == FORMAT_JSON)
		err = list_json(&shelf, store.path, &out);
	else if (!err)
		err = list_text(&shelf, store.path, options->verbose, wants_colour(STDOUT_FILENO),
				&out);
	return err ? err : print(STDOUT_FILENO, &out);
}

// TELL: say on standard output what goes.
static struct error *prune(const struct store *store, const struct options *options, bool tell)
{
	_cleanup_(shelf_deinit) struct shelf shelf = {};
	const struct shelf_bounds keep = bounds(options);
	struct error *err = shelf_read(store, &shelf);

	if (err || !shelf_choose(&shelf, &keep, now()))
		return err;
	for (size_t i = 0; !err && i < shelf.reports.n; i++) {
		const struct shelf_report *report = &shelf.reports.v[i];

		if (!report->chosen && !report->cores_chosen)
			continue;
		if (!options->dry_run)
			err = shelf_remove(store, report);
		if (!err && tell)
			printf("%s %s%s\n", options->dry_run ? "would remove" : "removed",
			       report->chosen ? "" : "the core of ", report->name);
	}
	return err;
}

struct error *reports_prune(const struct options *options)
{
	_cleanup_(store_close) struct store store = { .dir = -1 };
	struct error *err = store_find(options->output, &store);

	return err ? err : prune(&store, options, !options->quiet);
}

struct error *reports_tidy(const struct store *store, const struct options *options)
{
	if (!options->keep_reports && !options->keep_bytes && !options->keep_days)
		return NULL;
	return prune(store, options, false);
}
