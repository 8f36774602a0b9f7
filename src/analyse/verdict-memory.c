/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/kernlog.h"
#include "judges.h"

// Of the OOM killer's table of tasks, those that used most are named.
#define USERS_NAMED 4

// What the kernel's log says about this death.
struct oom_words {
	const struct kernel_line *kill; /* names a task of the process as the victim */
	size_t others;			/* lines that name other victims */
	const struct kernel_line *context; /* of that kill; NULL: not written */
	struct kernlog_event killed, why;  /* what these two say */
};

static bool is_task(const struct snapshot *snapshot, pid_t pid)
{
	return pid == snapshot->process.pid || snapshot_thread(snapshot, pid);
}

// Only where the log counts pids as we do is a number in it worth anything.
static struct oom_words read_log(const struct snapshot *snapshot)
{
	struct oom_words words = {};
	const struct kernel_line *context = NULL;
	struct kernlog_event event;

	for (size_t i = 0; !snapshot->host.in_container && i < snapshot->kernel_log.lines.n; i++) {
		const struct kernel_line *line = &snapshot->kernel_log.lines.v[i];

		if (!kernlog_parse(line->text, &event))
			continue;
		if (event.kind == KERNLOG_OOM_CONTEXT) {
			context = line;
			continue;
		}
		if (event.kind != KERNLOG_OOM_KILL)
			continue;
		if (!is_task(snapshot, event.pid)) {
			words.others++;
			continue;
		}
		words.kill = line;
		words.killed = event;
		words.context = context;
	}
	if (words.context)
		kernlog_parse(words.context->text, &words.why);
	return words;
}

static int64_t kills_here(const struct process *process)
{
	return process->oom_kills_before < 0 || process->oom_kills_after < 0
		       ? -1
		       : process->oom_kills_after - process->oom_kills_before;
}

static const struct cgroup_level *level_named(const struct process *process,
					      const struct kernlog_text *path)
{
	for (size_t i = 0; path->s && i < process->cgroup_levels.n; i++) {
		const struct cgroup_level *level = &process->cgroup_levels.v[i];

		if (strlen(level->path) == path->len && !memcmp(level->path, path->s, path->len))
			return level;
	}
	return NULL;
}

// Whose limit was met, as far as the counts tell: version 2 counts it, else the peak has touched it.
static const struct cgroup_level *level_at_limit(const struct process *process)
{
	for (size_t i = 0; i < process->cgroup_levels.n; i++) {
		const struct cgroup_level *level = &process->cgroup_levels.v[i];

		if (level->ooms_before >= 0 && level->ooms_after > level->ooms_before)
			return level;
	}
	for (size_t i = 0; i < process->cgroup_levels.n; i++) {
		const struct cgroup_level *level = &process->cgroup_levels.v[i];

		if (level->limit >= 0 && level->peak >= level->limit)
			return level;
	}
	return NULL;
}

// "in its cgroup (limit 64.0 MiB)", "on the whole machine (16.0 GiB)"
static const char *where_it_ran_out(const struct findings *findings, struct opinion *opinion,
				    const struct oom_words *words)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct process *process = &snapshot->process;
	const struct cgroup_level *level = NULL;
	const char *path = NULL;

	if (words->kill && !words->killed.memcg)
		return snapshot->host.memory > 0
			       ? opinion_text(opinion, "on the whole machine (%s)",
					      scene_size(opinion, (uint64_t)snapshot->host.memory))
			       : "on the whole machine";
	if (words->context)
		level = level_named(process, &words->why.oom_memcg);
	else
		level = level_at_limit(process);
	if (level)
		path = opinion_clip(opinion, level->path, 60);
	else if (words->context && words->why.oom_memcg.len)
		path = opinion_text(opinion, "%.*s",
				    (int)(words->why.oom_memcg.len < 60 ? words->why.oom_memcg.len : 60),
				    words->why.oom_memcg.s);
	const char *limit = "";
	if (level && level->limit >= 0)
		limit = opinion_text(opinion, " (limit %s)",
				     scene_size(opinion, (uint64_t)level->limit));
	if (!level && !path)
		return "for its cgroup";
	if (level && process->cgroup_levels.n && level == &process->cgroup_levels.v[0])
		return opinion_text(opinion, "in its cgroup%s", limit);
	return opinion_text(opinion, "in the cgroup %s above its own%s", path, limit);
}

struct user {
	long pid;
	uint64_t pages;
	char name[32];
};

/*
 * A row of the table: "[  pid  ]   uid  tgid total_vm      rss ... name"; what stands between
 * differs from kernel to kernel, the first four and the last do not.
 */
static bool parse_row(const char *text, struct user *ret)
{
	struct user user;
	unsigned long long pages;

	if (sscanf(text, "[ %ld] %*u %*u %*u %llu", &user.pid, &pages) != 2)
		return false;
	const char *name = strrchr(text, ' ');
	snprintf(user.name, sizeof(user.name), "%s", name ? name + 1 : "");
	user.pages = pages;
	*ret = user;
	return true;
}

