/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pidfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"

struct error *pidfile_read(const char *path, pid_t *ret, int64_t *written_ret)
{
	char text[64];
	struct stat st;
	// Looked at before it is opened: opening a FIFO has effects.
	bool other = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
	_cleanup_(closep) int fd =
		other ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && !other)
		return error_errno(errno, "cannot read pidfile %s", path);
	if (other || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_new(ERROR_SYSTEM, "pidfile %s is not a regular file", path);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return error_errno(errno, "cannot read pidfile %s", path);
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	text[n] = '\0';
	const char *start = text;
	while (isspace((unsigned char)*start))
		start++;
	char *end;
	errno = 0;
	long pid = strtol(start, &end, 10);
	if (!isdigit((unsigned char)*start) || *end || errno || pid <= 0 || pid > INT_MAX)
		return error_new(ERROR_SYSTEM, "pidfile %s holds no process id", path);
	*ret = (pid_t)pid;
	if (written_ret)
		*written_ret = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return NULL;
}
