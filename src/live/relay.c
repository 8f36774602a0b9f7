/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "procfs.h"
#include "tracer.h"

// Both members of a group have their signal within this time on any machine worth the name.
#define GROUP_WINDOW INT64_C(30000000)

void relay_init(struct relay *relay, pid_t to)
{
	*relay = (struct relay){ .to = to };
}

void relay_deinit(struct relay *relay)
{
	arena_deinit(&relay->arena);
}

static bool child_had(const struct relay *relay, int signo, pid_t pid, int64_t at)
{
	for (unsigned i = 0; i < RELAY_MAX; i++)
		if (relay->seen[i].signo == signo && relay->seen[i].pid == pid &&
		    at - relay->seen[i].at < GROUP_WINDOW)
			return true;
	return false;
}

void relay_take(struct relay *relay, const struct process *child, const siginfo_t *si)
{
	// From the kernel: the terminal's doing, and the child is in the foreground group as we are.
	// But for a hangup, which it sends to the session's leader alone.
	if (si->si_code > 0 && !(si->si_signo == SIGHUP && getsid(0) == getpid()))
		return;
	struct relay_item *item = &relay->items[relay->next++ % RELAY_MAX];
	struct signal_info info = signal_info_from(si);

	*item = (struct relay_item){ .signo = si->si_signo,
				     .code = si->si_code,
				     .pid = info.pid,
				     .value = info.value,
				     .at = monotonic_now() };
	item->waiting = !child_had(relay, item->signo, item->pid, item->at);
	// At once: a kill command has ended a moment later. Not being able to name it loses little.
	if (error_drop(procfs_sender(child, &info, &relay->arena, &item->sender)))
		item->sender = (struct sender){ .process.pid = info.pid };
	item->sender.forwarded = true;
}

void relay_saw(struct relay *relay, int signo, pid_t pid)
{
	int64_t now = monotonic_now();

	if (pid == getpid())
		return;
	for (unsigned i = 0; i < RELAY_MAX; i++)
		if (relay->items[i].waiting && relay->items[i].signo == signo &&
		    relay->items[i].pid == pid)
			relay->items[i].waiting = false;
	unsigned at = relay->next_seen++ % RELAY_MAX;
	relay->seen[at].signo = signo;
	relay->seen[at].pid = pid;
	relay->seen[at].at = now;
}

static bool is_stopped(pid_t pid)
{
	struct procfs_status status;

	return !error_drop(procfs_status(pid, &status)) &&
	       (status.state == 'T' || status.state == 't');
}

int64_t relay_pass(struct relay *relay)
{
	int64_t now = monotonic_now(), next = INT64_MAX;

	for (unsigned i = 0; i < RELAY_MAX; i++) {
		// Oldest first.
		struct relay_item *item = &relay->items[(relay->next + i) % RELAY_MAX];

		if (!item->waiting)
			continue;
		if (item->at + GROUP_WINDOW > now) {
			if (item->at + GROUP_WINDOW < next)
				next = item->at + GROUP_WINDOW;
			continue;
		}
		item->waiting = false;
		// A shell continues the group of a job; the child runs already then.
		if (item->signo == SIGCONT && !is_stopped(relay->to))
			continue;
		item->passed = true;
		siginfo_t si = { .si_signo = item->signo, .si_code = SI_QUEUE };
		si.si_pid = getpid();
		si.si_uid = getuid();
		si.si_value.sival_ptr = (void *)(uintptr_t)item->value;
		// A child that has gone meanwhile needs no signal.
		if (item->code == SI_QUEUE)
			syscall(SYS_rt_sigqueueinfo, relay->to, item->signo, &si);
		else
			kill(relay->to, item->signo);
	}
	return next;
}

const struct sender *relay_origin(const struct relay *relay, int signo)
{
	for (unsigned i = 1; i <= RELAY_MAX; i++) {
		const struct relay_item *item = &relay->items[(relay->next - i) % RELAY_MAX];

		if (item->passed && item->signo == signo)
			return &item->sender;
	}
	return NULL;
}
