/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyse/analyse.h"
#include "cleanup.h"
#include "dump.h"
#include "render/digest.h"
#include "render/render.h"
#include "store/annotate.h"
#include "store/minidump.h"

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

// In any of the formats but that of the dump.
static struct error *render(const struct findings *findings, enum format format, bool colour,
			    struct buf *ret)
{
	switch (format) {
	case FORMAT_JSON:
		return render_json(findings, NULL, ret);
	case FORMAT_HTML:
		return render_html(findings, ret);
	case FORMAT_CORE:
		return dump_to_core(findings->snapshot, ret);
	default:
		return render_text(findings, colour, ret);
	}
}

// The files that were held open for us while the target lived; they may have no name any more.
static void take_files(struct snapshot *to, struct snapshot *from)
{
	for (size_t i = 0; i < to->modules.n && i < from->modules.n; i++)
		if (to->modules.v[i].start == from->modules.v[i].start &&
		    !strcmp(to->modules.v[i].path, from->modules.v[i].path))
			to->modules.v[i].fd = TAKE_FD(from->modules.v[i].fd);
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

static struct error *write_formats(const struct store *store, const char *name,
				   const struct options *options, const struct findings *findings,
				   char **path)
{
	struct error *err = NULL;

	for (size_t i = 0; !err && i < ARRAY_SIZE(formats); i++) {
		_cleanup_(buf_deinit) struct buf out = {};
		char *written = NULL;

		if (!(options->formats & formats[i].format))
			continue;
		err = render(findings, formats[i].format, false, &out);
		if (!err)
			err = store_write(store, name, formats[i].suffix, out.data, out.len, &written);
		if (!err) {
			free(*path);
			*path = written;
		}
	}
	return err;
}

// What a person who watches gets to see now.
static struct error *tell(const struct options *options, const struct findings *findings,
			  const char *path)
{
	_cleanup_(buf_deinit) struct buf out = {};
	struct error *err;

	if (options->quiet)
		return NULL;
	if (options->command != COMMAND_SNAPSHOT && options->command != COMMAND_AUTOPSY) {
		err = render_summary(findings, path ? path : "none", wants_colour(STDERR_FILENO),
				     &out);
		return err ? err : print(STDERR_FILENO, &out);
	}
	err = render_text(findings, wants_colour(STDOUT_FILENO), &out);
	if (!err)
		err = print(STDOUT_FILENO, &out);
	if (!err && path)
		fprintf(stderr, "report: %s\n", path);
	return err;
}

// DUMP and its file are one; the file is what others will read, so it is what is read here.
static struct error *write_dump(const struct store *store, const char *name, const struct buf *dump,
				char **path, struct snapshot *ret)
{
	struct error *err = store_write(store, name, "dmp", dump->data, dump->len, path);

	if (!err) {
		struct dump written;

		err = dump_open(*path, &written);
		if (!err)
			*ret = TAKE(written.snapshot);
		return err;
	}
	// Nobody will read it again, but somebody may be watching now.
	struct error *unread = minidump_read(dump->data, dump->len, ret);
	if (unread) {
		error_free(unread);
		snapshot_init(ret);
	}
	return err;
}

// What was found goes into the dump too, for those who list reports and do not analyse.
static struct error *annotate(const struct store *store, const char *name,
			      const struct findings *findings)
{
	_cleanup_(digest_deinit) struct digest digest = {};
	_cleanup_(closep) int fd = -1;
	struct error *err = render_digest(findings, &digest);

	if (!err)
		err = store_reopen(store, name, "dmp", O_RDWR, &fd);
	if (err)
		return err;
	_cleanup_(freep) struct annotation *notes = calloc(digest.notes.n + 1, sizeof(*notes));
	if (!notes)
		return error_nomem();
	for (size_t i = 0; i < digest.notes.n; i++)
		notes[i] = (struct annotation){ digest.notes.v[i].key, digest.notes.v[i].value };
	err = minidump_annotate(fd, &digest.json, notes, digest.notes.n);
	return error_prefix(err, "%s/%s.dmp", store->path, name);
}

struct error *deliver(const struct store *store, const struct options *options,
		      struct snapshot *snapshot)
{
	_cleanup_(freep) char *name = NULL, *path = NULL;
	_cleanup_(buf_deinit) struct buf dump = {};
	_cleanup_(snapshot_deinit) struct snapshot again;
	_cleanup_(findings_deinit) struct findings findings = {};

	snapshot_init(&again);
	struct error *err = minidump_write(snapshot, &dump);
	if (!err)
		err = store_name(store, snapshot, &name);
	if (err)
		return err;
	struct error *unwritten = write_dump(store, name, &dump, &path, &again);
	buf_deinit(&dump);
	take_files(&again, snapshot);
	// The captured bytes are in `again` now: once is enough.
	snapshot_deinit(snapshot);
	snapshot_init(snapshot);
	err = analyse(&again, &findings);
	if (!err && !unwritten)
		unwritten = write_formats(store, name, options, &findings, &path);
	if (!err && !unwritten)
		unwritten = annotate(store, name, &findings);
	if (!err)
		err = tell(options, &findings, path);
	if (unwritten) {
		error_free(err);
		return unwritten;
	}
	return err;
}

// A dump and what can be said about it.
struct reading {
	struct dump dump;
	struct findings findings;
};

static void reading_deinit(struct reading *reading)
{
	findings_deinit(&reading->findings);
	dump_close(&reading->dump);
}

static struct error *reading_init(struct reading *reading, const char *path)
{
	*reading = (struct reading){};
	struct error *err = dump_open(path, &reading->dump);

	return err ? err : analyse(&reading->dump.snapshot, &reading->findings);
}

// The dump at options->file as a core, in the folder for reports and under the dump's name.
static struct error *write_core(const struct options *options, const struct snapshot *snapshot)
{
	_cleanup_(store_close) struct store store = { .dir = -1 };
	_cleanup_(freep) char *name = strdup(path_basename(options->file)), *path = NULL;
	_cleanup_(buf_deinit) struct buf core = {};

	if (!name)
		return error_nomem();
	char *suffix = strrchr(name, '.');
	if (suffix && suffix != name)
		*suffix = '\0';
	struct error *err = dump_to_core(snapshot, &core);
	if (!err)
		err = store_open(options->output, &store);
	if (!err)
		err = store_write(&store, name, "core", core.data, core.len, &path);
	if (!err && printf("%s\n", path) < 0)
		err = error_errno(errno, "cannot write to standard output");
	return err;
}

struct error *deliver_again(const struct options *options)
{
	_cleanup_(reading_deinit) struct reading reading;
	_cleanup_(buf_deinit) struct buf out = {};
	struct error *err = reading_init(&reading, options->file);

	if (!err && options->formats == FORMAT_CORE && reading.dump.data)
		return error_new(ERROR_INPUT, "%s is a core file already", options->file);
	if (!err && options->formats == FORMAT_CORE)
		return write_core(options, &reading.dump.snapshot);
	if (!err)
		err = render(&reading.findings, options->formats,
			     options->formats == FORMAT_TEXT && wants_colour(STDOUT_FILENO), &out);
	return err ? err : print(STDOUT_FILENO, &out);
}

struct error *deliver_diff(const struct options *options)
{
	_cleanup_(reading_deinit) struct reading a, b = {};
	_cleanup_(buf_deinit) struct buf out = {};
	const char *const names[] = { options->file, options->other };
	struct error *err = reading_init(&a, names[0]);

	if (!err)
		err = reading_init(&b, names[1]);
	if (!err && options->formats == FORMAT_JSON)
		err = render_diff_json(&a.findings, &b.findings, names, &out);
	else if (!err)
		err = render_diff_text(&a.findings, &b.findings, names,
				       wants_colour(STDOUT_FILENO), &out);
	return err ? err : print(STDOUT_FILENO, &out);
}
