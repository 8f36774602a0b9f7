/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_REDACT_H
#define PCATCH_TARGET_REDACT_H

#include <stdbool.h>

#include "../arena.h"

/*
 * What looks like a secret is replaced by "[redacted]" before it is stored; what is around it
 * stays, since a host or a user is often what explains a death. It is a net with meshes: it goes
 * by names and shapes, and a secret under an innocent name passes.
 *
 * Names, any case, split into words at what is no letter and where camelCase has its humps:
 *  - that contain PASSWORD, PASSWD, PASSPHRASE, SECRET, CREDENTIAL, APIKEY, ACCESSKEY or PRIVATEKEY;
 *  - with a word PASS, PWD, CREDS, AUTH, OAUTH, AUTHORIZATION, COOKIE, SESSION, DSN, PRIVATE, JWT,
 *    BEARER, SALT, SIGNATURE, WEBHOOK, or one that ends in TOKEN (plurals too), or with the words
 *    CONNECTION STRING;
 *  - whose last word is KEY (API_KEY, ACCESS_KEY), unless it is a PUBLIC_KEY.
 * Not so: PWD and OLDPWD, the sessions of desktops and terminals (XDG_SESSION_TYPE,
 * SESSION_MANAGER, ...), negations (--no-auth), and names that end in FILE, PATH, DIR or SOCK with
 * an absolute path for their value.
 *
 * Shapes, wherever they stand in a text:
 *  - the password in scheme://user:password@host, a long token alone in scheme://token@host;
 *  - NAME=value, "NAME": "value", NAME: value and --NAME value, for names as above;
 *  - keys of AWS (AKIA...), GitHub (ghp_..., github_pat_...), GitLab (glpat-...), OpenAI and its
 *    like (sk-...), Stripe (sk_live_...), Slack (xoxb-...), Google (AIza...), npm, Hugging Face;
 *    JSON web tokens (eyJ...), and PEM blocks.
 *
 * Command lines: all of these, and the options by which some programs take passwords (mysql -pXXX,
 * sshpass -p XXX, curl -u user:XXX, redis-cli -a XXX), inside the text of "sh -c" too.
 *
 * Names that the administrator or the user has for their secrets are added to those by redact_also().
 */

/*
 * A name that PATTERN matches as a whole, any case, smells of a secret, too, from now on and for the
 * whole program: letters, digits, "_", "-" and ".", "*" for any number of characters and "?" for
 * one. ERROR_INPUT for what is none, and past REDACT_PATTERNS.
 */
#define REDACT_PATTERNS 256
struct error *redact_also(const char *pattern) __attribute__((warn_unused_result));

/* Does NAME smell of a secret? */
bool redact_name(const char *name);

/*
 * VALUE with what NAME, or a shape in it, gives away replaced, in ARENA; VALUE itself when there
 * is nothing to hide.
 */
struct error *redact_value(struct arena *arena, const char *name, const char *value, char **ret)
	__attribute__((warn_unused_result));

/* "NAME=VALUE" likewise. A string without '=' is judged by its shapes. */
struct error *redact_assignment(struct arena *arena, const char *text, char **ret)
	__attribute__((warn_unused_result));

/* The lines of a log in place, by their shapes; of a PEM block that goes over several, one stays. */
struct error *redact_lines(struct arena *arena, char **lines, size_t *n)
	__attribute__((warn_unused_result));

/* TEXT, which may have several lines, likewise. */
struct error *redact_text(struct arena *arena, const char *text, char **ret)
	__attribute__((warn_unused_result));

/* The arguments of a command, in place; what is replaced lies in ARENA. */
struct error *redact_arguments(struct arena *arena, char **args, size_t n)
	__attribute__((warn_unused_result));

#endif
