/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kernlog.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"

// TASK_COMM_LEN without its NUL; of a kernel's workers more is printed, which are no business of ours.
#define COMM_MAX 15

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

// What stands behind KEY in S; NULL when KEY is not there.
static const char *behind(const char *s, const char *key)
{
	const char *at = strstr(s, key);

	return at ? at + strlen(key) : NULL;
}

static struct kernlog_text up_to(const char *s, const char *stop)
{
	return (struct kernlog_text){ s, strcspn(s, stop) };
}

static bool parse_pid(const char *s, pid_t *ret, const char **end_ret)
{
	char *end;

	errno = 0;
	long v = strtol(s, &end, 10);
	if (!isdigit((unsigned char)*s) || errno || v <= 0 || v > INT_MAX)
		return false;
	*ret = (pid_t)v;
	*end_ret = end;
	return true;
}

static bool parse_hex(const char *s, taddr *ret)
{
	char *end;

	if (!isxdigit((unsigned char)*s))
		return false;
	errno = 0;
	*ret = strtoull(s, &end, 16);
	return !errno;
}

// "1234kB" behind KEY, as bytes.
static int64_t kilobytes(const char *s, const char *key)
{
	const char *at = behind(s, key);
	char *end;

	if (!at || !isdigit((unsigned char)*at))
		return -1;
	errno = 0;
	long long v = strtoll(at, &end, 10);
	return errno || !starts(end, "kB") || v > INT64_MAX / 1024 ? -1 : v * 1024;
}

/*
 * "COMM[PID]" with TAIL behind it; a comm may hold brackets of its own, so the one counts that the
 * rest fits to. Returns what is behind TAIL.
 */
static const char *parse_task(const char *s, const char *tail, struct kernlog_event *event)
{
	for (const char *at = s; (at = strchr(at, '[')) && at - s <= COMM_MAX; at++) {
		const char *end;

		if (parse_pid(at + 1, &event->pid, &end) && *end == ']' && starts(end + 1, tail)) {
			event->comm = (struct kernlog_text){ s, (size_t)(at - s) };
			return end + 1 + strlen(tail);
		}
	}
	event->pid = 0;
	return NULL;
}

// "... in libfoo.so[7f0000000000+1000]"; newer kernels put "OFFSET," before the address.
static void parse_module(const char *s, struct kernlog_event *event)
{
	const char *at = behind(s, " in ");
	const char *end = at ? strchr(at, '[') : NULL;

	if (end && end > at)
		event->module = (struct kernlog_text){ at, (size_t)(end - at) };
}

static void parse_number(const char *s, const char *key, bool *have, taddr *ret)
{
	const char *at = behind(s, key);

	*have = at && parse_hex(at, ret);
}

// arch/x86/mm/fault.c, show_signal_msg(); arch/arm64/kernel/traps.c, arm64_show_signal().
static bool parse_fault(const char *s, struct kernlog_event *event)
{
	const char *rest = parse_task(s, ": segfault at ", event);

	if (rest) {
		event->signo = SIGSEGV;
		event->what = (struct kernlog_text){ rest - strlen("segfault at "), 8 };
		event->have_address = parse_hex(rest, &event->address);
		parse_number(rest, " ip ", &event->have_pc, &event->pc);
		parse_module(rest, event);
		return true;
	}
	rest = parse_task(s, ": unhandled ", event);
	if (!rest)
		return false;
	event->what = up_to(rest, ",");
	// "unhandled level 2 translation fault (11) at 0x00000000, esr 0x92000006", before 4.20
	const char *number = behind(rest, "fault (");
	if (number)
		event->signo = atoi(number) > 0 && atoi(number) <= 64 ? atoi(number) : 0;
	const char *at = behind(rest, " at 0x");
	event->have_address = at && parse_hex(at, &event->address);
	parse_module(rest, event);
	return true;
}

