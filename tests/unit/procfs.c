/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readers of /proc, over folders that are made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "cleanup.h"
#include "folder.h"
#include "live/procfs.h"

#define STATUS                                                                                     \
	"Name:\tweb (1)\\n\nState:\tS (sleeping)\nPid:\t77\nPPid:\t5\nUid:\t33\t34\t33\t33\n"          \
	"Gid:\t44\t44\t44\t44\nNSpid:\t77\t12\t1\nThreads:\t3\nSigIgn:\t0000000000001000\n"            \
	"SigCgt:\t0000000180004002\n"

struct world {
	struct folder folder;
	struct snapshot snapshot;
};

static int make(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->folder = folder_make();
	snapshot_init(&w->snapshot);
	folder_text(&w->folder, "status", STATUS);
	folder_text(&w->folder, "stat", "77 (web) x (1)) S 5 70 60 34817 77 0 1 2 3 4 5 6 7 8 20 0 3 0 "
					"4200 0 0");
	folder_text(&w->folder, "limits", "Limit\n");
	folder_put(&w->folder, "auxv", "\6\0\0\0\0\0\0\0\0\20\0\0\0\0\0\0", 16);
	folder_text(&w->folder, "cgroup", "0::/system.slice/web.service\n");
	folder_put(&w->folder, "cmdline", "web\0--token=hunter2andmore\0", 27);
	folder_put(&w->folder, "environ", "HOME=/srv\0API_KEY=hunter2andmore\0", 33);
	folder_link(&w->folder, "exe", "/srv/web");
	folder_link(&w->folder, "cwd", "/srv/a\nb");
	folder_dir(&w->folder, "fd");
	folder_link(&w->folder, "fd/10", "socket:[4242]");
	folder_link(&w->folder, "fd/2", "/var/log/web.log");
	folder_link(&w->folder, "fd/0", "socket:[4343]");
	folder_link(&w->folder, "fd/7", "socket:[4444]");
	folder_dir(&w->folder, "net");
	*state = w;
	return 0;
}

static int clear(void **state)
{
	struct world *w = *state;

	folder_remove(&w->folder);
	snapshot_deinit(&w->snapshot);
	free(w);
	return 0;
}

static void read_process(struct world *w, bool redact)
{
	assert_null(procfs_process(&w->snapshot, w->folder.fd, redact));
}

static void a_process_is_what_its_texts_say(void **state)
{
	struct world *w = *state;
	const struct process *p = &w->snapshot.process;

	read_process(w, true);
	// The kernel writes \n for a newline in a name.
	assert_string_equal(p->comm, "web (1)\\n");
	assert_int_equal(p->ppid, 5);
	assert_int_equal(p->pgid, 70);
	assert_int_equal(p->sid, 60);
	assert_string_equal(p->tty, "/dev/pts/1");
	assert_int_equal(p->uid, 33);
	assert_int_equal(p->gid, 44);
	assert_int_equal(p->ns_pids.n, 3);
	assert_int_equal(p->ns_pids.v[2], 1);
	assert_true(p->have_dispositions);
	assert_int_equal(p->ignored, 0x1000);
	assert_int_equal(p->caught, 0x180004002);
	assert_string_equal(p->cgroup, "/system.slice/web.service");
	assert_string_equal(p->exe, "/srv/web");
	assert_string_equal(p->cwd, "/srv/a\\x0ab");
	assert_int_equal(auxv_value(&p->auxv, 6), 4096);
	assert_int_equal(w->snapshot.gaps.n, 0);
}

static void secrets_are_hidden_unless_they_are_wanted(void **state)
{
	struct world *w = *state;
	const struct process *p = &w->snapshot.process;

	read_process(w, true);
	assert_int_equal(p->cmdline.n, 2);
	assert_string_equal(p->cmdline.v[1], "--token=" REDACTED);
	assert_int_equal(p->environ.n, 2);
	assert_string_equal(p->environ.v[0], "HOME=/srv");
	assert_string_equal(p->environ.v[1], "API_KEY=" REDACTED);
	assert_true(p->environ_redacted);
	read_process(w, false);
	assert_string_equal(p->cmdline.v[1], "--token=hunter2andmore");
	assert_string_equal(p->environ.v[1], "API_KEY=hunter2andmore");
	assert_false(p->environ_redacted);
}

