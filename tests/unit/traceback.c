/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/traceback.h"
#include "buf.h"
#include "cleanup.h"

/* Logs made in memory, and what is read from them. */
struct reading {
	struct snapshot snapshot;
	struct findings findings;
	struct exception *exception;
};

static void add_log(struct reading *r, const char *path, int fd, const char *text)
{
	struct arena *arena = &r->findings.arena;
	struct log *log = LIST_ADD(arena, &r->snapshot.logs);

	assert_non_null(log);
	log->path = (char *)path;
	log->fd = fd;
	while (*text) {
		size_t n = strcspn(text, "\n");
		char **line = LIST_ADD(arena, &log->lines);

		assert_non_null(line);
		*line = arena_strndup(arena, text, n);
		assert_non_null(*line);
		log->ends_in_newline = text[n] == '\n';
		text += n + (text[n] == '\n');
	}
}

static void reading_init(struct reading *r)
{
	memset(r, 0, sizeof(*r));
	r->findings.snapshot = &r->snapshot;
}

static void read_logs(struct reading *r)
{
	assert_null(python_from_logs(&r->findings));
	r->exception = r->findings.python.exception;
}

static void read_text(struct reading *r, const char *text)
{
	reading_init(r);
	add_log(r, "/var/log/app.log", 2, text);
	read_logs(r);
}

static void reading_deinit(struct reading *r)
{
	arena_deinit(&r->findings.arena);
}

// "file:line function < file:line function", innermost first.
static void frames(const struct exception *exception, char *ret, size_t len)
{
	size_t n = 0;

	*ret = 0;
	for (size_t i = 0; i < exception->traceback.frames.n && n < len; i++) {
		const struct frame *frame = &exception->traceback.frames.v[i];

		assert_int_equal(frame->kind, FRAME_PYTHON);
		n += (size_t)snprintf(ret + n, len - n, "%s%s:%d %s", i ? " < " : "", frame->file,
				      frame->line, frame->function ? frame->function : "-");
	}
}

#define TB "Traceback (most recent call last):\n"
#define ONE TB "  File \"/opt/app.py\", line 12, in pay\n    raise PaymentError(\"no\")\n"