// arch/x86/kernel/traps.c, show_signal(): "trap " stands before some and not before others.
static bool parse_trap(const char *s, struct kernlog_event *event)
{
	static const struct {
		const char *what;
		int signo;
	} traps[] = {
		{ "divide error", SIGFPE },	{ "overflow", SIGSEGV },
		{ "invalid opcode", SIGILL },	{ "int3", SIGTRAP },
		{ "stack segment", SIGBUS },	{ "segment not present", SIGBUS },
		{ "alignment check", SIGBUS },	{ "general protection", SIGSEGV },
		{ "bounds", SIGSEGV },
	};

	if (!starts(s, "traps: "))
		return false;
	const char *rest = parse_task(s + strlen("traps: "), " ", event);
	const char *end = rest ? strstr(rest, " ip:") : NULL;
	if (!end)
		return false;
	if (starts(rest, "trap "))
		rest += strlen("trap ");
	event->what = (struct kernlog_text){ rest, (size_t)(end - rest) };
	for (size_t i = 0; i < ARRAY_SIZE(traps); i++)
		if (starts(rest, traps[i].what))
			event->signo = traps[i].signo;
	parse_number(end, " ip:", &event->have_pc, &event->pc);
	parse_module(end, event);
	return true;
}

/*
 * mm/oom_kill.c: "[Memory cgroup o|O]ut of memory: Killed process N (COMM) total-vm:...". Before 5.0
 * that line had no beginning, and one before it said "Kill process N (COMM) score ...".
 */
static bool parse_oom_kill(const char *s, struct kernlog_event *event)
{
	static const char *const beginnings[] = { "Killed process ", "Kill process " };
	const char *end = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
		const char *at = strstr(s, beginnings[i]);

		if (!at || (at != s && !strstr(s, "ut of memory")) || (i && at == s))
			continue;
		if (parse_pid(at + strlen(beginnings[i]), &event->pid, &end))
			break;
	}
	if (!end)
		return false;
	// "Killed process 12, UID 1000, (python)" until 4.19
	const char *open = strchr(end, '(');
	const char *close = open ? strstr(open, ") ") : NULL;
	if (close)
		event->comm = (struct kernlog_text){ open + 1, (size_t)(close - open - 1) };
	event->memcg = starts(s, "Memory cgroup ");
	event->signo = SIGKILL;
	event->total_vm = kilobytes(s, "total-vm:");
	event->anon_rss = kilobytes(s, "anon-rss:");
	event->file_rss = kilobytes(s, "file-rss:");
	event->shmem_rss = kilobytes(s, "shmem-rss:");
	return true;
}

// dump_oom_summary(), since 5.0
static bool parse_oom_context(const char *s, struct kernlog_event *event)
{
	const char *end, *rest = starts(s, "oom-kill:constraint=") ? behind(s, ",task=") : NULL;
	const char *pid = rest ? behind(rest, ",pid=") : NULL;

	// The comm may hold a comma: the last ",pid=" is the kernel's.
	for (const char *next; pid && (next = behind(pid, ",pid="));)
		pid = next;
	if (!pid || !parse_pid(pid, &event->pid, &end))
		return false;
	event->comm = (struct kernlog_text){ rest, (size_t)(pid - rest) - strlen(",pid=") };
	event->memcg = starts(s, "oom-kill:constraint=CONSTRAINT_MEMCG");
	const char *cgroup = behind(s, ",oom_memcg=");
	if (cgroup)
		event->oom_memcg = up_to(cgroup, ",");
	cgroup = behind(s, ",task_memcg=");
	if (cgroup)
		event->task_memcg = up_to(cgroup, ",");
	return true;
}

static bool parse_oom_reaped(const char *s, struct kernlog_event *event)
{
	static const char start[] = "oom_reaper: reaped process ";
	const char *end;

	if (!starts(s, start) || !parse_pid(s + sizeof(start) - 1, &event->pid, &end))
		return false;
	const char *close = starts(end, " (") ? strstr(end, "), ") : NULL;
	if (close)
		event->comm = (struct kernlog_text){ end + 2, (size_t)(close - end - 2) };
	return true;
}

static bool parse_oom_invoked(const char *s, struct kernlog_event *event)
{
	const char *at = strstr(s, " invoked oom-killer: ");

	if (!at || at == s || at - s > COMM_MAX)
		return false;
	event->comm = (struct kernlog_text){ s, (size_t)(at - s) };
	return true;
}

/*
 * kernel/auditsc.c: "audit: type=1701 audit(TIME:SERIAL): ... pid=N comm="COMM" exe="..." sig=11".
 * A comm that has a blank or a quote is written as hex without quotes, and is left out here.
 */
static bool parse_audit(const char *s, struct kernlog_event *event)
{
	const char *end, *at, *pid;

	if (!starts(s, "audit: type="))
		return false;
	if (starts(s, "audit: type=1701 "))
		event->kind = KERNLOG_ABEND;
	else if (starts(s, "audit: type=1326 "))
		event->kind = KERNLOG_SECCOMP;
	else
		return false;
	pid = behind(s, " pid=");
	if (!pid || !parse_pid(pid, &event->pid, &end))
		return false;
	at = behind(s, " comm=\"");
	if (at)
		event->comm = up_to(at, "\"");
	at = behind(s, " sig=");
	if (at && atoi(at) > 0 && atoi(at) <= 64)
		event->signo = atoi(at);
	return true;
}