static void what_a_process_had_outlasts_what_it_has_given_up(void **state)
{
	struct world *w = *state;
	const struct process *p = &w->snapshot.process;

	read_process(w, true);
	folder_text(&w->folder, "cmdline", "");
	folder_text(&w->folder, "environ", "");
	folder_text(&w->folder, "auxv", "");
	folder_text(&w->folder, "stat", "77 (web) Z 5 70");
	unlinkat(w->folder.fd, "exe", 0);
	static const char *const fds[] = { "fd/0", "fd/2", "fd/7", "fd/10" };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		unlinkat(w->folder.fd, fds[i], 0);
	read_process(w, true);
	assert_int_equal(p->cmdline.n, 2);
	assert_int_equal(p->environ.n, 2);
	assert_int_equal(p->fds.n, 4);
	assert_int_equal(p->sid, 60);
	assert_string_equal(p->exe, "/srv/web");
	assert_int_equal(auxv_value(&p->auxv, 6), 4096);
}

static void a_text_that_is_missing_is_a_gap(void **state)
{
	struct world *w = *state;

	unlinkat(w->folder.fd, "limits", 0);
	read_process(w, true);
	assert_int_equal(w->snapshot.gaps.n, 1);
	assert_string_equal(w->snapshot.gaps.v[0].what, "limits");
}

static void texts_that_make_no_sense_leave_what_is_not_known(void **state)
{
	struct world *w = *state;
	const struct process *p = &w->snapshot.process;

	folder_text(&w->folder, "status", "Name\nUid:\nSigCgt\n:\n\n");
	folder_text(&w->folder, "stat", "77 web S");
	folder_text(&w->folder, "cgroup", "0:\n:::\n");
	read_process(w, true);
	assert_false(p->have_dispositions);
	assert_int_equal(p->ns_pids.n, 0);
	assert_null(p->tty);
}

static const struct socket *read_socket(struct world *w, int number, int only)
{
	assert_null(procfs_sockets(&w->snapshot, w->folder.fd, -1, only));
	for (size_t i = 0; i < w->snapshot.process.fds.n; i++)
		if (w->snapshot.process.fds.v[i].fd == number)
			return &w->snapshot.process.fds.v[i].socket;
	fail_msg("no fd %d", number);
	return NULL;
}

// Addresses are words in the order of the host, so this is a little-endian machine's table.
static void sockets_are_found_in_their_tables(void **state)
{
	struct world *w = *state;

	folder_text(&w->folder, "net/tcp",
		    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
		    "   0: 0100007F:1F90 0100007F:C833 08 00000000:00000000 00:00000000 00000000    33"
		    "        0 4242 1 0000000000000000 20 4 30 10 -1\n"
		    "   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33"
		    "        0 0 1 0000000000000000\n");
	folder_text(&w->folder, "net/tcp6",
		    "  sl  local_address                         remote_address st\n"
		    "   0: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A "
		    "00000000:00000000 00:00000000 00000000    33        0 4343 1\n");
	folder_text(&w->folder, "net/unix",
		    "Num       RefCount Protocol Flags    Type St Inode Path\n"
		    "0000000000000000: 00000002 00000000 00010000 0001 03 4444 /run/a b\x01.sock\n");
	read_process(w, true);
	assert_int_equal(w->snapshot.process.fds.n, 4);
	assert_int_equal(w->snapshot.process.fds.v[0].fd, 0);
	assert_int_equal(w->snapshot.process.fds.v[3].fd, 10);

	const struct socket *s = read_socket(w, 10, 10);
	assert_string_equal(s->family, "inet");
	assert_string_equal(s->type, "stream");
	assert_string_equal(s->local, "127.0.0.1:8080");
	assert_string_equal(s->peer, "127.0.0.1:51251");
	assert_string_equal(s->state, "CLOSE_WAIT");
	// It alone was asked for.
	assert_null(w->snapshot.process.fds.v[0].socket.family);

	s = read_socket(w, 0, -1);
	assert_string_equal(s->family, "inet6");
	assert_string_equal(s->local, "127.0.0.1:80");
	assert_string_equal(s->state, "LISTEN");
	assert_null(s->peer);

	s = read_socket(w, 7, -1);
	assert_string_equal(s->family, "unix");
	assert_string_equal(s->state, "CONNECTED");
	assert_string_equal(s->local, "/run/a b\\x01.sock");
	assert_null(w->snapshot.process.fds.v[1].socket.family);
}

