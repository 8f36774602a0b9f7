/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "target/redact.h"

#define FILE_MAX 65536

static struct error *own_path(char **ret)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n = 0;

	// A relative one is to be ignored, says the XDG Base Directory Specification.
	if (config && config[0] == '/')
		n = asprintf(ret, "%s/pcatch/redact", config);
	else if (home && home[0] == '/')
		n = asprintf(ret, "%s/.config/pcatch/redact", home);
	else
		*ret = NULL;
	if (n >= 0)
		return NULL;
	*ret = NULL;
	return error_nomem();
}

// With MAY_BE_CLOSED a file that we may not get to is none: $HOME may be that of who called su.
static struct error *read_file(const char *path, bool may_be_closed, char *text, size_t size)
{
	struct stat st;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0;

	text[0] = '\0';
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || (may_be_closed && errno == EACCES)))
		return NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(errno, "names of secrets in %s cannot be read", path);
	if (!S_ISREG(st.st_mode) || st.st_size >= (off_t)size)
		return error_new(ERROR_INPUT, "%s is no file of less than %zu bytes", path, size);
	for (ssize_t n; len < size - 1 && (n = read(fd, text + len, size - 1 - len));) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(errno, "names of secrets in %s cannot be read", path);
		len += (size_t)n;
	}
	text[len] = '\0';
	return NULL;
}

// LINE without its comment and what is white around the rest.
static char *bare(char *line)
{
	static const char white[] = " \t\r";

	line[strcspn(line, "#")] = '\0';
	line += strspn(line, white);
	for (size_t n = strlen(line); n && strchr(white, line[n - 1]); n--)
		line[n - 1] = '\0';
	return line;
}

struct error *secrets_read(int number)
{
	_cleanup_(freep) char *own = NULL, *text = malloc(FILE_MAX);
	struct error *first = text ? NULL : error_nomem();
	const char *path = "/etc/pcatch/redact";

	if (!first && number > 0) {
		first = own_path(&own);
		path = own;
	}
	if (!first && path)
		first = read_file(path, number > 0, text, FILE_MAX);
	if (first || !path)
		return first;
	int n = 0;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		struct error *err;

		n++;
		line = bare(line);
		err = *line ? redact_also(line) : NULL;
		if (!err || first)
			error_free(err);
		else
			first = error_prefix(err, "%s, line %d", path, n);
	}
	return first;
}