// AT_PAGESZ of the auxiliary vector is what the table counts in.
static uint64_t page_size(const struct snapshot *snapshot)
{
	const struct bytes *auxv = &snapshot->process.auxv;
	uint64_t pair[2];

	for (size_t i = 0; i + sizeof(pair) <= auxv->len; i += sizeof(pair)) {
		memcpy(pair, auxv->data + i, sizeof(pair));
		if (pair[0] == 6 && pair[1] >= 1024 && pair[1] <= 1 << 20)
			return pair[1];
	}
	return 4096;
}

// Who used most when it happened, in the kernel's own count.
static void tell_users(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	struct user top[USERS_NAMED] = {}, user;
	const char *list = "";
	size_t n = 0;

	for (size_t i = 0; i < snapshot->kernel_log.lines.n; i++) {
		if (!parse_row(snapshot->kernel_log.lines.v[i].text, &user))
			continue;
		size_t at = n;
		while (at && top[at - 1].pages < user.pages)
			at--;
		if (at == USERS_NAMED)
			continue;
		n += n < USERS_NAMED;
		memmove(top + at + 1, top + at, (n - 1 - at) * sizeof(*top));
		top[at] = user;
	}
	for (size_t i = 0; i < n; i++)
		list = opinion_text(opinion, "%s%s%s (pid %ld%s) %s", list, i ? ", " : "", top[i].name,
				    top[i].pid,
				    top[i].pid == snapshot->process.pid ? ", the process itself" : "",
				    scene_size(opinion, top[i].pages * page_size(snapshot)));
	if (!n)
		return;
	opinion_for(opinion, "kernel log", "who used most memory then: %s", list);
	if (top[0].pid != snapshot->process.pid)
		opinion_advise(opinion,
			       "%s (pid %ld) used more than the process that was killed: look at it "
			       "first, and at oom_score_adj of both.",
			       top[0].name, top[0].pid);
}

static void tell_log(struct opinion *opinion, const struct oom_words *words)
{
	if (words->kill)
		opinion_for(opinion, "kernel log", "%s", words->kill->text);
	if (words->context)
		opinion_for(opinion, "kernel log", "%s", words->context->text);
}

/*
 * The kernel's record says that it raised this SIGKILL itself, which besides the OOM killer only a
 * limit of CPU time and the end of a pid namespace, whose init may have been what was struck, make
 * it do.
 */
static bool kernel_raised(const struct findings *findings)
{
	const struct death *death = &findings->snapshot->death;
	const struct process *process = &findings->snapshot->process;
	uint64_t soft, hard;

	return death->sender.kind == SENDER_KERNEL && death->sender.source == SOURCE_TRACEPOINT &&
	       death->info.signo == SIGKILL && death->info.code == SI_KERNEL &&
	       (process->ns_pids.n < 2 || scene_own_pid(findings) == 1) &&
	       (!scene_limit(findings, "Max cpu time", &soft, &hard) || hard == UINT64_MAX);
}

bool judge_out_of_memory(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct process *process = &snapshot->process;
	enum raiser raiser = scene_raiser(findings);
	struct oom_words words = read_log(snapshot);
	int64_t kills = kills_here(process);

	if (snapshot->death.kind != DEATH_SIGNAL || snapshot->death.signo != SIGKILL ||
	    raiser == RAISED_BY_PROCESS || raiser == RAISED_FROM_OUTSIDE ||
	    raiser == RAISED_BY_ITSELF)
		return false;
	// A count that rose for others is no word about this one.
	if (!words.kill && (kills <= 0 || (words.others && (uint64_t)kills <= words.others)))
		return false;
	bool alone = process->cgroup_others == 0 && !snapshot->kernel_log.followed;
	bool raised = kernel_raised(findings), certain = words.kill || alone || raised;
	const struct frame *python = scene_python_frame(findings);
	opinion_claim(opinion, CAUSE_OUT_OF_MEMORY, certain ? CERTAIN : LIKELY,
		      "The kernel's OOM killer ended it (SIGKILL): memory ran out %s%s%s.",
		      where_it_ran_out(findings, opinion, &words),
		      python ? "; it was last at " : "",
		      scene_python_place(findings, opinion));
	tell_log(opinion, &words);
	if (raised)
		opinion_for(opinion, "tracepoint", "the kernel itself raised SIGKILL for it%s",
			    kills > 0 ? ", as its count of OOM kills rose" : "");
	if (kills > 0)
		opinion_for(opinion, "cgroup",
			    "the kernel's count of OOM kills in its cgroup rose from %" PRId64
			    " to %" PRId64 " across the death%s",
			    process->oom_kills_before, process->oom_kills_after,
			    process->cgroup_others == 0 ? ", and it was alone in there"
			    : words.kill || raised	? ""
							: "; others share the cgroup, and the "
							  "count does not say which was struck");
	opinion_for(opinion, "exit status", "SIGKILL ended it, which is what the OOM killer sends");
	if (words.killed.anon_rss >= 0 && words.kill)
		opinion_for(opinion, "kernel log", "it had %s of its own memory, %s in all",
			    scene_size(opinion, (uint64_t)words.killed.anon_rss),
			    scene_size(opinion, (uint64_t)words.killed.anon_rss +
							(words.killed.file_rss > 0
								 ? (uint64_t)words.killed.file_rss
								 : 0)));
	verdict_tell_memory(findings, opinion);
	scene_tell_python(findings, opinion, "when it was killed the thread was at");
	if (words.kill)
		tell_users(findings, opinion);
	verdict_rule_out_for_kill(opinion);
	opinion_advise(opinion, "Raise the memory limit, or find what grew: the lines above say what "
				"it was doing when there was none left.");
	return true;
}

