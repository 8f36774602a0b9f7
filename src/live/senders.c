/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "senders.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "census.h"
#include "perf.h"
#include "procfs.h"
#include "tracer.h"

#define SECOND INT64_C(1000000000)

// Of each CPU's ring. Forks and execs wake nobody before half of it is full.
#define RING_PAGES 16
#define CPUS_MAX 4096
// Signals kept, of all watched processes together; the oldest gives way.
#define KEPT_MAX 1024
// Numbers of threads in the first pid namespace and in ours, see learn_number().
#define NUMBERS_MAX 64
// Senders looked up in a second: others of a storm keep the name and parent that the census has.
#define LOOKUPS_PER_SECOND 300
// How long a signal to nobody known is kept: a child is watched a moment after it is born.
#define STRANGERS_STAY (5 * SECOND)
#define COLLECT_WAIT (2 * SECOND)

struct kept {
	struct sent sent;
	pid_t target; // the process; 0: its number in our namespace is not known yet
	int64_t at; // CLOCK_MONOTONIC
	pid_t target_global, sender_global; // threads, as numbered in the first pid namespace
	bool looking; // its sender is being looked up, so the arena is the thread's own
	bool asked; // ... and /proc was asked, too
	struct pid_namespace namespace; // its sender's
	struct arena arena;
};

struct senders {
	struct gap gap; // why there is no listening; `what` NULL: there is
	char *gap_texts[2];
	bool children;
	bool first_namespace; // ours is the one that tracepoints count in
	bool have_namespaces; // records of which process is in which
	struct tracepoint generate, deliver;
	bool have_generate;
	struct perf_ring *rings;
	int *cpus; // of each ring
	int *fds;  // the rings' events, then the others
	size_t n_cpus, n_fds;
	int wake; // eventfd
	void (*kernel_killed)(void); // NULL: nobody wants to know
	pthread_t thread;
	bool running;
	uint8_t *record; // the thread's own

	pthread_mutex_t lock; // over everything below
	pthread_cond_t served_more;
	bool stop;
	uint64_t asked, served; // passes over the rings
	struct watched {
		pid_t pid;
		struct pid_namespace namespace; // as of the beginning: it may be gone when its sender is asked for
	} *watched;
	size_t n_watched, cap_watched;
	struct kept kept[KEPT_MAX]; // a ring, next the oldest
	uint64_t n_kept; // ever
	uint64_t settled; // so many of them are those of watched processes, or given up
	struct {
		pid_t global, ours;
	} numbers[NUMBERS_MAX];
	unsigned n_numbers;
	uint64_t lost;
	int64_t second; // of the lookups counted
	unsigned lookups;
	struct census census; // the thread's own, too
};

// pid_namespaces(7): the first namespace has this inode number in every kernel.
static bool in_first_namespace(void)
{
	char link[64] = "";

	return readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0 &&
	       !strcmp(link, "pid:[4026531836]");
}

static void set_gap(struct senders *s, struct error *err, const char *remedy)
{
	const char *own = error_remedy(err->errnum);

	s->gap.what = (char *)"who sends signals";
	s->gap_texts[0] = strdup(err->text);
	s->gap_texts[1] = strdup(own ? own : remedy);
	s->gap.why = s->gap_texts[0] ? s->gap_texts[0] : (char *)"no memory";
	s->gap.remedy = s->gap_texts[1];
	error_free(err);
}

#define SETCAP "sudo setcap cap_sys_ptrace,cap_perfmon,cap_dac_read_search+ep $(command -v pcatch)"

static const char rights[] = SETCAP ", or run pcatch as root";
static const char mount_and_rights[] =
	"sudo mount -t tracefs tracefs /sys/kernel/tracing && " SETCAP ", or run pcatch as root";

static struct error *describe_refusal(struct error *err, const char **remedy)
{
	if (err->errnum == EACCES || err->errnum == EPERM) {
		error_free(err);
		*remedy = rights;
		return error_new(ERROR_DENIED,
				 "listening to who sends signals (tracepoint signal:signal_generate) "
				 "takes CAP_PERFMON or root");
	}
	*remedy = "a kernel with perf events and tracepoints (CONFIG_PERF_EVENTS, CONFIG_FTRACE)";
	return error_prefix(err, "the kernel gives no records of who sends signals");
}

