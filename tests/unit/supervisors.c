/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "analyse/supervisors.h"

static const struct supervisor *by(char *comm, char *exe, char **args, size_t n)
{
	struct process_ref process = { .comm = comm, .exe = exe, .cmdline = { .v = args, .n = n } };

	return supervisor_of(&process);
}

static void test_supervisors_are_known_by_name_script_or_module(void **state)
{
	char comm[] = "python3", gunicorn[] = "gunicorn", shim[] = "containerd-shim";
	char exe[] = "/usr/bin/supervisord", python[] = "/usr/bin/python3.11", module[] = "-m";
	char celery[] = "[celeryd: celer";
	char script[] = "/usr/bin/supervisord", uvicorn[] = "uvicorn", title[] = "gunicorn: master";
	char *by_script[] = { python, script }, *by_module[] = { python, module, uvicorn };
	char *by_title[] = { title }, *bare[] = { python, module };
	char bytes[] = "-B", x[] = "-X", dev[] = "dev", code[] = "-c";
	char *by_options[] = { python, bytes, x, dev, module, uvicorn };
	char *by_code[] = { python, code, uvicorn };

	(void)state;
	assert_string_equal(by(gunicorn, NULL, NULL, 0)->title, "gunicorn's master");
	assert_string_equal(by(shim, NULL, NULL, 0)->title, "the container runtime");
	assert_string_equal(by(NULL, exe, NULL, 0)->title, "supervisord");
	assert_string_equal(by(comm, python, by_script, 2)->title, "supervisord");
	assert_string_equal(by(comm, python, by_module, 3)->title, "uvicorn's supervisor");
	assert_string_equal(by(comm, python, by_title, 1)->title, "gunicorn's master");
	assert_string_equal(by(celery, python, NULL, 0)->title, "celery's parent");
	assert_null(by(comm, python, bare, 2));
	assert_string_equal(by(comm, python, by_options, 6)->title, "uvicorn's supervisor");
	assert_null(by(comm, python, by_code, 3));
	assert_null(by(comm, NULL, NULL, 0));
	assert_null(by(NULL, NULL, NULL, 0));
}

static void test_names_that_only_begin_alike_are_others(void **state)
{
	char timeouts[] = "timeouts", systemd[] = "systemd-logind", init[] = "initdb";

	(void)state;
	assert_null(by(timeouts, NULL, NULL, 0));
	assert_null(by(systemd, NULL, NULL, 0));
	assert_null(by(init, NULL, NULL, 0));
}

static void test_reasons_follow_from_what_was_sent_before(void **state)
{
	char gunicorn[] = "gunicorn", systemd[] = "systemd", tini[] = "tini";
	const struct supervisor *s = by(gunicorn, NULL, NULL, 0);

	(void)state;
	assert_string_equal(supervisor_reason(s, SIGABRT, 0), "its worker timeout (--timeout)");
	assert_string_equal(supervisor_reason(s, SIGKILL, SIGABRT),
			    "its worker timeout (--timeout)");
	assert_string_equal(supervisor_reason(s, SIGKILL, SIGTERM),
			    "its graceful timeout (--graceful-timeout) ran out");
	s = by(systemd, NULL, NULL, 0);
	assert_string_equal(supervisor_reason(s, SIGKILL, SIGTERM),
			    "the unit's stop timeout (TimeoutStopSec=) ran out");
	assert_string_equal(supervisor_reason(s, SIGABRT, 0), "the unit's watchdog (WatchdogSec=)");
	assert_null(supervisor_reason(s, SIGUSR1, 0));
	assert_null(supervisor_reason(by(tini, NULL, NULL, 0), SIGKILL, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_supervisors_are_known_by_name_script_or_module),
		cmocka_unit_test(test_names_that_only_begin_alike_are_others),
		cmocka_unit_test(test_reasons_follow_from_what_was_sent_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
