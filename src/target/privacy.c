/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "privacy.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

// The text behind KEY at the start of a line of /proc/PID/status; NULL when there is none.
static const char *value(const struct bytes *status, const char *key)
{
	const char *text = (const char *)status->data;
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ':')
			return line + len + 1;
	}
	return NULL;
}

// Real, effective, saved and file system's, when they are the same; -1 when not.
static long one_for_all(const char *text)
{
	long first = -1;

	for (int i = 0; text && i < 4; i++) {
		char *end;
		long id = strtol(text, &end, 10);

		if (end == text || id < 0 || (i && id != first))
			return -1;
		first = id;
		text = end;
	}
	return first;
}

static bool has_no_capability(const char *text)
{
	char *end;

	return text && strtoull(text, &end, 16) == 0 && *end == '\n';
}

// The kernel's word at the last exec: there was no setuid, setgid or capability about it.
static bool began_plainly(const struct bytes *auxv)
{
	uint64_t entry[2];

	for (size_t at = 0; at + sizeof(entry) <= auxv->len; at += sizeof(entry)) {
		memcpy(entry, auxv->data + at, sizeof(entry));
		if (entry[0] == AT_SECURE)
			return !entry[1];
	}
	return false;
}

bool process_is_users(const struct process *process, uid_t *ret)
{
	const struct bytes *status = &process->status;
	long uid = one_for_all(value(status, "Uid"));

	if (process->dumpable != 1 || uid <= 0 || one_for_all(value(status, "Gid")) < 0 ||
	    !has_no_capability(value(status, "CapPrm")) || !began_plainly(&process->auxv))
		return false;
	*ret = (uid_t)uid;
	return true;
}
