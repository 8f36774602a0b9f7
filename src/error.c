/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error nomem = { .kind = ERROR_NOMEM, .text = (char *)"out of memory" };

struct error *error_nomem(void)
{
	return &nomem;
}

__attribute__((format(printf, 2, 0))) static struct error *error_vnew(enum error_kind kind,
								      const char *fmt, va_list ap)
{
	struct error *err = calloc(1, sizeof(*err));

	if (!err)
		return &nomem;
	err->kind = kind;
	if (vasprintf(&err->text, fmt, ap) < 0) {
		free(err);
		return &nomem;
	}
	return err;
}

struct error *error_new(enum error_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct error *err = error_vnew(kind, fmt, ap);
	va_end(ap);
	return err;
}

struct error *error_prefix(struct error *err, const char *fmt, ...)
{
	char *prefix = NULL, *text = NULL;
	va_list ap;

	if (!err || err == &nomem)
		return err;
	va_start(ap, fmt);
	int n = vasprintf(&prefix, fmt, ap);
	va_end(ap);
	// Short of memory the unprefixed text is still true.
	if (n < 0)
		return err;
	if (asprintf(&text, "%s: %s", prefix, err->text) >= 0) {
		free(err->text);
		err->text = text;
	}
	free(prefix);
	return err;
}

struct error *error_errno(int errnum, const char *fmt, ...)
{
	va_list ap;

	if (errnum == ENOMEM)
		return &nomem;
	va_start(ap, fmt);
	struct error *err = error_vnew(errnum == ESRCH ? ERROR_GONE : ERROR_SYSTEM, fmt, ap);
	va_end(ap);
	if (err == &nomem)
		return err;
	err->errnum = errnum;
	char *text;
	if (asprintf(&text, "%s: %s", err->text, strerror(errnum)) >= 0) {
		free(err->text);
		err->text = text;
	}
	return err;
}

const char *error_remedy(int errnum)
{
	switch (errnum) {
	case EMFILE:
		return "let pcatch have more open files: ulimit -n";
	case ENFILE:
		return "the whole machine has no more open files: sysctl fs.file-max";
	default:
		return NULL;
	}
}

struct error *error_fault(uint64_t at)
{
	struct error *err = error_new(ERROR_FAULT, "cannot read target memory at 0x%llx",
				      (unsigned long long)at);

	if (err != &nomem)
		err->at = at;
	return err;
}

void error_free(struct error *err)
{
	if (!err || err == &nomem)
		return;
	free(err->text);
	free(err);
}

int error_drop(struct error *err)
{
	error_free(err);
	return err != NULL;
}
