// SPDX-License-Identifier: GPL-3.0-or-later
#include "trend.h"

#include <math.h>
#include <stdlib.h>

#include "../cleanup.h"
#include "scene.h"

#define SECOND	   INT64_C(1000000000)
#define TICK	   INT64_C(1000000) // samples that are closer than this, in ns, are one
#define MIB	   (1024.0 * 1024.0)
#define POINTS_MAX 128 // of more samples, that many are looked at
#define PHASES_MAX 4

// A point of a series; the extremes are those of all samples that it stands for.
struct point {
	double t; // seconds since the first
	double v, low, high;
};

struct series {
	struct point v[POINTS_MAX];
	size_t n;
};

struct line {
	double slope;	// per second
	double level;	// median
	double harmony; // 1: each later point is higher than each earlier one, -1: lower
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

// The median slope of all pairs (Theil and Sen): a third of the points may be anywhere.
static struct line fit(const struct point *v, size_t n)
{
	static const size_t pairs_max = POINTS_MAX * (POINTS_MAX - 1) / 2;
	double pairs[POINTS_MAX * (POINTS_MAX - 1) / 2], values[POINTS_MAX];
	size_t up = 0, down = 0, n_pairs = 0;

	for (size_t i = 0; i < n; i++) {
		values[i] = v[i].v;
		for (size_t k = 0; k < i && n_pairs < pairs_max; k++) {
			pairs[n_pairs++] = (v[i].v - v[k].v) / (v[i].t - v[k].t);
			up += v[i].v > v[k].v;
			down += v[i].v < v[k].v;
		}
	}
	return (struct line){ .slope = median(pairs, n_pairs),
			      .level = median(values, n),
			      .harmony = ((double)up - (double)down) / (double)(up + down ?: 1) };
}

// What is left of the points' variance once the best straight line has been taken off.
static double rest(const struct point *v, size_t n)
{
	double t = 0, y = 0, tt = 0, ty = 0, yy = 0;

	for (size_t i = 0; i < n; i++) {
		t += v[i].t;
		y += v[i].v;
	}
	t /= (double)n;
	y /= (double)n;
	for (size_t i = 0; i < n; i++) {
		tt += (v[i].t - t) * (v[i].t - t);
		ty += (v[i].t - t) * (v[i].v - y);
		yy += (v[i].v - y) * (v[i].v - y);
	}
	double ret = tt > 0 ? yy - ty * ty / tt : yy;
	return ret > 0 ? ret : 0;
}

/*
 * Where the last phase of the points begins: they are cut where two straight lines fit far better
 * than one, and what is behind the cut again. *BEFORE is the beginning of the phase before it.
 */
static size_t last_phase(const struct point *v, size_t n, size_t *before)
{
	size_t begin = 0;

	*before = 0;
	for (int phase = 1; phase < PHASES_MAX; phase++) {
		size_t len = n - begin, cut = 0;
		double whole = rest(v + begin, len), best = whole / 5;

		// Less than a hundredth of the level is noise.
		if (len < 4 || whole / (double)len < 1e-4 * v[n - 1].v * v[n - 1].v)
			break;
		for (size_t i = 1; i + 3 <= len; i++) {
			double both = rest(v + begin, i) + rest(v + begin + i, len - i);

			if (both < best) {
				best = both;
				cut = i;
			}
		}
		if (!cut)
			break;
		*before = begin;
		begin += cut;
	}
	return begin;
}

static int64_t nanoseconds(double seconds)
{
	return seconds > 0 && seconds < 9e9 ? (int64_t)(seconds * (double)SECOND) : 0;
}

static int64_t span(const struct point *v, size_t n)
{
	return nanoseconds(v[n - 1].t - v[0].t);
}

// How often it fell by half of its whole range, having risen by as much before.
static unsigned falls(const struct series *s, double low, double high)
{
	double swing = (high - low) / 2, top = s->v[0].high, bottom = s->v[0].low;
	bool rising = true;
	unsigned n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct point *p = &s->v[i];

		top = p->high > top ? p->high : top;
		bottom = p->low < bottom ? p->low : bottom;
		if (rising && p->v < top - swing) {
			n++;
			rising = false;
			bottom = p->low;
		} else if (!rising && p->v > bottom + swing) {
			rising = true;
			top = p->high;
		}
	}
	return n;
}