/* What interpreters wrote; EXPECTED_TYPE NULL: nothing that counts as uncaught. */
static const struct {
	const char *name, *text;
	const char *type, *message, *frames;
	bool followed;
	const char *cause;  /* type of the cause; NULL: none */
	const char *logged; /* is in logged_exception; NULL: that is NULL */
} cases[] = {
	{ "plain, 3.8",
	  "INFO:     Started server process [8]\n" TB "  File \"t4.py\", line 8, in <module>\n"
	  "    import foo_missing.bar\n"
	  "ModuleNotFoundError: No module named 'foo_missing'\n",
	  "ModuleNotFoundError", "No module named 'foo_missing'", "t4.py:8 <module>", false, NULL,
	  NULL },
	{ "chain and a message of two lines, 3.8",
	  TB "  File \"t1.py\", line 4, in <module>\n"
	     "    f(5)\n"
	     "  File \"t1.py\", line 2, in f\n"
	     "    return f(n-1) if n else 1/0\n"
	     "  File \"t1.py\", line 2, in f\n"
	     "    return f(n-1) if n else 1/0\n"
	     "  File \"t1.py\", line 2, in f\n"
	     "    return f(n-1) if n else 1/0\n"
	     "  [Previous line repeated 3 more times]\n"
	     "ZeroDivisionError: division by zero\n"
	     "\n"
	     "The above exception was the direct cause of the following exception:\n"
	     "\n" TB "  File \"t1.py\", line 6, in <module>\n"
	     "    raise ValueError(\"two\\nlines of text\") from e\n"
	     "ValueError: two\n"
	     "lines of text\n",
	  "ValueError", "two\nlines of text", "t1.py:6 <module>", true, "ZeroDivisionError", NULL },
	{ "carets, 3.11",
	  TB "  File \"/srv/v/t1.py\", line 4, in <module>\n"
	     "    f(5)\n"
	     "  File \"/srv/v/t1.py\", line 2, in f\n"
	     "    return f(n-1) if n else 1/0\n"
	     "           ^^^^^^\n"
	     "  File \"/srv/v/t1.py\", line 2, in f\n"
	     "    return f(n-1) if n else 1/0\n"
	     "                            ~^~\n"
	     "ZeroDivisionError: division by zero\n",
	  "ZeroDivisionError", "division by zero",
	  "/srv/v/t1.py:2 f < /srv/v/t1.py:2 f < /srv/v/t1.py:4 <module>", false, NULL, NULL },
	{ "tildes and a statement of several lines, 3.13",
	  TB "  File \"/srv/v/t1.py\", line 4, in <module>\n"
	     "    f(5,\n"
	     "    ~^^^\n"
	     "\n"
	     "      6)\n"
	     "      ^^\n"
	     "  File \"/srv/v/t1.py\", line 2, in Shop.pay.<locals>.<lambda>\n"
	     "    return f(n-1) if n else 1/0\n"
	     "                            ~^~\n"
	     "__main__.Shop.pay.<locals>.PaymentError: no customer: 42\n",
	  "__main__.Shop.pay.<locals>.PaymentError", "no customer: 42",
	  "/srv/v/t1.py:2 Shop.pay.<locals>.<lambda> < /srv/v/t1.py:4 <module>", false, NULL,
	  NULL },
	{ "no message", ONE "KeyboardInterrupt\n", "KeyboardInterrupt", NULL, "/opt/app.py:12 pay",
	  false, NULL, NULL },
	{ "empty message", ONE "AssertionError: \n", "AssertionError", NULL, "/opt/app.py:12 pay",
	  false, NULL, NULL },
	{ "no source lines", TB "  File \"<string>\", line 1, in <module>\nNameError: x\n",
	  "NameError", "x", "<string>:1 <module>", false, NULL, NULL },
	{ "no newline at the end", ONE "app.PaymentError: no", "app.PaymentError", "no",
	  "/opt/app.py:12 pay", false, NULL, NULL },
	{ "blank lines at the end", ONE "app.PaymentError: no\n\n  \n", "app.PaymentError", "no",
	  "/opt/app.py:12 pay", false, NULL, NULL },
	{ "a path that looks like more",
	  TB "  File \"/a\", line 3, in \"/b.py\", line 7, in f\nE: x\n", "E", "x",
	  "/a\", line 3, in \"/b.py:7 f", false, NULL, NULL },
	{ "context, 3.13",
	  TB "  File \"a.py\", line 2, in <module>\n    1/0\n    ~^~\n"
	     "ZeroDivisionError: division by zero\n"
	     "\n"
	     "During handling of the above exception, another exception occurred:\n"
	     "\n" TB "  File \"a.py\", line 4, in <module>\n    {}[1]\n    ~~^^^\n"
	     "KeyError: 1\n",
	  "KeyError", "1", "a.py:4 <module>", false, "ZeroDivisionError", NULL },
	{ "a message with indented lines",
	  ONE "pydantic_core._pydantic_core.ValidationError: 1 validation error for Model\n"
	      "x\n"
	      "  Input should be a valid integer [type=int_type]\n"
	      "    For further information visit https://errors.pydantic.dev/2.5/v/int_type\n",
	  "pydantic_core._pydantic_core.ValidationError",
	  "1 validation error for Model\nx\n  Input should be a valid integer [type=int_type]\n"
	  "    For further information visit https://errors.pydantic.dev/2.5/v/int_type",
	  "/opt/app.py:12 pay", false, NULL, NULL },
	{ "notes", ONE "ValueError: no\nwhile paying for 42\n", "ValueError",
	  "no\nwhile paying for 42", "/opt/app.py:12 pay", true, NULL, NULL },
	{ "syntax error of the main script",
	  "  File \"t3.py\", line 2\n    foo bar\n        ^\nSyntaxError: invalid syntax\n",
	  "SyntaxError", "invalid syntax", "t3.py:2 -", false, NULL, NULL },
	{ "syntax error of a module",
	  TB "  File \"/srv/v/t5.py\", line 1, in <module>\n    import t3\n"
	     "  File \"/srv/v/t3.py\", line 2\n    foo bar\n        ^^^\n"
	     "SyntaxError: invalid syntax\n",
	  "SyntaxError", "invalid syntax", "/srv/v/t3.py:2 - < /srv/v/t5.py:1 <module>", false,
	  NULL, NULL },
	{ "a place in a file is no syntax error",
	  "  File \"t3.py\", line 2\n    foo bar\nWarning: x\n", NULL, NULL, NULL, false, NULL,
	  NULL },
	{ "exception group, 3.11",
	  "  + Exception Group Traceback (most recent call last):\n"
	  "  |   File \"/srv/v/t2.py\", line 1, in <module>\n"
	  "  |     raise ExceptionGroup(\"eg\", [ValueError(1), TypeError(\"x\\ny\")])\n"
	  "  | ExceptionGroup: eg (2 sub-exceptions)\n"
	  "  +-+---------------- 1 ----------------\n"
	  "    | ValueError: 1\n"
	  "    +---------------- 2 ----------------\n"
	  "    | TypeError: x\n"
	  "y\n"
	  "    +------------------------------------\n",
	  "ExceptionGroup", "eg (2 sub-exceptions): ValueError: 1; TypeError: x",
	  "/srv/v/t2.py:1 <module>", false, NULL, NULL },
	{ "exception group with tracebacks in it, 3.13",
	  "  + Exception Group Traceback (most recent call last):\n"
	  "  |   File \"/srv/a.py\", line 9, in main\n"
	  "  |     async with asyncio.TaskGroup() as group:\n"
	  "  |                ~~~~~~~~~~~~~~~~~^^\n"
	  "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n"
	  "  +-+---------------- 1 ----------------\n"
	  "    | Traceback (most recent call last):\n"
	  "    |   File \"/srv/a.py\", line 5, in job\n"
	  "    |     1/0\n"
	  "    |     ~^~\n"
	  "    | ZeroDivisionError: division by zero\n"
	  "    +------------------------------------\n",
	  "ExceptionGroup",
	  "unhandled errors in a TaskGroup (1 sub-exception): ZeroDivisionError: division by zero",
	  "/srv/a.py:9 main", false, NULL, NULL },
	{ "groups in a group",
	  "  + Exception Group Traceback (most recent call last):\n"
	  "  |   File \"g.py\", line 1, in <module>\n"
	  "  | ExceptionGroup: outer (2 sub-exceptions)\n"
	  "  +-+---------------- 1 ----------------\n"
	  "    | ExceptionGroup: inner (1 sub-exception)\n"
	  "    +-+---------------- 1 ----------------\n"
	  "      | ValueError: 1\n"
	  "      +------------------------------------\n"
	  "    +---------------- 2 ----------------\n"
	  "    | TypeError: 2\n"
	  "    +------------------------------------\n",
	  "ExceptionGroup",
	  "outer (2 sub-exceptions): ExceptionGroup: inner (1 sub-exception); TypeError: 2",
	  "g.py:1 <module>", false, NULL, NULL },
	{ "the log goes on", ONE "PaymentError: no\n2024-01-02 10:00:00,123 INFO next request\n",
	  NULL, NULL, NULL, false, NULL, "PaymentError: no in /var/log/app.log (fd 2)" },
	{ "the log goes on, uvicorn's",
	  ONE "PaymentError: no\nINFO:     127.0.0.1:4 - \"GET /\" 200\n", NULL, NULL, NULL, false,
	  NULL, "PaymentError: no" },
	{ "the log goes on, gunicorn's",
	  ONE "PaymentError: no\n[2024-01-02 10:00:00 +0000] [7] [INFO] x\n", NULL, NULL, NULL,
	  false, NULL, "PaymentError: no" },
	{ "the log goes on, JSON", ONE "PaymentError: no\n{\"level\": \"info\"}\n", NULL, NULL,
	  NULL, false, NULL, "PaymentError: no" },
	{ "somebody says something behind it", ONE "PaymentError: no\nstill alive\n",
	  "PaymentError", "no\nstill alive", "/opt/app.py:12 pay", true, NULL, NULL },
	{ "logger.exception()", "ERROR:root:cannot pay\n" ONE "PaymentError: no\n", NULL, NULL,
	  NULL, false, NULL, "PaymentError: no" },
	{ "logger.exception() with a time",
	  "2024-01-02 10:00:00,123 ERROR app: cannot pay\n" ONE "PaymentError: no\n", NULL, NULL,
	  NULL, false, NULL, "PaymentError: no" },
	{ "gunicorn's worker",
	  "[2024-01-02 10:00:00 +0000] [7] [ERROR] Exception in worker process\n" ONE
	  "PaymentError: no\n",
	  NULL, NULL, NULL, false, NULL, "PaymentError: no" },
	{ "uncaught behind a mere notice", "INFO:root:paying\n" ONE "PaymentError: no\n",
	  "PaymentError", "no", "/opt/app.py:12 pay", false, NULL, NULL },
	{ "logged, then uncaught",
	  "ERROR:root:cannot pay\n" ONE "PaymentError: no\n" TB
	  "  File \"a.py\", line 1, in <module>\nOSError: gone\n",
	  "OSError", "gone", "a.py:1 <module>", false, NULL, "PaymentError: no" },
	{ "a log's prefix before it",
	  "app: Traceback (most recent call last):\n"
	  "app:   File \"a.py\", line 1, in f\napp: KeyError: 1\n",
	  NULL, NULL, NULL, false, NULL, NULL },
	{ "a thread's", "Exception in thread Thread-1 (w):\n" ONE "OSError: in thread\n", NULL,
	  NULL, NULL, false, NULL, NULL },
	{ "exceptions that are ignored, 3.8",
	  "Exception ignored in: <function D.__del__ at 0x7fb68b0b6f70>\n" ONE "KeyError: 'del'\n",
	  NULL, NULL, NULL, false, NULL, NULL },
	{ "in an exit handler, 3.8", "Error in atexit._run_exitfuncs:\n" ONE "KeyError: 1\n", NULL,
	  NULL, NULL, false, NULL, NULL },
	{ "asyncio's complaint",
	  "Task exception was never retrieved\n"
	  "future: <Task finished name='Task-1' coro=<f() done> exception=KeyError(1)>\n" ONE
	  "KeyError: 1\n",
	  NULL, NULL, NULL, false, NULL, "KeyError: 1" },
	{ "a child's", "Process SpawnProcess-1:\n" ONE "ValueError: c\n", NULL, NULL, NULL, false,
	  NULL, NULL },
	{ "with the noise of an interpreter that ends, 3.11",
	  "Exception in thread Thread-1 (w):\n" ONE "OSError: in thread\n" TB
	  "  File \"/srv/v/t4.py\", line 8, in <module>\n    import foo_missing.bar\n"
	  "ModuleNotFoundError: No module named 'foo_missing'\n"
	  "Exception ignored in atexit callback: <function <lambda> at 0x7f9d1cdfd760>\n" TB
	  "  File \"/srv/v/t4.py\", line 7, in <lambda>\n    atexit.register(lambda: 1/0)\n"
	  "                            ~^~\nZeroDivisionError: division by zero\n"
	  "Exception ignored in: <function D.__del__ at 0x7f9d1d1b84a0>\n" TB
	  "  File \"/srv/v/t4.py\", line 3, in __del__\nKeyError: 'del'\n",
	  "ModuleNotFoundError", "No module named 'foo_missing'", "/srv/v/t4.py:8 <module>", true,
	  NULL, NULL },
	{ "a hook that fails",
	  "Error in sys.excepthook:\n" TB "  File \"h.py\", line 1, in hook\n"
	  "TypeError: hook\n\nOriginal exception was:\n" ONE "PaymentError: no\n",
	  "PaymentError", "no", "/opt/app.py:12 pay", false, NULL, NULL },
	{ "its head is not among the lines",
	  "    raise Deep(1)\n"
	  "  File \"a.py\", line 2, in f\n    f()\nRecursionError: too deep\n",
	  "RecursionError", "too deep", "a.py:2 f", false, NULL, NULL },
	{ "a header and nothing", "Traceback (most recent call last):\n", NULL, NULL, NULL, false,
	  NULL, NULL },
	{ "frames and nothing", ONE, NULL, NULL, NULL, false, NULL, NULL },
	{ "sys.exit with a text", "cannot go on\n", NULL, NULL, NULL, false, NULL, NULL },
	{ "a text with a colon", "error: cannot go on\n", NULL, NULL, NULL, false, NULL, NULL },
	{ "nothing", "", NULL, NULL, NULL, false, NULL, NULL },
};

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static const char *shown(const char *s)
{
	return s ? s : "(none)";
}

