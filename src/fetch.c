/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fetch.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "sandbox.h"

// The header is in a package of its own, which nobody has who has not looked for it. Where it is
// there, the compiler compares.
#if __has_include(<elfutils/debuginfod.h>)
#include <elfutils/debuginfod.h>
#endif

typedef struct debuginfod_client debuginfod_client;
typedef int (*debuginfod_progressfn_t)(debuginfod_client *client, long done, long all);
debuginfod_client *debuginfod_begin(void);
void debuginfod_end(debuginfod_client *client);
void debuginfod_set_progressfn(debuginfod_client *client, debuginfod_progressfn_t progress);
int debuginfod_find_debuginfo(debuginfod_client *client, const unsigned char *build_id, int len,
			      char **path);
int debuginfod_find_executable(debuginfod_client *client, const unsigned char *build_id, int len,
			       char **path);

#define LIBRARY "libdebuginfod.so.1"

// The child is told to stop, and is stopped when it does not.
#define GRACE_SECONDS 3

static struct {
	__typeof__(debuginfod_begin) *begin;
	__typeof__(debuginfod_end) *end;
	__typeof__(debuginfod_set_progressfn) *set_progress;
	__typeof__(debuginfod_find_debuginfo) *find_debuginfo;
	__typeof__(debuginfod_find_executable) *find_executable;
} library;

// What is under way in the child, for the function that the library calls now and then.
static struct {
	const struct fetch *fetch;
	const struct fetch_wish *wish;
	uint64_t left; /* of FETCH_TOTAL */
	bool late, large;
} now_fetching;

bool fetch_has_servers(void)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	return urls && urls[strspn(urls, " \t\n")];
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct error *load_library(void)
{
	const struct {
		const char *name;
		void *to;
	} functions[] = {
		{ "debuginfod_begin", &library.begin },
		{ "debuginfod_end", &library.end },
		{ "debuginfod_set_progressfn", &library.set_progress },
		{ "debuginfod_find_debuginfo", &library.find_debuginfo },
		{ "debuginfod_find_executable", &library.find_executable },
	};
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return error_new(ERROR_UNSUPPORTED,
				 "DEBUGINFOD_URLS is set, but elfutils' libdebuginfod, which "
				 "asks the servers, is not installed: %s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		// POSIX lets dlsym() give functions, ISO C has no such pointer.
		void *function = dlsym(handle, functions[i].name);

		if (!function)
			return error_new(ERROR_UNSUPPORTED, "%s has no %s", LIBRARY,
					 functions[i].name);
		memcpy(functions[i].to, &function, sizeof(function));
	}
	return NULL;
}

static const char *kind_of(const struct fetch_wish *wish)
{
	return wish->debug ? "debug information of " : "";
}

static double mebibytes(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

static int progress(debuginfod_client *client, long done, long all)
{
	const struct fetch *fetch = now_fetching.fetch;
	const struct fetch_wish *wish = now_fetching.wish;
	uint64_t most = now_fetching.left < FETCH_SIZE ? now_fetching.left : FETCH_SIZE;

	(void)client;
	now_fetching.late = now() >= fetch->deadline;
	now_fetching.large = (done > 0 && (uint64_t)done > most) ||
			     (all > 0 && (uint64_t)all > most);
	if (!fetch->progress)
		return now_fetching.late || now_fetching.large;
	fprintf(stderr, "\r\033[Kdebuginfod: %s%.60s: ", kind_of(wish), path_basename(wish->name));
	if (done > 0 && all > 0)
		fprintf(stderr, "%.1f of %.1f MiB", mebibytes((uint64_t)done),
			mebibytes((uint64_t)all));
	else if (done > 0)
		fprintf(stderr, "%.1f MiB", mebibytes((uint64_t)done));
	else
		fputs("asking", stderr);
	fflush(stderr);
	return now_fetching.late || now_fetching.large;
}

// In words, why the library said ERRNUM.
static void why_not(int errnum, struct buf *ret)
{
	const char *cache = getenv("DEBUGINFOD_CACHE_PATH");

	if (now_fetching.large || errnum == EFBIG)
		buf_printf(ret, "what a server in DEBUGINFOD_URLS has is larger than is fetched "
				"(%d MiB)", (int)(FETCH_SIZE >> 20));
	else if (now_fetching.late)
		buf_printf(ret, "no server in DEBUGINFOD_URLS sent it within %d s "
				"(--debuginfod-timeout)", now_fetching.fetch->seconds);
	else if (errnum == ENOENT && cache && access(cache, W_OK | X_OK))
		// It makes the last folder of the path alone, and says the same of what no server has.
		buf_printf(ret, "%s, DEBUGINFOD_CACHE_PATH, cannot be written: %s", cache,
			   strerror(errno));
	else if (errnum == ENOENT)
		buf_addstr(ret, "no server in DEBUGINFOD_URLS has it");
	else
		buf_printf(ret, "asking the servers in DEBUGINFOD_URLS: %s", strerror(errnum));
}

// The answer of the child: for each wish whether it was fulfilled, and then its path or why not.
enum { ANSWER_HEAD = 5 };

static void fetch_one(debuginfod_client *client, const struct fetch_wish *wish, struct buf *out)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(buf_deinit) struct buf why = {};
	struct stat st = {};
	int fd = -ETIME;

	now_fetching.wish = wish;
	now_fetching.large = false;
	now_fetching.late = now() >= now_fetching.fetch->deadline;
	if (!now_fetching.late)
		fd = (wish->debug ? library.find_debuginfo : library.find_executable)(
			client, wish->build_id, (int)wish->build_id_len, &path);
	if (fd < 0) {
		why_not(-fd, &why);
	} else {
		if (!fstat(fd, &st) && (uint64_t)st.st_size < now_fetching.left)
			now_fetching.left -= (uint64_t)st.st_size;
		close(fd);
	}
	const char *text = fd < 0 ? (const char *)why.data : path;
	size_t len = fd < 0 ? why.len : strlen(path);
	buf_add(out, fd < 0 ? "\0" : "\1", 1);
	buf_u32(out, (uint32_t)len);
	buf_add(out, text, len);
	if (now_fetching.fetch->progress)
		fputs("\r\033[K", stderr);
	if (now_fetching.fetch->say && fd >= 0)
		fprintf(stderr, "debuginfod: %s%s: %.1f MiB\n", kind_of(wish), wish->name,
			mebibytes((uint64_t)st.st_size));
	else if (now_fetching.fetch->say)
		fprintf(stderr, "debuginfod: %s%s: %.*s\n", kind_of(wish), wish->name, (int)len,
			text);
}