static void lines_of_tables_that_make_no_sense_are_passed_over(void **state)
{
	struct world *w = *state;

	folder_text(&w->folder, "net/tcp", "\n0: x\n 0: 01:1 02 z\n"
					   " 9: 0100007F 0100007F:1 FF 0:0 0:0 0 33 0 4242 1\n");
	folder_text(&w->folder, "net/unix", "0: 1\nx: 2 0 0 0009 99 4444\n0: 2 0 0 0009 99 4444");
	read_process(w, true);
	const struct socket *s = read_socket(w, 10, -1);
	assert_string_equal(s->family, "inet");
	assert_null(s->local);
	assert_null(s->state);
	s = read_socket(w, 7, -1);
	assert_string_equal(s->family, "unix");
	assert_null(s->type);
	assert_null(s->state);
}

// Who raised a signal, as far as its siginfo alone says.
static void senders_are_told_by_code_and_pid(void **state)
{
	static const struct {
		struct signal_info info;
		enum sender_kind kind;
		pid_t pid;
		enum sender_source source;
	} cases[] = {
		{ {}, SENDER_UNKNOWN, 0, SOURCE_NONE },
		{ { .signo = 14, .code = SI_TIMER }, SENDER_SELF, 1, SOURCE_SIGINFO },
		{ { .signo = 11, .code = 1, .pid = 9 }, SENDER_KERNEL, 0, SOURCE_SIGINFO },
		{ { .signo = 29, .code = SI_SIGIO, .pid = 9 }, SENDER_KERNEL, 0, SOURCE_SIGINFO },
		{ { .signo = 15, .code = SI_USER }, SENDER_OUTSIDE, 0, SOURCE_SIGINFO },
		{ { .signo = 6, .code = SI_TKILL, .pid = 1 }, SENDER_SELF, 1, SOURCE_SIGINFO },
		{ { .signo = 15, .code = SI_USER, .pid = 0x3ffffff }, SENDER_PROCESS, 0x3ffffff,
		  SOURCE_SIGINFO },
	};
	const struct process process = { .pid = 1 };
	_cleanup_(arena_deinit) struct arena arena = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sender sender;

		assert_null(procfs_sender(&process, &cases[i].info, &arena, &sender));
		assert_int_equal(sender.kind, cases[i].kind);
		assert_int_equal(sender.source, cases[i].source);
		// In another pid namespace than process 1's it cannot be told which process it is.
		if (sender.process.pid || cases[i].kind != SENDER_PROCESS)
			assert_int_equal(sender.process.pid, cases[i].pid);
		assert_int_equal(sender.gone, cases[i].kind == SENDER_PROCESS);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_process_is_what_its_texts_say),
		CASE(secrets_are_hidden_unless_they_are_wanted),
		CASE(what_a_process_had_outlasts_what_it_has_given_up),
		CASE(a_text_that_is_missing_is_a_gap),
		CASE(texts_that_make_no_sense_leave_what_is_not_known),
		CASE(sockets_are_found_in_their_tables),
		CASE(lines_of_tables_that_make_no_sense_are_passed_over),
		cmocka_unit_test(senders_are_told_by_code_and_pid),
	};

	return cmocka_run_group_tests_name("procfs", tests, NULL, NULL);
}
