/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lastwords.h"

#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/redact.h"
#include "../walk/messages.h"
#include "../walk/thrown.h"
#include "demangle.h"
#include "scene.h"
#include "traceback.h"

// "std::runtime_error" for "St13runtime_error".
static struct error *type_name(struct arena *arena, const char *mangled, char **ret)
{
	static const char prefix[] = "typeinfo for ";
	char *symbol = arena_printf(arena, "_ZTI%s", mangled);

	if (!symbol)
		return error_nomem();
	_cleanup_(freep) char *text = demangle(symbol);
	bool known = text && !strncmp(text, prefix, sizeof(prefix) - 1);
	*ret = arena_strdup(arena, known ? text + sizeof(prefix) - 1 : mangled);
	return *ret ? NULL : error_nomem();
}

/*
 * That an exception is being handled does not say that it was the reason: a handler may have called
 * abort() itself. So std::terminate() has to be among the dying thread's frames, too, or what calls
 * parts of it that have no name in a stripped library, and nothing else that could abort: the
 * personality routine, where a noexcept function lets nothing out.
 */
static struct error *uncaught(struct findings *f, struct images *images)
{
	static const char *const terminate[] = { "std::terminate()", "std::__terminate(void (*)())",
						 "__cxxabiv1::__terminate(void (*)())",
						 "__gnu_cxx::__verbose_terminate_handler()",
						 "__gxx_personality_v0", NULL };
	const struct mem *mem = &images->mem.mem;
	struct thrown thrown;
	char *type;

	if (!scene_native_named(f, terminate))
		return NULL;
	struct error *err = thrown_find(images, mem, mem, &f->dying->thread->regs, &f->arena,
					&thrown);
	if (!err && thrown.type)
		err = type_name(&f->arena, thrown.type, &type);
	if (err || !thrown.type)
		return err;
	f->fault.message = arena_printf(&f->arena,
					"terminate called after throwing an instance of '%s'%s%s",
					type, thrown.what ? ": " : "",
					thrown.what ? thrown.what : "");
	f->fault.message_source = arena_strdup(&f->arena, "memory");
	return f->fault.message && f->fault.message_source ? NULL : error_nomem();
}

static struct error *fatal_text(struct findings *f, struct images *images,
				const struct fatal_frames *fatal)
{
	struct error *err = messages_fatal(f->snapshot, &images->mem.mem, fatal->from, fatal->to,
					   fatal->name[0] == '_', &f->arena, &f->fault.message);

	if (!err && f->fault.message) {
		f->fault.message_source = arena_printf(&f->arena, "the frame of %s", fatal->name);
		if (!f->fault.message_source)
			err = error_nomem();
	}
	return err;
}

struct error *last_words_from_memory(struct findings *f, struct images *images,
				     const struct fatal_frames *fatal)
{
	struct error *err = messages_find(images, &images->mem.mem, &f->arena, &f->fault.message,
					  &f->fault.message_source);

	if (!err && !f->fault.message)
		err = uncaught(f, images);
	if (!err && !f->fault.message && fatal->name)
		err = fatal_text(f, images, fatal);
	if (!err && f->fault.message && f->snapshot->process.environ_redacted)
		err = redact_value(&f->arena, "", f->fault.message, &f->fault.message);
	return err;
}

// std::terminate() writes what was thrown to stderr: "terminate called after throwing an instance of
// 'T'", and for a std::exception "  what():  text" behind it.
static struct error *terminate_message(struct findings *f, const struct log *log)
{
	static const char start[] = "terminate called ", what[] = "  what():  ";

	for (size_t i = log->lines.n, n = 0; i-- > 0 && n < 16; n++) {
		const char *line = log->lines.v[i];
		const char *next = i + 1 < log->lines.n ? log->lines.v[i + 1] : "";

		if (strncmp(line, start, sizeof(start) - 1) != 0)
			continue;
		bool told = !strncmp(next, what, sizeof(what) - 1);
		f->fault.message = arena_printf(&f->arena, "%s%s%s", line, told ? ": " : "",
						told ? next + sizeof(what) - 1 : "");
		f->fault.message_source = arena_strdup(&f->arena, log->path);
		return f->fault.message && f->fault.message_source ? NULL : error_nomem();
	}
	return NULL;
}

// What Py_FatalError() was told is also on stderr, with more around it.
struct error *last_words_from_logs(struct findings *f)
{
	struct error *err = NULL;

	if (!f->fault.present || f->fault.class != FAULT_ABORT || f->fault.message)
		return NULL;
	if (f->python.fatal_error && !fatal_error_is_signal(f->python.fatal_error)) {
		f->fault.message = f->python.fatal_error;
		f->fault.message_source = f->python.fatal_error_source;
		return NULL;
	}
	for (size_t i = 0; i < f->snapshot->logs.n && !err && !f->fault.message; i++)
		err = terminate_message(f, &f->snapshot->logs.v[i]);
	return err;
}
