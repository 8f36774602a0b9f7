/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gil.h"

#include <string.h>

#include "../cleanup.h"

// What takes the GIL, and those of the functions around it that have a name even where symbols
// were stripped: they do nothing else that could make a thread wait.
static const char *const takers[] = {
	"take_gil", "PyEval_AcquireLock", "PyEval_AcquireThread", "PyEval_RestoreThread",
	"PyGILState_Ensure", "_PyThreadState_Attach",
};

// By what it waits, on Linux and in older versions.
static const char *const helpers[] = {
	"PyCOND_TIMEDWAIT", "PyThread__cond_timedwait", "PyThread_acquire_lock",
	"PyThread_acquire_lock_timed", "_PyEval_AcquireLock", "_PyThread_cond_after",
};

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		// "take_gil.constprop.0"
		if (!strncmp(name, names[i], len) && (name[len] == '\0' || name[len] == '.'))
			return true;
	}
	return false;
}

// libc.so.6, libc-2.31.so, libpthread-2.31.so, libc.musl-x86_64.so.1, ld-musl-x86_64.so.1
static bool is_libc(const struct module *module)
{
	static const char *const names[] = { "libc.", "libc-", "libpthread", "ld-musl" };
	const char *name = path_basename(module->path);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

bool gil_wait(const struct stack *native, const char *library, bool *ret)
{
	bool nameless = false;

	if (!library)
		return false;
	for (size_t i = 0; i < native->frames.n; i++) {
		const struct frame *frame = &native->frames.v[i];

		// The C library's own way into the kernel says nothing.
		if (!frame->module || strcmp(frame->module->path, library) != 0) {
			if (!frame->module || !is_libc(frame->module) || frame->signal_frame)
				break;
			continue;
		}
		if (!frame->function) {
			nameless = true;
			continue;
		}
		if (is_one_of(frame->function, takers, ARRAY_SIZE(takers))) {
			*ret = true;
			return true;
		}
		if (!is_one_of(frame->function, helpers, ARRAY_SIZE(helpers)))
			break;
	}
	if (nameless)
		return false;
	*ret = false;
	return true;
}
