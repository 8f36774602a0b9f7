/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <math.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "walk/image.h"

#define address_equal(a, b) assert_int_equal((uint64_t)(a), (uint64_t)(b))
#define must(call)                                                                                 \
	do {                                                                                       \
		struct error *_err = (call);                                                       \
		if (_err)                                                                          \
			print_error("%s\n", _err->text);                                           \
		assert_null(_err);                                                                 \
	} while (0)

// Of this program, in a segment that can be written and in one that cannot.
int image_test_variable = 0x1234;
const char image_test_constant[] = "a constant of the test";

// The test itself as a target: its memory map, and whatever memory is added.
static void own_snapshot(struct snapshot *s)
{
	static char text[1 << 20];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	close(fd);
	snapshot_init(s);
	s->process.maps.data = arena_memdup(&s->arena, text, len + 1);
	s->process.maps.len = len;
	assert_non_null(s->process.maps.data);
	must(snapshot_parse_maps(s));
}

static int copy_of_self(void)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = memfd_create("copy", MFD_CLOEXEC);
	static char block[1 << 16];
	ssize_t n;

	assert_true(from >= 0 && to >= 0);
	while ((n = read(from, block, sizeof(block))) > 0)
		assert_int_equal(write(to, block, (size_t)n), n);
	close(from);
	return to;
}

static void test_own_program_is_placed_and_read(void **state)
{
	struct snapshot s;
	struct images images;
	size_t index = 99;
	char found[sizeof(image_test_constant)];
	taddr at;
	uint64_t size;

	(void)state;
	own_snapshot(&s);
	must(images_init(&images, &s));
	const struct image *image = images_at(&images, (uintptr_t)image_test_constant, &index);
	assert_non_null(image);
	assert_int_equal(index, 0);
	assert_int_equal(image->machine, arch_host()->elf_machine);
	assert_true(image_symbol(image, "image_test_variable", &at, &size));
	address_equal(at, (uintptr_t)&image_test_variable);
	// AddressSanitizer puts a zone behind each variable, which may count as its own.
	assert_true(size >= sizeof(image_test_variable) && size <= 64);
	assert_true(image_section(image, ".rodata", &at, &size));
	assert_true(at <= (uintptr_t)image_test_constant &&
		    (uintptr_t)image_test_constant - at < size);
	assert_false(image_section(image, ".no-such-section", &at, &size));
	assert_false(image_section(image, ".symtab", &at, &size));
	assert_false(image_symbol(image, "no_such_symbol", &at, NULL));
	assert_false(image_symbol(image, "", &at, NULL));

	must(mem_read(&images.mem.mem, (uintptr_t)image_test_constant, found, sizeof(found)));
	assert_string_equal(found, image_test_constant);
	// What can be written is not taken from the file: the target may have written it.
	at = (uintptr_t)&image_test_variable;
	assert_int_equal(mem_read_some(&images.files, at, found, 4), 0);
	images_deinit(&images);
	snapshot_deinit(&s);
}

static void test_dump_comes_before_files(void **state)
{
	struct snapshot s;
	struct images images;
	char found[4];

	(void)state;
	own_snapshot(&s);
	must(snapshot_add_memory(&s, (uintptr_t)image_test_constant + 1, "XY", 2));
	must(snapshot_settle_memory(&s));
	must(images_init(&images, &s));
	must(mem_read(&images.mem.mem, (uintptr_t)image_test_constant, found, sizeof(found)));
	assert_memory_equal(found, "aXYo", 4);
	images_deinit(&images);
	snapshot_deinit(&s);
}

// A library that is found by name through the hash table of its dynamic symbols.
static void test_symbols_of_a_library_are_those_of_the_linker(void **state)
{
	static const char *const names[] = { "puts", "abort", "environ", "qsort",
					     "_IO_2_1_stdout_" };
	struct snapshot s;
	struct images images;

	(void)state;
	own_snapshot(&s);
	must(images_init(&images, &s));
	// &puts may be a stub of the sanitizers' or of this program's.
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	assert_non_null(libc);
	const struct image *image = images_at(&images, (uintptr_t)dlsym(libc, "puts"), NULL);
	assert_non_null(image);
	assert_true(image->eh_frame_hdr != 0);
	assert_true(image->build_id_len >= 8);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		taddr at = 0;
		if (!image_symbol(image, names[i], &at, NULL))
			fail_msg("no %s", names[i]);
		if (at != (uintptr_t)dlsym(libc, names[i]))
			fail_msg("%s at %#" PRIx64 ", not %p", names[i], at, dlsym(libc, names[i]));
	}
	taddr at;
	assert_false(image_symbol(image, "puts_", &at, NULL));
	char soname[SONAME_MAX];
	assert_true(image_soname(image, soname));
	assert_int_equal(strncmp(soname, "libc.", 5), 0);
	dlclose(libc);
	images_deinit(&images);
	snapshot_deinit(&s);
}

