/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "story.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../live/procfs.h"

#define SECOND INT64_C(1000000000)
// Clocks are read one after the other, and a stop is served a little after its signal was sent.
#define SLACK (SECOND / 20)

static bool took_effect(const struct sent *sent)
{
	return sent->result == SENT_DELIVERED || sent->result == SENT_WITHOUT_INFO;
}

// Could the sender that was seen when the signal came be the one of this record?
static bool may_be_same(const struct sender *seen, const struct sender *recorded)
{
	// SIGKILL is seen by nobody.
	if (seen->kind == SENDER_UNKNOWN)
		return true;
	if (seen->kind == SENDER_KERNEL || recorded->kind == SENDER_KERNEL)
		return false;
	return !seen->process.pid || !recorded->process.pid ||
	       seen->process.pid == recorded->process.pid;
}

// The last record at or before AT that fits a signal that came then.
static const struct sent *record_of(const sents *records, int signo, int64_t at,
				    const struct sender *seen)
{
	for (size_t i = records->n; i-- > 0;)
		if (records->v[i].signo == signo && records->v[i].at <= at + SLACK &&
		    took_effect(&records->v[i]) && may_be_same(seen, &records->v[i].sender))
			return &records->v[i];
	return NULL;
}

// What RECORDED knows and SEEN does not.
static void supplement(struct sender *seen, const struct sender *recorded)
{
	struct sender merged = *recorded;

	if (recorded->kind == SENDER_OUTSIDE || recorded->kind == SENDER_SELF)
		seen->kind = recorded->kind;
	if (!seen->forwarded) {
		seen->tid = recorded->tid;
		seen->life = recorded->life;
	}
	if (seen->process.pid && seen->process.cmdline.n)
		return;
	merged.kind = seen->kind;
	merged.forwarded = seen->forwarded;
	if (merged.process.uid == (uid_t)-1) {
		merged.process.uid = seen->process.uid;
		merged.user = seen->user;
	}
	if (!merged.process.comm)
		merged.process.comm = seen->process.comm;
	*seen = merged;
}

static bool asks_to_end(const struct sent *sent)
{
	return took_effect(sent) && sent->code <= 0 && sent->sender.kind != SENDER_SELF &&
	       sent->sender.process.pid != getpid() &&
	       (sent->signo == SIGTERM || sent->signo == SIGINT || sent->signo == SIGQUIT ||
		sent->signo == SIGHUP || sent->signo == SIGABRT);
}

static bool is_told(const struct snapshot *snapshot, const struct sent *sent)
{
	const struct death *death = &snapshot->death;

	// The one that ended it, or came at the very end.
	if (sent->signo == death->signo || sent->at >= snapshot->time.death - SLACK)
		return true;
	for (size_t i = 0; i < death->earlier.n; i++) {
		const struct signal_event *e = &death->earlier.v[i];

		if (e->info.signo == sent->signo && sent->at <= e->last + SLACK &&
		    may_be_same(&e->sender, &sent->sender))
			return true;
	}
	return false;
}

static struct error *add_untaken(struct snapshot *snapshot, const struct sent *sent)
{
	struct signal_event *last = LIST_ADD(&snapshot->arena, &snapshot->death.earlier);

	if (!last)
		return error_nomem();
	size_t i = snapshot->death.earlier.n - 1;
	for (; i > 0 && snapshot->death.earlier.v[i - 1].at > sent->at; i--)
		snapshot->death.earlier.v[i] = snapshot->death.earlier.v[i - 1];
	snapshot->death.earlier.v[i] = (struct signal_event){
		.info = { .signo = sent->signo, .code = sent->code },
		.at = sent->at,
		.last = sent->at,
		.count = 1,
		.disposition = SIGNAL_UNTAKEN,
		.sender = sent->sender,
	};
	return NULL;
}

// Who sent a signal to a child that was too young to have been looked at is told its place now.
static struct error *relate(struct snapshot *snapshot, struct sender *sender)
{
	if (sender->relation != RELATION_UNKNOWN && sender->relation != RELATION_OTHER)
		return NULL;
	return procfs_sender_finish(&snapshot->process, &snapshot->arena, sender);
}

struct error *story_complete(struct snapshot *snapshot, const sents *sent, const sents *passed)
{
	struct death *death = &snapshot->death;
	const struct sent *record = NULL;
	struct error *err = NULL;

	if (death->kind == DEATH_SIGNAL && !death->first_chance)
		record = record_of(death->sender.forwarded ? passed : sent, death->signo, INT64_MAX / 2,
				   &death->sender);
	if (record && !death->info.signo) {
		death->info = (struct signal_info){ .signo = record->signo, .code = record->code };
		death->sender = record->sender;
	} else if (record) {
		supplement(&death->sender, &record->sender);
	}
	for (size_t i = 0; i < death->earlier.n; i++) {
		struct signal_event *e = &death->earlier.v[i];
		const struct sent *its = record_of(e->sender.forwarded ? passed : sent, e->info.signo,
						   e->at, &e->sender);

		if (its)
			supplement(&e->sender, &its->sender);
	}
	// Of those that were given up for want of room nobody can say whether they came.
	for (size_t i = 0; !err && !death->earlier_dropped && i < sent->n; i++)
		if (asks_to_end(&sent->v[i]) && !is_told(snapshot, &sent->v[i]))
			err = add_untaken(snapshot, &sent->v[i]);
	for (size_t i = 0; !err && i < death->earlier.n; i++)
		err = relate(snapshot, &death->earlier.v[i].sender);
	return err ? err : relate(snapshot, &death->sender);
}