bool verdict_rule_out_oom(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct process *process = &snapshot->process;
	int64_t kills = kills_here(process);

	if (kills > 0 && snapshot->kernel_log.followed && read_log(snapshot).others) {
		opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY,
				 "the OOM killer struck in its cgroup, but the kernel's log names "
				 "another process as the victim");
		return true;
	}
	if (kills == 0) {
		opinion_against(opinion, "cgroup",
				"out-of-memory: the kernel's count of OOM kills in its "
				"cgroup stayed at %" PRId64,
				process->oom_kills_after);
		opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY,
				 "the kernel's count of OOM kills in its cgroup did not rise%s",
				 snapshot->kernel_log.whole ? ", and its log has no such line" : "");
		return true;
	}
	if (snapshot->kernel_log.whole && !snapshot->host.in_container && kills < 0) {
		opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY,
				 "the kernel's log was followed to the end and has no OOM kill of it");
		return true;
	}
	return false;
}

// A limit of the process's own that memory can meet.
struct own_limit {
	const char *name, *remedy;
	uint64_t limit, used;
};

// The line NAME of /proc/PID/status, which is in KiB; 0 when it is not there.
static uint64_t status_bytes(const struct findings *findings, const char *name)
{
	uint64_t kib;

	return scene_status(findings, name, &kib) && kib < INT64_MAX / 1024 ? kib * 1024 : 0;
}

// The limit that it came nearest to; false when it has none.
static bool nearest_own_limit(const struct findings *findings, struct own_limit *ret)
{
	// What was freed on the way out is in no count of the end but VmPeak; what is more in that than
	// in VmSize was data.
	uint64_t peak = status_bytes(findings, "VmPeak"), size = status_bytes(findings, "VmSize");
	uint64_t data = status_bytes(findings, "VmData") + (peak > size ? peak - size : 0);
	const struct {
		const char *limit, *name, *remedy;
		uint64_t used;
	} all[] = {
		{ "Max address space", "RLIMIT_AS", "ulimit -v, LimitAS= of a unit", peak },
		{ "Max data size", "RLIMIT_DATA", "ulimit -d, LimitDATA= of a unit", data },
	};
	uint64_t soft, hard;
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!scene_limit(findings, all[i].limit, &soft, &hard) || soft == UINT64_MAX ||
		    !soft)
			continue;
		if (found && (double)all[i].used / (double)soft <=
				     (double)ret->used / (double)ret->limit)
			continue;
		*ret = (struct own_limit){ all[i].name, all[i].remedy, soft, all[i].used };
		found = true;
	}
	return found;
}

void verdict_tell_refused(const struct findings *findings, struct opinion *opinion, bool said)
{
	struct own_limit own = {};
	bool limited = nearest_own_limit(findings, &own);
	double part = limited ? (double)own.used / (double)own.limit : 0;

	// One allocation may be large, but for a loop of small ones there is little left.
	if (!said && part < 0.9)
		return;
	if (!limited) {
		opinion_for(opinion, "/proc",
			    "no OOM kill, and no limit of its own: it asked for more at once than "
			    "the kernel would promise (vm.overcommit_memory), or for a nonsensical "
			    "size");
		opinion_advise(opinion, "Look at how much memory was asked for where it failed.");
		return;
	}
	const char *numbers = opinion_text(opinion, "%s %s, it had %s", own.name,
					   scene_size(opinion, own.limit),
					   scene_size(opinion, own.used));
	if (!said)
		opinion_for(opinion, "/proc",
			    "it was at its own limit (%s): an allocation that failed may be what "
			    "it could not do without", numbers);
	else if (part >= 0.75)
		opinion_for(opinion, "/proc", "no OOM kill: the process hit its own limit (%s)",
			    numbers);
	else
		opinion_for(opinion, "/proc",
			    "no OOM kill: one allocation larger than what its own limit left "
			    "is refused (%s)", numbers);
	opinion_advise(opinion, "Raise %s (%s, or setrlimit in what starts it), or find what grew.",
		       own.name, own.remedy);
}