/* What stands out: at least so much, and such a part of what was there before. */
struct measure {
	double least, part;
};

static bool grows(const struct point *v, size_t n, const struct measure *measure, struct line *line)
{
	*line = fit(v, n);
	double grown = fabs(line->slope) * (v[n - 1].t - v[0].t);
	const struct point *middle = &v[n / 2], *last = &v[n - 1];

	// A step and then nothing is a slope, too; what grows still did so in its second half.
	if (n < 3 || (last->v - middle->v) / line->slope < (last->t - middle->t) / 4)
		return false;
	return grown >= measure->least && fabs(line->harmony) >= 0.6 &&
	       (line->harmony > 0) == (line->slope > 0) &&
	       grown >= measure->part * fabs(line->slope > 0 ? v[0].v : v[n - 1].v);
}

// The points of a series into what can be said of them; false: nothing.
static bool describe(const struct series *s, const struct measure *measure, struct trend *trend)
{
	const struct point *v = s->v;
	double low = v[0].low, high = v[0].high;
	size_t n = s->n, before;
	struct line line;

	for (size_t i = 1; i < n; i++) {
		low = v[i].low < low ? v[i].low : low;
		high = v[i].high > high ? v[i].high : high;
	}
	*trend = (struct trend){ .from = low, .to = high, .limit = -1, .left = -1 };
	trend->duration = span(v, n);
	bool wide = high - low >= measure->least && high - low >= measure->part * high;
	struct line all = fit(v, n);
	trend->times = wide && fabs(all.harmony) < 0.8 ? falls(s, low, high) : 0;
	if (trend->times >= 3) {
		trend->shape = TREND_SAWTOOTH;
		return true;
	}
	// What the last sample alone says is of the death's last moments.
	size_t tail = n > 4 ? n - 1 : 0;
	if (tail) {
		line = fit(v, tail);
		double leap = v[tail].v - v[tail - 1].v;
		double usual = fabs(line.slope) * (v[tail].t - v[tail - 1].t);

		if (leap >= 4 * measure->least && leap >= v[tail - 1].v / 2 && leap > 4 * usual) {
			trend->shape = TREND_JUMPED;
			trend->from = v[tail - 1].v;
			trend->to = v[tail].v;
			trend->duration = span(v + tail - 1, 2);
			return true;
		}
	}
	size_t begin = last_phase(v, n, &before);
	if (grows(v + begin, n - begin, measure, &line)) {
		trend->shape = line.slope > 0 ? TREND_GREW : TREND_SHRANK;
		trend->rate = fabs(line.slope) * 60;
		trend->from = v[begin].v;
		trend->to = v[n - 1].v;
		trend->duration = span(v + begin, n - begin);
		return true;
	}
	double after = line.level;
	// The first phase is how it started; growth is what came later and took its time.
	if (begin - before >= 3 && after >= 0.9 * v[begin - 1].v &&
	    grows(v + before, begin - before, measure, &line) && line.slope > 0) {
		trend->shape = TREND_GREW_THEN_FLAT;
		trend->rate = line.slope * 60;
		trend->from = v[before].v;
		trend->to = after;
		trend->duration = span(v + before, begin - before);
		trend->flat = span(v + begin, n - begin);
		return true;
	}
	low = v[begin].low;
	high = v[begin].high;
	for (size_t i = begin; i < n; i++) {
		low = v[i].low < low ? v[i].low : low;
		high = v[i].high > high ? v[i].high : high;
	}
	trend->shape = TREND_STEADY;
	trend->from = low;
	trend->to = high;
	trend->duration = span(v + begin, n - begin);
	return n - begin >= 6 && trend->duration >= 60 * SECOND &&
	       (high - low < measure->least / 2 || high - low < measure->part * high);
}

