/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "corepattern.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"

#define PATTERN "/proc/sys/kernel/core_pattern"
#define LIMIT	"/proc/sys/kernel/core_pipe_limit"
#define KEPT	"/run/pcatch-core_pattern"

// CORENAME_MAX_SIZE of fs/coredump.c, without its NUL.
#define PATTERN_MAX 127
// What tells our pattern from anybody else's.
#define OURS " core-handler "
// core(5): as many at once, and only with a limit is a process held until its handler has ended.
#define PIPE_LIMIT "16"
// Its default, where nothing else is known.
#define KERNEL_S_OWN "core"

enum { SETTING_MAX = 256 };

// The first line of PATH.
static struct error *read_setting(const char *path, char ret[SETTING_MAX])
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, SETTING_MAX - 1);

	if (n < 0)
		return error_errno(errno, "cannot read %s", path);
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return NULL;
}

static struct error *write_setting(const char *path, int flags, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	size_t len = strlen(text);

	if (fd >= 0 && write(fd, text, len) == (ssize_t)len)
		return NULL;
	if (errno == EACCES || errno == EPERM || errno == EROFS)
		return error_new(ERROR_DENIED,
				 "cannot write %s: %s; it takes root, outside of a container", path,
				 strerror(errno));
	return error_errno(errno, "cannot write %s", path);
}

static bool is_ours(const char *pattern)
{
	return *pattern == '|' && strstr(pattern, OURS);
}

// This program as the kernel may start it: by its whole path, and as root, so that nobody else may
// have a say in what it is.
static struct error *own_path(char ret[PATH_MAX])
{
	struct stat st;
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

	if (n < 0)
		return error_errno(errno, "cannot tell where this program is");
	ret[n] = '\0';
	if (stat(ret, &st) < 0)
		return error_errno(errno, "%s", ret);
	if (st.st_uid || st.st_mode & (S_IWGRP | S_IWOTH))
		return error_new(ERROR_DENIED,
				 "%s may be changed by others than root, as whom the kernel would "
				 "start it: install it first", ret);
	return NULL;
}

// The kernel splits at spaces and replaces what follows a percent sign.
static struct error *add_word(struct buf *pattern, const char *word, bool specifiers)
{
	if (!*word || strpbrk(word, " \t\n"))
		return error_new(ERROR_INPUT, "'%s' cannot stand in kernel.core_pattern: it is empty "
					      "or has spaces", word);
	buf_addstr(pattern, " ");
	for (const char *p = word; *p; p++) {
		buf_add(pattern, p, 1);
		if (*p == '%' && !specifiers)
			buf_add(pattern, p, 1);
	}
	return NULL;
}

static struct error *make_pattern(const struct options *o, char ret[SETTING_MAX])
{
	_cleanup_(buf_deinit) struct buf pattern = {};
	char path[PATH_MAX];
	struct error *err = own_path(path);

	if (!err && o->output && *o->output != '/')
		err = error_new(ERROR_INPUT, "--output: name the folder by its whole path");
	if (!err && strpbrk(path, " \t\n%"))
		err = error_new(ERROR_INPUT, "%s cannot stand in kernel.core_pattern", path);
	if (err)
		return err;
	buf_printf(&pattern, "|%s core-handler", path);
	for (size_t i = 0; !err && i < o->handler.words.n; i++)
		err = add_word(&pattern, o->handler.words.v[i], false);
	buf_addstr(&pattern, " %P %I %s %u %g %d %c %F");
	if (o->handler.then)
		buf_addstr(&pattern, " --then");
	for (char **word = o->handler.then; !err && word && *word; word++)
		err = add_word(&pattern, *word, true);
	if (err)
		return err;
	if (pattern.len > PATTERN_MAX)
		return error_new(ERROR_INPUT,
				 "the pattern has %zu bytes, and the kernel takes %d: use a shorter "
				 "path or fewer options: %.*s", pattern.len, PATTERN_MAX,
				 (int)pattern.len, pattern.data);
	buf_add(&pattern, "", 1);
	if (!pattern.failed)
		memcpy(ret, pattern.data, pattern.len);
	return buf_error(&pattern);
}

// What was there before us: of an earlier install, or what is there now.
static struct error *keep(const char *pattern, const char *limit)
{
	char text[2 * SETTING_MAX];

	if (is_ours(pattern) && !access(KEPT, F_OK))
		return NULL;
	snprintf(text, sizeof(text), "%s\n%s\n", is_ours(pattern) ? KERNEL_S_OWN : pattern, limit);
	return write_setting(KEPT, O_CREAT | O_TRUNC, text);
}

static struct error *set(const char *path, const char *name, const char *was, const char *to)
{
	struct error *err = write_setting(path, 0, to);

	if (!err && printf("%s is now: %s\n  it was: %s\n", name, to, *was ? was : "(empty)") < 0)
		err = error_errno(errno, "cannot write to standard output");
	return err;
}

static void print_commands(const char *pattern, const char *limit)
{
	printf("sysctl -w 'kernel.core_pattern=%s'\n", pattern);
	if (limit)
		printf("sysctl -w kernel.core_pipe_limit=%s\n", limit);
}

struct error *core_pattern_install(const struct options *options)
{
	char pattern[SETTING_MAX], was[SETTING_MAX] = "", limit[SETTING_MAX] = "";
	struct error *err = make_pattern(options, pattern);

	if (!err)
		err = read_setting(PATTERN, was);
	if (!err)
		err = read_setting(LIMIT, limit);
	if (err)
		return err;
	bool no_limit = !strcmp(limit, "0");
	if (options->handler.print) {
		print_commands(pattern, no_limit ? PIPE_LIMIT : NULL);
		return NULL;
	}
	err = keep(was, limit);
	if (!err)
		err = set(PATTERN, "kernel.core_pattern", was, pattern);
	if (!err && no_limit)
		err = set(LIMIT, "kernel.core_pipe_limit", limit, PIPE_LIMIT);
	if (!err)
		puts("Until `pcatch core-handler --uninstall`, or the next start of this machine; for "
		     "longer\nput what --print says into a file in /etc/sysctl.d.");
	return err;
}

struct error *core_pattern_uninstall(const struct options *options)
{
	char now[SETTING_MAX] = "", limit[SETTING_MAX] = "", kept[SETTING_MAX] = KERNEL_S_OWN "\n0";
	struct error *err = read_setting(PATTERN, now);

	if (!err)
		err = read_setting(LIMIT, limit);
	if (!err && !is_ours(now))
		err = error_new(ERROR_INPUT,
				"kernel.core_pattern is not pcatch's and stays as it is: %s", now);
	if (err)
		return err;
	_cleanup_(closep) int fd = open(KEPT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? 0 : read(fd, kept, sizeof(kept) - 1);
	if (n > 0)
		kept[n] = '\0';
	char *old_limit = strchr(kept, '\n');
	if (!old_limit)
		return error_new(ERROR_INPUT, "%s makes no sense: remove it, and set "
					      "kernel.core_pattern yourself", KEPT);
	*old_limit++ = '\0';
	old_limit[strcspn(old_limit, "\n")] = '\0';
	// Somebody else's since then is left alone.
	bool our_limit = !strcmp(limit, PIPE_LIMIT) && strcmp(limit, old_limit) != 0;
	if (options->handler.print) {
		print_commands(kept, our_limit ? old_limit : NULL);
		return NULL;
	}
	err = set(PATTERN, "kernel.core_pattern", now, kept);
	if (!err && our_limit)
		err = set(LIMIT, "kernel.core_pipe_limit", limit, old_limit);
	if (!err)
		unlink(KEPT);
	return err;
}
