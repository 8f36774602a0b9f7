// SPDX-License-Identifier: GPL-3.0-or-later
#include "samples.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "render/render.h"

#define SECOND	  INT64_C(1000000000)
#define HUGE_NAME 5000
#define DEATH	  (INT64_C(1795493645) * SECOND + 123456789) // 2026-11-24T04:14:05

#define ADD(s, list)                                                                               \
	({                                                                                         \
		__typeof__((list)->v) _added = LIST_ADD(&(s)->arena, list);                        \
		if (!_added)                                                                       \
			abort();                                                                   \
		_added;                                                                            \
	})

static char *text(struct snapshot *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static char *text(struct snapshot *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *ret = arena_vprintf(&s->arena, fmt, ap);
	va_end(ap);
	if (!ret)
		abort();
	return ret;
}

static struct bytes bytes_of(struct snapshot *s, const char *from)
{
	return (struct bytes){ .data = (uint8_t *)text(s, "%s", from), .len = strlen(from) };
}

static void add_module(struct snapshot *s, const char *path, taddr start, size_t size, bool deleted)
{
	struct module *module = ADD(s, &s->modules);

	*module = (struct module){ .start = start,
				   .end = start + size,
				   .path = text(s, "%s", path),
				   .build_id_len = 20,
				   .deleted = deleted,
				   .fd = -1 };
	for (unsigned i = 0; i < 20; i++)
		module->build_id[i] = (uint8_t)(start >> 12) + i;
}

static void add_strings(struct snapshot *s, strings *list, const char *const *from)
{
	for (; *from; from++)
		*ADD(s, list) = text(s, "%s", *from);
}

#define STRINGS(s, list, ...) add_strings(s, list, (const char *const[]){ __VA_ARGS__, NULL })

static void add_fd(struct snapshot *s, int fd, const char *target)
{
	*ADD(s, &s->process.fds) = (struct fd){ .fd = fd, .target = text(s, "%s", target) };
}

static void add_socket(struct snapshot *s, int fd, const char *local, const char *peer,
		       const char *state)
{
	*ADD(s, &s->process.fds) = (struct fd){
		.fd = fd,
		.target = text(s, "socket:[%d]", 20000 + fd),
		.is_socket = true,
		.socket = { .family = text(s, "inet"),
			    .type = text(s, "stream"),
			    .local = text(s, "%s", local),
			    .peer = peer ? text(s, "%s", peer) : NULL,
			    .state = text(s, "%s", state) },
	};
}

static const char limits_text[] =
	"Limit                     Soft Limit           Hard Limit           Units     \n"
	"Max cpu time              unlimited            unlimited            seconds   \n"
	"Max file size             unlimited            unlimited            bytes     \n"
	"Max stack size            8388608              unlimited            bytes     \n"
	"Max core file size        0                    unlimited            bytes     \n"
	"Max processes             31695                31695                processes \n"
	"Max open files            1024                 1048576              files     \n"
	"Max nice priority         0                    0                    \n"
	"Max realtime timeout      unlimited            unlimited            us        \n";

// A server under systemd, alive and well.
static void make_server(struct snapshot *s)
{
	struct process *p = &s->process;

	snprintf(s->id, sizeof(s->id), "0b5c6f5e-3f0a-4c1e-9d52-7a1f0e6f2b11");
	s->generator = text(s, "0.1.0");
	s->host = (struct host){ .hostname = text(s, "web3"),
				 .kernel = text(s, "6.1.0-18-amd64"),
				 .uname = text(s, "Linux"),
				 .arch = arch_by_id(ARCH_X86_64),
				 .cpus = 8,
				 .memory = INT64_C(16) << 30 };
	s->time.process_start = DEATH - 273 * 60 * SECOND;
	s->time.attached = DEATH - 100 * SECOND;
	s->time.death = DEATH;
	s->time.frozen = 4200000;
	p->pid = 4242;
	p->ppid = 1;
	p->pgid = p->sid = 4242;
	*ADD(s, &p->ns_pids) = 4242;
	p->uid = p->gid = 33;
	p->user = text(s, "www-data");
	p->comm = text(s, "hypercorn");
	p->exe = text(s, "/usr/bin/python3.11");
	p->cwd = text(s, "/srv");
	STRINGS(s, &p->cmdline, "/usr/bin/python3", "/usr/bin/hypercorn", "app:app", "--bind",
		"127.0.0.1:8000", "--log-config", "a file.toml");
	STRINGS(s, &p->environ, "PATH=/usr/bin:/bin", "DATABASE_PASSWORD=[redacted]",
		"LANG=C.UTF-8", "LANG=shadowed", "no equals sign");
	p->have_environ = p->environ_redacted = true;
	*ADD(s, &p->ancestors) =
		(struct process_ref){ .pid = 1, .uid = 0, .comm = text(s, "systemd") };
	p->cgroup = text(s, "/system.slice/web.service");
	p->memory_limit = INT64_C(512) << 20;
	p->memory_usage = INT64_C(133) << 20;
	p->oom_kills_before = p->oom_kills_after = 0;
	p->ignored = UINT64_C(1) << (SIGXFSZ - 1);
	p->caught = UINT64_C(1) << (SIGINT - 1) | UINT64_C(1) << (SIGTERM - 1);
	p->have_dispositions = p->have_fds = true;
	p->limits = bytes_of(s, limits_text);
	add_fd(s, 0, "/dev/null");
	add_fd(s, 1, "/var/log/web/out.log");
	add_fd(s, 2, "/var/log/web/out.log");
	add_fd(s, 5, "anon_inode:[eventpoll]");
	add_fd(s, 8, "pipe:[31337]");
	add_socket(s, 6, "127.0.0.1:8000", NULL, "LISTEN");
	add_socket(s, 13, "127.0.0.1:8000", "127.0.0.1:51234", "CLOSE_WAIT");
	s->death.core_dumped = -1;
	add_module(s, "/usr/bin/python3.11", 0x400000, 0x600000, false);
	add_module(s, "/usr/lib/x86_64-linux-gnu/libc.so.6", 0x7f3a10000000, 0x1d0000, false);
	add_module(s, "/usr/lib/python3.11/lib-dynload/_ctypes.cpython-311-x86_64-linux-gnu.so",
		   0x7f3a11000000, 0x20000, false);
	add_module(s, "/srv/fastpath.so", 0x7f3a12000000, 0x8000, true);
	*ADD(s, &s->mappings) = (struct mapping){ .start = 0x400000,
						  .end = 0xa00000,
						  .permissions = "r-xp",
						  .name = s->modules.v[0].path };
	struct log *log = ADD(s, &s->logs);
	*log = (struct log){ .path = text(s, "/var/log/web/out.log"),
			     .fd = 1,
			     .ends_in_newline = true };
	STRINGS(s, &log->lines,
		"[2026-11-24 04:13:58 +0000] [4242] [INFO] Running on http://127.0.0.1:8000",
		"[2026-11-24 04:14:01 +0000] [4242] [INFO] GET /stream from 127.0.0.1, which has a "
		"line "
		"that is wider than anybody's terminal and goes on and on");
}

static struct thread *add_thread(struct snapshot *s, pid_t tid, const char *name, char state)
{
	struct thread *thread = ADD(s, &s->threads);

	thread->tid = tid;
	thread->name = text(s, "%s", name);
	thread->state = state;
	thread->regs.arch = arch_by_id(ARCH_X86_64);
	for (unsigned i = 0; i < thread->regs.arch->n_regs; i++)
		thread->regs.r[i] = 0x1000 * (uint64_t)tid + i;
	return thread;
}

static void python_frame(struct snapshot *s, struct stack *stack, const char *function,
			 const char *file, int line)
{
	*ADD(s, &stack->frames) = (struct frame){ .kind = FRAME_PYTHON,
						  .function = text(s, "%s", function),
						  .file = text(s, "%s", file),
						  .line = line };
}

// A frame of module M; FUNCTION and FILE may be NULL.
static void native_frame(struct snapshot *s, struct stack *stack, size_t m, const char *function,
			 taddr offset, const char *file, int line)
{
	const struct module *module = &s->modules.v[m];

	*ADD(s, &stack->frames) = (struct frame){
		.kind = FRAME_NATIVE,
		.function = function ? text(s, "%s", function) : NULL,
		.file = file ? text(s, "%s", file) : NULL,
		.line = line,
		.pc = module->start + offset,
		.module = module,
		.module_offset = offset,
		.symbol_offset = function ? 0x1d : -1,
		.found_by = stack->frames.n ? FOUND_CFI : FOUND_CONTEXT,
	};
}

// Findings for every thread of the snapshot, which has all it will have.
static void begin(struct snapshot *s, struct findings *f)
{
	f->snapshot = s;
	for (size_t i = 0; i < s->threads.n; i++) {
		struct thread_findings *t = ADD(f, &f->threads);
		t->thread = &s->threads.v[i];
		t->interpreter = -1;
	}
	f->module_symbols = arena_alloc(&f->arena, s->modules.n * sizeof(*f->module_symbols));
	if (!f->module_symbols)
		abort();
	for (size_t i = 0; i < s->modules.n; i++)
		f->module_symbols[i] = i % 2 ? SYMBOLS_DYNSYM : SYMBOLS_DWARF;
}

static void have_python(struct snapshot *s, struct findings *f)
{
	f->python = (struct python_findings){ .present = true,
					      .version = text(s, "3.11.2"),
					      .library = s->modules.v[0].path,
					      .gil_known = true,
					      .gil_holder = 4242 };
	*ADD(f, &f->python.interpreters) = 0;
	for (size_t i = 0; i < f->threads.n; i++) {
		f->threads.v[i].has_python = f->threads.v[i].gil_known = true;
		f->threads.v[i].interpreter = 0;
		f->threads.v[i].holds_gil = f->threads.v[i].thread->tid == 4242;
	}
}

static void say(struct snapshot *s, struct findings *f, enum cause cause,
		enum confidence confidence, const char *summary)
{
	f->verdict.cause = cause;
	f->verdict.confidence = confidence;
	f->verdict.summary = text(s, "%s", summary);
}

static void because(struct snapshot *s, struct findings *f, const char *source, const char *what,
		    bool supports)
{
	*ADD(f, &f->verdict.evidence) = (struct evidence){ .source = text(s, "%s", source),
							   .text = text(s, "%s", what),
							   .supports = supports };
}

static void not_seen(struct snapshot *s, struct findings *f, const char *what, const char *why,
		     const char *remedy)
{
	*ADD(f, &f->gaps) = (struct gap){ .what = text(s, "%s", what),
					  .why = text(s, "%s", why),
					  .remedy = remedy ? text(s, "%s", remedy) : NULL };
}

static void python_stack(struct snapshot *s, struct stack *stack)
{
	python_frame(s, stack, "stream", "/srv/app.py", 31);
	python_frame(s, stack, "ASGIWrapper.__call__",
		     "/usr/lib/python3/dist-packages/hypercorn/app_wrappers.py", 34);
	python_frame(s, stack, "TCPServer._read_data_and_feed_protocol",
		     "/usr/lib/python3/dist-packages/hypercorn/asyncio/tcp_server.py", 118);
	python_frame(s, stack, "Handle._run", "/usr/lib/python3.11/asyncio/events.py", 80);
	python_frame(s, stack, "<module>", "/usr/bin/hypercorn", 8);
}

static void make_broken_pipe(struct snapshot *s, struct findings *f)
{
	make_server(s);
	add_thread(s, 4242, "hypercorn", 'S');
	add_thread(s, 4243, "asyncio_0", 'S');
	s->death = (struct death){ .kind = DEATH_SIGNAL,
				   .signo = SIGPIPE,
				   .tid = 4242,
				   .core_dumped = 0,
				   .info = { .signo = SIGPIPE, .code = 0, .pid = 4242, .uid = 33 },
				   .sender = { .kind = SENDER_KERNEL, .source = SOURCE_SIGINFO } };
	begin(s, f);
	have_python(s, f);
	struct thread_findings *t = &f->threads.v[0];
	f->dying = t;
	t->crashed = true;
	t->syscall = text(s, "write");
	t->syscall_text = text(s, "write(13, 0x7ffd1c20e0a0, 65536)");
	native_frame(s, &t->merged, 1, "__GI___libc_write", 0xf61d3,
		     "../sysdeps/unix/sysv/linux/write.c", 26);
	native_frame(s, &t->merged, 0, "sock_send", 0x1d2c3f, NULL, 0);
	python_stack(s, &t->merged);
	native_frame(s, &t->merged, 0, "Py_RunMain", 0x22aa10, NULL, 0);
	native_frame(s, &t->merged, 1, "__libc_start_call_main", 0x271ca, NULL, 0);
	native_frame(s, &t->merged, 0, NULL, 0x2275a1, NULL, 0);
	python_stack(s, &t->python);
	native_frame(s, &t->native, 1, "__GI___libc_write", 0xf61d3, NULL, 0);
	f->threads.v[1].syscall = text(s, "futex");
	python_frame(s, &f->threads.v[1].merged, "_worker",
		     "/usr/lib/python3.11/concurrent/futures/thread.py", 81);
	python_frame(s, &f->threads.v[1].python, "_worker",
		     "/usr/lib/python3.11/concurrent/futures/thread.py", 81);
	f->threads.v[1].python_name = text(s, "asyncio_0");
	say(s, f, CAUSE_BROKEN_PIPE, CERTAIN,
	    "SIGPIPE ended hypercorn (pid 4242): it wrote to fd 13, a TCP connection whose client "
	    "127.0.0.1:51234 had gone away, in stream at /srv/app.py:31, and SIGPIPE's action was "
	    "the default.");
	because(s, f, "siginfo",
		"the kernel raised SIGPIPE for the thread's own system call write(13, ...)", true);
	because(s, f, "fds", "fd 13 is a TCP socket to 127.0.0.1:51234 in state CLOSE_WAIT", true);
	because(s, f, "status",
		"SIGPIPE had its default action; CPython ignores it unless told otherwise", true);
	because(s, f, "cgroup",
		"the cgroup's oom_kill count did not change, so it was not the OOM killer", false);
	*ADD(f, &f->verdict.ruled_out) = (struct ruled_out){
		.cause = CAUSE_OUT_OF_MEMORY,
		.because = text(s, "the kernel ends a process with SIGKILL then")
	};
	STRINGS(s, &f->verdict.advice,
		"Find who restores SIGPIPE's default: signal.signal(SIGPIPE, SIG_DFL).");
	struct signal_event *event = ADD(s, &s->death.earlier);
	*event = (struct signal_event){ .info = { .signo = SIGCHLD, .code = 1, .pid = 4300 },
					.tid = 4242,
					.at = DEATH - 30 * SECOND,
					.last = DEATH - 3 * SECOND,
					.count = 12,
					.disposition = SIGNAL_DEFAULT,
					.sender = { .kind = SENDER_KERNEL,
						    .source = SOURCE_SIGINFO } };
	not_seen(s, f, "kernel log", "no right to read it", "give pcatch CAP_SYSLOG");
	not_seen(s, f, "local variables", "this version does not read them", NULL);
	strcpy(f->signature, "0123456789abcdef");
	STRINGS(s, &f->signature_frames, "stream", "ASGIWrapper.__call__");
}

static void make_crash(struct snapshot *s, struct findings *f)
{
	make_server(s);
	add_thread(s, 4250, "worker", 'R');
	add_thread(s, 4242, "hypercorn", 'S');
	s->death = (struct death){ .kind = DEATH_SIGNAL,
				   .signo = SIGSEGV,
				   .tid = 4250,
				   .core_dumped = 1,
				   .first_chance = true,
				   .info = { .signo = SIGSEGV, .code = 1, .addr = 0x18 },
				   .sender = { .kind = SENDER_SELF, .source = SOURCE_SIGINFO } };
	begin(s, f);
	have_python(s, f);
	struct thread_findings *t = &f->threads.v[0];
	f->dying = t;
	t->crashed = true;
	t->python_name = text(s, "Thread-3 (worker)");
	native_frame(s, &t->merged, 3,
		     "std::__1::map<std::string, handler_t, std::less<std::string>, "
		     "std::allocator<std::pair<std::string const, handler_t> > "
		     ">::operator[](std::string const&)",
		     0x1240, "/srv/src/fastpath/very/deep/folder/structure/of/somebody/dispatch.cc",
		     114);
	native_frame(s, &t->merged, 3, "dispatch", 0x1300, "/srv/src/dispatch.cc", 40);
	native_frame(s, &t->merged, 2, NULL, 0x7a52, NULL, 0);
	python_frame(s, &t->merged, "Fast.call", "/srv/app.py", 12);
	for (int i = 0; i < 300; i++) {
		python_frame(s, &t->merged, "descend", "/srv/tree.py", 7);
		python_frame(s, &t->merged, "visit", "/srv/tree.py", 19);
		native_frame(s, &t->merged, 0, "slot_tp_call", 0x11aa0, NULL, 0);
	}
	python_frame(s, &t->merged, "Thread.run", "/usr/lib/python3.11/threading.py", 975);
	t->merged.gap = text(s, "page 0x7f3a10ff0000 is not in the dump");
	t->python = t->merged;
	f->threads.v[1].syscall = text(s, "epoll_wait");
	python_frame(s, &f->threads.v[1].merged, "select", "/usr/lib/python3.11/selectors.py", 468);
	f->fault = (struct fault){
		.present = true,
		.class = FAULT_NULL_POINTER_OFFSET,
		.access = ACCESS_READ,
		.have_address = true,
		.address = 0x18,
		.explanation = text(s, "The program read the field at offset 24 of an object, but "
				       "the pointer to that object was null."),
		.operand = text(s, "qword ptr [rax + 0x18] with rax = 0x0"),
		.message = text(
			s, "fastpath.so: dispatch.cc:114: Assertion `it' failed.\nsecond line"),
		.message_source = text(s, "__abort_msg")
	};
	for (int i = 0; i < 5; i++)
		*ADD(f, &f->fault.disassembly) =
			(struct instruction){ .at = 0x7f3a12001234 + 4 * (taddr)i,
					      .bytes = text(s, "488b4018"),
					      .text = text(s, "mov rax, qword ptr [rax + 0x18]"),
					      .current = i == 3 };
	say(s, f, CAUSE_NATIVE_CRASH, CERTAIN,
	    "hypercorn (pid 4242) crashed in fastpath.so: it followed a null pointer (SIGSEGV).");
	because(s, f, "siginfo", "SIGSEGV, SEGV_MAPERR at 0x18: no memory is there", true);
}

static void make_sigkill(struct snapshot *s, struct findings *f)
{
	make_server(s);
	add_thread(s, 4242, "python3", 'S');
	for (int i = 0; i < 50; i++)
		add_thread(s, 4300 + i, "pool", 'S');
	add_thread(s, 4400, "busy", 'R');
	s->death =
		(struct death){ .kind = DEATH_SIGNAL,
				.signo = SIGKILL,
				.tid = 4242,
				.core_dumped = 0,
				.sender = { .kind = SENDER_PROCESS,
					    .relation = RELATION_ANCESTOR,
					    .source = SOURCE_TRACEPOINT,
					    .user = text(s, "root"),
					    .process = { .pid = 812,
							 .uid = 0,
							 .comm = text(s, "timeout"),
							 .exe = text(s, "/usr/bin/timeout") } } };
	STRINGS(s, &s->death.sender.process.cmdline, "timeout", "-k", "10", "60", "./serve");
	*ADD(s, &s->death.sender.ancestors) =
		(struct process_ref){ .pid = 800, .uid = 0, .comm = text(s, "bash") };
	struct signal_event *event = ADD(s, &s->death.earlier);
	*event = (struct signal_event){ .info = { .signo = SIGTERM, .pid = 812 },
					.tid = 4242,
					.at = DEATH - 10 * SECOND,
					.last = DEATH - 10 * SECOND,
					.count = 1,
					.disposition = SIGNAL_HANDLED,
					.sender = s->death.sender };
	s->death.earlier_dropped = 3;
	begin(s, f);
	have_python(s, f);
	f->dying = &f->threads.v[0];
	for (size_t i = 0; i < f->threads.n; i++) {
		struct thread_findings *t = &f->threads.v[i];
		if (t->thread->tid == 4400) {
			python_frame(s, &t->merged, "spin", "/srv/app.py", 9);
			t->python = t->merged;
			continue;
		}
		t->syscall = text(s, i ? "futex" : "epoll_wait");
		native_frame(s, &t->merged, 1, i ? "__futex_abstimed_wait_common" : "epoll_wait",
			     0x85f16, NULL, 0);
		python_frame(s, &t->merged, i ? "_worker" : "select",
			     i ? "/usr/lib/python3.11/concurrent/futures/thread.py"
			       : "/usr/lib/python3.11/selectors.py",
			     81);
		python_frame(s, &t->python, i ? "_worker" : "select",
			     i ? "/usr/lib/python3.11/concurrent/futures/thread.py"
			       : "/usr/lib/python3.11/selectors.py",
			     81);
		if (i)
			t->python_name = text(s, "ThreadPoolExecutor-0_%zu", i - 1);
	}
	s->timeline.interval = 10;
	for (int i = 0; i < 40; i++)
		*ADD(s, &s->timeline.samples) =
			(struct sample){ .at = DEATH - (40 - i) * 10 * SECOND,
					 .rss = (INT64_C(100) + 11 * i) << 20,
					 .cgroup_memory = i % 2 ? -1 : INT64_C(200) << 20,
					 .threads = 52,
					 .fds = i % 3 ? 10 + i : -1,
					 .children = i % 4 ? 2 : -1,
					 .children_rss = i % 4 ? 1023 << 20 : -1,
					 .pss = INT64_C(90) << 20,
					 .cpu_percent = i ? 1.0 / 3 * i : -1 };
	*ADD(f, &f->trends) = (struct trend){ .what = TREND_MEMORY,
					      .shape = TREND_GREW,
					      .duration = 43 * 60 * SECOND,
					      .rate = 11 << 20,
					      .from = 100 << 20,
					      .to = 529 << 20,
					      .limit = 562 << 20,
					      .limit_name = "its cgroup's limit",
					      .left = 3 * 60 * SECOND };
	*ADD(f, &f->trends) = (struct trend){ .what = TREND_FILES,
					      .shape = TREND_GREW,
					      .duration = 40 * 60 * SECOND,
					      .rate = 12,
					      .from = 540,
					      .to = 1020,
					      .limit = 1024,
					      .limit_name = "the limit",
					      .reached = true,
					      .left = -1 };
	say(s, f, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN,
	    "timeout (pid 812) killed python3 (pid 4242) with SIGKILL 10 s after SIGTERM.");
}

static void make_clean_exit(struct snapshot *s, struct findings *f)
{
	make_server(s);
	add_thread(s, 4242, "python3", 'R');
	s->death = (struct death){
		.kind = DEATH_EXIT, .exit_code = 0, .tid = 4242, .core_dumped = -1
	};
	s->process.pidfile = text(s, "/run/web.pid");
	s->process.pidfile_state = PIDFILE_STALE;
	begin(s, f);
	f->dying = &f->threads.v[0];
	native_frame(s, &f->threads.v[0].merged, 1, "_exit", 0xd5a1, NULL, 0);
	say(s, f, CAUSE_CLEAN_EXIT, CERTAIN,
	    "python3 (pid 4242) ended by itself with exit status 0.");
	because(s, f, "wait status", "exit status 0", true);
}

static void make_exception(struct snapshot *s, struct findings *f)
{
	make_clean_exit(s, f);
	s->death.exit_code = 1;
	have_python(s, f);
	f->python.gil_known = false;
	struct exception *e = arena_alloc(&f->arena, sizeof(*e)),
			 *cause = arena_alloc(&f->arena, sizeof(*e));
	if (!e || !cause)
		abort();
	*e = (struct exception){ .type = text(s, "RuntimeError"),
				 .message = text(s, "cannot start\nsee below"),
				 .cause = cause,
				 .source = text(s, "traceback in /var/log/web/out.log (fd 2)") };
	*cause = (struct exception){ .type = text(s, "OSError"),
				     .message = text(s, "[Errno 98] Address in use") };
	for (int i = 0; i < 100; i++)
		python_frame(s, &e->traceback, "f", "/srv/app.py", i + 1);
	python_frame(s, &cause->traceback, "bind", "/srv/app.py", 3);
	f->python.exception = e;
	say(s, f, CAUSE_UNCAUGHT_EXCEPTION, CERTAIN, "Nobody caught RuntimeError: cannot start");
}

static void make_snapshot(struct snapshot *s, struct findings *f)
{
	make_sigkill(s, f);
	s->death = (struct death){ .kind = DEATH_SNAPSHOT, .core_dumped = -1 };
	f->dying = NULL;
	say(s, f, CAUSE_ALIVE, CERTAIN,
	    "hypercorn (pid 4242) is alive; its main thread waits in epoll_wait.");
}

// What somebody would write who wants to harm the reader.
static void make_hostile(struct snapshot *s, struct findings *f)
{
	static const char evil[] =
		"\033]0;owned\007\033[2J</pre><script>alert(1)</script>\r\n\xff\xfe\xc2\x9b"
		"31m\xe2\x80\xa8 \xf0\x9f\x90\x8d";
	char *huge = arena_alloc(&s->arena, HUGE_NAME + 1);

	if (!huge)
		abort();
	memset(huge, 'A', HUGE_NAME);
	make_crash(s, f);
	struct process *p = &s->process;
	s->host.hostname = s->host.kernel = text(s, "%s", evil);
	p->comm = p->exe = p->cwd = p->user = p->tty = p->cgroup = text(s, "%s", evil);
	p->pidfile = text(s, "%s", evil);
	p->pidfile_state = PIDFILE_REPLACED;
	*ADD(s, &p->cmdline) = huge;
	*ADD(s, &p->cmdline) = text(s, "%s", evil);
	*ADD(s, &p->environ) = text(s, "%s=%s", evil, evil);
	add_fd(s, 77, evil);
	add_socket(s, 78, evil, huge, evil);
	p->limits = bytes_of(
		s,
		"Max open files\033[2J          99999999999999999999999999 12 \xff\n"
		"Max \033[2J open             5                    7                    \033c\n"
		"Max open files            -4                   unlimited            files     \n"
		"Max cpu time");
	for (int i = 0; i < 200; i++)
		*ADD(s, &s->logs.v[0].lines) = i % 2 ? text(s, "%s", evil) : huge;
	s->modules.v[1].path = huge;
	s->modules.v[2].path = text(s, "%s", evil);
	for (int i = 0; i < 300; i++)
		add_module(s, evil, 0x7f0000000000 + 0x10000 * (taddr)i, 0x1000, true);
	struct thread_findings *t = &f->threads.v[1];
	t->python_name = text(s, "%s", evil);
	for (int i = 0; i < 10000; i++) {
		native_frame(s, &t->merged, 0, i % 7 ? evil : huge, 0x1000 + (taddr)i,
			     i % 3 ? evil : huge, i);
		python_frame(s, &t->merged, i % 5 ? evil : huge, i % 4 ? huge : evil, i);
	}
	// The modules' array has moved since the frames were made.
	for (size_t i = 0; i < f->threads.n; i++)
		for (size_t k = 0; k < f->threads.v[i].merged.frames.n; k++)
			if (f->threads.v[i].merged.frames.v[k].module)
				f->threads.v[i].merged.frames.v[k].module = &s->modules.v[k % 3];
	f->threads.v[0].python = (struct stack){};
	f->module_symbols = NULL;
	f->fault.message = f->fault.operand = f->fault.explanation = text(s, "%s", evil);
	f->fault.disassembly.v[0].bytes = f->fault.disassembly.v[0].text = huge;
	f->verdict.summary = text(s, "%s%s", evil, huge);
	for (int i = 0; i < 500; i++) {
		because(s, f, evil, i % 2 ? evil : huge, i % 3);
		not_seen(s, f, evil, huge, evil);
		*ADD(f, &f->verdict.advice) = huge;
		*ADD(s, &s->death.earlier) = (struct signal_event){
			.info = { .signo = 1000 + i, .code = -77 },
			.at = INT64_MIN + i,
			.count = UINT64_MAX,
			.sender = { .kind = SENDER_OUTSIDE,
				    .user = huge,
				    .process = { .pid = 5, .comm = text(s, "%s", evil) } }
		};
		*ADD(s, &s->timeline.samples) =
			(struct sample){ .at = i % 2 ? INT64_MIN : INT64_MAX,
					 .rss = i % 2 ? INT64_MAX : 0,
					 .cpu_percent = 1e300 };
	}
	for (int i = 0; i < 6 * 7; i++)
		*ADD(f, &f->trends) = (struct trend){ .what = (enum trend_what)(i % 6),
						      .shape = (enum trend_shape)(i / 6),
						      .duration = INT64_MAX / 2,
						      .flat = INT64_MAX / 2,
						      .rate = 1e300,
						      .from = 1e300,
						      .to = 1e300,
						      .limit = INT64_MAX,
						      .limit_name = "x",
						      .left = INT64_MAX / 2 };
	s->timeline.interval = 1.0 / 0.0;
	s->death.earlier_dropped = UINT64_MAX;
	struct exception *e = arena_alloc(&f->arena, sizeof(*e));
	if (!e)
		abort();
	*e = (struct exception){ .type = text(s, "%s", evil),
				 .message = text(s, "%s", evil),
				 .cause = e };
	f->python.exception = e;
	f->python.fatal_error = huge;
	s->time.process_start = INT64_MIN;
	s->time.death = INT64_MAX;
}

// A dump of somebody else's that says next to nothing.
static void make_empty(struct snapshot *s, struct findings *f)
{
	snprintf(s->id, sizeof(s->id), "00000000-0000-0000-0000-000000000000");
	s->host.arch = arch_by_id(ARCH_AARCH64);
	s->process.comm = text(s, "%s", "");
	s->process.memory_limit = s->process.memory_usage = -1;
	s->process.oom_kills_before = s->process.oom_kills_after = -1;
	s->time.frozen = -1;
	s->death = (struct death){ .kind = DEATH_UNKNOWN, .core_dumped = -1 };
	f->snapshot = s;
	say(s, f, CAUSE_VANISHED, CONFIDENCE_UNKNOWN, "Process 0 ended unseen.");
}

const struct sample_case sample_cases[] = {
	{ "broken-pipe", make_broken_pipe }, { "crash", make_crash },
	{ "sigkill", make_sigkill },	     { "clean-exit", make_clean_exit },
	{ "exception", make_exception },     { "snapshot", make_snapshot },
	{ "hostile", make_hostile },	     { "empty", make_empty },
};
const size_t n_sample_cases = ARRAY_SIZE(sample_cases);

void sample_init(struct sample_findings *sample, const char *name)
{
	memset(sample, 0, sizeof(*sample));
	snapshot_init(&sample->snapshot);
	for (size_t i = 0; i < n_sample_cases; i++)
		if (!strcmp(sample_cases[i].name, name)) {
			sample_cases[i].make(&sample->snapshot, &sample->findings);
			return;
		}
	fprintf(stderr, "no sample is named %s\n", name);
	abort();
}

void sample_deinit(struct sample_findings *sample)
{
	findings_deinit(&sample->findings);
	snapshot_deinit(&sample->snapshot);
}

struct buf sample_render(const struct sample_findings *sample, const char *format)
{
	static const struct render_files files = { .dump = "/var/lib/pcatch/hypercorn-4242.dmp" };
	const struct findings *f = &sample->findings;
	struct buf ret = {};
	struct error *err = error_new(ERROR_INPUT, "no format is named %s", format);

	if (!strcmp(format, "text") || !strcmp(format, "colour")) {
		error_free(err);
		err = render_text(f, *format == 'c', &ret);
	} else if (!strcmp(format, "summary")) {
		error_free(err);
		err = render_summary(f, false, &ret);
	} else if (!strcmp(format, "json")) {
		error_free(err);
		err = render_json(f, &files, &ret);
	} else if (!strcmp(format, "html")) {
		error_free(err);
		err = render_html(f, &ret);
	}
	if (err) {
		fprintf(stderr, "%s: %s\n", format, err->text);
		abort();
	}
	return ret;
}
