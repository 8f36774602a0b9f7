/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/demangle.h"
#include "analyse/symbols.h"
#include "cleanup.h"

// This program is its own target: every test finds its own functions in its own file.

static struct snapshot snapshot;
static struct images images;
static struct arena arena;
static struct names names;
static struct symbolizer *symbolizer;

static void must(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

static int setup(void **state)
{
	(void)state;
	snapshot_init(&snapshot);
	snapshot.host.arch = arch_host();
	FILE *f = fopen("/proc/self/maps", "re");
	char *text = calloc(1, 1 << 20);
	assert_non_null(f);
	assert_non_null(text);
	size_t len = fread(text, 1, (1 << 20) - 1, f);
	fclose(f);
	snapshot.process.maps.data = arena_memdup(&snapshot.arena, text, len + 1);
	snapshot.process.maps.len = len;
	free(text);
	must(snapshot_parse_maps(&snapshot));
	must(images_init(&images, &snapshot));
	names_init(&names, &arena);
	must(symbolizer_create(&images, &names, &symbolizer));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	symbolizer_destroy(symbolizer);
	names_deinit(&names);
	images_deinit(&images);
	arena_deinit(&arena);
	snapshot_deinit(&snapshot);
	return 0;
}

static bool have_dwarf(taddr pc)
{
	const struct module *module = snapshot_module_at(&snapshot, pc);

	assert_non_null(module);
	return symbolizer_kind(symbolizer, (size_t)(module - snapshot.modules.v)) == SYMBOLS_DWARF;
}

static __attribute__((noinline)) taddr return_address(void)
{
	__asm__ volatile("");
	return (taddr)(uintptr_t)__builtin_return_address(0);
}

static int line_of_call;

static __attribute__((noinline)) taddr plain_function(void)
{
	line_of_call = __LINE__ + 1;
	taddr at = return_address();
	__asm__ volatile("");
	return at;
}

static inline __attribute__((always_inline)) taddr inlined_function(void)
{
	taddr at = return_address();
	__asm__ volatile("");
	return at;
}

static int line_of_inlined;

static __attribute__((noinline)) taddr outer_function(void)
{
	line_of_inlined = __LINE__ + 1;
	taddr at = inlined_function();
	__asm__ volatile("");
	return at;
}

taddr cxx_function(void) __asm__("_ZN3foo3barEiPKc");

__attribute__((noinline)) taddr cxx_function(void)
{
	taddr at = return_address();
	__asm__ volatile("");
	return at;
}

static void test_return_address_is_the_call_before_it(void **state)
{
	(void)state;
	taddr pc = plain_function();
	const struct symbol *symbol;

	must(symbolizer_lookup(symbolizer, pc, true, &symbol));
	assert_int_equal(symbol->levels.n, 1);
	assert_string_equal(symbol->levels.v[0].function, "plain_function");
	assert_false(symbol->levels.v[0].inlined);
	assert_true(symbol->offset > 0 && symbol->offset < 4096);
	assert_string_equal(symbol->linker_name, "plain_function");
	assert_int_equal(symbolizer_function_start(symbolizer, pc),
			 (uintptr_t)plain_function);
	if (!have_dwarf(pc))
		skip();
	assert_string_equal(path_basename(symbol->levels.v[0].file), "symbols.c");
	assert_int_equal(symbol->levels.v[0].line, line_of_call);
}

static void test_first_instruction_is_its_own_function(void **state)
{
	(void)state;
	const struct symbol *symbol;

	// Without the distinction, pc - 1 would lie in whatever stands before the function.
	must(symbolizer_lookup(symbolizer, (uintptr_t)outer_function, false, &symbol));
	assert_string_equal(symbol->levels.v[symbol->levels.n - 1].function, "outer_function");
	assert_int_equal(symbol->offset, 0);
}

static void test_inlined_call_stands_in_its_caller(void **state)
{
	(void)state;
	taddr pc = outer_function();
	const struct symbol *symbol;

	must(symbolizer_lookup(symbolizer, pc, true, &symbol));
	if (!have_dwarf(pc))
		skip();
	assert_int_equal(symbol->levels.n, 2);
	assert_string_equal(symbol->levels.v[0].function, "inlined_function");
	assert_true(symbol->levels.v[0].inlined);
	assert_string_equal(symbol->levels.v[1].function, "outer_function");
	assert_false(symbol->levels.v[1].inlined);
	assert_int_equal(symbol->levels.v[1].line, line_of_inlined);
	assert_string_equal(path_basename(symbol->levels.v[1].file), "symbols.c");
}

static void test_cxx_name_is_demangled(void **state)
{
	(void)state;
	const struct symbol *symbol;

	must(symbolizer_lookup(symbolizer, cxx_function(), true, &symbol));
	assert_string_equal(symbol->levels.v[0].function, "foo::bar(int, char const*)");
	assert_string_equal(symbol->linker_name, "_ZN3foo3barEiPKc");
}

static void test_library_function_has_its_public_name(void **state)
{
	(void)state;
	const struct symbol *symbol;

	must(symbolizer_lookup(symbolizer, (uintptr_t)qsort, false, &symbol));
	assert_non_null(symbol->levels.v[symbol->levels.n - 1].function);
	if (!strstr(symbol->levels.v[symbol->levels.n - 1].function, "qsort"))
		fail_msg("%s", symbol->levels.v[symbol->levels.n - 1].function);
}

static void test_pc_in_no_module_has_no_name(void **state)
{
	(void)state;
	const struct symbol *symbol;

	must(symbolizer_lookup(symbolizer, 0x10, false, &symbol));
	assert_int_equal(symbol->levels.n, 1);
	assert_null(symbol->levels.v[0].function);
	assert_null(symbol->module);
	assert_int_equal(symbol->offset, -1);
	assert_int_equal(symbolizer_function_start(symbolizer, 0x10), 0);
}

static void test_module_without_file_is_a_gap(void **state)
{
	(void)state;
	struct snapshot other;
	struct images other_images;
	struct symbolizer *s;
	const struct symbol *symbol;
	gaps missing = {};

	snapshot_init(&other);
	struct module *module = LIST_ADD(&other.arena, &other.modules);
	assert_non_null(module);
	*module = (struct module){ .start = 0x10000, .end = 0x20000, .fd = -1, .deleted = true,
				   .path = arena_strdup(&other.arena, "/nowhere/libgone.so") };
	must(images_init(&other_images, &other));
	must(symbolizer_create(&other_images, &names, &s));
	must(symbolizer_lookup(s, 0x10100, false, &symbol));
	assert_ptr_equal(symbol->module, module);
	assert_null(symbol->levels.v[0].function);
	assert_int_equal(symbolizer_kind(s, 0), SYMBOLS_NONE);
	must(symbolizer_gaps(s, &arena, &missing));
	assert_int_equal(missing.n, 1);
	assert_string_equal(missing.v[0].what, "function names of /nowhere/libgone.so");
	symbolizer_destroy(s);
	images_deinit(&other_images);
	snapshot_deinit(&other);
}

static void test_names_are_demangled(void **state)
{
	(void)state;
	static const struct {
		const char *mangled, *plain;
	} cases[] = {
		{ "_ZNSt6vectorIiSaIiEE9push_backEOi",
		  "std::vector<int, std::allocator<int> >::push_back(int&&)" },
		{ "_ZN4core9panicking5panic17h0123456789abcdefE", "core::panicking::panic" },
		{ "_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$9write_str"
		  "17h0123456789abcdefE",
		  "<alloc::string::String as core::fmt::Write>::write_str" },
		{ "_RNvC6_123foo3bar", "123foo::bar" },
		{ "_RNvCs1234_7mycrate3foo", "mycrate::foo" },
		{ "_RNCNvCs1234_7mycrate4main0B3_", "mycrate::main::{closure#0}" },
		{ "_RNCNvCs1234_7mycrate4mains_0B3_", "mycrate::main::{closure#1}" },
		{ "_RINvCs1234_7mycrate3fooTlReEE", "mycrate::foo::<(i32, &str)>" },
		{ "_RNvXCs1234_7mycrateNtB2_3FooNtB2_5Trait6method",
		  "<mycrate::Foo as mycrate::Trait>::method" },
		{ "_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>" },
		{ "_RNvMC7mycrateAhj10_3foo", "<[u8; 16]>::foo" },
		{ "main", NULL },
		{ "_Z", NULL },
		{ "_ZN", NULL },
		{ "_RNvB_", NULL },
		{ "_RNvC", NULL },
		{ "_ZN3foo17h0123456789abcdefE.", "foo" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *plain = demangle(cases[i].mangled);

		if (!plain != !cases[i].plain || (plain && strcmp(plain, cases[i].plain) != 0))
			fail_msg("%s: %s, not %s", cases[i].mangled, plain ? plain : "(none)",
				 cases[i].plain ? cases[i].plain : "(none)");
	}
}

static void test_name_that_doubles_is_left_alone(void **state)
{
	(void)state;
	char bomb[1024] = "_Z1fSt4pairIiiE";

	for (int i = 0; i < 60; i++)
		strcat(bomb, "St4pairIS_S_E");
	_cleanup_(freep) char *plain = demangle(bomb);
	assert_null(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_return_address_is_the_call_before_it),
		cmocka_unit_test(test_first_instruction_is_its_own_function),
		cmocka_unit_test(test_inlined_call_stands_in_its_caller),
		cmocka_unit_test(test_cxx_name_is_demangled),
		cmocka_unit_test(test_library_function_has_its_public_name),
		cmocka_unit_test(test_pc_in_no_module_has_no_name),
		cmocka_unit_test(test_module_without_file_is_a_gap),
		cmocka_unit_test(test_names_are_demangled),
		cmocka_unit_test(test_name_that_doubles_is_left_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