static struct perf_event_attr event_attr(const struct tracepoint *tp)
{
	return (struct perf_event_attr){
		.type = tp ? PERF_TYPE_TRACEPOINT : PERF_TYPE_SOFTWARE,
		.config = tp ? tp->id : PERF_COUNT_SW_DUMMY,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_RAW,
		.sample_id_all = 1,
		.wakeup_events = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
}

// A process sent it with kill(), sigqueue() or tgkill(): not a timer, a fault or the kernel.
#define SENT_BY_PROCESS "(code == 0 || code == -1 || code == -6)"

/*
 * SIGKILL from anywhere and to anybody (it may be aimed at a thread); of the others those that
 * processes send to each other rarely. SIGUSR1, SIGPROF, SIGPIPE and the like are the daily bread
 * of many runtimes: a record for each of them on the whole machine would cost its programs dear.
 */
static void wide_filter(char *ret, size_t size)
{
	snprintf(ret, size,
		 "sig == %d || (" SENT_BY_PROCESS
		 " && (sig == %d || sig == %d || sig == %d || sig == %d || sig == %d || sig == %d || "
		 "sig == %d || sig == %d || sig == %d || sig == %d))",
		 SIGKILL, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE,
		 SIGSYS);
}

static struct error *open_event(struct senders *s, struct perf_event_attr attr, int cpu,
				const char *filter)
{
	int fd = -1;
	struct error *err = perf_open(&attr, -1, cpu, &fd);
	if (err)
		return err;
	s->fds[s->n_fds++] = fd;
	if (filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) < 0)
		return error_errno(errno, "the kernel does not take a filter on signals");
	return NULL;
}

// One more event for each ring, which gets its records too.
static struct error *open_beside(struct senders *s, struct perf_event_attr attr, const char *filter)
{
	struct error *err = NULL;

	for (size_t i = 0; !err && i < s->n_cpus; i++) {
		err = open_event(s, attr, s->cpus[i], filter);
		if (!err && ioctl(s->fds[s->n_fds - 1], PERF_EVENT_IOC_SET_OUTPUT, s->fds[i]) < 0)
			err = error_errno(errno, "cannot join two events in one ring");
	}
	return err;
}

static struct error *open_rings(struct senders *s)
{
	const struct tracepoint *tp = s->have_generate ? &s->generate : NULL;
	char filter[512];
	long n = sysconf(_SC_NPROCESSORS_CONF);

	n = n < 1 ? 1 : n > CPUS_MAX ? CPUS_MAX : n;
	s->rings = calloc((size_t)n, sizeof(*s->rings));
	// For each CPU: its ring's, those for the named process, for numbers and for namespaces.
	s->fds = calloc(4 * (size_t)n, sizeof(*s->fds));
	s->cpus = calloc((size_t)n, sizeof(*s->cpus));
	if (!s->rings || !s->fds || !s->cpus)
		return error_nomem();
	wide_filter(filter, sizeof(filter));
	struct perf_event_attr attr = event_attr(tp);
	attr.comm = attr.comm_exec = attr.task = true;
	for (int cpu = 0; cpu < n; cpu++) {
		struct error *err = open_event(s, attr, cpu, tp ? filter : NULL);

		// A CPU that is switched off runs nobody who could send anything.
		if (err && err->errnum == ENODEV) {
			error_free(err);
			continue;
		}
		if (!err)
			err = perf_ring_init(&s->rings[s->n_cpus], s->fds[s->n_fds - 1],
					     RING_PAGES);
		if (err)
			return err;
		s->cpus[s->n_cpus++] = cpu;
	}
	if (!tp || s->first_namespace)
		return NULL;
	return open_beside(s, event_attr(&s->deliver), filter);
}

void senders_watch_closely(struct senders *s, pid_t pid)
{
	char filter[128];

	if (!s->running || !s->have_generate || !s->first_namespace)
		return;
	snprintf(filter, sizeof(filter), "pid == %d && " SENT_BY_PROCESS, (int)pid);
	// Without it, siginfo and the census still name the sender of all but the rarest of these.
	error_drop(open_beside(s, event_attr(&s->generate), filter));
}

/*
 * Who kills what is in a container from outside of it is mostly gone at once, and with it the
 * namespace that it was in. A record for each fork on the machine is the price, so it is paid only
 * while something in another namespace than ours is watched.
 */
static void listen_to_namespaces(struct senders *s)
{
	struct perf_event_attr attr = event_attr(NULL);

	if (!s->running || !s->have_generate || s->have_namespaces)
		return;
	s->have_namespaces = true;
	attr.namespaces = true;
	// Without them, those that are still there are told apart all the same.
	error_drop(open_beside(s, attr, NULL));
}

