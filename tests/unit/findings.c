/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "analyse/findings.h"

// The names are a contract; the schema that the project installs is its text.
static json_t *schema(void)
{
	const char *top = getenv("srcdir");
	char path[4096];

	snprintf(path, sizeof(path), "%s/doc/report.schema.json", top ? top : ".");
	return json_load_file(path, 0, NULL);
}

static void compare(const json_t *names, const char *(*name)(int), int n)
{
	assert_true(json_is_array(names));
	assert_int_equal(json_array_size(names), n);
	for (int i = 0; i < n; i++) {
		const char *ours = name(i);

		assert_non_null(ours);
		assert_string_equal(ours, json_string_value(json_array_get(names, (size_t)i)));
	}
}

static const char *cause(int i)
{
	return cause_name((enum cause)i);
}

static const char *fault_class(int i)
{
	return fault_class_name((enum fault_class)i);
}

static const char *confidence(int i)
{
	return confidence_name((enum confidence)i);
}

static void test_names_are_those_of_the_schema(void **state)
{
	(void)state;
	json_t *root = schema();

	if (!root) {
		print_message("no doc/report.schema.json here\n");
		skip();
	}
	json_t *properties = json_object_get(root, "properties");
	json_t *causes = json_object_get(json_object_get(json_object_get(root, "$defs"), "cause"), "enum");
	json_t *fault = json_object_get(json_object_get(properties, "fault"), "properties");
	json_t *verdict = json_object_get(json_object_get(properties, "verdict"), "properties");

	compare(causes, cause, CAUSE_UNKNOWN + 1);
	compare(json_object_get(json_object_get(fault, "class"), "enum"), fault_class,
		FAULT_OTHER + 1);
	compare(json_object_get(json_object_get(verdict, "confidence"), "enum"), confidence,
		CONFIDENCE_UNKNOWN + 1);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_those_of_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
