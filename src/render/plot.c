// SPDX-License-Identifier: GPL-3.0-or-later
#include "plot.h"

#include <inttypes.h>
#include <string.h>

#include "../cleanup.h"
#include "words.h"

#define SECOND	    INT64_C(1000000000)
#define SAMPLES_MIN 4

#define ROWS	8
#define COLUMNS 64 // with what stands before them, a line of the page
#define LABEL	10

// Of the drawing, in its own units.
#define WIDTH  640
#define HEIGHT 140
#define SLOTS  160

// The least and most memory in one of equal parts of the time.
struct slot {
	double low, high;
	bool filled;
};

struct plot {
	struct slot slots[SLOTS];
	size_t n;
	int64_t first, last;
	double low, high;
	double limit; /* 0: none that is near enough to be on it */
	double top;   /* of the scale, which begins at 0 */
};

// Samples go forward in time, whatever the clock was set to.
static bool usable(const struct sample *sample, int64_t last)
{
	return sample->rss >= 0 && sample->at > last;
}

static void extremes(const struct sample *sample, double *low, double *high)
{
	double swap = sample->swap > 0 ? (double)sample->swap : 0;
	bool merged = sample->merged > 1 && sample->rss_min >= 0 &&
		      sample->rss_max >= sample->rss_min;

	*low = (double)(merged ? sample->rss_min : sample->rss) + swap;
	*high = (double)(merged ? sample->rss_max : sample->rss) + swap;
}

static void put_sample(struct plot *p, const struct sample *sample)
{
	double low, high, part = (double)(sample->at - p->first) / (double)(p->last - p->first);
	struct slot *slot = &p->slots[(size_t)(part * (double)(p->n - 1) + 0.5)];

	extremes(sample, &low, &high);
	slot->low = slot->filled && slot->low < low ? slot->low : low;
	slot->high = slot->filled && slot->high > high ? slot->high : high;
	slot->filled = true;
}

// FINDINGS' memory in N slots; false: there is nothing to plot.
static bool plot_init(struct plot *p, const struct findings *findings, size_t n)
{
	const struct sample *v = findings->snapshot->timeline.samples.v;
	size_t samples = findings->snapshot->timeline.samples.n, good = 0;

	*p = (struct plot){ .n = n };
	for (size_t i = 0; i < samples; i++) {
		if (!usable(&v[i], p->last))
			continue;
		p->first = good++ ? p->first : v[i].at;
		p->last = v[i].at;
	}
	if (good < SAMPLES_MIN || p->last - p->first < SECOND)
		return false;
	int64_t last = 0;
	for (size_t i = 0; i < samples; i++) {
		if (!usable(&v[i], last))
			continue;
		last = v[i].at;
		put_sample(p, &v[i]);
	}
	// Where nobody looked it is as it was; the first slot has the first sample.
	for (size_t i = 1; i < n; i++)
		if (!p->slots[i].filled)
			p->slots[i] = p->slots[i - 1];
	p->low = p->slots[0].low;
	for (size_t i = 0; i < n; i++) {
		p->low = p->slots[i].low < p->low ? p->slots[i].low : p->low;
		p->high = p->slots[i].high > p->high ? p->slots[i].high : p->high;
	}
	p->top = p->high > 0 ? p->high : 1;
	if (!findings->trends.n || findings->trends.v[0].what != TREND_MEMORY)
		return true;
	double limit = (double)findings->trends.v[0].limit;
	// One far away would only press the memory flat.
	if (limit > 0 && limit <= 2 * p->high) {
		p->limit = limit;
		p->top = limit > p->top ? limit : p->top;
	}
	return true;
}

static char *size(struct arena *arena, double bytes)
{
	return words_size(arena, bytes < 9e18 ? (int64_t)bytes : INT64_MAX);
}

static void print_label(struct page *page, const char *label, const char *axis)
{
	page_line(page);
	page_add(page, STYLE_LABEL, "  %*s ", LABEL, label);
	page_add(page, STYLE_FAINT, "%s", axis);
}

