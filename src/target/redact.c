/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../cleanup.h"

static char redacted[] = "[redacted]";

// Whole words of a name. Plurals and joined forms that are in use stand for themselves.
static const char *const words[] = {
	"password", "passwords", "passwd", "passphrase", "pass",	"secret",    "secrets",
	"token",    "tokens",	 "key",	   "keys",	 "apikey",	"apikeys",   "accesskey",
	"secretkey", "privatekey", "authtoken", "credential", "credentials", "creds", "auth",
	"authorization", "cookie", "cookies", "dsn", "signature", "salt", "private", "pwd",
};

// Names that have such a word and hold no secret.
static const char *const harmless[] = {
	"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "GPG_AGENT_INFO", "KEYBOARD", "LESSKEY",
};

static const struct {
	const char *prefix;
	size_t least; /* a value this long with that beginning is one */
} shapes[] = {
	{ "AKIA", 20 }, { "ASIA", 20 }, { "ghp_", 20 }, { "gho_", 20 },	 { "ghs_", 20 },
	{ "ghu_", 20 }, { "github_pat_", 22 }, { "xoxb-", 15 }, { "xoxp-", 15 }, { "xoxa-", 15 },
	{ "xoxs-", 15 }, { "sk-", 20 }, { "AIza", 30 }, { "eyJ", 40 },	 { "glpat-", 20 },
	{ "-----BEGIN ", 20 },
};

static bool is_word(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == len && !strncasecmp(words[i], name, len))
			return true;
	return false;
}

bool redact_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (!strcmp(name, harmless[i]))
			return false;
	for (const char *p = name; *p;) {
		size_t len = 0;

		// A change from lower to upper case begins a word too: apiKey, dbPassword.
		while (isalpha((unsigned char)p[len]) &&
		       !(len && islower((unsigned char)p[len - 1]) && isupper((unsigned char)p[len])))
			len++;
		if (len && is_word(p, len))
			return true;
		p += len ? len : 1;
	}
	return false;
}

static bool has_shape(const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (len >= shapes[i].least && !strncmp(value, shapes[i].prefix, strlen(shapes[i].prefix)))
			return true;
	return false;
}

/*
 * The password in "scheme://user:password@host" (RFC 3986, 3.2.1), wherever the URL stands in
 * VALUE. The last '@' before the path ends it: people do not always escape theirs.
 */
static const char *url_password(const char *value, size_t *len)
{
	for (const char *p = value; (p = strstr(p, "://")); p += 3) {
		const char *authority = p + 3, *at = NULL;
		size_t end = strcspn(authority, "/?# \t\"'");

		for (size_t i = 0; i < end; i++)
			if (authority[i] == '@')
				at = authority + i;
		const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
		if (colon && at > colon + 1) {
			*len = (size_t)(at - colon - 1);
			return colon + 1;
		}
	}
	return NULL;
}

struct error *redact_value(struct arena *arena, const char *name, const char *value, char **ret)
{
	size_t len;

	*ret = (char *)value;
	if (*value && (redact_name(name) || has_shape(value))) {
		*ret = redacted;
		return NULL;
	}
	// Every URL in it: after a replacement the next is looked for behind it.
	for (const char *rest = value, *password; (password = url_password(rest, &len));) {
		size_t before = (size_t)(password - *ret);
		char *copy = arena_printf(arena, "%.*s%s%s", (int)before, *ret, redacted, password + len);

		if (!copy)
			return error_nomem();
		*ret = copy;
		rest = copy + before + strlen(redacted);
	}
	return NULL;
}

struct error *redact_assignment(struct arena *arena, const char *text, char **ret)
{
	const char *equals = strchr(text, '=');
	char *value;

	if (!equals)
		return redact_value(arena, "", text, ret);
	char *name = arena_strndup(arena, text, (size_t)(equals - text));
	struct error *err = name ? redact_value(arena, name, equals + 1, &value) : error_nomem();
	if (err)
		return err;
	*ret = (char *)text;
	if (value == equals + 1)
		return NULL;
	*ret = arena_printf(arena, "%s=%s", name, value);
	return *ret ? NULL : error_nomem();
}

struct error *redact_arguments(struct arena *arena, char **args, size_t n)
{
	bool secret_follows = false;
	struct error *err = NULL;

	for (size_t i = 0; !err && i < n; i++) {
		// An option that wants a secret has it next, unless there stands another option.
		if (secret_follows && args[i][0] != '-') {
			args[i] = redacted;
			secret_follows = false;
			continue;
		}
		secret_follows = i && args[i][0] == '-' && !strchr(args[i], '=') && redact_name(args[i]);
		err = redact_assignment(arena, args[i], &args[i]);
	}
	return err;
}