static void test_what_interpreters_write(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reading r;
		char said[2000] = "";

		read_text(&r, cases[i].text);
		const struct exception *e = r.exception;
		const char *logged = r.findings.python.logged_exception;
		if (e)
			frames(e, said, sizeof(said));
		bool wrong = !same(e ? e->type : NULL, cases[i].type) ||
			     !same(e ? e->message : NULL, cases[i].message) ||
			     (cases[i].frames && strcmp(said, cases[i].frames) != 0) ||
			     (e && e->followed != cases[i].followed) ||
			     !same(e && e->cause ? e->cause->type : NULL, cases[i].cause) ||
			     (cases[i].logged ? !logged || !strstr(logged, cases[i].logged)
					      : logged != NULL) ||
			     (e && !same(e->source, "traceback in /var/log/app.log (fd 2)"));
		if (wrong) {
			print_message("%s: got %s: %s; frames %s; %s; cause %s; logged %s\n",
				      cases[i].name, shown(e ? e->type : NULL),
				      shown(e ? e->message : NULL), said,
				      e && e->followed ? "followed" : "last",
				      shown(e && e->cause ? e->cause->type : NULL), shown(logged));
			bad++;
		}
		reading_deinit(&r);
	}
	assert_int_equal(bad, 0);
}

static void test_repeated_lines_are_told_and_not_made(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r,
		  TB "  File \"a.py\", line 2, in f\n    f()\n"
		     "  [Previous line repeated 999999999999 more times]\nRecursionError: deep\n");
	assert_non_null(r.exception);
	assert_int_equal(r.exception->traceback.frames.n, 1);
	assert_non_null(r.exception->traceback.gap);
	assert_non_null(strstr(r.exception->traceback.gap, "999999999999"));
	reading_deinit(&r);
}