struct work {
	const struct fetch *fetch;
	const fetch_wishes *wishes;
};

// In the child.
static struct error *do_fetch(void *arg, struct buf *out)
{
	const struct work *work = arg;
	struct error *err = load_library();

	if (err)
		return err;
	// What is larger than may be written is an error like any other.
	signal(SIGXFSZ, SIG_IGN);
	debuginfod_client *client = library.begin();
	if (!client)
		return error_new(ERROR_UNSUPPORTED, "libdebuginfod cannot start");
	library.set_progress(client, progress);
	now_fetching.fetch = work->fetch;
	now_fetching.left = FETCH_TOTAL;
	for (size_t i = 0; i < work->wishes->n; i++)
		fetch_one(client, &work->wishes->v[i], out);
	library.end(client);
	return NULL;
}

static bool is_new(const struct places *places, const struct fetch_wish *wish)
{
	return !places_fetched(places, wish->build_id, wish->build_id_len, wish->debug);
}

// A note in PLACES that WISH was asked for: it has either a path or why it has none.
static struct error *note(const struct fetch_wish *wish, char *path, char *why, struct arena *arena,
			  struct places *places)
{
	struct fetched_file *file = LIST_ADD(arena, &places->fetched);

	if (!file)
		return error_nomem();
	*file = (struct fetched_file){ .build_id_len = wish->build_id_len,
				       .debug = wish->debug,
				       .path = path,
				       .why = why };
	memcpy(file->build_id, wish->build_id, wish->build_id_len);
	return NULL;
}

// What the child said of WISHES; it has listened to strangers.
static struct error *note_answers(const struct buf *all, const fetch_wishes *wishes,
				  struct arena *arena, struct places *places)
{
	struct error *err = NULL;
	size_t at = 0;

	for (size_t i = 0; !err && i < wishes->n; i++) {
		uint32_t len;

		if (all->len - at < ANSWER_HEAD)
			return error_new(ERROR_INPUT, "the answer ends too early");
		bool found = all->data[at];
		memcpy(&len, all->data + at + 1, sizeof(len));
		at += ANSWER_HEAD;
		if (len > all->len - at || len >= PLACE_MAX)
			return error_new(ERROR_INPUT, "the answer ends too early");
		char *text = arena_strndup(arena, (const char *)all->data + at, len);
		at += len;
		err = !text ? error_nomem()
		      : found ? note(&wishes->v[i], text, NULL, arena, places)
			      : note(&wishes->v[i], NULL, text, arena, places);
	}
	return err;
}

static struct error *note_failure(const fetch_wishes *wishes, const char *why, struct arena *arena,
				  struct places *places)
{
	char *text = arena_strdup(arena, why);
	struct error *err = text ? NULL : error_nomem();

	for (size_t i = 0; !err && i < wishes->n; i++)
		if (is_new(places, &wishes->v[i]))
			err = note(&wishes->v[i], NULL, text, arena, places);
	return err;
}

struct error *fetch_files(struct fetch *fetch, const fetch_wishes *wishes, struct arena *arena,
			  struct places *places, bool *new_ret)
{
	fetch_wishes asked = {}, too_many = {};
	_cleanup_(buf_deinit) struct buf all = {};
	_cleanup_(error_freep) struct error *failed = NULL;
	bool stopped;

	for (size_t i = 0; i < wishes->n; i++) {
		const struct fetch_wish *wish = &wishes->v[i];

		if (!is_new(places, wish))
			continue;
		bool room = places->fetched.n + asked.n < FETCH_FILES;
		struct fetch_wish *to = LIST_ADD(arena, room ? &asked : &too_many);
		if (!to)
			return error_nomem();
		*to = *wish;
	}
	*new_ret = asked.n || too_many.n;
	if (!*new_ret)
		return NULL;
	if (!fetch->deadline)
		fetch->deadline = now() + (int64_t)fetch->seconds * 1000;
	int64_t left = fetch->deadline - now();
	struct work work = { fetch, &asked };
	failed = sandbox_fetch(do_fetch, &work, FETCH_SIZE,
			       (int)(left > 0 ? left / 1000 : 0) + GRACE_SECONDS, &all, &stopped);
	if (!failed)
		failed = note_answers(&all, &asked, arena, places);
	if (failed && failed->kind == ERROR_NOMEM)
		return TAKE(failed);
	// Those that the answer did not get to are without one.
	if (failed && stopped)
		failed = error_prefix(failed, "fetching was stopped");
	struct error *err = failed ? note_failure(&asked, failed->text, arena, places) : NULL;
	return err ? err
		   : note_failure(&too_many, "more files were wanted than are fetched for a report",
				  arena, places);
}
