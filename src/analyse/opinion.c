/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "opinion.h"

#include <string.h>

#define OPINION_LINE 1000

// The length of S cut to MAX bytes, not within a character of UTF-8.
static size_t cut(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return n;
	for (n = max; n && ((unsigned char)s[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

__attribute__((format(printf, 3, 0))) static char *line(struct opinion *opinion, size_t max,
							const char *fmt, va_list ap)
{
	char *s = arena_vprintf(opinion->arena, fmt, ap);

	if (!s) {
		opinion->failed = true;
		return NULL;
	}
	size_t n = cut(s, max);
	if (s[n]) {
		n = cut(s, max - 3);
		memcpy(s + n, "...", 4);
	}
	for (char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return s;
}

const char *opinion_text(struct opinion *opinion, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *s = line(opinion, OPINION_LINE, fmt, ap);
	va_end(ap);
	return s ? s : "";
}

const char *opinion_clip(struct opinion *opinion, const char *s, size_t max)
{
	if (!s)
		return "";
	size_t first = strcspn(s, "\n"), n = cut(s, max);

	if (first <= n && !s[first])
		return s;
	if (first <= n)
		n = first;
	return opinion_text(opinion, "%.*s...", (int)n, s);
}

void opinion_claim(struct opinion *opinion, enum cause cause, enum confidence confidence,
		   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	opinion->verdict.summary = line(opinion, OPINION_SUMMARY, fmt, ap);
	va_end(ap);
	opinion->verdict.cause = cause;
	opinion->verdict.confidence = confidence;
}

__attribute__((format(printf, 4, 0))) static void add_evidence(struct opinion *opinion,
							       bool supports, const char *source,
							       const char *fmt, va_list ap)
{
	char *text = line(opinion, OPINION_LINE, fmt, ap);
	char *from = arena_strdup(opinion->arena, source);
	struct evidence *evidence =
		text && from ? LIST_ADD(opinion->arena, &opinion->verdict.evidence) : NULL;

	if (evidence)
		*evidence = (struct evidence){ .source = from, .text = text, .supports = supports };
	else
		opinion->failed = true;
}

void opinion_for(struct opinion *opinion, const char *source, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_evidence(opinion, true, source, fmt, ap);
	va_end(ap);
}

void opinion_against(struct opinion *opinion, const char *source, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_evidence(opinion, false, source, fmt, ap);
	va_end(ap);
}

void opinion_doubt(struct opinion *opinion, const char *source, const char *fmt, ...)
{
	struct verdict *verdict = &opinion->verdict;
	size_t before = verdict->evidence.n;
	va_list ap;

	va_start(ap, fmt);
	add_evidence(opinion, false, source, fmt, ap);
	va_end(ap);
	if (verdict->evidence.n > before)
		verdict->evidence.v[before].doubt = true;
}

void opinion_rule_out(struct opinion *opinion, enum cause cause, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *because = line(opinion, OPINION_LINE, fmt, ap);
	va_end(ap);
	struct ruled_out *out =
		because ? LIST_ADD(opinion->arena, &opinion->verdict.ruled_out) : NULL;
	if (out)
		*out = (struct ruled_out){ .cause = cause, .because = because };
	else
		opinion->failed = true;
}

void opinion_advise(struct opinion *opinion, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = line(opinion, OPINION_LINE, fmt, ap);
	va_end(ap);
	char **advice = text ? LIST_ADD(opinion->arena, &opinion->verdict.advice) : NULL;
	if (advice)
		*advice = text;
	else
		opinion->failed = true;
}

void opinion_gap(struct opinion *opinion, const char *what, const char *why, const char *remedy)
{
	char *a = arena_strdup(opinion->arena, what), *b = arena_strdup(opinion->arena, why);
	char *c = remedy ? arena_strdup(opinion->arena, remedy) : NULL;
	struct gap *gap =
		a && b && (c || !remedy) ? LIST_ADD(opinion->arena, &opinion->gaps) : NULL;

	if (gap)
		*gap = (struct gap){ .what = a, .why = b, .remedy = c };
	else
		opinion->failed = true;
}
