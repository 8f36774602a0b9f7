/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "target/redact.h"

static void test_names(void **state)
{
	static const char *const secret[] = {
		"PASSWORD",	"DB_PASSWORD",	"PGPASSWORD",	"MYSQL_PWD",	"db_pass",
		"dbPassword",	"apiKey",	"API_KEY",	"APIKEY",	"STRIPE_API_KEY",
		"AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID_SECRET", "GITHUB_TOKEN", "GHTOKEN",
		"TOKEN2",	"CREDENTIALS",	"HTTP_AUTH",	"OAUTH_ID",	"SESSION",
		"SESSION_ID",	"PHPSESSID",	"COOKIE_VALUE", "SENTRY_DSN",	"MY_PRIVATE_THING",
		"AUTHORIZATION", "AZURE_STORAGE_CONNECTION_STRING", "SECRET_KEY_BASE", "Passwd",
	};
	static const char *const plain[] = {
		"PWD",		"OLDPWD",	"AUTHOR",	"GIT_AUTHOR_NAME", "KEYBOARD",
		"XKB_KEYMAP",	"XDG_SESSION_TYPE", "XDG_SESSION_ID", "SESSION_MANAGER", "DESKTOP_SESSION",
		"DBUS_SESSION_BUS_ADDRESS", "TOKENIZERS_PARALLELISM", "PATH", "HOME", "COMPASS",
		"SSH_ASKPASS",	"XAUTHORITY",	"PUBLIC_KEY",	"MONKEY",	"KEY_COUNT",
		"no-auth",	"",		"GOPRIVATE",	"PASSENGERS",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++)
		if (!redact_name(secret[i]))
			fail_msg("%s is not seen as a secret's name", secret[i]);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (redact_name(plain[i]))
			fail_msg("%s is seen as a secret's name", plain[i]);
}