static const struct watched *find_watched(const struct senders *s, pid_t pid)
{
	for (size_t i = 0; i < s->n_watched; i++)
		if (s->watched[i].pid == pid)
			return &s->watched[i];
	return NULL;
}

static bool is_watched(const struct senders *s, pid_t pid)
{
	return find_watched(s, pid) != NULL;
}

static int64_t to_realtime(int64_t monotonic)
{
	return monotonic + (realtime_now() - monotonic_now());
}

static struct kept *kept_at(struct senders *s, uint64_t nth)
{
	return &s->kept[nth % KEPT_MAX];
}

static uint64_t oldest_kept(const struct senders *s)
{
	return s->n_kept > KEPT_MAX ? s->n_kept - KEPT_MAX : 0;
}

/*
 * Tracepoints count in the first pid namespace; where we are in another, the records of signals
 * that were taken tell which number of ours a number of theirs is.
 */
static void learn_number(struct senders *s, pid_t global, pid_t ours)
{
	s->numbers[s->n_numbers % NUMBERS_MAX].global = global;
	s->numbers[s->n_numbers++ % NUMBERS_MAX].ours = ours;
	for (uint64_t i = oldest_kept(s); i < s->n_kept; i++)
		if (!kept_at(s, i)->target && kept_at(s, i)->target_global == global)
			kept_at(s, i)->target = ours;
}

static pid_t number_of(const struct senders *s, pid_t global)
{
	if (s->first_namespace)
		return global;
	for (unsigned i = 0; i < NUMBERS_MAX; i++)
		if (s->numbers[i].global == global)
			return s->numbers[i].ours;
	return 0;
}

static pid_t process_of(pid_t tid)
{
	struct procfs_status status;

	return error_drop(procfs_status(tid, &status)) ? tid : status.tgid;
}

static void give_up(struct kept *k)
{
	arena_deinit(&k->arena);
	k->target = -1;
	k->sent.sender = (struct sender){};
}

// Whoever has not become one of ours some seconds later will not.
static void give_up_strangers(struct senders *s, int64_t now)
{
	if (s->settled < oldest_kept(s))
		s->settled = oldest_kept(s);
	for (; s->settled < s->n_kept; s->settled++) {
		struct kept *k = kept_at(s, s->settled);

		if (k->looking || k->sent.at > now - STRANGERS_STAY)
			return;
		if (!is_watched(s, k->target))
			give_up(k);
	}
}

/*
 * kill(2) aims at processes; tgkill(2) at threads, and says SI_TKILL. SIGKILL to a thread with the
 * siginfo of kill(2) is the kernel's send_sig() in somebody's name: __cgroup_kill().
 */
static bool is_on_behalf(int64_t signo, int64_t code, int64_t group)
{
	return signo == SIGKILL && code == SI_USER && !group;
}

static void keep(struct senders *s, const struct perf_record *r)
{
	const struct tracepoint *tp = &s->generate;
	int64_t signo, code, pid, group, result, common_pid;

	if (!tracepoint_value(tp, "sig", r->raw.data, r->raw.len, &signo) ||
	    !tracepoint_value(tp, "code", r->raw.data, r->raw.len, &code) ||
	    !tracepoint_value(tp, "pid", r->raw.data, r->raw.len, &pid) ||
	    !tracepoint_value(tp, "group", r->raw.data, r->raw.len, &group) ||
	    !tracepoint_value(tp, "result", r->raw.data, r->raw.len, &result) ||
	    !tracepoint_value(tp, "common_pid", r->raw.data, r->raw.len, &common_pid) ||
	    result < SENT_DELIVERED || result > SENT_WITHOUT_INFO)
		return;
	if (signo == SIGKILL && code == SI_KERNEL && s->kernel_killed)
		s->kernel_killed();
	pid_t target = number_of(s, (pid_t)pid);
	if (target && !is_watched(s, target)) {
		// It may be aimed at a thread.
		target = process_of(target);
		if (!is_watched(s, target) && !s->children)
			return;
	}
	give_up_strangers(s, to_realtime(r->at));
	struct kept *k = kept_at(s, s->n_kept++);
	arena_deinit(&k->arena);
	*k = (struct kept){ .sent = { .at = to_realtime(r->at),
				      .signo = (int)signo,
				      .code = (int)code,
				      .group = group != 0,
				      .result = (int)result,
				      .sender = { .process = { .pid = r->pid, .uid = (uid_t)-1 },
						  .tid = r->tid,
						  .source = SOURCE_TRACEPOINT,
						  .on_behalf = is_on_behalf(signo, code, group) } },
			    .target = target,
			    .at = r->at,
			    .target_global = (pid_t)pid,
			    .sender_global = (pid_t)common_pid,
			    .looking = true };
}

