/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_OPINION_H
#define PCATCH_ANALYSE_OPINION_H

#include "findings.h"

/* The longest summary; it is the first thing read, so it has to fit on three lines. */
#define OPINION_SUMMARY 200

/*
 * A verdict while it is written. Texts are made one line each and bounded. Without memory the
 * functions do nothing but set `failed`, so a judge need not look after every word.
 */
struct opinion {
	struct arena *arena;
	struct verdict verdict;
	gaps gaps;
	bool failed;
};

/* Formatted text in the arena; "" when there is no memory. Never NULL. */
const char *opinion_text(struct opinion *opinion, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* S up to its first newline and at most MAX bytes, "..." for what is cut. "" for NULL. */
const char *opinion_clip(struct opinion *opinion, const char *s, size_t max);

/* The cause and how sure it is; the text is the summary, one sentence. */
void opinion_claim(struct opinion *opinion, enum cause cause, enum confidence confidence,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Evidence for the cause; opinion_against(): evidence against another, which the text names. */
void opinion_for(struct opinion *opinion, const char *source, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void opinion_against(struct opinion *opinion, const char *source, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What keeps it from being more certain. */
void opinion_doubt(struct opinion *opinion, const char *source, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void opinion_rule_out(struct opinion *opinion, enum cause cause, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void opinion_advise(struct opinion *opinion, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* REMEDY may be NULL. */
void opinion_gap(struct opinion *opinion, const char *what, const char *why, const char *remedy);

#endif
