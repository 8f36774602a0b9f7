/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../buf.h"
#include "../cleanup.h"
#include "snapshot.h"

// Names are looked at no further than this.
#define NAME_MAX_LEN 256

static bool is_alnum(char c)
{
	return isalnum((unsigned char)c) != 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The next word of NAME from *AT on, in capitals; its length, 0 at the end.
static size_t next_word(const char *name, size_t len, size_t *at, char *ret, size_t size)
{
	size_t i = *at, n = 0;

	while (i < len && !isalpha((unsigned char)name[i]))
		i++;
	for (; i < len && isalpha((unsigned char)name[i]); i++) {
		if (n && isupper((unsigned char)name[i]) && islower((unsigned char)name[i - 1]))
			break;
		if (n < size - 1)
			ret[n++] = (char)toupper((unsigned char)name[i]);
	}
	ret[n] = '\0';
	*at = i;
	return n;
}

static bool ends_in(const char *word, const char *end)
{
	size_t n = strlen(word), k = strlen(end);

	return n >= k && !strcmp(word + n - k, end);
}

static bool among(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, list[i]))
			return true;
	return false;
}

// A session that is a desktop's or a terminal's, and no secret of a web server's.
static bool desktop_session(const char *name, size_t len)
{
	static const char *const words[] = { "XDG", "DESKTOP", "DBUS", "KDE", "GNOME",
					     "TERM", "ITERM", "TMUX", "MANAGER", "KONSOLE" };
	char word[NAME_MAX_LEN];

	for (size_t at = 0; next_word(name, len, &at, word, sizeof(word));)
		if (among(word, words, ARRAY_SIZE(words)))
			return true;
	return false;
}

// What the machine's and the user's own rules say; written before there is anything to redact.
static struct pattern {
	char text[64];
} patterns[REDACT_PATTERNS];
static size_t n_patterns;

struct error *redact_also(const char *pattern)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_-.*?";
	size_t len = strlen(pattern);

	if (!len || len >= sizeof(patterns[0].text) || strspn(pattern, letters) != len)
		return error_new(ERROR_INPUT, "not a pattern of names, such as ACME_*_PIN");
	if (n_patterns == REDACT_PATTERNS)
		return error_new(ERROR_INPUT, "more than %d patterns", REDACT_PATTERNS);
	memcpy(patterns[n_patterns++].text, pattern, len + 1);
	return NULL;
}

