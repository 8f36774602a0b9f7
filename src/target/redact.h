/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_REDACT_H
#define PCATCH_TARGET_REDACT_H

#include <stdbool.h>

#include "../arena.h"

/*
 * What looks like a secret is replaced by "[redacted]" before it is stored:
 *
 *  - values whose name has one of the words PASSWORD, PASSWD, PASSPHRASE, PWD (as a whole name's
 *    last word, but not PWD and OLDPWD themselves), SECRET, TOKEN, KEY (APIKEY, API_KEY, ACCESS_KEY...),
 *    CREDENTIAL(S), AUTH, COOKIE, DSN, SIGNATURE, SALT, PRIVATE, in any case, words being separated
 *    by anything that is no letter;
 *  - passwords in URLs (scheme://user:password@host), whatever the name: only the password goes;
 *  - values of well-known shapes: AWS access keys (AKIA...), GitHub (ghp_, gho_, ghs_, ghu_,
 *    github_pat_), Slack (xox?-), OpenAI-like (sk-...), Google (AIza...), JSON web tokens (eyJ...),
 *    PEM private keys.
 *
 * On command lines, --NAME=VALUE, --NAME VALUE and NAME=VALUE are judged by the same rules.
 */

/* VALUE, redacted if NAME or its shape says so, in ARENA; VALUE itself when nothing is to hide. */
struct error *redact_value(struct arena *arena, const char *name, const char *value, char **ret)
	__attribute__((warn_unused_result));

/* "NAME=VALUE" likewise. A string without '=' is judged by its shape. */
struct error *redact_assignment(struct arena *arena, const char *text, char **ret)
	__attribute__((warn_unused_result));

/* The arguments of a command, in place; what is replaced lies in ARENA. */
struct error *redact_arguments(struct arena *arena, char **args, size_t n)
	__attribute__((warn_unused_result));

/* Does NAME smell of a secret? */
bool redact_name(const char *name);

#endif
