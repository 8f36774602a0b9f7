/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ERROR_H
#define PCATCH_ERROR_H

#include <stdint.h>

/*
 * What went wrong with *us*. A function that can fail returns a `struct error *`, NULL for
 * success; the caller owns it and either passes it up, frees it, or turns it into a gap.
 */
enum error_kind {
	ERROR_NOMEM,	   /* no memory; a static object, so that reporting it needs none */
	ERROR_SYSTEM,	   /* a system call said no; errnum is its errno */
	ERROR_FAULT,	   /* target memory that cannot be had; `at` is the first missing address */
	ERROR_GONE,	   /* the tracee is not there any more: an event like any other */
	ERROR_DENIED,	   /* no right to it; the text names the remedy */
	ERROR_INPUT,	   /* a file, an argument or a structure that does not make sense */
	ERROR_UNSUPPORTED, /* sensible, but not something this build can do */
};

struct error {
	enum error_kind kind;
	int errnum;  /* ERROR_SYSTEM, else 0 */
	uint64_t at; /* ERROR_FAULT, else 0 */
	char *text;  /* one line without a full stop; never NULL */
};

struct error *error_new(enum error_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

/* ERROR_SYSTEM (ENOMEM becomes ERROR_NOMEM, ESRCH ERROR_GONE): "what: strerror". */
struct error *error_errno(int errnum, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

/* What the user can do about ERRNUM wherever it comes up; NULL: that hangs on what was tried. */
const char *error_remedy(int errnum);

struct error *error_nomem(void) __attribute__((warn_unused_result));
struct error *error_fault(uint64_t at) __attribute__((warn_unused_result));

/* Put "prefix: " before ERR's text; NULL stays NULL. Consumes and returns ERR. */
struct error *error_prefix(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

void error_free(struct error *err);

/* For an error that is an answer, not a failure: frees it, says whether there was one. */
int error_drop(struct error *err);

static inline void error_freep(struct error **err)
{
	error_free(*err);
}

#endif