static void test_vdso_is_read_from_memory(void **state)
{
	taddr base = getauxval(AT_SYSINFO_EHDR);
	struct snapshot s;
	struct images images;
	const struct module *vdso = NULL;
	taddr at;

	(void)state;
	if (!base) {
		skip();
		return;
	}
	own_snapshot(&s);
	vdso = snapshot_module_at(&s, base);
	assert_non_null(vdso);
	assert_true(vdso->in_memory);
	size_t len = (size_t)(vdso->end - vdso->start), index = (size_t)(vdso - s.modules.v);
	must(images_init(&images, &s));
	assert_null(images_get(&images, index));
	assert_int_equal(images.errors[index]->kind, ERROR_FAULT);
	images_deinit(&images);

	void *copy = arena_memdup(&s.arena, (void *)(uintptr_t)base, len);
	assert_non_null(copy);
	must(snapshot_add_memory(&s, base, copy, len));
	must(snapshot_settle_memory(&s));
	must(images_init(&images, &s));
	const struct image *image = images_get(&images, index);
	assert_non_null(image);
	assert_true(image_symbol(image, "__vdso_gettimeofday", &at, NULL) ||
		    image_symbol(image, "__kernel_gettimeofday", &at, NULL));
	assert_true(at > base && at < vdso->end);
	images_deinit(&images);
	snapshot_deinit(&s);
}

static void test_another_file_at_the_path_is_refused(void **state)
{
	char path[] = "image-test-XXXXXX";
	int fd = mkstemp(path), self = copy_of_self();
	struct module module = { .start = 0x10000, .end = 0x20000, .path = path, .fd = self };
	struct image image;
	struct stat st;

	(void)state;
	must(image_open(&module, NULL, NULL, &image));
	module.build_id_len = image.build_id_len;
	memcpy(module.build_id, image.build_id, sizeof(image.build_id));
	image_close(&image);

	// By the path: the same bytes, so the same build id.
	static char block[1 << 16];
	for (off_t at = 0;;) {
		ssize_t n = pread(self, block, sizeof(block), at);
		if (n <= 0)
			break;
		assert_int_equal(write(fd, block, (size_t)n), n);
		at += n;
	}
	module.fd = -1;
	struct error *err = image_open(&module, NULL, NULL, &image);
	if (module.build_id_len) {
		assert_null(err);
		image_close(&image);
		module.build_id[0] ^= 1;
		err = image_open(&module, NULL, NULL, &image);
		assert_non_null(err);
		assert_int_equal(err->kind, ERROR_INPUT);
	}
	error_drop(err);
	// Without a build id the inode decides.
	module.build_id_len = 0;
	assert_int_equal(fstat(fd, &st), 0);
	module.inode = (uint64_t)st.st_ino;
	must(image_open(&module, NULL, NULL, &image));
	image_close(&image);
	module.inode++;
	err = image_open(&module, NULL, NULL, &image);
	assert_non_null(err);
	assert_int_equal(err->kind, ERROR_INPUT);
	error_free(err);
	unlink(path);
	err = image_open(&module, NULL, NULL, &image);
	assert_non_null(err);
	assert_int_equal(err->kind, ERROR_SYSTEM);
	error_free(err);
	close(fd);
	close(self);
}