// The number that WHAT is of in SAMPLE, < 0 unknown.
static double value(const struct sample *sample, enum trend_what what)
{
	switch (what) {
	case TREND_MEMORY:
		return sample->rss < 0 ? -1
				       : (double)sample->rss +
						 (sample->swap > 0 ? (double)sample->swap : 0);
	case TREND_FILES:
		return sample->fds;
	case TREND_THREADS:
		return sample->threads;
	case TREND_CPU:
		return sample->cpu_percent;
	case TREND_PRESSURE:
		return sample->pressure_some;
	case TREND_PAGING:
		return (double)sample->major_faults;
	}
	return -1;
}

// Time goes forward in a series, whatever the clock was set to; the last sample is always in it.
static void collect(const struct findings *findings, enum trend_what what, struct series *ret)
{
	const struct sample *v = findings->snapshot->timeline.samples.v;
	size_t n = findings->snapshot->timeline.samples.n;
	size_t step = (n + POINTS_MAX - 2) / (POINTS_MAX - 1);
	int64_t first = 0, last = 0;
	double low = 0, high = 0;
	bool open = false; // low and high hold something that is in no point yet

	ret->n = 0;
	for (size_t i = 0; i < n; i++) {
		double now = value(&v[i], what);

		if (!isfinite(now) || now < 0 || v[i].at < TICK || v[i].at - TICK < last)
			continue;
		first = first ? first : v[i].at;
		double least = now, most = now;
		if (what == TREND_MEMORY && v[i].merged > 1) {
			double min = (double)v[i].rss_min, max = (double)v[i].rss_max;

			least = min >= 0 && min < now ? min : now;
			most = max > now ? max : now;
		}
		low = open && low < least ? low : least;
		high = open && high > most ? high : most;
		open = true;
		last = v[i].at;
		if ((n - 1 - i) % step || ret->n == POINTS_MAX)
			continue;
		ret->v[ret->n++] = (struct point){ .t = (double)(last - first) / (double)SECOND,
						   .v = now,
						   .low = low,
						   .high = high };
		open = false;
	}
}

static void consider_limit(struct trend *trend, int64_t limit, double used, const char *name,
			   double *room)
{
	double left = (double)limit - used;

	if (limit < 0 || left >= *room)
		return;
	*room = left;
	trend->limit = limit;
	trend->limit_name = name;
}

// The limit that memory would meet first, and how much room was left below it.
static double memory_limit(const struct findings *findings, struct trend *trend)
{
	const struct process *process = &findings->snapshot->process;
	static const struct {
		const char *limit, *status, *name;
	} own[] = {
		{ "Max address space", "VmSize", "RLIMIT_AS" },
		{ "Max data size", "VmData", "RLIMIT_DATA" },
	};
	double room = INFINITY;
	uint64_t soft, hard, used;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (scene_limit(findings, own[i].limit, &soft, &hard) && soft <= INT64_MAX &&
		    scene_status(findings, own[i].status, &used))
			consider_limit(trend, (int64_t)soft, 1024.0 * (double)used, own[i].name,
				       &room);
	for (size_t i = 0; i < process->cgroup_levels.n; i++) {
		const struct cgroup_level *level = &process->cgroup_levels.v[i];
		// What it alone uses besides its memory is files that the kernel can do without.
		bool alone = i == 0 && process->cgroup_others == 0;

		consider_limit(trend, level->limit,
			       alone || level->usage < trend->to ? trend->to : (double)level->usage,
			       i ? "the limit of a cgroup above its own" : "its cgroup's limit",
			       &room);
	}
	if (findings->snapshot->host.memory > 0)
		consider_limit(trend, findings->snapshot->host.memory, trend->to,
			       "all the machine's memory", &room);
	return room;
}

static double files_limit(const struct findings *findings, struct trend *trend)
{
	double room = INFINITY;
	uint64_t soft, hard;

	if (scene_limit(findings, "Max open files", &soft, &hard) && soft <= INT64_MAX)
		consider_limit(trend, (int64_t)soft, trend->to, "the limit", &room);
	return room;
}

