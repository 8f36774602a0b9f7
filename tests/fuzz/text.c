/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What somebody else wrote: lines of logs and of the kernel, names, command lines, tracebacks. */
#include <string.h>

#include "analyse/demangle.h"
#include "analyse/findings.h"
#include "analyse/logline.h"
#include "analyse/traceback.h"
#include "cleanup.h"
#include "fuzz.h"
#include "target/kernlog.h"
#include "target/redact.h"

static void line_of_log(struct arena *arena, char *line)
{
	static const struct log_clock clock = { .latest = INT64_C(1795680000000000000) };
	size_t head;
	bool zoned;
	char *clean;

	logline_time(line, &clock, &head, &zoned);
	logline_time(line, &(struct log_clock){ .latest = INT64_MAX, .utc_offset = INT64_MIN }, NULL,
		     NULL);
	pid_t pid = logline_pid(line);
	logline_at_slot(line, logline_slot(line, pid));
	logline_mention(line, pid ? pid : 1);
	logline_signal(line);
	redact_name(line);
	error_drop(redact_value(arena, "NAME", line, &clean));
	error_drop(redact_assignment(arena, line, &clean));
	free(demangle(line));
}

static void line_of_kernel(const char *line)
{
	struct kernlog_event event;
	struct kernlog_text message;
	uint64_t sequence;
	int64_t boot;

	kernlog_parse(line, &event);
	const char *syslog = kernlog_syslog(line);
	if (syslog)
		kernlog_parse(syslog, &event);
	kernlog_record(line, strlen(line), &sequence, &boot, &message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	struct findings findings = { .snapshot = &snapshot };
	strings arguments = {};

	snapshot_init(&snapshot);
	struct log *log = LIST_ADD(&snapshot.arena, &snapshot.logs);
	char *text = arena_strndup(&snapshot.arena, (const char *)data, size);
	if (!log || !text)
		return 0;
	*log = (struct log){ .path = (char *)"/var/log/server.log", .fd = 2, .ends_in_newline = true };
	for (char *line; (line = strsep(&text, "\n"));) {
		char **to = LIST_ADD(&snapshot.arena, &log->lines);
		char **argument = LIST_ADD(&snapshot.arena, &arguments);

		if (!to || !argument)
			return 0;
		*to = *argument = line;
		line_of_log(&snapshot.arena, line);
		line_of_kernel(line);
	}
	error_drop(redact_arguments(&snapshot.arena, arguments.v, arguments.n));
	error_drop(redact_lines(&snapshot.arena, log->lines.v, &log->lines.n));
	error_drop(python_from_logs(&findings));
	arena_deinit(&findings.arena);
	return 0;
}
