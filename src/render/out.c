// SPDX-License-Identifier: GPL-3.0-or-later
#include "out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "words.h"

void out_put(struct out *o, json_t *object, const char *key, json_t *value)
{
	o->failed |= json_object_set_new(object, key, value) != 0;
}

void out_append(struct out *o, json_t *array, json_t *value)
{
	o->failed |= json_array_append_new(array, value) != 0;
}

json_t *out_string(const char *text)
{
	_cleanup_(buf_deinit) struct buf clean = {};

	if (!text)
		return json_null();
	buf_clean(&clean, text, strlen(text), "\n\t");
	return clean.failed ? NULL
			    : json_stringn(clean.len ? (const char *)clean.data : "", clean.len);
}

void out_put_string(struct out *o, json_t *object, const char *key, const char *text)
{
	out_put(o, object, key, out_string(text));
}

void out_put_known(struct out *o, json_t *object, const char *key, const char *text)
{
	if (text)
		out_put_string(o, object, key, text);
}

json_t *out_address(uint64_t at)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, at);
	return json_string(text);
}

json_t *out_number(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

json_t *out_time(struct out *o, int64_t at)
{
	char *text = at ? words_rfc3339(&o->arena, at) : NULL;

	o->failed |= at && !text;
	return out_string(text);
}

void out_put_time(struct out *o, json_t *object, const char *key, int64_t at)
{
	char *text = words_rfc3339(&o->arena, at);

	o->failed |= !text;
	out_put_string(o, object, key, text);
}

void out_put_signal(struct out *o, json_t *object, const char *key, int signo)
{
	char *text = words_signal(&o->arena, signo);

	o->failed |= !text;
	out_put_string(o, object, key, text);
}

json_t *out_strings(struct out *o, const strings *list)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < list->n; i++)
		out_append(o, ret, out_string(list->v[i]));
	return ret;
}

json_t *out_process(struct out *o, const struct process_ref *ref)
{
	json_t *ret = json_object();

	out_put(o, ret, "pid", json_integer(ref->pid));
	out_put_string(o, ret, "comm", ref->comm);
	out_put_string(o, ret, "exe", ref->exe);
	out_put(o, ret, "cmdline", out_strings(o, &ref->cmdline));
	out_put(o, ret, "uid", ref->uid == (uid_t)-1 ? json_null() : json_integer(ref->uid));
	return ret;
}

json_t *out_processes(struct out *o, const process_refs *refs)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < refs->n; i++)
		out_append(o, ret, out_process(o, &refs->v[i]));
	return ret;
}
