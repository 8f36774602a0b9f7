/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYTHON_H
#define PCATCH_WALK_PYTHON_H

#include "image.h"

/*
 * CPython's own stacks, followed through target memory. All of it reads through a struct mem
 * alone, so it runs on a live process (through a recorder, which keeps the pages), on a dump, and
 * on an array of bytes.
 */

#define PY_MAX_FRAMES	    20000
#define PY_MAX_THREADS	    20000
#define PY_MAX_INTERPRETERS 256
#define PY_MAX_STRING	    4096
#define PY_MAX_TASKS	    2000
#define PY_TASKS_TIME	    INT64_C(100000000) /* nanoseconds */
#define PY_LOCALS_TIME	    INT64_C(100000000) /* nanoseconds */

struct py_layout; /* walk/pylayout.h */

/* A variable, as text; clean UTF-8. */
struct py_local {
	char *name, *value;
};

typedef LIST(struct py_local) py_locals;

struct py_frame {
	/* Clean UTF-8, "?" where it could not be read (which is then a gap of the state). */
	char *function;	/* qualified name where the version has one (3.11 on), else co_name */
	char *file;	/* co_filename */
	int line;	/* of the instruction being executed; 0: unknown */
	int column;	/* 1-based, 0: unknown */
	/*
	 * The frame at which the native eval loop was entered: frames from here inwards, up to the
	 * next one so marked, belong to one activation of _PyEval_EvalFrameDefault. On versions
	 * before 3.11 every frame is one.
	 */
	bool entry;
	/*
	 * Where `entry`: an address on the C stack within the frame of that eval loop, which keeps
	 * something of its own there that the interpreter points to (3.10 on); 0: unknown.
	 */
	taddr on_c_stack;
	taddr address; /* of the interpreter's frame */
	py_locals locals; /* none unless the hint wants them */
};

struct py_exception {
	char *type;    /* as the class is called, without its module */
	char *message; /* what str() says where that can be known without running code; else NULL */
	bool own_str;  /* its class has a __str__ of its own, and the message is not what that says */
	LIST(struct py_frame) traceback; /* innermost first */
	char *gap;     /* why frames are missing at the inner end; NULL: all are there */
	strings notes; /* what add_note() added, within bounds */
	LIST(struct py_exception *) members; /* of a group, within bounds */
	uint64_t n_members;		     /* as many as the group says that it has */
	struct py_exception *cause; /* __cause__, or __context__ unless suppressed; NULL: none */
	bool is_context;	    /* the cause was being handled as this was raised */
};

struct py_thread {
	taddr tstate;
	pid_t tid;	  /* native_thread_id, 0: the version has none */
	taddr pthread;	  /* thread_id: on Linux the thread pointer of the thread */
	int64_t interpreter;
	char *name;	  /* as Python's module threading has it; NULL: it has none, or unknown */
	bool holds_gil;
	LIST(struct py_frame) frames; /* innermost first */
	char *gap;	  /* why frames are missing at the outer end; NULL: all are there */
	struct py_exception *handled; /* what sys.exc_info() has; NULL: none */
	struct py_exception *raised;  /* is on its way to whoever handles it; NULL: none */
};

/* An asyncio task that has not ended. Strings are NULL where they are unknown. */
struct py_task {
	taddr at;
	char *name, *coroutine; /* qualified */
	bool running;
	taddr loop, pthread; /* of the thread in which its loop runs; 0: unknown */
	taddr waiter;	     /* the future or task that it waits for, 0: none */
	LIST(struct py_frame) frames; /* innermost first, to the task's own coroutine */
	LIST(char *) awaited_by;      /* names of tasks */
	char *gap;		      /* why frames are missing; NULL: all are there */
	size_t number;
};

struct py_state {
	struct arena arena;
	unsigned version;    /* PY_VERSION_HEX, low bytes 0 when unknown */
	bool free_threaded;
	bool published_layout;	/* offsets came from the target itself */
	bool published_asyncio; /* those of its module _asyncio, too */
	bool finalizing;
	bool have_gc, gc_running; /* whether the collector was at work could be read; was it */
	int n_interpreters;
	int64_t interpreters[PY_MAX_INTERPRETERS];
	bool have_gil;	     /* the GIL's holder could be read */
	LIST(struct py_thread) threads;
	struct py_exception *last; /* the last that nobody caught, as sys has it; NULL: none */
	LIST(struct py_task) tasks;
	gaps gaps;
};

void py_state_deinit(struct py_state *state);

/*
 * Find the interpreter in the modules of SNAPSHOT (whose maps are parsed and module files open
 * or openable): by the symbol _PyRuntime in the executable or a library, by section .PyRuntime,
 * by a search of writable memory. A candidate counts when walking it makes sense. No interpreter
 * is no error: RET->found is false, and *why_ret says what was looked at when something looked
 * like a Python (NULL when nothing did). Where more than one runs RET is the one with frames, and
 * *why_ret names another. Strings are put into ARENA.
 */
struct error *python_find(struct images *images, const struct mem *mem, struct arena *arena,
			  struct python_hint *ret, char **why_ret) __attribute__((warn_unused_result));

/*
 * Where the module _asyncio of HINT's interpreter publishes its offsets, for walk_python(); again
 * when there are other modules than there were.
 */
void python_find_asyncio(struct images *images, struct python_hint *hint);

/*
 * Every thread of every interpreter with its Python frames. Broken chains are gaps in RET; an
 * unknown version is ERROR_UNSUPPORTED that names it. DEADLINE: CLOCK_MONOTONIC nanoseconds at
 * which to stop with what there is (a gap); 0 for none. Stacks are walked side by side, so each
 * thread then has its innermost frames.
 *
 * With `for_capture` only the bytes are touched that a later call needs (the recorder keeps
 * them): no strings are built, RET stays empty. Variables come last, those of innermost frames
 * first, and take no longer than PY_LOCALS_TIME of what there is until the deadline.
 */
struct error *walk_python(const struct mem *mem, const struct python_hint *hint, bool for_capture,
			  int64_t deadline, struct py_state *ret) __attribute__((warn_unused_result));

#endif