// Whether it had come to the limit, and else when it would have.
static void near_limit(const struct findings *findings, struct trend *trend, double room)
{
	double interval = findings->snapshot->timeline.interval;

	if (trend->limit < 0)
		return;
	bool growing = trend->shape == TREND_GREW;
	double left = growing && trend->rate > 0 ? room / trend->rate * 60 : INFINITY;
	// Between two samples nobody looked.
	trend->reached = room <= 0.05 * (double)trend->limit || (growing && left <= interval);
	if (trend->shape == TREND_SHRANK)
		trend->reached = false;
	// It is no news that it will be full one day.
	if (growing && !trend->reached && left < 9e9 && nanoseconds(left) / 10 <= trend->duration)
		trend->left = nanoseconds(left);
}

// The length of the run of points at the end that are HIGH or more.
static size_t run_at_end(const struct series *s, double high)
{
	size_t n = 0;

	while (n < s->n && s->v[s->n - 1 - n].v >= high)
		n++;
	return n;
}

static bool describe_high(const struct series *s, enum trend_what what, struct trend *trend)
{
	double values[POINTS_MAX];
	size_t n = run_at_end(s, what == TREND_CPU ? 90 : 10);

	if (n < 2)
		return false;
	const struct point *v = s->v + s->n - n;
	for (size_t i = 0; i < n; i++)
		values[i] = v[i].v;
	*trend = (struct trend){ .shape = TREND_HIGH, .limit = -1, .left = -1 };
	trend->duration = span(v, n);
	trend->from = trend->to = median(values, n);
	// The kernel's number is of the last 10 s; a CPU is soon busy for some of them.
	return trend->duration >= (what == TREND_CPU ? 30 : 1) * SECOND;
}

// Pages that had to be read back again and again: the machine was busy with finding memory.
static bool describe_paging(const struct series *s, struct trend *trend)
{
	size_t n = 0;

	// Counts of the program itself, read as it starts, are not that.
	while (n + 2 < s->n && s->v[s->n - 1 - n].v - s->v[s->n - 2 - n].v >=
				       20 * (s->v[s->n - 1 - n].t - s->v[s->n - 2 - n].t))
		n++;
	if (n < 2)
		return false;
	const struct point *last = &s->v[s->n - 1], *first = last - n;
	*trend = (struct trend){ .shape = TREND_HIGH,
				 .duration = span(first, n + 1),
				 .rate = (last->v - first->v) / (last->t - first->t) * 60,
				 .from = first->v,
				 .to = last->v,
				 .limit = -1,
				 .left = -1 };
	return true;
}

struct error *trends_find(struct findings *findings)
{
	static const struct measure measures[] = {
		[TREND_MEMORY] = { 8 * MIB, 0.1 },
		[TREND_FILES] = { 10, 0.25 },
		[TREND_THREADS] = { 8, 0.5 },
	};
	struct series series;
	struct trend trend;

	for (enum trend_what what = TREND_MEMORY; what <= TREND_PAGING; what++) {
		bool found = false;

		collect(findings, what, &series);
		if (series.n < 3 || span(series.v, series.n) < SECOND)
			continue;
		if (what < ARRAY_SIZE(measures))
			found = describe(&series, &measures[what], &trend);
		else if (what == TREND_PAGING)
			found = describe_paging(&series, &trend);
		else
			found = describe_high(&series, what, &trend);
		// As many files or threads as ever is nothing to say.
		if (!found || (trend.shape == TREND_STEADY && what != TREND_MEMORY))
			continue;
		trend.what = what;
		if (what == TREND_MEMORY)
			near_limit(findings, &trend, memory_limit(findings, &trend));
		else if (what == TREND_FILES)
			near_limit(findings, &trend, files_limit(findings, &trend));
		struct trend *slot = LIST_ADD(&findings->arena, &findings->trends);
		if (!slot)
			return error_nomem();
		*slot = trend;
	}
	return NULL;
}
