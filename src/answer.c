/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "answer.h"

#include <string.h>

#include "analyse/analyse.h"
#include "cleanup.h"
#include "render/digest.h"
#include "render/render.h"
#include "sandbox.h"

/*
 * What crosses the pipe: parts, one behind the other, of a kind, a length and that many bytes. It
 * is read as if a stranger had written it.
 */
enum part { PART_FORMAT, PART_TOLD = PART_FORMAT + 16, PART_DIGEST, PART_NOTE };

enum { PART_HEAD = 12 };

struct work {
	const struct question *question;
	const char *stopped; /* why an earlier attempt came to nothing; NULL: this is the first */
};

static void add_part(struct buf *out, unsigned kind, const void *data, size_t len)
{
	buf_u32(out, kind);
	buf_u64(out, len);
	buf_add(out, data, len);
}

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
	case FORMAT_TEXT:
		break;
	}
	return render_text(findings, colour, ret);
}

static struct error *add_formats(const struct question *question, const struct findings *findings,
				 struct buf *out)
{
	struct error *err = NULL;

	for (unsigned i = 0; !err && i < FORMATS; i++) {
		_cleanup_(buf_deinit) struct buf text = {};

		if (!(question->formats & 1u << i))
			continue;
		err = render(findings, (enum format)(1u << i), question->colour, &text);
		add_part(out, PART_FORMAT + i, text.data, text.len);
	}
	return err;
}

static struct error *add_told(const struct question *question, const struct findings *findings,
			      struct buf *out)
{
	_cleanup_(buf_deinit) struct buf text = {};
	struct error *err = NULL;

	if (question->tell == TELL_SUMMARY)
		err = render_summary(findings, question->tell_colour, &text);
	else if (question->tell == TELL_ALL)
		err = render_text(findings, question->tell_colour, &text);
	add_part(out, PART_TOLD, text.data, text.len);
	return err;
}

static struct error *add_digest(const struct findings *findings, struct buf *out)
{
	_cleanup_(digest_deinit) struct digest digest = {};
	struct error *err = render_digest(findings, &digest);

	if (err)
		return err;
	add_part(out, PART_DIGEST, digest.json.data, digest.json.len);
	for (size_t i = 0; i < digest.notes.n; i++) {
		add_part(out, PART_NOTE, digest.notes.v[i].key, strlen(digest.notes.v[i].key));
		add_part(out, PART_NOTE, digest.notes.v[i].value, strlen(digest.notes.v[i].value));
	}
	return NULL;
}

// The files that were held open for us while the target lived; they may have no name any more.
static void take_files(struct snapshot *to, struct snapshot *from)
{
	for (size_t i = 0; i < to->modules.n && i < from->modules.n; i++)
		if (to->modules.v[i].start == from->modules.v[i].start &&
		    !strcmp(to->modules.v[i].path, from->modules.v[i].path))
			to->modules.v[i].fd = TAKE_FD(from->modules.v[i].fd);
}

// In the sandbox.
static struct error *do_work(void *arg, struct buf *out)
{
	const struct work *work = arg;
	const struct question *question = work->question;
	_cleanup_(findings_deinit) struct findings findings = {};
	const struct snapshot *snapshot = &question->dump->snapshot;
	struct error *err = dump_read(question->dump);

	if (!err && question->files)
		take_files(&question->dump->snapshot, question->files);
	if (!err)
		err = work->stopped ? analyse_plain(snapshot, work->stopped, &findings)
				    : analyse(snapshot, &findings);
	if (!err)
		err = add_formats(question, &findings, out);
	if (!err)
		err = add_told(question, &findings, out);
	if (!err && question->digest)
		err = add_digest(&findings, out);
	return err;
}

static struct error *take_note(struct answer *answer, const uint8_t *data, size_t len)
{
	if (answer->notes.n == 2 * ANSWER_NOTES)
		return error_new(ERROR_INPUT, "too many notes in the answer");
	char **note = LIST_ADD(&answer->arena, &answer->notes);
	if (note)
		*note = arena_strndup(&answer->arena, (const char *)data, len);
	return note && *note ? NULL : error_nomem();
}