static void take_sample(struct senders *s, const struct perf_record *r)
{
	int64_t type, common_pid;

	// Both have these at the same place: they are every tracepoint's
	// (include/trace/trace_events.h).
	if (!tracepoint_value(&s->generate, "common_type", r->raw.data, r->raw.len, &type) ||
	    !tracepoint_value(&s->generate, "common_pid", r->raw.data, r->raw.len, &common_pid))
		return;
	if ((uint64_t)type == s->generate.id)
		keep(s, r);
	else if ((uint64_t)type == s->deliver.id && r->pid)
		learn_number(s, (pid_t)common_pid, r->pid);
}

static void drain(struct senders *s)
{
	for (size_t i = 0; i < s->n_cpus; i++) {
		struct perf_record record;
		size_t len;

		// As much as fits at once: one CPU in a frenzy does not keep us from the others.
		for (size_t seen = 0; seen < s->rings[i].size &&
				      (len = perf_ring_next(&s->rings[i], s->record)); seen += len) {
			if (!perf_record_parse(s->record, len, &record))
				continue;
			if (record.type == PERF_RECORD_SAMPLE)
				take_sample(s, &record);
			else if (record.type == PERF_RECORD_LOST)
				s->lost += record.lost;
			else
				census_note(&s->census, &record);
		}
	}
}

static bool may_look_up(struct senders *s)
{
	int64_t second = monotonic_now() / SECOND;

	if (second != s->second) {
		s->second = second;
		s->lookups = 0;
	}
	return s->lookups++ < LOOKUPS_PER_SECOND;
}

/*
 * Ask /proc who sent the NTH signal, at once: a kill command has ended a moment later. The lock is
 * held on entry and on return, not in between.
 */
static void ask_for_sender(struct senders *s, uint64_t nth)
{
	struct kept *k = kept_at(s, nth);
	struct sender sender = k->sent.sender;
	pid_t pid = sender.process.pid;

	if (k->sent.code > 0)
		sender.kind = SENDER_KERNEL;
	else if (!pid)
		sender.kind = SENDER_OUTSIDE;
	else if (pid == k->target)
		sender.kind = SENDER_SELF;
	else
		sender.kind = SENDER_PROCESS;
	// Who happened to run when the kernel killed says nothing, and to ask takes memory, which is
	// what the OOM killer strikes for: it would be waited for with the heap locked.
	sender.gone = pid && pid != k->target && sender.kind != SENDER_KERNEL;
	k->asked = sender.gone && may_look_up(s);
	k->sent.sender = sender;
	if (!k->asked)
		return;
	pthread_mutex_unlock(&s->lock);
	procfs_sender_now(pid, &k->arena, &sender);
	struct pid_namespace namespace = procfs_pid_namespace(pid);
	pthread_mutex_lock(&s->lock);
	k->sent.sender = sender;
	k->namespace = namespace;
}

// What /proc did not have any more is told by the records, which have all been read by now.
static void complete_sender(struct senders *s, uint64_t nth)
{
	struct kept *k = kept_at(s, nth);
	struct sender sender = k->sent.sender;
	const struct census_entry *known = census_find(&s->census, sender.process.pid);

	if (sender.process.pid && sender.kind != SENDER_SELF && sender.kind != SENDER_KERNEL) {
		pthread_mutex_unlock(&s->lock);
		census_complete(&s->census, k->asked, &k->arena, &sender);
		pthread_mutex_lock(&s->lock);
	}
	if (!k->namespace.inode && known)
		k->namespace.inode = known->inode;
	// The record of a thread's end is written before its children and its group are told of it
	// (do_exit() in kernel/exit.c).
	if (census_had_ended(&s->census, sender.tid, k->at))
		sender.life = SENDER_ENDING;
	else if (sender.tid && !s->lost)
		sender.life = SENDER_RUNNING;
	k->sent.sender = sender;
	k->looking = false;
}

/*
 * Take out what the rings hold, and find out who sent the signals among it, from the NTH that was
 * ever kept on; RET is the first that is left to the next time. A sender was forked before it
 * sent, but perhaps on a CPU whose ring had been emptied a moment before that, so a record of it is
 * sure to have been read only when all rings were read once more.
 */
