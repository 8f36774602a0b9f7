/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "cleanup.h"
#include "walk/pyrepr.h"
#include "walk/pyvalue.h"

static void assert_text(const struct buf *buf, const char *expected)
{
	assert_false(buf->failed);
	if (buf->len != strlen(expected) || memcmp(buf->data, expected, buf->len))
		fail_msg("%.*s is not %s", (int)buf->len, (const char *)buf->data, expected);
}

static void test_floats(void **state)
{
	static const struct {
		double value;
		const char *with_point, *without;
	} cases[] = {
		{ 0.0, "0.0", "0" },
		{ -0.0, "-0.0", "-0" },
		{ 1.0, "1.0", "1" },
		{ 0.1, "0.1", "0.1" },
		{ 1 / 3.0, "0.3333333333333333", "0.3333333333333333" },
		{ 1e15, "1000000000000000.0", "1000000000000000" },
		{ 1e16, "1e+16", "1e+16" },
		{ 0.0001, "0.0001", "0.0001" },
		{ 0.00001, "1e-05", "1e-05" },
		{ 5e-324, "5e-324", "5e-324" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308" },
		{ -123456.789, "-123456.789", "-123456.789" },
		{ INFINITY, "inf", "inf" },
		{ -INFINITY, "-inf", "-inf" },
		{ NAN, "nan", "nan" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_deinit) struct buf with = {}, without = {};

		py_repr_float(cases[i].value, true, &with);
		py_repr_float(cases[i].value, false, &without);
		assert_text(&with, cases[i].with_point);
		assert_text(&without, cases[i].without);
	}
}

static void test_longs(void **state)
{
	_cleanup_(buf_deinit) struct buf zero = {}, one = {}, big = {}, minus = {}, wide = {};
	// 2 ** 64, and 2 ** 60000 that has 18062 decimal digits.
	const uint32_t power[] = { 0, 0, 16 };
	static uint32_t huge[2001];

	(void)state;
	huge[2000] = 1;
	py_repr_long(NULL, 0, false, &zero);
	py_repr_long((const uint8_t *)(const uint32_t[]){ 7 }, 1, true, &one);
	py_repr_long((const uint8_t *)power, 3, false, &big);
	py_repr_long((const uint8_t *)power, 3, true, &minus);
	py_repr_long((const uint8_t *)huge, 2001, false, &wide);
	assert_text(&zero, "0");
	assert_text(&one, "-7");
	assert_text(&big, "18446744073709551616");
	assert_text(&minus, "-18446744073709551616");
	buf_add(&wide, "", 1);
	assert_non_null(strstr((char *)wide.data, " (18062 digits)"));
	assert_true(wide.len < PY_LONG_WHOLE + 32);
}

static void test_texts(void **state)
{
	_cleanup_(buf_deinit) struct buf a = {}, b = {}, c = {}, d = {}, e = {};
	const uint16_t pair[] = { 0xd83d, 0xde00 };

	(void)state;
	py_repr_text((const uint8_t *)"it's \"x\"\n\x1b", 10, 1, false, &a);
	assert_text(&a, "'it\\'s \"x\"\\n\\x1b'");
	py_repr_text((const uint8_t *)"it's", 4, 1, false, &b);
	assert_text(&b, "\"it's\"");
	// A pair is one character in 2.7, and two lone surrogates from 3.3 on.
	py_repr_text((const uint8_t *)pair, 2, 2, true, &c);
	assert_text(&c, "u'\\U0001f600'");
	py_repr_text((const uint8_t *)pair, 2, 2, false, &d);
	assert_text(&d, "'\\ud83d\\ude00'");
	py_repr_bytes((const uint8_t *)"\0'\xff", 3, true, &e);
	assert_text(&e, "b\"\\x00'\\xff\"");
}

// Objects as 3.12 lays them out, in one stretch of memory that a test fills.
#define BASE ((taddr)0x10000)
#define WORDS 512

struct heap {
	uint64_t w[WORDS];
	struct mem_range range;
	struct mem_bytes bytes;
	struct py_reader reader;
};

enum { TYPE_LIST = 0, TYPE_INT = 64, TYPE_DICT = 128, TYPE_STR = 192, NAMES = 250 };

static taddr at(int word)
{
	return BASE + (taddr)word * 8;
}

static void make_type(struct heap *h, int word, int name, const char *text, unsigned flag)
{
	memcpy(&h->w[name], text, strlen(text) + 1);
	h->w[word + 3] = at(name);
	h->w[word + 21] = (uint64_t)1 << flag;
}

static void make_heap(struct heap *h)
{
	*h = (struct heap){};
	h->range = (struct mem_range){ BASE, sizeof(h->w), (const uint8_t *)h->w };
	mem_bytes_init(&h->bytes, &h->range, 1);
	h->reader = (struct py_reader){ .mem = &h->bytes.mem,
					.layout = py_layout_row(PY_VERSION(3, 12)),
					.budget = 1 << 20 };
	make_type(h, TYPE_LIST, NAMES, "list", 25);
	make_type(h, TYPE_INT, NAMES + 1, "int", 24);
	make_type(h, TYPE_DICT, NAMES + 2, "dict", 29);
	make_type(h, TYPE_STR, NAMES + 3, "str", 28);
}

static void make_object(struct heap *h, int word, int type, uint64_t size, uint64_t third)
{
	h->w[word + 1] = at(type);
	h->w[word + 2] = size;
	h->w[word + 3] = third;
}

static void show(struct heap *h, taddr object, struct buf *ret)
{
	struct error *err = py_value(&h->reader, object, true, ret);

	if (err)
		fail_msg("%s", err->text);
}

static void test_a_list_within_itself_ends(void **state)
{
	struct heap h;
	_cleanup_(buf_deinit) struct buf text = {};

	(void)state;
	make_heap(&h);
	make_object(&h, 300, TYPE_LIST, 2, at(310));
	h.w[310] = at(300);
	h.w[311] = at(320);
	make_object(&h, 320, TYPE_INT, 1 << 3 | 2, 5);
	show(&h, at(300), &text);
	assert_text(&text, "[[...], -5]");
}

static void test_lists_that_hold_each_other_widely_are_bounded(void **state)
{
	struct heap h;
	_cleanup_(buf_deinit) struct buf text = {};

	(void)state;
	make_heap(&h);
	for (int i = 0; i < 5; i++) {
		make_object(&h, 300 + 8 * i, TYPE_LIST, 16, at(400 + 16 * i));
		for (int k = 0; k < 16; k++)
			h.w[400 + 16 * i + k] = at(300 + 8 * ((i + 1) % 5));
	}
	show(&h, at(300), &text);
	assert_true(text.len < 2 * PY_VALUE_MAX);
}

static void test_sizes_that_cannot_be_are_said(void **state)
{
	static const uint64_t sizes[] = { (uint64_t)1 << 60, UINT64_MAX, (uint64_t)1 << 63 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct heap h;
		_cleanup_(buf_deinit) struct buf list = {}, number = {}, dict = {}, str = {};

		make_heap(&h);
		make_object(&h, 300, TYPE_LIST, sizes[i], at(310));
		show(&h, at(300), &list);
		make_object(&h, 320, TYPE_INT, sizes[i], 1);
		show(&h, at(320), &number);
		make_object(&h, 330, TYPE_DICT, sizes[i], 0);
		h.w[334] = at(340);
		h.w[341] = 0xffff;
		show(&h, at(330), &dict);
		make_object(&h, 360, TYPE_STR, sizes[i], 0);
		h.w[364] = 0xffffffff;
		show(&h, at(360), &str);
		buf_add(&list, "", 1);
		assert_non_null(strstr((char *)list.data, "<unreadable at 0x10960: "));
	}
}

static void test_what_is_no_object_is_said(void **state)
{
	static const taddr places[] = { 0, 1, 8, 0xdeadbeef000, UINT64_MAX - 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct heap h;
		_cleanup_(buf_deinit) struct buf text = {};

		make_heap(&h);
		show(&h, places[i], &text);
		assert_true(text.len > 12 && !memcmp(text.data, "<unreadable ", 12));
	}
}

static void test_the_budget_ends_it(void **state)
{
	struct heap h;
	_cleanup_(buf_deinit) struct buf text = {};

	(void)state;
	make_heap(&h);
	h.reader.budget = 12;
	make_object(&h, 300, TYPE_LIST, 3, at(310));
	for (int i = 0; i < 3; i++)
		h.w[310 + i] = at(320);
	make_object(&h, 320, TYPE_INT, 1 << 3, 5);
	struct error *err = py_value(&h.reader, at(300), true, &text);
	assert_non_null(err);
	assert_int_equal(err->kind, ERROR_UNSUPPORTED);
	error_free(err);
}

static void test_numbers_without_an_object(void **state)
{
	struct heap h;
	_cleanup_(buf_deinit) struct buf text = {};
	struct py_layout tagged = *py_layout_row(PY_VERSION(3, 14));

	(void)state;
	make_heap(&h);
	h.reader.layout = &tagged;
	assert_null(py_reference_value(&h.reader, (uint64_t)-5 << 2 | 3, true, &text));
	assert_text(&text, "-5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_longs),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_a_list_within_itself_ends),
		cmocka_unit_test(test_lists_that_hold_each_other_widely_are_bounded),
		cmocka_unit_test(test_sizes_that_cannot_be_are_said),
		cmocka_unit_test(test_what_is_no_object_is_said),
		cmocka_unit_test(test_the_budget_ends_it),
		cmocka_unit_test(test_numbers_without_an_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
