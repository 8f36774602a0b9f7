/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "cleanup.h"
#include "fetch.h"
#include "fullcore.h"
#include "store/annotate.h"
#include "store/core.h"
#include "store/minidump.h"
#include "store/packed.h"
#include "target/privacy.h"
#include "walk/soname.h"

// Colours are for terminals, and for those who did not ask to be spared (no-color.org).
bool wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

struct error *print(int fd, const struct buf *text)
{
	for (size_t done = 0; done < text->len;) {
		ssize_t n = write(fd, text->data + done, text->len - done);

		if (n < 0 && errno != EINTR)
			return error_errno(errno, "cannot write to standard %s",
					   fd == STDOUT_FILENO ? "output" : "error");
		done += n < 0 ? 0 : (size_t)n;
	}
	return NULL;
}

static const struct {
	enum format format;
	const char *suffix;
} formats[] = {
	{ FORMAT_CORE, "core" },
	{ FORMAT_JSON, "json" },
	{ FORMAT_HTML, "html" },
	{ FORMAT_TEXT, "txt" }, // last: the summary names it
};

static struct error *write_packed(const struct store *store, const char *name, const struct buf *data,
				  char **path_ret)
{
	_cleanup_(draft_discard) struct draft draft = { .fd = -1 };
	_cleanup_(packer_destroyp) struct packer *packer = NULL;
	struct error *err = draft_begin(store, name, "core.zst", &draft);

	if (!err)
		err = packer_create(draft.fd, draft.path, &packer);
	if (!err)
		err = packer_add(packer, data->data, data->len);
	if (!err)
		err = packer_finish(packer);
	return err ? err : draft_publish(&draft, path_ret);
}

// PATH_RET, on success or not, is the last file that was written, if any was.
static struct error *write_formats(const struct store *store, const char *name,
				   const struct options *options, struct answer *answer, char **path_ret)
{
	struct error *err = NULL;

	for (size_t i = 0; !err && i < ARRAY_SIZE(formats); i++) {
		const struct buf *text = answer_format(answer, formats[i].format);
		char *written = NULL;

		if (!(options->formats & formats[i].format))
			continue;
		if (formats[i].format == FORMAT_CORE && options->compress)
			err = write_packed(store, name, text, &written);
		else
			err = store_write(store, name, formats[i].suffix, text->data, text->len,
					  &written);
		if (!err) {
			free(*path_ret);
			*path_ret = written;
		}
	}
	return err;
}

// What was found goes into the dump too, for those who list reports and do not analyse.
static struct error *annotate(const struct store *store, const char *name,
			      const struct answer *answer)
{
	struct annotation notes[ANSWER_NOTES];
	_cleanup_(closep) int fd = -1;
	size_t n = 0;
	struct error *err = store_reopen(store, name, "dmp", O_RDWR, &fd);

	if (err)
		return err;
	for (size_t i = 0; i + 1 < answer->notes.n && n < ANSWER_NOTES; i += 2)
		notes[n++] = (struct annotation){ answer->notes.v[i], answer->notes.v[i + 1] };
	err = minidump_annotate(fd, &answer->digest, notes, n);
	return error_prefix(err, "%s/%s.dmp", store->path, name);
}

// What a person who watches gets to see now.
static struct error *tell(const struct options *options, bool all, const struct answer *answer,
			  const char *path)
{
	if (options->quiet)
		return NULL;
	struct error *err = print(all ? STDOUT_FILENO : STDERR_FILENO, &answer->told);
	if (!err && (path || !all))
		fprintf(stderr, "report: %s\n", path ? path : "none");
	return err;
}

// There is no room for the whole memory, WHY (consumed) says: BYTES, the dump, is one without it.
static struct error *renounce(struct snapshot *snapshot, struct error *why, struct buf *bytes)
{
	struct bulk *bulk = &snapshot->bulk;

	snapshot_drop_bulk(snapshot);
	snapshot->full_core.bytes = 0;
	bulk->failed = arena_strdup(&snapshot->arena, why->text);
	struct error *err = gaps_take(&snapshot->arena, &snapshot->gaps, FULL_CORE, NULL, why);
	if (!err && !bulk->failed)
		err = error_nomem();
	buf_deinit(bytes);
	return err ? err : minidump_write(snapshot, bytes);
}

// The core with the whole memory, where one was wanted.
static struct error *deliver_bulk(const struct store *store, const char *name,
				  const struct options *options, struct snapshot *snapshot)
{
	_cleanup_(freep) char *path = NULL;

	if (snapshot->bulk.failed)
		return error_new(ERROR_SYSTEM, "no full core: %s", snapshot->bulk.failed);
	if (!snapshot->bulk.has_file)
		return NULL;
	struct error *err = fullcore_write(store, name, options, snapshot, &path);
	if (!err && !options->quiet)
		fprintf(stderr, "full core: %s\n", path);
	return err;
}

struct error *deliver(const struct store *folder, const struct options *options,
		      struct snapshot *snapshot)
{
	struct store own = *folder, *store = &own;
	bool all = options->command == COMMAND_SNAPSHOT || options->command == COMMAND_AUTOPSY;
	_cleanup_(freep) char *name = NULL, *path = NULL, *dump_path = NULL;
	_cleanup_(buf_deinit) struct buf bytes = {};
	_cleanup_(dump_close) struct dump dump = {};
	_cleanup_(answer_deinit) struct answer found = {};