static uint64_t take_out(struct senders *s, uint64_t nth)
{
	drain(s);
	uint64_t end = s->n_kept;
	if (nth < oldest_kept(s))
		nth = oldest_kept(s);
	if (nth == end)
		return end;
	for (uint64_t i = nth; i < end; i++)
		ask_for_sender(s, i);
	drain(s);
	// Some may have been pushed out by then.
	for (uint64_t i = nth < oldest_kept(s) ? oldest_kept(s) : nth; i < end; i++)
		complete_sender(s, i);
	return end;
}

#define PAGE 4096
// More than a pass over the rings was seen to use.
#define STACK_TOUCHED ((size_t)64 << 10)

/*
 * When the OOM killer strikes in our own cgroup there is no page to be had for two seconds, and this
 * thread, which waits for one, keeps the others from making a thread or giving memory back: so
 * what it writes to has its pages from the beginning.
 */
static void touch(void *data, size_t len)
{
	for (size_t i = 0; i < len; i += PAGE)
		((volatile char *)data)[i] = 0;
}

__attribute__((noinline)) static void touch_stack(void)
{
	char room[STACK_TOUCHED];

	touch(room, sizeof(room));
}

// Waking up first, before the sender ends, is what all this is for. Not every user may.
static void hurry(void)
{
	struct sched_param first = { .sched_priority = 1 };

	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
}

static void *listen_on(void *argument)
{
	struct senders *s = argument;
	_cleanup_(freep) struct pollfd *fds = calloc(s->n_cpus + 1, sizeof(*fds));
	uint64_t looked_at = 0;

	if (!fds)
		return NULL;
	for (size_t i = 0; i < s->n_cpus; i++)
		fds[i] = (struct pollfd){ .fd = s->fds[i], .events = POLLIN };
	fds[s->n_cpus] = (struct pollfd){ .fd = s->wake, .events = POLLIN };
	touch_stack();
	hurry();
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		uint64_t asked = s->asked, ignored;

		looked_at = take_out(s, looked_at);
		s->served = asked;
		pthread_cond_broadcast(&s->served_more);
		if (s->asked != asked || looked_at != s->n_kept)
			continue;
		pthread_mutex_unlock(&s->lock);
		poll(fds, s->n_cpus + 1, -1);
		if (fds[s->n_cpus].revents && read(s->wake, &ignored, sizeof(ignored)) < 0)
			ignored = 0;
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void wake_up(const struct senders *s)
{
	uint64_t one = 1;

	// It cannot fail but for a counter that is full, and then nobody sleeps.
	if (write(s->wake, &one, sizeof(one)) < 0)
		return;
}

static struct error *start_thread(struct senders *s)
{
	sigset_t all, before;

	s->record = malloc(PERF_RECORD_MAX);
	if (!s->record)
		return error_nomem();
	s->wake = eventfd(0, EFD_CLOEXEC);
	if (s->wake < 0)
		return error_errno(errno, "cannot make an eventfd");
	// Signals are for the thread that traces.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int errnum = pthread_create(&s->thread, NULL, listen_on, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errnum)
		return error_errno(errnum, "cannot start a thread");
	s->running = true;
	return NULL;
}

static void close_all(struct senders *s)
{
	for (size_t i = 0; i < s->n_cpus; i++)
		perf_ring_deinit(&s->rings[i]);
	for (size_t i = 0; i < s->n_fds; i++)
		close(s->fds[i]);
	s->n_cpus = s->n_fds = 0;
}

/*
 * Listen as far as there are rights: without the tracepoint's description at least to names and
 * parents, which tell who a sender was that siginfo gives as a bare number.
 */
static struct error *listen_up(struct senders *s)
{
	const char *remedy = rights;
	struct error *err = tracepoint_find("signal/signal_generate", &s->generate);

	if (!err && !s->first_namespace)
		err = tracepoint_find("signal/signal_deliver", &s->deliver);
	s->have_generate = !err;
	if (err && err->kind == ERROR_NOMEM)
		return err;
	if (err) {
		if (err->kind == ERROR_UNSUPPORTED)
			remedy = mount_and_rights;
		set_gap(s, err, remedy);
	}
	err = open_rings(s);
	if (!err)
		err = start_thread(s);
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	close_all(s);
	if (s->have_generate)
		set_gap(s, describe_refusal(err, &remedy), remedy);
	else
		error_free(err);
	s->have_generate = false;
	return NULL;
}

struct error *senders_create(bool children, void (*kernel_killed)(void), struct senders **ret)
{
	struct senders *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;

	if (!s)
		return error_nomem();
	touch(s, sizeof(*s));
	s->children = children;
	s->kernel_killed = kernel_killed;
	s->wake = -1;
	s->first_namespace = in_first_namespace();
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->served_more, &monotonic);
	pthread_condattr_destroy(&monotonic);
	struct error *err = listen_up(s);
	if (err) {
		senders_destroy(s);
		return err;
	}
	*ret = s;
	return NULL;
}