static void test_own_traceback_of_a_multiprocessing_child(void **state)
{
	static char *argv[] = {
		(char *)"python3", (char *)"-c",
		(char *)"from multiprocessing.spawn import spawn_main; spawn_main()",
		(char *)"--multiprocessing-fork"
	};
	struct reading r;

	(void)state;
	reading_init(&r);
	r.snapshot.process.cmdline.v = argv;
	r.snapshot.process.cmdline.n = ARRAY_SIZE(argv);
	add_log(&r, "/var/log/app.log", 2, "Process SpawnProcess-1:\n" ONE "ValueError: c\n");
	read_logs(&r);
	assert_non_null(r.exception);
	assert_string_equal(r.exception->type, "ValueError");
	reading_deinit(&r);
}

static void test_stderr_goes_before_other_logs(void **state)
{
	struct reading r;

	(void)state;
	reading_init(&r);
	add_log(&r, "/var/log/named.log", -1, ONE "NamedError: x\n");
	add_log(&r, "/var/log/out.log", 1, ONE "OutError: x\n");
	add_log(&r, "/var/log/err.log", 2, ONE "ErrError: x\n");
	read_logs(&r);
	assert_non_null(r.exception);
	assert_string_equal(r.exception->type, "ErrError");
	reading_deinit(&r);

	reading_init(&r);
	add_log(&r, "/var/log/err.log", 2, "nothing\n");
	add_log(&r, "/var/log/named.log", -1, ONE "NamedError: x\n");
	read_logs(&r);
	assert_non_null(r.exception);
	assert_string_equal(r.exception->type, "NamedError");
	assert_string_equal(r.exception->source, "traceback in /var/log/named.log");
	reading_deinit(&r);
}