// "COMM:N" up to END; the comm may hold colons.
static bool parse_named(const char *s, const char *end, struct kernlog_event *event)
{
	const char *behind_pid;

	for (const char *at = end; at > s; at--)
		if (at[-1] == ':') {
			if (!parse_pid(at, &event->pid, &behind_pid) || behind_pid != end)
				return false;
			event->comm = (struct kernlog_text){ s, (size_t)(at - 1 - s) };
			return true;
		}
	return false;
}

// kernel/hung_task.c
static bool parse_hung(const char *s, struct kernlog_event *event)
{
	const char *end = strstr(s, " blocked for more than ");

	return starts(s, "INFO: task ") && end &&
	       parse_named(s + strlen("INFO: task "), end, event);
}

// kernel/watchdog.c; before 4.15 with "NMI " at the beginning, before 4.1 without any.
static bool parse_lockup(const char *s, struct kernlog_event *event)
{
	const char *rest = behind(s, "BUG: soft lockup - CPU#");
	const char *task = rest ? behind(rest, "s! [") : NULL;
	const char *end = task ? strrchr(task, ']') : NULL;

	return end && !end[1] && parse_named(task, end, event);
}

bool kernlog_parse(const char *message, struct kernlog_event *ret)
{
	static const struct {
		bool (*parse)(const char *, struct kernlog_event *);
		enum kernlog_kind kind;
	} forms[] = {
		{ parse_oom_context, KERNLOG_OOM_CONTEXT }, { parse_oom_reaped, KERNLOG_OOM_REAPED },
		{ parse_trap, KERNLOG_TRAP },		    { parse_hung, KERNLOG_HUNG },
		{ parse_audit, KERNLOG_OTHER },		    { parse_fault, KERNLOG_FAULT },
		{ parse_lockup, KERNLOG_LOCKUP },
		{ parse_oom_kill, KERNLOG_OOM_KILL },	    { parse_oom_invoked, KERNLOG_OOM_INVOKED },
	};
	static const struct kernlog_event empty = { .total_vm = -1,
						    .anon_rss = -1,
						    .file_rss = -1,
						    .shmem_rss = -1 };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct kernlog_event event = empty;

		if (!forms[i].parse(message, &event))
			continue;
		if (forms[i].kind != KERNLOG_OTHER)
			event.kind = forms[i].kind;
		*ret = event;
		return true;
	}
	*ret = empty;
	return false;
}

const char *kernlog_syslog(const char *line)
{
	const char *at = strstr(line, " kernel: ");

	if (!at)
		return NULL;
	at += strlen(" kernel: ");
	if (*at == '[') {
		const char *end = strchr(at, ']');

		if (end && strspn(at + 1, " .0123456789") == (size_t)(end - at - 1))
			at = end + 1 + strspn(end + 1, " ");
	}
	return at;
}

bool kernlog_record(const char *record, size_t len, uint64_t *sequence, int64_t *boot_us,
		    struct kernlog_text *message)
{
	char head[128];
	const char *semicolon = memchr(record, ';', len);
	unsigned long long seq, us;
	char *end;

	// Documentation/ABI/testing/dev-kmsg: "prefix,sequence,timestamp,flags[,more];"
	if (!semicolon || (size_t)(semicolon - record) >= sizeof(head))
		return false;
	memcpy(head, record, (size_t)(semicolon - record));
	head[semicolon - record] = '\0';
	const char *at = strchr(head, ',');
	if (!at || !isdigit((unsigned char)at[1]))
		return false;
	seq = strtoull(at + 1, &end, 10);
	if (*end != ',' || !isdigit((unsigned char)end[1]))
		return false;
	us = strtoull(end + 1, &end, 10);
	if ((*end != ',' && *end) || us > INT64_MAX / 1000)
		return false;
	const char *start = semicolon + 1, *newline;
	size_t left = len - (size_t)(start - record);
	newline = memchr(start, '\n', left);
	*message = (struct kernlog_text){ start, newline ? (size_t)(newline - start) : left };
	*sequence = seq;
	*boot_us = (int64_t)us;
	return true;
}
