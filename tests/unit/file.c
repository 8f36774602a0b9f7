/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "store/file.h"

static char top[64]; // a new folder for each test

static void ok(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

static int make_top(void **state)
{
	(void)state;
	strcpy(top, "/tmp/pcatch-file-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

static char *below(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int files_in(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	assert_non_null(dir);
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(dir);
	return n;
}

static void a_file_appears_whole_and_private(void **state)
{
	struct store store;
	struct stat st;
	char *path = NULL, back[16] = "";

	(void)state;
	umask(0);
	ok(store_open(below("a/b/c"), &store));
	assert_int_equal(files_in(store.path), 0);
	assert_int_equal(stat(below("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	ok(store_write(&store, "app-1-x", "dmp", "twelve bytes", 12, &path));
	assert_int_equal(path[0], '/');
	assert_string_equal(path + strlen(path) - 12, "/app-1-x.dmp");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 12);
	int fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, back, sizeof(back)), 12);
	close(fd);
	assert_string_equal(back, "twelve bytes");
	assert_int_equal(files_in(store.path), 1);
	free(path);
	store_close(&store);
	store_close(&store);
}

static void a_file_without_a_name_gets_one_when_it_is_whole(void **state)
{
	static uint8_t data[5 * 4096], back[5 * 4096];
	_cleanup_(draft_discard) struct draft draft = { .fd = -1 };
	struct store store;
	struct stat st;
	char *path = NULL;

	(void)state;
	memset(data + 4096, 1, 2 * 4096);
	memset(data + 4 * 4096, 2, 100);
	ok(store_open(top, &store));
	int fd = store_scratch(&store);
	assert_true(fd >= 0);
	assert_int_equal(file_write_sparse(fd, 0, data, sizeof(data)), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 <= 3 * 4096);
	assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(files_in(top), 0);
	ok(draft_adopt(&store, fd, "x", "core", &draft));
	struct error *err = draft_publish(&draft, &path);
	if (err && err->kind == ERROR_UNSUPPORTED) {
		// Then it is copied.
		error_free(err);
		assert_int_equal(files_in(top), 0);
	} else {
		ok(err);
		assert_int_equal(stat(below("x.core"), &st), 0);
		assert_int_equal(st.st_size, sizeof(data));
		assert_int_equal(st.st_mode & 07777, 0600);
		free(path);
	}
	store_close(&store);
}

static void a_file_that_had_a_name_is_not_published(void **state)
{
	_cleanup_(draft_discard) struct draft draft = { .fd = -1 };
	struct store store;
	char *path = NULL;

	(void)state;
	ok(store_open(top, &store));
	// As store_scratch() has it where there is no O_TMPFILE.
	int fd = open(below("temporary"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(unlink(below("temporary")), 0);
	ok(draft_adopt(&store, fd, "x", "core", &draft));
	struct error *err = draft_publish(&draft, &path);
	assert_non_null(err);
	assert_int_equal(err->kind, ERROR_UNSUPPORTED);
	assert_null(path);
	error_free(err);
	assert_int_equal(files_in(top), 0);
	store_close(&store);
}

static void what_is_there_is_never_overwritten(void **state)
{
	struct store store;
	struct stat st;
	char *path = NULL;

	(void)state;
	ok(store_open(top, &store));
	ok(store_write(&store, "x", "txt", "old", 3, &path));
	free(path);
	// A planted link must not be followed, be it to a file or to nowhere.
	assert_int_equal(symlink("x.txt", below("y.txt")), 0);
	assert_int_equal(symlink("nowhere", below("z.txt")), 0);
	static const char *const names[] = { "x", "y", "z" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path = NULL;
		struct error *err = store_write(&store, names[i], "txt", "new one", 7, &path);
		assert_non_null(err);
		assert_int_equal(err->kind, ERROR_SYSTEM);
		assert_int_equal(err->errnum, EEXIST);
		assert_non_null(strstr(err->text, top));
		assert_null(path);
		error_free(err);
	}
	assert_int_equal(stat(below("x.txt"), &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(access(below("nowhere"), F_OK), -1);
	assert_int_equal(files_in(top), 3);
	store_close(&store);
}

static void names_tell_who_and_when(void **state)
{
	static const struct {
		const char *comm, *name;
	} cases[] = {
		{ "python3", "python3-42-20231114T221322Z" },
		{ "a b/../c", "a_b_.._c-42-20231114T221322Z" },
		{ "-rf", "_rf-42-20231114T221322Z" },
		{ ".hidden", "_hidden-42-20231114T221322Z" },
		{ "", "process-42-20231114T221322Z" },
		{ "\xc3\xa9\n", "___-42-20231114T221322Z" },
	};
	struct store store;

	(void)state;
	ok(store_open(top, &store));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s;
		char *name = NULL;

		snapshot_init(&s);
		s.process.comm = (char *)cases[i].comm;
		s.process.pid = 42;
		s.time.death = 1700000002999999999;
		ok(store_name(&store, &s, &name));
		assert_string_equal(name, cases[i].name);
		free(name);
		snapshot_deinit(&s);
	}
	store_close(&store);
}

static void a_second_report_of_a_second_gets_a_number(void **state)
{
	struct store store;
	struct snapshot s;
	char *name = NULL, *path = NULL;
	static const char *const want[] = { "app-7-20231114T221320Z", "app-7-20231114T221320Z-2",
					    "app-7-20231114T221320Z-3" };

	(void)state;
	snapshot_init(&s);
	s.process.comm = (char *)"app";
	s.process.pid = 7;
	s.time.death = 1700000000000000000;
	ok(store_open(top, &store));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		ok(store_name(&store, &s, &name));
		assert_string_equal(name, want[i]);
		ok(store_write(&store, name, i ? "txt" : "dmp", "", 0, &path));
		free(name);
		free(path);
	}
	store_close(&store);
	snapshot_deinit(&s);
}

static void refused(const char *path, int errnum)
{
	struct store store;
	struct error *err = store_open(path, &store);

	if (!err)
		fail_msg("%s was accepted", path);
	if (err->kind != ERROR_SYSTEM || err->errnum != errnum)
		fail_msg("%s: kind %d errno %d instead of %d: %s", path, err->kind, err->errnum,
			 errnum, err->text);
	assert_non_null(strstr(err->text, path));
	assert_null(strchr(err->text, '\n'));
	error_free(err);
}

static void what_is_no_writable_folder_is_said_at_once(void **state)
{
	(void)state;
	int fd = open(below("file"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	refused(below("file"), ENOTDIR);
	refused(below("file/sub"), ENOTDIR);
	refused("/proc/pcatch", ENOENT);
	assert_int_equal(symlink("loop", below("loop")), 0);
	refused(below("loop"), ELOOP);
}

static void a_folder_that_only_others_may_write_is_said_at_once(void **state)
{
	(void)state;
	assert_int_equal(chmod(top, 0555), 0);
	if (geteuid()) {
		refused(top, EACCES);
		return;
	}
	// Permission bits do not bound root, so somebody else has to try.
	pid_t child = fork();
	if (!child) {
		struct store store;
		struct error *err = setresuid(65534, 65534, 65534) ? NULL : store_open(top, &store);
		_exit(err && err->errnum == EACCES && strstr(err->text, top) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

// A mount namespace with a small file system at `top`; false when that is not allowed here.
static bool small_disk(const char *options, unsigned long flags)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	return !mount("none", top, "tmpfs", flags, options);
}

enum { CHILD_OK, CHILD_BAD, CHILD_SKIPPED };

static int full_disk(void)
{
	static char data[1 << 20];
	struct store store;
	char *path = NULL;

	if (!small_disk("size=64k", 0))
		return CHILD_SKIPPED;
	if (store_open(top, &store))
		return CHILD_BAD;
	memset(data, 'x', sizeof(data));
	struct error *err = store_write(&store, "big", "dmp", data, sizeof(data), &path);
	if (!err || err->errnum != ENOSPC || !strstr(err->text, "big.dmp") || path)
		return CHILD_BAD;
	if (files_in(top))
		return CHILD_BAD;
	// There is room again, for what fits and then, with the disk full, for nothing.
	if (store_write(&store, "small", "dmp", data, 60000, &path))
		return CHILD_BAD;
	int fd = open(below("rest"), O_CREAT | O_WRONLY, 0600);
	while (write(fd, data, 4096) > 0)
		;
	err = store_open(top, &store);
	return err && err->errnum == ENOSPC ? CHILD_OK : CHILD_BAD;
}

static int read_only_disk(void)
{
	struct store store;

	if (!small_disk("size=64k", MS_RDONLY))
		return CHILD_SKIPPED;
	struct error *err = store_open(top, &store);
	return err && err->errnum == EROFS ? CHILD_OK : CHILD_BAD;
}

static void in_a_child(int (*test)(void))
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(test());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_SKIPPED) {
		print_message("mounting is not allowed here: skipped\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
	(void)state;
	in_a_child(full_disk);
}

static void a_read_only_disk_is_said_at_once(void **state)
{
	(void)state;
	in_a_child(read_only_disk);
}

static void the_default_folder_follows_the_environment(void **state)
{
	struct store store;
	char want[128];

	(void)state;
	setenv("PCATCH_DIR", below("mine"), 1);
	ok(store_open(NULL, &store));
	snprintf(want, sizeof(want), "%s/mine", top);
	assert_string_equal(store.path, want);
	store_close(&store);
	unsetenv("PCATCH_DIR");
	if (geteuid()) {
		setenv("XDG_STATE_HOME", below("state"), 1);
		ok(store_open(NULL, &store));
		snprintf(want, sizeof(want), "%s/state/pcatch", top);
		assert_string_equal(store.path, want);
		store_close(&store);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_file_appears_whole_and_private),
		CASE(a_file_without_a_name_gets_one_when_it_is_whole),
		CASE(a_file_that_had_a_name_is_not_published),
		CASE(what_is_there_is_never_overwritten),
		CASE(names_tell_who_and_when),
		CASE(a_second_report_of_a_second_gets_a_number),
		CASE(what_is_no_writable_folder_is_said_at_once),
		CASE(a_folder_that_only_others_may_write_is_said_at_once),
		CASE(a_full_disk_leaves_nothing_behind),
		CASE(a_read_only_disk_is_said_at_once),
		CASE(the_default_folder_follows_the_environment),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