#define DUMP                                                                                       \
	"Python runtime state: initialized\n\n"                                                    \
	"Current thread 0x00007fdba224fb80 (most recent call first):\n"                            \
	"  File \"<string>\", line 1 in <module>\n\nExtension modules: a, b (total: 2)\n"

static void test_fatal_errors(void **state)
{
	static const struct {
		const char *text, *fatal, *watchdog;
	} dumps[] = {
		{ "Fatal Python error: boom\n" DUMP, "boom", NULL },
		{ "Fatal Python error: none_dealloc: deallocating None\n" DUMP,
		  "none_dealloc: deallocating None", NULL },
		{ "Fatal Python error: Segmentation fault\n\n"
		  "Current thread 0x1 (most recent call first):\n  File \"a.py\", line 1 in f\n",
		  "Segmentation fault", NULL },
		{ "Fatal Python error: init_fs_encoding: failed to get the Python codec\n"
		  "Python runtime state: core initialized\n"
		  "ModuleNotFoundError: No module named 'encodings'\n\n"
		  "Current thread 0x00007f0364085b80 (most recent call first):\n  <no Python frame>\n",
		  "init_fs_encoding: failed to get the Python codec", NULL },
		{ "Timeout (0:00:05)!\nThread 0x00007fd25e5f9b80 (most recent call first):\n"
		  "  File \"<string>\", line 2 in <module>\n",
		  NULL, "0:00:05" },
		// Of an earlier run, in a log that is appended to.
		{ "Fatal Python error: boom\n" DUMP "2024-01-02 10:00:00,123 INFO started\n", NULL,
		  NULL },
		{ "app: Fatal Python error: boom\n", NULL, NULL },
		{ "Timeout (of sorts)\n", NULL, NULL },
	};
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		struct reading r;

		read_text(&r, dumps[i].text);
		const struct python_findings *python = &r.findings.python;
		if (!same(python->fatal_error, dumps[i].fatal) ||
		    !same(python->watchdog, dumps[i].watchdog) || python->exception) {
			print_message("%s\n  got %s, %s, %s\n", dumps[i].text,
				      shown(python->fatal_error), shown(python->watchdog),
				      python->exception ? python->exception->type : "no exception");
			bad++;
		}
		if (python->fatal_error &&
		    !same(python->fatal_error_source, "/var/log/app.log (fd 2)"))
			bad++;
		reading_deinit(&r);
	}
	assert_int_equal(bad, 0);
	assert_true(fatal_error_is_signal("Segmentation fault"));
	assert_true(fatal_error_is_signal("Aborted"));
	assert_false(fatal_error_is_signal("none_dealloc: deallocating None"));
}

