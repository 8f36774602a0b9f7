/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANSWER_H
#define PCATCH_ANSWER_H

#include "buf.h"
#include "dump.h"
#include "fetch.h"
#include "options.h"

/*
 * A snapshot analysed and put into words, in the sandbox: findings never leave it, what comes out
 * are texts. No text is believed to be anything but bytes.
 */

#define ANSWER_NOTES 16
#define ANSWER_WANTED 1000
#define FORMATS	     4

struct answer {
	struct buf formats[FORMATS]; /* by the number of the bit in enum format */
	struct buf told;       /* for the one who watches, without the path of the report */
	struct buf digest;
	strings notes; /* for the dump's annotations: keys and values in turn */
	fetch_wishes wanted; /* files that it could not find */
	struct arena arena;
};

struct question {
	/* Mapped; it is read in the sandbox, and left as it is out here. */
	struct dump *dump;
	/* Whose modules' files have been held open since the target lived; NULL: nobody's. */
	struct snapshot *files;
	unsigned formats; /* enum format */
	bool colour;	  /* in the text format */
	enum { TELL_NOTHING, TELL_SUMMARY, TELL_ALL } tell;
	bool tell_colour;
	bool digest;
	struct fetch *fetch; /* for files that are not here; NULL: nobody is asked for any */
};

/*
 * When the analysis does not survive what it was given, what can be said without it is said, with
 * that as a gap.
 */
struct error *answer(const struct question *question, struct answer *ret)
	__attribute__((warn_unused_result));
void answer_deinit(struct answer *answer);

/* The text of FORMAT in ANSWER. */
struct buf *answer_format(struct answer *answer, enum format format);

/* What differs between two dumps, as text or JSON; found out in the sandbox, too. FETCH as above. */
struct error *answer_difference(struct dump *a, struct dump *b, bool json, bool colour,
				struct fetch *fetch, struct buf *ret) __attribute__((warn_unused_result));

#endif