static struct error *take_part(struct answer *answer, unsigned kind, const uint8_t *data, size_t len)
{
	struct buf *to = NULL;

	if (kind < PART_FORMAT + FORMATS)
		to = &answer->formats[kind - PART_FORMAT];
	else if (kind == PART_TOLD)
		to = &answer->told;
	else if (kind == PART_DIGEST)
		to = &answer->digest;
	else if (kind == PART_NOTE)
		return take_note(answer, data, len);
	if (!to || to->len)
		return error_new(ERROR_INPUT, "the answer has a part of kind %u too many", kind);
	buf_add(to, data, len);
	return buf_error(to);
}

static struct error *take_parts(const struct buf *all, struct answer *answer)
{
	struct error *err = NULL;

	for (size_t at = 0; !err && at < all->len;) {
		uint32_t kind;
		uint64_t len;

		if (all->len - at < PART_HEAD)
			return error_new(ERROR_INPUT, "the answer ends within a part");
		memcpy(&kind, all->data + at, sizeof(kind));
		memcpy(&len, all->data + at + sizeof(kind), sizeof(len));
		at += PART_HEAD;
		if (len > all->len - at)
			return error_new(ERROR_INPUT, "the answer ends within a part");
		err = take_part(answer, kind, all->data + at, (size_t)len);
		at += (size_t)len;
	}
	if (!err && answer->notes.n % 2)
		err = error_new(ERROR_INPUT, "a note of the answer has no value");
	return err;
}

void answer_deinit(struct answer *answer)
{
	for (size_t i = 0; i < ARRAY_SIZE(answer->formats); i++)
		buf_deinit(&answer->formats[i]);
	buf_deinit(&answer->told);
	buf_deinit(&answer->digest);
	arena_deinit(&answer->arena);
	*answer = (struct answer){};
}

struct buf *answer_format(struct answer *answer, enum format format)
{
	return &answer->formats[__builtin_ctz(format)];
}

struct error *answer(const struct question *question, struct answer *ret)
{
	_cleanup_(answer_deinit) struct answer answer = {};
	_cleanup_(buf_deinit) struct buf all = {};
	_cleanup_(error_freep) struct error *first = NULL;
	struct work work = { .question = question };
	bool stopped;
	struct error *err = sandbox_call(do_work, &work, question->dump->len, SANDBOX_SECONDS, &all,
					 &stopped);

	if (err && stopped) {
		first = err;
		work.stopped = first->text;
		err = sandbox_call(do_work, &work, question->dump->len, SANDBOX_SECONDS, &all,
				   &stopped);
		if (err && stopped)
			err = error_prefix(err, "the analysis was stopped twice (%s)", first->text);
	}
	if (!err)
		err = take_parts(&all, &answer);
	if (err)
		return err;
	*ret = TAKE(answer);
	return NULL;
}

struct difference_work {
	struct dump *dumps[2];
	bool json, colour;
};

// In the sandbox.
static struct error *find_difference(void *arg, struct buf *out)
{
	const struct difference_work *work = arg;
	_cleanup_(findings_deinit) struct findings a = {}, b = {};
	const char *const names[] = { work->dumps[0]->path, work->dumps[1]->path };
	struct error *err = dump_read(work->dumps[0]);

	if (!err)
		err = dump_read(work->dumps[1]);
	if (!err)
		err = analyse(&work->dumps[0]->snapshot, &a);
	if (!err)
		err = analyse(&work->dumps[1]->snapshot, &b);
	if (err)
		return err;
	return work->json ? render_diff_json(&a, &b, names, out)
			  : render_diff_text(&a, &b, names, work->colour, out);
}

struct error *answer_difference(struct dump *a, struct dump *b, bool json, bool colour,
				struct buf *ret)
{
	struct difference_work work = { .dumps = { a, b }, .json = json, .colour = colour };
	bool stopped;
	struct error *err = sandbox_call(find_difference, &work, a->len + b->len, SANDBOX_SECONDS,
					 ret, &stopped);

	return stopped ? error_prefix(err, "the comparison was stopped") : err;
}