static void assert_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t') {
			print_message("byte 0x%02x was let through\n", (unsigned char)*s);
			fail();
		}
}

static void test_long_and_dirty_text_is_bounded_and_clean(void **state)
{
	_cleanup_(buf_deinit) struct buf text = {};
	struct reading r;

	(void)state;
	buf_addstr(&text, TB "  File \"");
	for (int i = 0; i < 100000; i++)
		buf_addstr(&text, "\x1b[2J");
	buf_addstr(&text, "\", line 99999999999999999999, in \x07");
	for (int i = 0; i < 100000; i++)
		buf_addstr(&text, "\xe2\x82\xac");
	buf_addstr(&text, "\nE: ");
	for (int i = 0; i < 100000; i++)
		buf_addstr(&text, "\x01");
	buf_zero(&text, 1);
	assert_false(text.failed);
	read_text(&r, (const char *)text.data);
	assert_non_null(r.exception);
	assert_int_equal(r.exception->traceback.frames.n, 1);
	const struct frame *frame = &r.exception->traceback.frames.v[0];
	assert_true(strlen(frame->file) < 8192);
	assert_true(strlen(frame->function) < 8192);
	assert_int_equal(frame->line, 0);
	assert_true(strlen(r.exception->message) < 32768);
	assert_clean(frame->file);
	assert_clean(frame->function);
	assert_clean(r.exception->message);
	reading_deinit(&r);
}