	snapshot->unredacted = options->no_redact;
	struct error *err = soname_find(snapshot);
	if (!err)
		err = embed_unwind(snapshot, options->embed);
	if (geteuid() || !process_is_users(&snapshot->process, &own.reader) ||
	    own.reader != own.owner)
		own.reader = 0;
	if (!err)
		err = minidump_write(snapshot, &bytes);
	if (!err)
		err = store_name(store, snapshot, &name);
	if (err)
		return err;
	struct error *unwritten = store_write(store, name, "dmp", bytes.data, bytes.len, &path);
	if (unwritten && snapshot->bulk.has_file) {
		// The report comes first; without the whole memory there may be room for it.
		err = error_prefix(renounce(snapshot, unwritten, &bytes), "no report");
		unwritten = err ? NULL
				: store_write(store, name, "dmp", bytes.data, bytes.len, &path);
	}
	// The file is what others will read, so it is what is read here. Where there is none,
	// somebody may be watching all the same; where its user owns the folder, another file may
	// have its name by now.
	if (!unwritten && !own.reader) {
		buf_deinit(&bytes);
		dump_path = strdup(path);
		err = dump_path ? dump_map(dump_path, &dump) : error_nomem();
	} else {
		dump.data = bytes.data;
		dump.len = bytes.len;
	}
	dump.places = &options->places;
	struct question question = { .dump = &dump,
				     .files = snapshot,
				     .formats = unwritten ? 0 : options->formats,
				     .tell = options->quiet ? TELL_NOTHING
					     : all	    ? TELL_ALL
							    : TELL_SUMMARY,
				     .tell_colour =
					     wants_colour(all ? STDOUT_FILENO : STDERR_FILENO),
				     .digest = !unwritten };
	if (!err)
		err = error_prefix(answer(&question, &found), "no report, but the dump is %s",
				   path ? path : "lost");
	if (!err && !unwritten)
		unwritten = write_formats(store, name, options, &found, &path);
	if (!err && !unwritten)
		unwritten = annotate(store, name, &found);
	if (!err)
		err = tell(options, all, &found, path);
	if (!unwritten) {
		// Where the analysis came to nothing, it is all the more wanted.
		struct error *failed = deliver_bulk(store, name, options, snapshot);

		if (err)
			error_free(failed);
		else
			err = failed;
	}
	snapshot_deinit(snapshot);
	snapshot_init(snapshot);
	if (unwritten) {
		error_free(err);
		return unwritten;
	}
	return err;
}

// The core of the dump at options->file, in the folder for reports and under the dump's name.
static struct error *write_core(const struct options *options, const struct buf *core)
{
	_cleanup_(store_close) struct store store = { .dir = -1 };
	_cleanup_(freep) char *name = strdup(path_basename(options->file)), *path = NULL;

	if (!name)
		return error_nomem();
	char *suffix = strrchr(name, '.');
	if (suffix && suffix != name)
		*suffix = '\0';
	struct error *err = store_open(options->output, &store);
	if (!err && options->compress)
		err = write_packed(&store, name, core, &path);
	else if (!err)
		err = store_write(&store, name, "core", core->data, core->len, &path);
	if (!err && printf("%s\n", path) < 0)
		err = error_errno(errno, "cannot write to standard output");
	return err;
}

// For `show` and `diff`; NULL: no server is to be asked.
static struct fetch *fetching(const struct options *options, struct fetch *fetch)
{
	*fetch = (struct fetch){ .seconds = options->debuginfod_seconds,
				 .progress = isatty(STDERR_FILENO) && !options->quiet,
				 .say = options->verbose && !options->quiet };
	return fetch->seconds && fetch_has_servers() ? fetch : NULL;
}

struct error *deliver_again(const struct options *options)
{
	_cleanup_(dump_close) struct dump dump = {};
	_cleanup_(answer_deinit) struct answer found = {};
	struct fetch fetch;
	struct question question = { .dump = &dump,
				     .formats = options->formats,
				     .colour = wants_colour(STDOUT_FILENO),
				     .fetch = fetching(options, &fetch) };
	struct error *err = dump_map(options->file, &dump);

	dump.places = &options->places;
	if (!err && options->formats == FORMAT_CORE && core_is(dump.data, dump.len))
		err = error_new(ERROR_INPUT, "%s is a core file already", options->file);
	if (!err)
		err = answer(&question, &found);
	if (err)
		return err;
	const struct buf *text = answer_format(&found, options->formats);
	return options->formats == FORMAT_CORE ? write_core(options, text)
					       : print(STDOUT_FILENO, text);
}

struct error *deliver_diff(const struct options *options)
{
	_cleanup_(dump_close) struct dump a = {}, b = {};
	_cleanup_(buf_deinit) struct buf out = {};
	struct fetch fetch;
	struct error *err = dump_map(options->file, &a);

	if (!err)
		err = dump_map(options->other, &b);
	a.places = b.places = &options->places;
	if (!err)
		err = answer_difference(&a, &b, options->formats == FORMAT_JSON,
					wants_colour(STDOUT_FILENO),
					fetching(options, &fetch), &out);
	return err ? err : print(STDOUT_FILENO, &out);
}