// In time of the product of both lengths, whatever stars there are and whoever chose the name.
static bool matches(const char *pattern, const char *name, size_t len)
{
	const char *star = NULL;
	size_t i = 0, from = 0;

	while (i < len) {
		if (*pattern == '*') {
			star = ++pattern;
			from = i;
		} else if (*pattern == '?' ||
			   (*pattern && toupper((unsigned char)*pattern) ==
						toupper((unsigned char)name[i]))) {
			pattern++;
			i++;
		} else if (star) {
			pattern = star;
			i = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool secret_name(const char *name, size_t len)
{
	static const char *const parts[] = { "PASSWORD", "PASSWD",	"PASSPHRASE",
					     "SECRET",	 "CREDENTIAL", "APIKEY",
					     "ACCESSKEY", "PRIVATEKEY" };
	static const char *const whole[] = {
		"PASS",	 "PWD",	   "CREDS",   "AUTH", "OAUTH",	 "AUTHORIZATION", "COOKIE",
		"COOKIES", "DSN",  "PRIVATE", "JWT",  "BEARER",	 "SALT",	  "SIGNATURE",
		"SSHPASS", "WEBHOOK", "SECRETS",
	};
	char word[NAME_MAX_LEN], before[NAME_MAX_LEN] = "";

	if (len >= NAME_MAX_LEN)
		len = NAME_MAX_LEN - 1;
	for (size_t i = 0; i < n_patterns; i++)
		if (matches(patterns[i].text, name, len))
			return true;
	if ((len == 3 && !strncasecmp(name, "PWD", 3)) ||
	    (len == 6 && !strncasecmp(name, "OLDPWD", 6)))
		return false;
	for (size_t at = 0, n = 0; next_word(name, len, &at, word, sizeof(word)); n++) {
		if (!n && !strcmp(word, "NO"))
			return false;
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			if (strstr(word, parts[i]))
				return true;
		if (among(word, whole, ARRAY_SIZE(whole)) || ends_in(word, "TOKEN") ||
		    ends_in(word, "TOKENS") ||
		    (!strcmp(word, "STRING") && !strcmp(before, "CONNECTION")))
			return true;
		if ((!strcmp(word, "SESSION") || !strcmp(word, "SESSIONID") ||
		     ends_in(word, "SESSID")) &&
		    !desktop_session(name, len))
			return true;
		if (strcmp(word, "KEY") && strcmp(word, "KEYS")) {
			strcpy(before, word);
			continue;
		}
		size_t rest = at;
		if (!next_word(name, len, &rest, (char[NAME_MAX_LEN]){}, NAME_MAX_LEN))
			return strcmp(before, "PUBLIC") != 0;
		strcpy(before, word);
	}
	return false;
}

bool redact_name(const char *name)
{
	return secret_name(name, strlen(name));
}

// Where a secret lies, and not the secret: DB_PASSWORD_FILE=/run/secrets/db, SSH_AUTH_SOCK.
static bool names_a_place(const char *name, size_t len, const char *value)
{
	static const char *const places[] = { "FILE", "PATH", "DIR", "SOCK", "SOCKET" };
	char word[NAME_MAX_LEN], last[NAME_MAX_LEN] = "";

	if (value[0] != '/')
		return false;
	if (len >= NAME_MAX_LEN)
		len = NAME_MAX_LEN - 1;
	for (size_t at = 0; next_word(name, len, &at, word, sizeof(word));)
		strcpy(last, word);
	return among(last, places, ARRAY_SIZE(places));
}

/*
 * A text on its way through the net: it is read once from left to right, and what is to be said
 * instead goes to `out`. `kept` is how far it has been copied.
 */
struct scan {
	const char *text;
	size_t len, kept;
	struct buf out;
	// Where the next '@' and white space are and where the part of a web token that was last
	// begun ends, looked for once each: a hostile text of a thousand half URLs and tokens must
	// not make this quadratic.
	size_t next_at, next_space, head;
};

static void replace(struct scan *s, size_t from, size_t to)
{
	buf_add(&s->out, s->text + s->kept, from - s->kept);
	buf_addstr(&s->out, REDACTED);
	s->kept = to;
}

static size_t run(const struct scan *s, size_t at, const char *more)
{
	while (at < s->len && (is_alnum(s->text[at]) || strchr(more, s->text[at])))
		at++;
	return at;
}

static bool starts(const struct scan *s, size_t at, const char *with)
{
	size_t n = strlen(with);

	return n <= s->len - at && !memcmp(s->text + at, with, n);
}

// The end of the well-known token that begins AT, 0 when none does.
static size_t token_end(struct scan *s, size_t at)
{
	static const struct {
		const char *prefix, *also; /* characters beside letters and digits */
		size_t least;		   /* as long as this without the prefix */
	} shapes[] = {
		{ "AKIA", "", 16 },	    { "ASIA", "", 16 },	       { "ghp_", "", 20 },
		{ "gho_", "", 20 },	    { "ghu_", "", 20 },	       { "ghs_", "", 20 },
		{ "ghr_", "", 20 },	    { "github_pat_", "_", 20 }, { "glpat-", "-_", 16 },
		{ "sk-", "-_", 16 },	    { "sk_live_", "", 10 },     { "sk_test_", "", 10 },
		{ "rk_live_", "", 10 },	    { "xoxb-", "-", 10 },	{ "xoxp-", "-", 10 },
		{ "xoxa-", "-", 10 },	    { "xoxr-", "-", 10 },	{ "xoxs-", "-", 10 },
		{ "xapp-", "-", 10 },	    { "AIza", "-_", 30 },	{ "npm_", "", 30 },
		{ "hf_", "", 30 },	    { "pypi-AgEI", "-_", 30 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (s->text[at] != shapes[i].prefix[0] || !starts(s, at, shapes[i].prefix))
			continue;
		size_t from = at + strlen(shapes[i].prefix), end = run(s, from, shapes[i].also);
		if (end - from >= shapes[i].least)
			return end;
	}
	// RFC 7519: three parts in base64url; the first begins with '{"'.
	if (starts(s, at, "eyJ")) {
		if (at >= s->head)
			s->head = run(s, at, "-_");
		size_t end = s->head < s->len && s->text[s->head] == '.' ? run(s, s->head, "-_.")
									 : s->head;

		if (s->head - at >= 10 && end - s->head >= 10)
			return end;
	}
	return 0;
}

// RFC 7468: from "-----BEGIN" to the dashes behind "-----END", or all the rest.
static size_t pem_end(const struct scan *s, size_t at)
{
	if (!starts(s, at, "-----BEGIN "))
		return 0;
	const char *end = memmem(s->text + at, s->len - at, "-----END ", 9);
	const char *dashes = end ? memmem(end + 9, (size_t)(s->text + s->len - end) - 9, "-----", 5)
				 : NULL;
	return dashes ? (size_t)(dashes - s->text) + 5 : s->len;
}

static size_t find_from(const struct scan *s, size_t at, size_t known, const char *set)
{
	if (known != 0 && known >= at)
		return known;
	while (at < s->len && !strchr(set, s->text[at]))
		at++;
	return at;
}

/*
 * RFC 3986, 3.2: the user information of the URL whose "//" ends before AT. People do not always
 * escape their passwords: the last '@' of the authority ends it, and when there is none because
 * the password has a slash, the next one.
 */
static size_t url_password(struct scan *s, size_t at)
{
	size_t end = at, colon = 0, last = 0;

	for (; end < s->len && !strchr("/?# \t\n\"'<>", s->text[end]); end++) {
		if (s->text[end] == ':' && !colon && !last)
			colon = end;
		if (s->text[end] == '@')
			last = end;
	}
	if (!last && colon && s->text[at] != '[') {
		size_t port = colon + 1;

		while (port < end && isdigit((unsigned char)s->text[port]))
			port++;
		s->next_at = find_from(s, at, s->next_at, "@");
		s->next_space = find_from(s, at, s->next_space, " \t\n\"'<>");
		if (port < end && s->next_at < s->next_space && s->next_at < s->len)
			last = s->next_at;
	}
	if (!last)
		return at;
	if (colon && colon < last) {
		if (last > colon + 1)
			replace(s, colon + 1, last);
		return last;
	}
	// Without a password a user is a name, unless it is as long as nobody's is.
	if (last - at >= 20 && run(s, at, "-_") == last)
		replace(s, at, last);
	return last;
}

// The end of a value that begins AT: of a quoted text, or where it would end in a shell or a URL.
static size_t value_end(const struct scan *s, size_t at, const char *stops)
{
	if (at < s->len && (s->text[at] == '"' || s->text[at] == '\'')) {
		char quote = s->text[at++];

		while (at < s->len && s->text[at] != quote)
			at += s->text[at] == '\\' && at + 1 < s->len ? 2 : 1;
		return at;
	}
	while (at < s->len && !strchr(stops, s->text[at]))
		at++;
	return at;
}

static size_t skip_spaces(const struct scan *s, size_t at)
{
	while (at < s->len && is_space(s->text[at]))
		at++;
	return at;
}

static void replace_value(struct scan *s, size_t at, const char *stops)
{
	size_t end = value_end(s, at, stops);

	if (at < s->len && (s->text[at] == '"' || s->text[at] == '\''))
		at++;
	if (end > at && !(end - at == strlen(REDACTED) && starts(s, at, REDACTED)))
		replace(s, at, end);
}

/*
 * The word from AT to END, with its value behind it: "NAME=value", '"NAME": "value"',
 * "NAME: value", "--NAME value". A colon alone does not count: PATH is full of them.
 */
static void assignment(struct scan *s, size_t at, size_t end)
{
	size_t dashes = at, p = end;

	while (dashes < end && s->text[dashes] == '-')
		dashes++;
	if (dashes == end || !secret_name(s->text + dashes, end - dashes))
		return;
	bool quoted = p < s->len && (s->text[p] == '"' || s->text[p] == '\'') && at &&
		      s->text[at - 1] == s->text[p];
	if (quoted)
		p++;
	size_t mark = skip_spaces(s, p);
	bool bearer = end - dashes >= 4 && (!strncasecmp(s->text + dashes, "auth", 4) ||
					    !strncasecmp(s->text + dashes, "cookie", 6));
	if (mark < s->len && s->text[mark] == '=' && (mark == p || quoted)) {
		if (mark + 1 < s->len && s->text[mark + 1] == '=')
			return;
		if (!names_a_place(s->text + dashes, end - dashes,
				   mark + 1 < s->len ? s->text + mark + 1 : ""))
			replace_value(s, mark + 1, " \t\n\r\"';&");
	} else if (mark < s->len && s->text[mark] == ':' && mark == p &&
		   (quoted || (p + 1 < s->len && is_space(s->text[p + 1])))) {
		// A header's value goes to its line's end: "Authorization: Basic dTpw".
		replace_value(s, skip_spaces(s, mark + 1), bearer ? "\n\r\"'" : " \t\n\r\"';,}");
	} else if (dashes - at >= 1 && mark > p && mark < s->len && s->text[mark] != '-') {
		replace_value(s, mark, " \t\n\r\"';&");
	}
}

static struct error *scan_text(struct arena *arena, const char *text, char **ret)
{
	struct scan s = { .text = text, .len = strlen(text) };

	for (size_t at = 0, word = 0; at < s.len;) {
		size_t end = pem_end(&s, at);

		// A token may begin behind a dash or an underscore, so every place is tried.
		if (!end && (!at || !is_alnum(text[at - 1])))
			end = token_end(&s, at);
		if (end) {
			replace(&s, at, end);
		} else if (starts(&s, at, "://")) {
			end = url_password(&s, at + 3);
		} else if (at >= word && (word = run(&s, at, "_-.")) > at) {
			assignment(&s, at, word);
			end = at + 1;
		} else {
			end = at + 1;
		}
		at = end > s.kept ? end : s.kept;
	}
	*ret = (char *)text;
	struct error *err = NULL;
	if (s.kept) {
		buf_add(&s.out, text + s.kept, s.len - s.kept);
		err = buf_error(&s.out);
		char *copy = err ? NULL : arena_strndup(arena, (char *)s.out.data, s.out.len);
		if (copy)
			*ret = copy;
		else if (!err)
			err = error_nomem();
	}
	buf_deinit(&s.out);
	return err;
}

struct error *redact_value(struct arena *arena, const char *name, const char *value, char **ret)
{
	if (!*value || !redact_name(name) || names_a_place(name, strlen(name), value))
		return scan_text(arena, value, ret);
	*ret = arena_strdup(arena, REDACTED);
	return *ret ? NULL : error_nomem();
}

struct error *redact_assignment(struct arena *arena, const char *text, char **ret)
{
	const char *equals = strchr(text, '=');
	char *value;

	if (!equals)
		return scan_text(arena, text, ret);
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

// A key of 16384 bits has 200.
#define PEM_LINES ((size_t)256)

static bool is_base64(const char *line)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

	return *line && !line[strspn(line, base64)];
}

// How many of the N lines after one with "-----BEGIN" belong to it: to "-----END", or as long as
// they are base64 where that is missing.
static size_t pem_lines(char *const *lines, size_t n)
{
	size_t only_base64 = 0;

	n = n < PEM_LINES ? n : PEM_LINES;
	for (size_t i = 0; i < n; i++)
		if (strstr(lines[i], "-----END "))
			return i + 1;
	while (only_base64 < n && is_base64(lines[only_base64]))
		only_base64++;
	return only_base64;
}

struct error *redact_lines(struct arena *arena, char **lines, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		const char *pem = strstr(lines[i], "-----BEGIN "), *end = strstr(lines[i], "-----END ");
		size_t more = pem && !end ? pem_lines(lines + i + 1, *n - i - 1) : 0;

		// The block began before the first line.
		if (end && !pem) {
			while (kept && is_base64(lines[kept - 1]))
				kept--;
			lines[kept++] = (char *)REDACTED;
			continue;
		}
		struct error *err = scan_text(arena, lines[i], &lines[kept]);
		if (err)
			return err;
		kept++;
		i += more;
	}
	*n = kept;
	return NULL;
}

struct error *redact_text(struct arena *arena, const char *text, char **ret)
{
	_cleanup_(buf_deinit) struct buf joined = {};
	LIST(char *) lines = {};

	for (const char *at = text; at;) {
		const char *end = strchr(at, '\n');
		char **line = LIST_ADD(arena, &lines);

		if (!line)
			return error_nomem();
		*line = arena_strndup(arena, at, end ? (size_t)(end - at) : strlen(at));
		if (!*line)
			return error_nomem();
		at = end ? end + 1 : NULL;
	}
	struct error *err = redact_lines(arena, lines.v, &lines.n);
	for (size_t i = 0; !err && i < lines.n; i++) {
		if (i)
			buf_addstr(&joined, "\n");
		buf_addstr(&joined, lines.v[i]);
	}
	if (!err)
		err = buf_error(&joined);
	if (err)
		return err;
	*ret = arena_strndup(arena, (char *)joined.data, joined.len);
	return *ret ? NULL : error_nomem();
}

// Programs that take a password by an option whose name does not say so.
static const struct program {
	const char *name, *option;
	enum {
		JOINED, // -pXXX; "-p" alone asks for it
		NEXT,	// -a XXX or -aXXX
		USER,	// -u user:XXX, -uuser:XXX, --user likewise
	} form;
} programs[] = {
	{ "mysql", "-p", JOINED },	{ "mysqldump", "-p", JOINED },	 { "mysqladmin", "-p", JOINED },
	{ "mysqlimport", "-p", JOINED }, { "mysqlcheck", "-p", JOINED }, { "mysqlshow", "-p", JOINED },
	{ "mariadb", "-p", JOINED },	{ "mariadb-dump", "-p", JOINED },
	{ "mariadb-admin", "-p", JOINED }, { "mariabackup", "-p", JOINED },
	{ "xtrabackup", "-p", JOINED }, { "sshpass", "-p", NEXT },	 { "redis-cli", "-a", NEXT },
	{ "mongo", "-p", NEXT },	{ "mongosh", "-p", NEXT },	 { "mongodump", "-p", NEXT },
	{ "mongorestore", "-p", NEXT }, { "docker", "-p", NEXT },	 { "podman", "-p", NEXT },
	{ "sqlcmd", "-P", NEXT },	{ "mosquitto_pub", "-P", NEXT }, { "mosquitto_sub", "-P", NEXT },
	{ "ldapsearch", "-w", NEXT },	{ "ldapmodify", "-w", NEXT },	 { "ldapadd", "-w", NEXT },
	{ "curl", "-u", USER },		{ "curl", "--user", USER },	 { "curl", "--proxy-user", USER },
	{ "http", "-a", USER },
};

// What the words of a command line so far say about the next one.
struct words {
	const char *program;
	bool secret, user; /* the next word is a secret, or user:secret */
	bool login;	   /* docker's -p publishes ports, docker login's is a password */
	bool script;	   /* it was -c: a command line of its own may follow */
};

static bool takes_secrets(const struct words *w, const struct program *p)
{
	if (!w->program || strcmp(w->program, p->name))
		return false;
	return (strcmp(p->name, "docker") && strcmp(p->name, "podman")) || w->login;
}

static void user_colon_secret(struct buf *out, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	size_t shown = colon ? (size_t)(colon - text) + 1 : len;

	buf_add(out, text, shown);
	if (shown < len)
		buf_addstr(out, REDACTED);
}

// "[redacted]", with or without quotes around it: the scan has been here before.
static bool is_redacted(const char *word, size_t len)
{
	size_t n = strlen(REDACTED);

	if (len == n + 2 && (word[0] == '"' || word[0] == '\'') && word[len - 1] == word[0]) {
		word++;
		len -= 2;
	}
	return len == n && !memcmp(word, REDACTED, n);
}

// WORD as it may be shown, into OUT.
static void next_argument(struct words *w, const char *word, size_t len, struct buf *out)
{
	size_t dashes = strspn(word, "-");
	const char *equals = memchr(word, '=', len);
	struct words before = *w;

	w->secret = w->user = false;
	w->script = len == 2 && !memcmp(word, "-c", 2);
	if (!len || (before.secret && word[0] != '-')) {
		if (is_redacted(word, len))
			buf_add(out, word, len);
		else
			buf_addstr(out, len ? REDACTED : "");
		return;
	}
	if (before.user && word[0] != '-') {
		user_colon_secret(out, word, len);
		return;
	}
	for (size_t i = 0; dashes && i < ARRAY_SIZE(programs); i++) {
		const struct program *p = &programs[i];
		size_t n = strlen(p->option);

		if (!takes_secrets(w, p) || len < n || memcmp(word, p->option, n))
			continue;
		if (len == n) {
			w->secret = p->form == NEXT;
			w->user = p->form == USER;
			continue;
		}
		// "--user" is no long form of "-u", and "-password" no "-p" with something behind it.
		if (dashes != strspn(p->option, "-") || (dashes == 2 && word[n] != '='))
			continue;
		n += word[n] == '=';
		buf_add(out, word, n);
		if (p->form == USER)
			user_colon_secret(out, word + n, len - n);
		else
			buf_addstr(out, REDACTED);
		return;
	}
	if (dashes && !equals && !w->user && !w->secret)
		w->secret = secret_name(word + dashes, len - dashes);
	if (equals && equals > word + dashes && equals + 1 < word + len &&
	    (!names_a_place(word + dashes, (size_t)(equals - word) - dashes, equals + 1)) &&
	    secret_name(word + dashes, (size_t)(equals - word) - dashes)) {
		buf_add(out, word, (size_t)(equals - word) + 1);
		buf_addstr(out, REDACTED);
		return;
	}
	if (!dashes) {
		const char *slash = memrchr(word, '/', len);
		const char *base = slash ? slash + 1 : word;
		size_t n = len - (size_t)(base - word);

		for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
			if (strlen(programs[i].name) == n && !memcmp(programs[i].name, base, n))
				w->program = programs[i].name;
		w->login = w->login || (n == 5 && !memcmp(base, "login", 5));
	}
	buf_add(out, word, len);
}

// One argument may hold a whole command line: sh -c "mysqldump -psecret db".
static struct error *one_argument(struct words *w, const char *arg, struct buf *out)
{
	size_t len = strlen(arg);

	size_t name = strcspn(arg, "= \t\n");
	if (!memchr(arg, ' ', len) || w->secret || (arg[name] == '=' && !w->script)) {
		next_argument(w, arg, len, out);
		return buf_error(out);
	}
	struct words inner = {};
	w->secret = w->user = w->script = false;
	for (size_t at = 0; at < len;) {
		size_t n = strcspn(arg + at, " \t\n"), space = strspn(arg + at + n, " \t\n");

		if (n)
			next_argument(&inner, arg + at, n, out);
		buf_add(out, arg + at + n, space);
		at += n + space;
	}
	return buf_error(out);
}

struct error *redact_arguments(struct arena *arena, char **args, size_t n)
{
	struct words words = {};
	struct error *err = NULL;

	for (size_t i = 0; !err && i < n; i++) {
		_cleanup_(buf_deinit) struct buf out = {};
		char *shown;

		err = scan_text(arena, args[i], &shown);
		if (!err)
			err = one_argument(&words, shown, &out);
		if (err)
			break;
		// An empty one has made nothing, and memcmp() takes no null pointer.
		if (out.len == strlen(args[i]) &&
		    (!out.len || !memcmp(out.data, args[i], out.len)))
			continue;
		args[i] = arena_strndup(arena, (char *)out.data, out.len);
		if (!args[i])
			err = error_nomem();
	}
	return err;
}
