/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "places.h"

#include <stdio.h>
#include <string.h>

#define DEBUG_DIR "/usr/lib/debug"

static const struct places nowhere;

void build_id_text(const uint8_t *build_id, unsigned len, char ret[BUILD_ID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *out = ret;

	for (unsigned i = 0; i < len && i < BUILD_ID_MAX; i++) {
		*out++ = digits[build_id[i] >> 4];
		*out++ = digits[build_id[i] & 15];
	}
	*out = '\0';
}

static void fit(int len, char ret[PLACE_MAX])
{
	if (len < 0 || len >= PLACE_MAX)
		*ret = '\0';
}

// How many folders may be the root of the dump's machine.
static size_t roots(const struct places *places)
{
	return places->sysroots.n + !places->not_here;
}

// The Nth of them, ours last; NULL: no more.
static const char *root(const struct places *places, size_t n)
{
	if (n < places->sysroots.n)
		return places->sysroots.v[n];
	return n < roots(places) ? "" : NULL;
}

// The Nth folder with debug information, in two parts.
static bool debug_dir(const struct places *places, size_t n, const char *parts[2])
{
	if (n < places->debug_dirs.n) {
		parts[0] = places->debug_dirs.v[n];
		parts[1] = "";
		return true;
	}
	parts[0] = root(places, n - places->debug_dirs.n);
	parts[1] = DEBUG_DIR;
	return parts[0] != NULL;
}

const struct fetched_file *places_fetched(const struct places *places, const uint8_t *build_id,
					  unsigned build_id_len, bool debug)
{
	for (size_t i = 0; places && i < places->fetched.n; i++) {
		const struct fetched_file *file = &places->fetched.v[i];

		if (file->debug == debug && file->build_id_len == build_id_len &&
		    !memcmp(file->build_id, build_id, build_id_len))
			return file;
	}
	return NULL;
}

// The folders first, then what was fetched.
static bool by_build_id(const struct places *places, const uint8_t *build_id, unsigned build_id_len,
			size_t n, bool debug, char ret[PLACE_MAX])
{
	char text[BUILD_ID_TEXT];
	const char *parts[2];

	if (build_id_len < 2)
		return false;
	if (!debug_dir(places, n, parts)) {
		const struct fetched_file *file =
			n == places->debug_dirs.n + roots(places)
				? places_fetched(places, build_id, build_id_len, debug)
				: NULL;

		if (!file || !file->path)
			return false;
		fit(snprintf(ret, PLACE_MAX, "%s", file->path), ret);
		return true;
	}
	build_id_text(build_id, build_id_len, text);
	fit(snprintf(ret, PLACE_MAX, "%s%s/.build-id/%.2s/%s%s", parts[0], parts[1], text, text + 2,
		     debug ? ".debug" : ""),
	    ret);
	return true;
}

static bool named(const struct places *places, size_t n, char ret[PLACE_MAX])
{
	if (n >= places->named.n)
		return false;
	fit(snprintf(ret, PLACE_MAX, "%s", places->named.v[n]), ret);
	return true;
}

bool places_file(const struct places *places, const struct module *module, unsigned n,
		 char ret[PLACE_MAX])
{
	if (!places)
		places = &nowhere;
	if (named(places, n, ret))
		return true;
	n -= (unsigned)places->named.n;
	const char *start = root(places, n);
	if (!start)
		return by_build_id(places, module->build_id, module->build_id_len,
				   n - roots(places), false, ret);
	fit(snprintf(ret, PLACE_MAX, "%s%s", start, module->path), ret);
	return true;
}

bool places_debug(const struct places *places, const uint8_t *build_id, unsigned build_id_len,
		  unsigned n, char ret[PLACE_MAX])
{
	if (!places)
		places = &nowhere;
	if (named(places, n, ret))
		return true;
	return by_build_id(places, build_id, build_id_len, n - places->named.n, true, ret);
}

bool places_debuglink(const struct places *places, const char *path, const char *name, unsigned n,
		      char ret[PLACE_MAX])
{
	const char *slash = strrchr(path, '/'), *parts[2] = { "", "" }, *between = "/";

	if (!places)
		places = &nowhere;
	if (!slash)
		return false;
	if (!debug_dir(places, n, parts)) {
		// Beside the file itself, in each of the roots.
		size_t beside = n - (places->debug_dirs.n + roots(places));

		parts[0] = root(places, beside / 2);
		parts[1] = "";
		between = beside % 2 ? "/" : "/.debug/";
	}
	if (!parts[0])
		return false;
	// In a folder of debug information it has its machine's whole path.
	fit(snprintf(ret, PLACE_MAX, "%s%s%.*s%s%s", parts[0], parts[1], (int)(slash - path), path,
		     between, name),
	    ret);
	return true;
}
