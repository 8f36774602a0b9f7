// SPDX-License-Identifier: GPL-3.0-or-later
#include "json.h"

#include "words.h"

static json_t *trend_list(struct out *o, const struct findings *findings)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < findings->trends.n; i++) {
		const struct trend *trend = &findings->trends.v[i];
		json_t *object = json_object();

		out_put_string(o, object, "of", trend_what_name(trend->what));
		out_put_string(o, object, "shape", trend_shape_name(trend->shape));
		out_put(o, object, "seconds", json_real((double)trend->duration / 1e9));
		out_put(o, object, "per_minute", json_real(trend->rate));
		out_put(o, object, "from", json_real(trend->from));
		out_put(o, object, "to", json_real(trend->to));
		if (trend->shape == TREND_GREW_THEN_FLAT)
			out_put(o, object, "flat_seconds", json_real((double)trend->flat / 1e9));
		if (trend->shape == TREND_SAWTOOTH)
			out_put(o, object, "falls", json_integer(trend->times));
		if (trend->limit >= 0) {
			out_put(o, object, "limit", json_integer(trend->limit));
			out_put_string(o, object, "limit_name", trend->limit_name);
			out_put(o, object, "limit_reached", json_boolean(trend->reached));
		}
		if (trend->left >= 0)
			out_put(o, object, "seconds_to_limit", json_real((double)trend->left / 1e9));
		out_append(o, ret, object);
	}
	return ret;
}

json_t *timeline_json(struct out *o, const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;

	if (!snapshot->timeline.samples.n)
		return json_null();
	json_t *ret = json_object(), *samples = json_array();
	double interval = snapshot->timeline.interval;
	// JSON has no infinity, and a dump may say anything.
	if (interval >= 0 && interval < 1e9)
		out_put(o, ret, "interval_seconds", json_real(interval));
	for (size_t i = 0; i < snapshot->timeline.samples.n; i++) {
		const struct sample *sample = &snapshot->timeline.samples.v[i];
		json_t *object = json_object();

		out_put_time(o, object, "at", sample->at);
		if (sample->rss >= 0)
			out_put(o, object, "rss_bytes", json_integer(sample->rss));
		if (sample->threads >= 0)
			out_put(o, object, "threads", json_integer(sample->threads));
		if (sample->fds >= 0)
			out_put(o, object, "fds", json_integer(sample->fds));
		if (sample->cpu_percent >= 0 && sample->cpu_percent < 1e9)
			out_put(o, object, "cpu_percent", json_real(sample->cpu_percent));
		if (sample->cgroup_memory >= 0)
			out_put(o, object, "cgroup_memory_bytes", json_integer(sample->cgroup_memory));
		if (sample->swap >= 0)
			out_put(o, object, "swap_bytes", json_integer(sample->swap));
		if (sample->minor_faults >= 0)
			out_put(o, object, "minor_faults", json_integer(sample->minor_faults));
		if (sample->major_faults >= 0)
			out_put(o, object, "major_faults", json_integer(sample->major_faults));
		if (sample->pss >= 0)
			out_put(o, object, "pss_bytes", json_integer(sample->pss));
		if (sample->children >= 0) {
			out_put(o, object, "children", json_integer(sample->children));
			out_put(o, object, "children_rss_bytes", out_number(sample->children_rss));
		}
		if (sample->voluntary_switches >= 0)
			out_put(o, object, "voluntary_switches", json_integer(sample->voluntary_switches));
		if (sample->involuntary_switches >= 0)
			out_put(o, object, "involuntary_switches",
				json_integer(sample->involuntary_switches));
		if (sample->pressure_some >= 0 && sample->pressure_some <= 100)
			out_put(o, object, "pressure_some_percent", json_real(sample->pressure_some));
		if (sample->pressure_full >= 0 && sample->pressure_full <= 100)
			out_put(o, object, "pressure_full_percent", json_real(sample->pressure_full));
		if (sample->merged > 1) {
			out_put(o, object, "merged", json_integer(sample->merged));
			out_put(o, object, "rss_min_bytes", out_number(sample->rss_min));
			out_put(o, object, "rss_max_bytes", out_number(sample->rss_max));
		}
		out_append(o, samples, object);
	}
	out_put(o, ret, "samples", samples);
	char *trend = words_trends(&o->arena, findings);
	o->failed |= !trend;
	out_put_string(o, ret, "trend", trend && *trend ? trend : NULL);
	out_put(o, ret, "trends", trend_list(o, findings));
	return ret;
}