static void test_environment(void **state)
{
	static const char *const cases[][2] = {
		{ "DB_PASSWORD=hunter2", "DB_PASSWORD=[redacted]" },
		{ "DB_PASSWORD=", "DB_PASSWORD=" },
		{ "DB_PASSWORD_FILE=/run/secrets/db", "DB_PASSWORD_FILE=/run/secrets/db" },
		{ "SSH_AUTH_SOCK=/tmp/ssh-x/agent.1", "SSH_AUTH_SOCK=/tmp/ssh-x/agent.1" },
		{ "PWD=/srv/secret", "PWD=/srv/secret" },
		{ "PATH=/opt/token:/usr/bin:/home/secret:/bin",
		  "PATH=/opt/token:/usr/bin:/home/secret:/bin" },
		{ "DATABASE_URL=postgres://app:s3cr%40t@db.local:5432/app?sslmode=off",
		  "DATABASE_URL=postgres://app:[redacted]@db.local:5432/app?sslmode=off" },
		{ "REDIS_URL=redis://:pw@cache:6379/0", "REDIS_URL=redis://:[redacted]@cache:6379/0" },
		{ "U=amqp://u:p@ss@h/v", "U=amqp://u:[redacted]@h/v" },
		{ "U=postgres://u:p/w@h/db", "U=postgres://u:[redacted]@h/db" },
		{ "U=http://proxy:3128/x@y", "U=http://proxy:3128/x@y" },
		{ "U=http://[::1]:80/a@b", "U=http://[::1]:80/a@b" },
		{ "U=ssh://git@github.com/x", "U=ssh://git@github.com/x" },
		{ "U=https://0123456789abcdef01234567@host/1", "U=https://[redacted]@host/1" },
		{ "U=a://x:1@h b://y:2@k", "U=a://x:[redacted]@h b://y:[redacted]@k" },
		{ "U=https://h/p?token=abc&x=1", "U=https://h/p?token=[redacted]&x=1" },
		{ "LIBPQ=host=h user=u password=x dbname=d",
		  "LIBPQ=host=h user=u password=[redacted] dbname=d" },
		{ "V={\"user\": \"u\", \"password\": \"p\\\"q\", \"n\": 1}",
		  "V={\"user\": \"u\", \"password\": \"[redacted]\", \"n\": 1}" },
		{ "A=AKIAIOSFODNN7EXAMPLE", "A=[redacted]" },
		{ "A=x,ghp_0123456789abcdefghijABCDEFGHIJ012345;y", "A=x,[redacted];y" },
		{ "A=task-sk-0", "A=task-sk-0" },
		{ "A=sk-proj-0123456789abcdef", "A=[redacted]" },
		{ "A=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "A=[redacted]" },
		{ "A=-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nrest",
		  "A=[redacted]\nrest" },
		{ "A=-----BEGIN RSA PRIVATE KEY-----\nMII", "A=[redacted]" },
		{ "XDG_SESSION_TYPE=tty", "XDG_SESSION_TYPE=tty" },
		{ "LANG=C.UTF-8", "LANG=C.UTF-8" },
		{ "no equals sign", "no equals sign" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(arena_deinit) struct arena arena = {};
		char *got = NULL;

		assert_null(redact_assignment(&arena, cases[i][0], &got));
		assert_string_equal(got, cases[i][1]);
		// What was redacted once stays as it is.
		assert_null(redact_assignment(&arena, cases[i][1], &got));
		assert_string_equal(got, cases[i][1]);
	}
}

#define MAX_ARGS 8

static void test_command_lines(void **state)
{
	static const struct {
		const char *in[MAX_ARGS], *out[MAX_ARGS];
	} cases[] = {
		{ { "app", "--password=a&b c" }, { "app", "--password=[redacted]" } },
		{ { "env", "PASSWORD=a b", "app" }, { "env", "PASSWORD=[redacted]", "app" } },
		{ { "sh", "-c", "PASSWORD=a app b" }, { "sh", "-c", "PASSWORD=[redacted] app b" } },
		{ { "app", "--token", "abc", "file" }, { "app", "--token", "[redacted]", "file" } },
		{ { "app", "--auth", "--verbose" }, { "app", "--auth", "--verbose" } },
		{ { "app", "--no-auth", "file" }, { "app", "--no-auth", "file" } },
		{ { "app", "--author", "Ann" }, { "app", "--author", "Ann" } },
		{ { "app", "--token-file=/run/t" }, { "app", "--token-file=/run/t" } },
		{ { "app", "API_KEY=x", "n=1" }, { "app", "API_KEY=[redacted]", "n=1" } },
		{ { "mysql", "-uroot", "-phunter2", "db" }, { "mysql", "-uroot", "-p[redacted]", "db" } },
		{ { "mysql", "-p", "db" }, { "mysql", "-p", "db" } },
		{ { "mysql", "--port=3306" }, { "mysql", "--port=3306" } },
		{ { "sudo", "/usr/bin/mysqldump", "-px" }, { "sudo", "/usr/bin/mysqldump", "-p[redacted]" } },
		{ { "app", "-phunter2" }, { "app", "-phunter2" } },
		{ { "sshpass", "-p", "x", "ssh", "h" }, { "sshpass", "-p", "[redacted]", "ssh", "h" } },
		{ { "redis-cli", "-a", "x", "-h", "k" }, { "redis-cli", "-a", "[redacted]", "-h", "k" } },
		{ { "curl", "-u", "me:x", "http://h" }, { "curl", "-u", "me:[redacted]", "http://h" } },
		{ { "curl", "--user=me:x" }, { "curl", "--user=me:[redacted]" } },
		{ { "curl", "-H", "Authorization: Bearer abc def" },
		  { "curl", "-H", "Authorization: [redacted]" } },
		{ { "docker", "run", "-p", "80:80" }, { "docker", "run", "-p", "80:80" } },
		{ { "docker", "login", "-p", "x" }, { "docker", "login", "-p", "[redacted]" } },
		{ { "sh", "-c", "mysqldump -phunter2 db | gzip" },
		  { "sh", "-c", "mysqldump -p[redacted] db | gzip" } },
		{ { "sh", "-c", "app --api-key 'a b' -v" }, { "sh", "-c", "app --api-key '[redacted]' -v" } },
		{ { "app", "redis://u:p@h/0" }, { "app", "redis://u:[redacted]@h/0" } },
		{ { "python3", "-m", "hypercorn", "app:main" }, { "python3", "-m", "hypercorn", "app:main" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(arena_deinit) struct arena arena = {};
		char *args[MAX_ARGS] = {};
		size_t n = 0;

		for (; n < MAX_ARGS && cases[i].in[n]; n++)
			args[n] = (char *)cases[i].in[n];
		for (int round = 0; round < 2; round++) {
			assert_null(redact_arguments(&arena, args, n));
			for (size_t j = 0; j < n; j++)
				assert_string_equal(args[j], cases[i].out[j]);
		}
	}
}

static void test_log_lines(void **state)
{
	static const char *const in[] = {
		"MIIabcdefgh",
		"xyz=",
		"-----END RSA PRIVATE KEY-----",
		"GET /?token=abc 200",
		"connecting to postgres://app:hunter2@db:5432/app",
		"-----BEGIN RSA PRIVATE KEY-----",
		"Proc-Type: 4,ENCRYPTED",
		"MIIabc",
		"-----END RSA PRIVATE KEY-----",
		"Traceback (most recent call last):",
		"key is -----BEGIN EC PRIVATE KEY-----",
		"MHcCAQEE",
		"a worker ended",
	};
	static const char *const out[] = {
		"[redacted]",
		"GET /?token=[redacted] 200",
		"connecting to postgres://app:[redacted]@db:5432/app",
		"[redacted]",
		"Traceback (most recent call last):",
		"key is [redacted]",
		"a worker ended",
	};
	_cleanup_(arena_deinit) struct arena arena = {};
	char *lines[ARRAY_SIZE(in)];
	size_t n = ARRAY_SIZE(in);

	(void)state;
	for (size_t i = 0; i < n; i++)
		lines[i] = (char *)in[i];
	assert_null(redact_lines(&arena, lines, &n));
	assert_int_equal(n, ARRAY_SIZE(out));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(lines[i], out[i]);
}

static void test_text_of_several_lines(void **state)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	char *got;

	(void)state;
	assert_null(redact_text(&arena, "no\n\nrow: password=hunter2hunter2\n", &got));
	assert_string_equal(got, "no\n\nrow: password=[redacted]\n");
	assert_null(redact_text(&arena, "", &got));
	assert_string_equal(got, "");
}

// Nobody's environment may hold a process up: each of these is as long as the kernel allows.
static void test_long_texts_take_no_time(void **state)
{
	static const char *const pieces[] = { "a://b:c/", "a://b:", "--password ", "-", "eyJ", "\"token\":",
					      "-----BEGIN ", "x_", "password=\\", "sk-", "@://a:", "eyJ-", "token  " };
	size_t size = 128 << 10;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		_cleanup_(arena_deinit) struct arena arena = {};
		_cleanup_(freep) char *text = calloc(1, size + 32);
		struct timespec before, after;
		char *got;

		assert_non_null(text);
		for (size_t n = 0; n < size; n += strlen(pieces[i]))
			strcpy(text + n, pieces[i]);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		assert_null(redact_assignment(&arena, text, &got));
		assert_null(redact_arguments(&arena, &got, 1));
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		double took = (double)(after.tv_sec - before.tv_sec) +
			      (double)(after.tv_nsec - before.tv_nsec) / 1e9;
		if (took > 1)
			fail_msg("%zu bytes of '%s' took %.2f s", size, pieces[i], took);
	}
}

static void test_patterns_of_ones_own(void **state)
{
	static const char *const bad[] = { "", "two words", "a/b", "[x]", "\xff" };
	static const char *const good[] = { "ACME_*_PIN", "x?z", "*tail*" };
	char name[256];

	(void)state;
	assert_false(redact_name("ACME_DOOR_PIN"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_true(error_drop(redact_also(bad[i])));
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_null(redact_also(good[i]));
	assert_true(redact_name("acme_door_pin"));
	assert_true(redact_name("XYZ"));
	assert_true(redact_name("cock-tail"));
	assert_false(redact_name("ACME_PIN"));
	assert_false(redact_name("XYYZ"));
	assert_false(redact_name("HOME"));
	// Many stars and a name made for them take no time.
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_null(redact_also("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"));
	assert_false(redact_name(name));
	for (size_t i = 4; i < REDACT_PATTERNS; i++)
		assert_null(redact_also("x"));
	assert_true(error_drop(redact_also("x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_log_lines),
		cmocka_unit_test(test_text_of_several_lines),
		cmocka_unit_test(test_long_texts_take_no_time),
		// The last: what it adds stays.
		cmocka_unit_test(test_patterns_of_ones_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