void senders_destroy(struct senders *s)
{
	if (!s)
		return;
	if (s->running) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_mutex_unlock(&s->lock);
		wake_up(s);
		pthread_join(s->thread, NULL);
	}
	close_all(s);
	closep(&s->wake);
	for (size_t i = 0; i < KEPT_MAX; i++)
		arena_deinit(&s->kept[i].arena);
	pthread_cond_destroy(&s->served_more);
	pthread_mutex_destroy(&s->lock);
	for (size_t i = 0; i < ARRAY_SIZE(s->gap_texts); i++)
		free(s->gap_texts[i]);
	free(s->watched);
	free(s->record);
	free(s->rings);
	free(s->cpus);
	free(s->fds);
	free(s);
}

void senders_watch(struct senders *s, pid_t pid)
{
	struct watched watched = { .pid = pid, .namespace = procfs_pid_namespace(pid) };

	if (watched.namespace.inode != procfs_pid_namespace(getpid()).inode)
		listen_to_namespaces(s);
	pthread_mutex_lock(&s->lock);
	if (s->n_watched == s->cap_watched) {
		size_t cap = s->cap_watched ? 2 * s->cap_watched : 16;
		struct watched *v = reallocarray(s->watched, cap, sizeof(*v));

		if (v) {
			s->watched = v;
			s->cap_watched = cap;
		}
	}
	if (s->n_watched < s->cap_watched && !is_watched(s, pid))
		s->watched[s->n_watched++] = watched;
	pthread_mutex_unlock(&s->lock);
}

void senders_forget(struct senders *s, pid_t pid)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_watched; i++)
		if (s->watched[i].pid == pid) {
			s->watched[i] = s->watched[--s->n_watched];
			break;
		}
	for (uint64_t i = oldest_kept(s); i < s->n_kept; i++)
		if (kept_at(s, i)->target == pid && !kept_at(s, i)->looking)
			give_up(kept_at(s, i));
	pthread_mutex_unlock(&s->lock);
}

const struct gap *senders_gap(const struct senders *s)
{
	return s->gap.what ? &s->gap : NULL;
}

uint64_t senders_lost(struct senders *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t lost = s->lost;
	pthread_mutex_unlock(&s->lock);
	return lost;
}

// Everything that is in the rings by now has been taken out and looked up. The lock is held.
static void await_pass(struct senders *s)
{
	int64_t deadline = monotonic_now() + COLLECT_WAIT;
	struct timespec ts = { .tv_sec = deadline / SECOND, .tv_nsec = deadline % SECOND };
	uint64_t ticket = ++s->asked;

	wake_up(s);
	while (s->served < ticket)
		if (pthread_cond_timedwait(&s->served_more, &s->lock, &ts))
			return;
}

struct error *senders_collect(struct senders *s, pid_t pid, int64_t since,
			      const struct process *target, struct arena *arena, sents *ret)
{
	struct pid_namespace namespace = { .depth = (int)target->ns_pids.n };
	struct error *err = NULL;

	*ret = (sents){};
	if (!s->running)
		return NULL;
	pthread_mutex_lock(&s->lock);
	await_pass(s);
	const struct watched *watched = find_watched(s, pid);
	if (watched)
		namespace = watched->namespace;
	for (uint64_t i = oldest_kept(s); !err && i < s->n_kept; i++) {
		const struct kept *k = kept_at(s, i);

		if (k->target != pid || k->sent.at < since)
			continue;
		struct sent *to = LIST_ADD(arena, ret);
		if (!to) {
			err = error_nomem();
			break;
		}
		*to = k->sent;
		err = sender_copy(arena, &k->sent.sender, &to->sender);
		if (to->sender.kind == SENDER_PROCESS && procfs_is_outside(&k->namespace, &namespace))
			to->sender.kind = SENDER_OUTSIDE;
	}
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; !err && i < ret->n; i++)
		err = procfs_sender_finish(target, arena, &ret->v[i].sender);
	return err;
}