// Every line could begin a traceback that never comes: the time must not grow with the square.
static void test_hostile_logs_end(void **state)
{
	static const char *const lines[] = {
		"Traceback (most recent call last):\n",
		"  File \"a.py\", line 3\n",
		"  File \"a.py\", line 3, in f\n",
		"  + Exception Group Traceback (most recent call last):\n",
		"  |   File \"a.py\", line 3, in f\n",
		"  | E: x\n",
		"    | E: x\n",
		"    +-----\n",
		"E: x\n",
		"During handling of the above exception, another exception occurred:\n",
		"\n",
		"    x\n",
		"  [Previous line repeated 3 more times]\n",
		"Exception ignored in: x\n",
	};
	uint32_t random = 1;

	(void)state;
	for (size_t kind = 0; kind <= ARRAY_SIZE(lines); kind++) {
		_cleanup_(buf_deinit) struct buf text = {};
		struct reading r;

		for (int i = 0; i < 30000; i++) {
			random = random * 1103515245 + 12345;
			size_t which = kind < ARRAY_SIZE(lines)
					       ? kind
					       : (random >> 16) % ARRAY_SIZE(lines);
			buf_addstr(&text, lines[which]);
		}
		buf_zero(&text, 1);
		assert_false(text.failed);
		read_text(&r, (const char *)text.data);
		for (const struct exception *e = r.exception; e; e = e->cause)
			assert_true(e->traceback.frames.n <= 4096);
		reading_deinit(&r);
	}
}

// The chain is as long as the log; what is kept of it is not.
static void test_long_chains_are_cut(void **state)
{
	_cleanup_(buf_deinit) struct buf text = {};
	struct reading r;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_addstr(&text, ONE "E: x\n\nDuring handling of the above exception, another "
				      "exception occurred:\n\n");
	buf_addstr(&text, ONE "Last: x\n");
	buf_zero(&text, 1);
	assert_false(text.failed);
	read_text(&r, (const char *)text.data);
	assert_non_null(r.exception);
	assert_string_equal(r.exception->type, "Last");
	for (const struct exception *e = r.exception; e; e = e->cause)
		n++;
	assert_in_range(n, 2, 64);
	reading_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_interpreters_write),
		cmocka_unit_test(test_repeated_lines_are_told_and_not_made),
		cmocka_unit_test(test_own_traceback_of_a_multiprocessing_child),
		cmocka_unit_test(test_stderr_goes_before_other_logs),
		cmocka_unit_test(test_fatal_errors),
		cmocka_unit_test(test_long_and_dirty_text_is_bounded_and_clean),
		cmocka_unit_test(test_hostile_logs_end),
		cmocka_unit_test(test_long_chains_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
