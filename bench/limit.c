/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage: limit PID [RUNS]
 *
 * What holding process PID costs at the least, as medians in milliseconds of RUNS (21) goes:
 *
 *   floor  stop all threads, read their registers, let go
 *   e      the same with the bytes from SP to the top of each stack
 *   pyb    the same as floor with the Python frames walked
 *
 * pcatch's own hold is compared with e + pyb - floor.
 *
 * A process dies once: whoever holds it then runs that code for the first time, after a wait in which
 * the caches went to others. A loop in one process would measure what never happens. So each figure
 * is of a process of its own, made for one hold, as cold as pcatch at a death; the kinds take
 * turns, so that what else the machine does hits all of them. What pcatch prepares while it waits (the
 * look at the modules, where the interpreter is, memory that is there) is prepared here, too,
 * outside of the time.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/capture.h"
#include "live/procmem.h"
#include "walk/python.h"

enum what { FLOOR, STACKS, PYTHON, N_WHAT };

static const char *const names[] = { "floor", "e", "pyb" };

struct stack {
	pid_t tid;
	taddr sp, end;
};

static void die(struct error *err)
{
	fprintf(stderr, "limit: %s\n", err->text);
	exit(1);
}

static size_t registers(const struct traced *process, const struct snapshot *snapshot,
			struct procmem_range *ranges)
{
	size_t n = 0;

	for (const struct tracee *t = process->tracees; t; t = t->next_in_process) {
		struct thread thread = {};

		if (!tracee_registers(t, NULL, false, &thread))
			continue;
		taddr sp = regs_sp(&thread.regs);
		const struct mapping *m = snapshot_mapping_at(snapshot, sp);
		if (m)
			ranges[n++] = (struct procmem_range){ .at = sp, .len = m->end - sp };
	}
	return n;
}

static double hold_once(struct tracer *tracer, struct traced *process, struct look *look,
			enum what what, struct procmem_range *ranges, uint8_t *arena)
{
	struct procmem live;
	struct mem_recorder recorder;
	struct py_state state = {};

	procmem_init(&live, process->pid, process->mem_fd);
	struct error *err = mem_recorder_init(&recorder, &live.mem, 1 << 16);
	if (err)
		die(err);
	int64_t start = monotonic_now();
	tracer_hold(tracer, process, false, start + INT64_C(10000000000));
	size_t n = registers(process, &look->snapshot, ranges);
	if (what == STACKS) {
		for (size_t i = 0, at = 0; i < n; at += ranges[i++].len)
			ranges[i].to = arena + at;
		procmem_read_ranges(&live, ranges, n, INT64_MAX);
	} else if (what == PYTHON && look->snapshot.python.found) {
		err = walk_python(&recorder.mem, &look->snapshot.python, true, 0, &state);
	}
	tracer_release(process, NULL);
	int64_t end = monotonic_now();
	if (err)
		die(err);
	py_state_deinit(&state);
	mem_recorder_deinit(&recorder);
	// What is stopped must have run before it is stopped again.
	struct event event;
	err = tracer_next(tracer, end + 5000000, &event);
	if (err)
		die(err);
	return (double)(end - start) / 1e6;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

// One hold of process PID from its beginning to its end, in milliseconds.
static double hold_afresh(pid_t pid, enum what what)
{
	struct tracer tracer;
	struct traced *process = NULL;
	struct look look = {};
	sigset_t none;

	sigemptyset(&none);
	struct error *err = tracer_init(&tracer, &none, false);
	if (!err)
		err = tracer_seize(&tracer, pid, &process);
	if (!err)
		err = look_take(&look, process, true, NULL);
	if (err)
		die(err);
	struct procmem_range *ranges = calloc(process->n_tracees + 64, sizeof(*ranges));
	size_t arena_size = (size_t)256 << 20;
	uint8_t *arena = malloc(arena_size);
	if (!ranges || !arena)
		die(error_nomem());
	memset(arena, 1, arena_size / 16);
	return hold_once(&tracer, process, &look, what, ranges, arena);
}

// The same in a process that is made for it. The kernel lets go of PID when that ends.
static double hold_cold(pid_t pid, enum what what)
{
	int ends[2], status;
	double took;

	if (pipe(ends))
		die(error_errno(errno, "cannot make a pipe"));
	pid_t child = fork();
	if (child < 0)
		die(error_errno(errno, "cannot fork"));
	if (!child) {
		took = hold_afresh(pid, what);
		_exit(write(ends[1], &took, sizeof(took)) != sizeof(took));
	}
	close(ends[1]);
	bool whole = read(ends[0], &took, sizeof(took)) == sizeof(took);
	close(ends[0]);
	if (waitpid(child, &status, 0) != child || status || !whole)
		exit(1);
	return took;
}

int main(int argc, char **argv)
{
	int pid = argc > 1 ? atoi(argv[1]) : 0, runs = argc > 2 ? atoi(argv[2]) : 21;

	if (pid <= 0 || runs <= 0) {
		fprintf(stderr, "usage: limit PID [RUNS]\n");
		return 2;
	}
	double *took = calloc((size_t)runs * N_WHAT, sizeof(*took));
	if (!took)
		die(error_nomem());
	for (int i = 0; i < runs; i++)
		for (enum what what = FLOOR; what < N_WHAT; what++)
			took[(int)what * runs + i] = hold_cold(pid, what);
	for (enum what what = FLOOR; what < N_WHAT; what++) {
		double *v = took + (int)what * runs;

		qsort(v, (size_t)runs, sizeof(*v), compare);
		printf("%s %.3f\n", names[what], v[runs / 2]);
	}
	free(took);
	return 0;
}
