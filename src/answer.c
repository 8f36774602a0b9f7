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
enum part { PART_FORMAT, PART_TOLD = PART_FORMAT + 16, PART_DIGEST, PART_NOTE, PART_WANTED };

enum { PART_HEAD = 12 };

// Files that were fetched may lead to others: frames behind those that were the last ones.
#define FETCH_ROUNDS 4

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

// Each as two bytes, the build id, and its name.
static void add_wanted(const struct findings *findings, struct buf *out)
{
	for (size_t i = 0; i < findings->wanted.n && i < ANSWER_WANTED; i++) {
		const struct wanted_file *file = &findings->wanted.v[i];
		_cleanup_(buf_deinit) struct buf part = {};

		buf_add(&part, (uint8_t[]){ file->debug, (uint8_t)file->build_id_len }, 2);
		buf_add(&part, file->build_id, file->build_id_len);
		buf_addstr(&part, file->path);
		out->failed = out->failed || part.failed;
		add_part(out, PART_WANTED, part.data, part.len);
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
	if (!err && question->fetch)
		add_wanted(&findings, out);
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

static struct error *take_wanted(struct answer *answer, const uint8_t *data, size_t len)
{
	_cleanup_(buf_deinit) struct buf name = {};

	if (answer->wanted.n == ANSWER_WANTED || len < 2 || !data[1] || data[1] > BUILD_ID_MAX ||
	    data[1] > len - 2)
		return error_new(ERROR_INPUT, "a file that the answer wants makes no sense");
	buf_clean(&name, data + 2 + data[1], len - 2 - data[1], "");
	struct fetch_wish *wish = LIST_ADD(&answer->arena, &answer->wanted);
	if (!wish)
		return error_nomem();
	wish->debug = data[0];
	wish->build_id_len = data[1];
	memcpy(wish->build_id, data + 2, data[1]);
	wish->name = arena_strndup(&answer->arena, (const char *)name.data, name.len);
	return wish->name ? buf_error(&name) : error_nomem();
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
	else if (kind == PART_WANTED)
		return take_wanted(answer, data, len);
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

// A question to the sandbox, and the dumps that it is about; NULL: no second one.
struct request {
	sandbox_work *work;
	void *arg;
	struct dump *dumps[2];
	struct fetch *fetch;
};

static struct error *ask_once(const struct request *request, struct answer *ret, bool *stopped_ret)
{
	_cleanup_(answer_deinit) struct answer answer = {};
	_cleanup_(buf_deinit) struct buf all = {};
	uint64_t input = request->dumps[0]->len + (request->dumps[1] ? request->dumps[1]->len : 0);
	struct error *err = sandbox_call(request->work, request->arg, input, SANDBOX_SECONDS, &all,
					 stopped_ret);

	if (!err)
		err = take_parts(&all, &answer);
	if (err)
		return err;
	*ret = TAKE(answer);
	return NULL;
}

static void look_in(const struct request *request, const struct places *places)
{
	for (size_t i = 0; i < ARRAY_SIZE(request->dumps); i++)
		if (request->dumps[i])
			request->dumps[i]->places = places;
}

// Files that the analysis did not survive are as good as none.
static struct error *forget_fetched(struct places *places, const char *why, struct arena *arena)
{
	char *text = arena_printf(arena, "with what was fetched the analysis was stopped: %s", why);

	if (!text)
		return error_nomem();
	for (size_t i = 0; i < places->fetched.n; i++)
		if (places->fetched.v[i].path) {
			places->fetched.v[i].path = NULL;
			places->fetched.v[i].why = text;
		}
	return NULL;
}

// Ask again and again, as long as there are files to be fetched.
static struct error *ask_and_fetch(const struct request *request, struct places *places,
				   struct arena *arena, struct answer *ret, bool *stopped_ret)
{
	_cleanup_(answer_deinit) struct answer answer = {};
	struct error *err = ask_once(request, &answer, stopped_ret);

	for (unsigned round = 0; !err && round < FETCH_ROUNDS; round++) {
		bool more;

		err = fetch_files(request->fetch, &answer.wanted, arena, places, &more);
		if (err || !more)
			break;
		answer_deinit(&answer);
		err = ask_once(request, &answer, stopped_ret);
		if (!err || !*stopped_ret)
			continue;
		struct error *why = err;
		err = forget_fetched(places, why->text, arena);
		error_free(why);
		return err ? err : ask_once(request, ret, stopped_ret);
	}
	if (err)
		return err;
	*ret = TAKE(answer);
	return NULL;
}

static struct error *ask(const struct request *request, struct answer *ret, bool *stopped_ret)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	const struct places *given = request->dumps[0]->places;
	struct places places = {};

	*stopped_ret = false;
	if (!request->fetch)
		return ask_once(request, ret, stopped_ret);
	if (given)
		places = *given;
	look_in(request, &places);
	struct error *err = ask_and_fetch(request, &places, &arena, ret, stopped_ret);
	look_in(request, given);
	return err;
}

struct error *answer(const struct question *question, struct answer *ret)
{
	_cleanup_(error_freep) struct error *first = NULL;
	struct work work = { .question = question };
	struct request request = { .work = do_work,
				   .arg = &work,
				   .dumps = { question->dump },
				   .fetch = question->fetch };
	bool stopped;
	struct error *err = ask(&request, ret, &stopped);

	if (!err || !stopped)
		return err;
	first = err;
	work.stopped = first->text;
	err = ask_once(&request, ret, &stopped);
	return err && stopped ? error_prefix(err, "the analysis was stopped twice (%s)", first->text)
			      : err;
}

struct difference_work {
	struct dump *dumps[2];
	bool json, colour, wants;
};

// In the sandbox.
static struct error *find_difference(void *arg, struct buf *out)
{
	const struct difference_work *work = arg;
	_cleanup_(findings_deinit) struct findings a = {}, b = {};
	_cleanup_(buf_deinit) struct buf text = {};
	const char *const names[] = { work->dumps[0]->path, work->dumps[1]->path };
	struct error *err = dump_read(work->dumps[0]);

	if (!err)
		err = dump_read(work->dumps[1]);
	if (!err)
		err = analyse(&work->dumps[0]->snapshot, &a);
	if (!err)
		err = analyse(&work->dumps[1]->snapshot, &b);
	if (!err)
		err = work->json ? render_diff_json(&a, &b, names, &text)
				 : render_diff_text(&a, &b, names, work->colour, &text);
	if (err)
		return err;
	add_part(out, PART_FORMAT, text.data, text.len);
	if (work->wants) {
		add_wanted(&a, out);
		add_wanted(&b, out);
	}
	return buf_error(&text);
}

struct error *answer_difference(struct dump *a, struct dump *b, bool json, bool colour,
				struct fetch *fetch, struct buf *ret)
{
	_cleanup_(answer_deinit) struct answer answer = {};
	struct difference_work work = {
		.dumps = { a, b }, .json = json, .colour = colour, .wants = fetch != NULL,
	};
	struct request request = {
		.work = find_difference, .arg = &work, .dumps = { a, b }, .fetch = fetch,
	};
	bool stopped;
	struct error *err = ask(&request, &answer, &stopped);

	if (err)
		return stopped ? error_prefix(err, "the comparison was stopped") : err;
	*ret = TAKE(answer.formats[0]);
	return NULL;
}