// Row 0 is the lowest.
static void print_row(struct page *page, const struct plot *p, int row, const char *label)
{
	static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	double limit = p->limit / p->top * ROWS;
	bool at_limit = p->limit > 0 && limit > row && limit <= row + 1;
	_cleanup_(buf_deinit) struct buf line = {};

	for (size_t i = 0; i < p->n; i++) {
		double eighths = (p->slots[i].high / p->top * ROWS - row) * 8;
		int level = eighths >= 8 ? 8 : eighths <= 0 ? 0 : (int)(eighths + 0.5);

		// Something is more than nothing.
		if (row == 0 && level == 0 && p->slots[i].high > 0)
			level = 1;
		buf_addstr(&line, level == 0 && at_limit ? "╌" : blocks[level]);
	}
	buf_zero(&line, 1);
	print_label(page, label, at_limit ? "┼" : "│");
	if (line.failed)
		page->failed = true;
	else
		page_add(page, STYLE_PLAIN, "%s", (const char *)line.data);
}

void plot_print(struct page *page, const struct findings *findings)
{
	struct plot p;

	if (!plot_init(&p, findings, COLUMNS))
		return;
	char *low = size(&page->arena, p.low), *high = size(&page->arena, p.high);
	char *limit = size(&page->arena, p.limit), *top = size(&page->arena, p.top);
	char *time = words_duration(&page->arena, p.last - p.first);
	if (!low || !high || !limit || !top || !time) {
		page->failed = true;
		return;
	}
	page_section(page, PLOT_SECTION, PAGE_SHOWN, "Memory in the last %s (%s to %s%s%s):", time,
		     low, high, p.limit > 0 ? ", limit " : "", p.limit > 0 ? limit : "");
	for (int row = ROWS - 1; row >= 0; row--)
		print_row(page, &p, row, row == ROWS - 1 ? top : "");
	print_label(page, "0", "└");
	for (size_t i = 0; i < p.n; i++)
		page_add(page, STYLE_FAINT, "─");
}

static double height(const struct plot *p, double bytes)
{
	return HEIGHT * (1 - bytes / p->top);
}

void plot_draw(const struct findings *findings, struct buf *ret)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	struct plot p;

	if (!plot_init(&p, findings, SLOTS))
		return;
	char *top = size(&arena, p.top), *limit = size(&arena, p.limit);
	char *time = words_duration(&arena, p.last - p.first);
	if (!top || !limit || !time) {
		ret->failed = true;
		return;
	}
	buf_printf(ret,
		   "<svg viewBox=\"-4 -16 %d %d\" role=\"img\" aria-label=\"memory over time\" "
		   "font-size=\"11\" fill=\"currentColor\" stroke=\"none\">\n<path "
		   "fill-opacity=\"0.25\" d=\"M0,%d",
		   WIDTH + 8, HEIGHT + 36, HEIGHT);
	// What it used for sure is filled, and the most of each part of the time is the line above.
	for (size_t i = 0; i < p.n; i++)
		buf_printf(ret, " L%.1f,%.1f", (double)i * WIDTH / (double)(p.n - 1),
			   height(&p, p.slots[i].low));
	buf_printf(ret, " L%d,%d Z\"/>\n<polyline fill=\"none\" stroke=\"currentColor\" points=\"",
		   WIDTH, HEIGHT);
	for (size_t i = 0; i < p.n; i++)
		buf_printf(ret, "%s%.1f,%.1f", i ? " " : "", (double)i * WIDTH / (double)(p.n - 1),
			   height(&p, p.slots[i].high));
	buf_printf(ret, "\"/>\n<path stroke=\"currentColor\" d=\"M0,0 V%d H%d\" fill=\"none\"/>\n",
		   HEIGHT, WIDTH);
	if (p.limit > 0)
		buf_printf(ret,
			   "<path stroke=\"currentColor\" stroke-dasharray=\"6 4\" d=\"M0,%.1f "
			   "H%d\"/>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">limit "
			   "%s</text>\n",
			   height(&p, p.limit), WIDTH, WIDTH, height(&p, p.limit) - 4, limit);
	buf_printf(ret,
		   "<text x=\"0\" y=\"-4\">%s</text>\n<text x=\"0\" y=\"%d\">the last %s</text>\n"
		   "</svg>\n",
		   top, HEIGHT + 14, time);
}