static void test_other_classes_are_unsupported(void **state)
{
	int fd = copy_of_self();
	struct image image;
	static const struct {
		off_t at;
		uint8_t value;
		enum error_kind kind;
	} cases[] = {
		{ EI_CLASS, ELFCLASS32, ERROR_UNSUPPORTED },
		{ EI_DATA, ELFDATA2MSB, ERROR_UNSUPPORTED },
		{ 0, 'M', ERROR_INPUT },
		{ offsetof(Elf64_Ehdr, e_phentsize), 1, ERROR_INPUT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t old;
		assert_int_equal(pread(fd, &old, 1, cases[i].at), 1);
		assert_int_equal(pwrite(fd, &cases[i].value, 1, cases[i].at), 1);
		struct error *err = image_open_fd(fd, 0x10000, &image);
		if (!err || err->kind != cases[i].kind)
			fail_msg("case %zu: %s", i, err ? err->text : "no error");
		error_free(err);
		assert_int_equal(pwrite(fd, &old, 1, cases[i].at), 1);
	}
	close(fd);
	int folder = open(".", O_RDONLY | O_CLOEXEC);
	struct error *err = image_open_fd(folder, 0, &image);
	assert_non_null(err);
	error_free(err);
	close(folder);
}

static void use(const struct image *image)
{
	char bytes[64];
	taddr at;
	uint64_t size;

	for (size_t i = 0; i < image->loads.n; i++) {
		const struct image_segment *load = &image->loads.v[i];

		assert_true(image_read(image, load->vaddr + image->bias, bytes, sizeof(bytes)) <=
			    sizeof(bytes));
	}
	image_symbol(image, "image_test_variable", &at, &size);
	image_symbol(image, "no_such_symbol", &at, &size);
	image_section(image, ".rodata", &at, &size);
	image_section(image, ".no-such-section", &at, &size);
}

static void test_file_that_shrinks_under_us_is_no_danger(void **state)
{
	int fd = copy_of_self();
	struct image image;
	taddr at;

	(void)state;
	must(image_open_fd(fd, 0x10000, &image));
	assert_true(image_symbol(&image, "image_test_variable", &at, NULL));
	image_close(&image);
	must(image_open_fd(fd, 0x10000, &image));
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_false(image_symbol(&image, "image_test_variable", &at, NULL));
	use(&image);
	image_close(&image);
	close(fd);
}

static void test_truncated_files_are_errors_or_less(void **state)
{
	struct stat st;
	unsigned opened = 0, refused = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		int fd = copy_of_self();
		struct image image;

		assert_int_equal(fstat(fd, &st), 0);
		off_t len = i < 100 ? (off_t)i * 16 : st.st_size * (off_t)(i - 100) / 100;
		assert_int_equal(ftruncate(fd, len), 0);
		struct error *err = image_open_fd(fd, 0x7f0000000000, &image);
		if (err) {
			refused++;
		} else {
			opened++;
			use(&image);
			image_close(&image);
		}
		error_free(err);
		close(fd);
	}
	assert_true(opened > 50);
	assert_true(refused > 3);
}

// Bytes changed in the parts that are parsed: headers, dynamic section, hash, symbols.
static void test_spoilt_files_do_no_harm(void **state)
{
	int fd = copy_of_self();
	uint32_t seed = 12345;
	struct image whole;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	must(image_open_fd(fd, 0x10000, &whole));
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t old[8];
		off_t at[8];
		unsigned n = 1 + round % 8;

		for (unsigned i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			uint32_t a = seed >> 8;
			seed = seed * 1664525 + 1013904223;
			uint8_t value = (uint8_t)(seed >> 24);
			at[i] = a % 3 == 0 ? a % 0x1000 :
				a % 3 == 1 ? (off_t)(whole.shoff + a % (whole.shnum * 64)) :
					     (off_t)((taddr)whole.dynamic - whole.bias + a % 512) %
						     st.st_size;
			assert_int_equal(pread(fd, &old[i], 1, at[i]), 1);
			assert_int_equal(pwrite(fd, &value, 1, at[i]), 1);
		}
		struct image image;
		struct error *err = image_open_fd(fd, 0x10000, &image);
		if (!err) {
			use(&image);
			image_close(&image);
		}
		error_free(err);
		for (unsigned i = n; i-- > 0;)
			assert_int_equal(pwrite(fd, &old[i], 1, at[i]), 1);
	}
	image_close(&whole);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_program_is_placed_and_read),
		cmocka_unit_test(test_dump_comes_before_files),
		cmocka_unit_test(test_symbols_of_a_library_are_those_of_the_linker),
		cmocka_unit_test(test_vdso_is_read_from_memory),
		cmocka_unit_test(test_another_file_at_the_path_is_refused),
		cmocka_unit_test(test_other_classes_are_unsupported),
		cmocka_unit_test(test_file_that_shrinks_under_us_is_no_danger),
		cmocka_unit_test(test_truncated_files_are_errors_or_less),
		cmocka_unit_test(test_spoilt_files_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
