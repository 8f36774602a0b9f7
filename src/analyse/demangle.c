/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "demangle.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

// __cxa_demangle() of <cxxabi.h>, which is for C++ alone.
typedef char *cxx_demangler(const char *mangled, char *buffer, size_t *length, int *status);

// Its name has been the same since GCC 3.4.
#define CXX_LIBRARY "libstdc++.so.6"

#define DEMANGLE_MAX_INPUT  4096
#define DEMANGLE_MAX_OUTPUT 8192
#define DEMANGLE_MAX_STEPS  20000
#define DEMANGLE_MAX_DEPTH  128

// Itanium names refer back to what they said before (S_, S0_, T_), so a name can be made that
// doubles with every few characters, and __cxa_demangle knows no measure. K references multiply a
// name's length by at most 3^(K/3), the most that a product of factors with sum K can be.
static bool cxx_is_bounded(const char *name, size_t len)
{
	double bound = (double)len;
	unsigned k = 0;

	for (const char *p = name; *p; p++) {
		if (*p != 'S' && *p != 'T')
			continue;
		const char *q = p + 1;
		while (isdigit((unsigned char)*q) || isupper((unsigned char)*q))
			q++;
		if (*q == '_' && ++k % 3 == 0)
			bound *= 3;
		if (bound > (double)(64u << 20))
			return false;
	}
	return true;
}

static bool cxx_lacking;

static cxx_demangler *cxx_load(void)
{
	static cxx_demangler *demangler;

	if (demangler || cxx_lacking)
		return demangler;
	void *library = dlopen(CXX_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	void *function = library ? dlsym(library, "__cxa_demangle") : NULL;
	// POSIX lets dlsym() give functions, ISO C has no such pointer.
	memcpy(&demangler, &function, sizeof(function));
	cxx_lacking = !function;
	return demangler;
}

bool demangle_lacks_cxx(void)
{
	return cxx_lacking;
}

static char *demangle_cxx(const char *name, size_t len)
{
	int status = -1;
	cxx_demangler *demangler = cxx_is_bounded(name, len) ? cxx_load() : NULL;

	return demangler ? demangler(name, NULL, NULL, &status) : NULL;
}

// Rust's first scheme looks like C++: _ZN, lengths and identifiers, E; the last identifier is
// "h" and 16 digits of hash. Characters that linkers do not like are spelled $LT$ and the like.

static const struct {
	const char *code;
	char c;
} legacy_escapes[] = {
	{ "$SP$", '@' }, { "$BP$", '*' }, { "$RF$", '&' }, { "$LT$", '<' }, { "$GT$", '>' },
	{ "$LP$", '(' }, { "$RP$", ')' }, { "$C$", ',' },
};

static void legacy_identifier(struct buf *out, const char *p, size_t len)
{
	const char *end = p + len;

	// An identifier cannot start with $, so an underscore was put before it.
	if (len > 1 && p[0] == '_' && p[1] == '$')
		p++;
	while (p < end) {
		size_t left = (size_t)(end - p), step = 1;
		char c = *p;

		for (size_t i = 0; c == '$' && i < ARRAY_SIZE(legacy_escapes); i++) {
			size_t n = strlen(legacy_escapes[i].code);

			if (n <= left && !memcmp(p, legacy_escapes[i].code, n)) {
				c = legacy_escapes[i].c;
				step = n;
			}
		}
		if (c == '$' && left >= 5 && p[1] == 'u' && isxdigit((unsigned char)p[2]) &&
		    isxdigit((unsigned char)p[3]) && p[4] == '$') {
			c = (char)strtol((char[]){ p[2], p[3], 0 }, NULL, 16);
			step = 5;
		}
		if (c == '.' && left >= 2 && p[1] == '.') {
			buf_addstr(out, "::");
			p += 2;
			continue;
		}
		buf_add(out, &c, 1);
		p += step;
	}
}

static char *demangle_rust_legacy(const char *name)
{
	_cleanup_(buf_deinit) struct buf out = {};
	const char *p = name + 3;

	for (unsigned n = 0;; n++) {
		size_t len = 0;

		if (!isdigit((unsigned char)*p))
			return NULL;
		while (isdigit((unsigned char)*p) && len < DEMANGLE_MAX_INPUT)
			len = len * 10 + (size_t)(*p++ - '0');
		if (!len || strnlen(p, len) < len)
			return NULL;
		if (len == 17 && *p == 'h' && p[17] == 'E') {
			for (int i = 1; i < 17; i++)
				if (!isxdigit((unsigned char)p[i]))
					return NULL;
			return n ? buf_steal(&out) : NULL;
		}
		if (n)
			buf_addstr(&out, "::");
		legacy_identifier(&out, p, len);
		p += len;
	}
}

// Rust's second scheme (RFC 2603) is a grammar of its own.

struct v0 {
	const char *start, *p; /* behind "_R"; back references count from start */
	struct buf out;
	unsigned steps, depth;
	bool quiet; /* parse, but print nothing */
	bool bad;
};

static void v0_path(struct v0 *v, bool in_value);
static void v0_type(struct v0 *v);
static void v0_const(struct v0 *v);

static bool v0_enter(struct v0 *v)
{
	if (++v->depth > DEMANGLE_MAX_DEPTH || ++v->steps > DEMANGLE_MAX_STEPS ||
	    v->out.len > DEMANGLE_MAX_OUTPUT)
		v->bad = true;
	return !v->bad;
}

static void v0_put(struct v0 *v, const char *s)
{
	if (!v->quiet)
		buf_addstr(&v->out, s);
}

static bool v0_eat(struct v0 *v, char c)
{
	if (v->bad || *v->p != c)
		return false;
	v->p++;
	return true;
}

// "_" is 0, "0_" is 1, ...
static uint64_t v0_base62(struct v0 *v)
{
	uint64_t n = 0;

	if (v0_eat(v, '_'))
		return 0;
	while (!v0_eat(v, '_')) {
		char c = *v->p;
		unsigned digit = isdigit((unsigned char)c)   ? (unsigned)(c - '0')
				 : islower((unsigned char)c) ? (unsigned)(c - 'a') + 10
				 : isupper((unsigned char)c) ? (unsigned)(c - 'A') + 36
							     : 62;
		if (v->bad || digit == 62 || n > UINT64_MAX / 64) {
			v->bad = true;
			return 0;
		}
		n = n * 62 + digit;
		v->p++;
	}
	return n + 1;
}

static uint64_t v0_disambiguator(struct v0 *v)
{
	return v0_eat(v, 's') ? v0_base62(v) + 1 : 0;
}

struct v0_name {
	const char *s;
	size_t len;
	bool punycode;
};

static struct v0_name v0_identifier(struct v0 *v)
{
	struct v0_name name = { .punycode = v0_eat(v, 'u') };

	if (!isdigit((unsigned char)*v->p))
		v->bad = true;
	while (!v->bad && isdigit((unsigned char)*v->p) && name.len < DEMANGLE_MAX_INPUT)
		name.len = name.len * 10 + (size_t)(*v->p++ - '0');
	v0_eat(v, '_');
	if (v->bad || strnlen(v->p, name.len) < name.len) {
		v->bad = true;
		return (struct v0_name){ .s = "" };
	}
	name.s = v->p;
	v->p += name.len;
	return name;
}

static void v0_put_name(struct v0 *v, struct v0_name name)
{
	if (v->quiet)
		return;
	// Not decoded: what is rare stays recognisable as rustc wrote it.
	if (name.punycode)
		buf_addstr(&v->out, "punycode{");
	buf_add(&v->out, name.s, name.len);
	if (name.punycode)
		buf_addstr(&v->out, "}");
}

// Go on at an earlier place of the name with PRINT, then come back.
static void v0_backref(struct v0 *v, void (*print)(struct v0 *v, bool in_value), bool in_value)
{
	const char *here = v->p - 1;
	uint64_t at = v0_base62(v);

	// Only backwards, so that it ends.
	if (v->bad || at >= (uint64_t)(here - v->start)) {
		v->bad = true;
		return;
	}
	if (v->quiet)
		return;
	const char *back = v->p;
	v->p = v->start + at;
	print(v, in_value);
	v->p = back;
}

static void v0_print_type(struct v0 *v, bool in_value)
{
	(void)in_value;
	v0_type(v);
}

static void v0_print_const(struct v0 *v, bool in_value)
{
	(void)in_value;
	v0_const(v);
}

static void v0_generic_args(struct v0 *v)
{
	for (unsigned i = 0; !v->bad && !v0_eat(v, 'E'); i++) {
		if (i)
			v0_put(v, ", ");
		if (v0_eat(v, 'L')) {
			v0_base62(v);
			v0_put(v, "'_");
		} else if (v0_eat(v, 'K')) {
			v0_const(v);
		} else {
			v0_type(v);
		}
	}
}

// The path of an impl block says where the block stands: nobody asked.
static void v0_impl_path(struct v0 *v)
{
	bool quiet = v->quiet;

	v->quiet = true;
	v0_disambiguator(v);
	v0_path(v, false);
	v->quiet = quiet;
}

static void v0_nested(struct v0 *v, bool in_value)
{
	char space = *v->p;

	if (!isalpha((unsigned char)space)) {
		v->bad = true;
		return;
	}
	v->p++;
	v0_path(v, in_value);
	uint64_t number = v0_disambiguator(v);
	struct v0_name name = v0_identifier(v);
	if (v->bad)
		return;
	if (islower((unsigned char)space)) {
		if (name.len)
			v0_put(v, "::");
		v0_put_name(v, name);
		return;
	}
	v0_put(v, "::{");
	v0_put(v, space == 'C' ? "closure" : space == 'S' ? "shim" : (char[]){ space, 0 });
	if (name.len) {
		v0_put(v, ":");
		v0_put_name(v, name);
	}
	if (!v->quiet)
		buf_printf(&v->out, "#%llu}", (unsigned long long)number);
}

static void v0_path(struct v0 *v, bool in_value)
{
	if (!v0_enter(v))
		return;
	char tag = *v->p;
	if (tag)
		v->p++;
	switch (tag) {
	case 'C':
		v0_disambiguator(v);
		v0_put_name(v, v0_identifier(v));
		break;
	case 'M':
		v0_impl_path(v);
		v0_put(v, "<");
		v0_type(v);
		v0_put(v, ">");
		break;
	case 'X':
	case 'Y':
		if (tag == 'X')
			v0_impl_path(v);
		v0_put(v, "<");
		v0_type(v);
		v0_put(v, " as ");
		v0_path(v, false);
		v0_put(v, ">");
		break;
	case 'N':
		v0_nested(v, in_value);
		break;
	case 'I':
		v0_path(v, in_value);
		v0_put(v, in_value ? "::<" : "<");
		v0_generic_args(v);
		v0_put(v, ">");
		break;
	case 'B':
		v0_backref(v, v0_path, in_value);
		break;
	default:
		v->bad = true;
	}
	v->depth--;
}

static const char *v0_basic_type(char tag)
{
	static const char *const names[26] = {
		['a' - 'a'] = "i8",  ['b' - 'a'] = "bool",  ['c' - 'a'] = "char",
		['d' - 'a'] = "f64", ['e' - 'a'] = "str",   ['f' - 'a'] = "f32",
		['h' - 'a'] = "u8",  ['i' - 'a'] = "isize", ['j' - 'a'] = "usize",
		['l' - 'a'] = "i32", ['m' - 'a'] = "u32",   ['n' - 'a'] = "i128",
		['o' - 'a'] = "u128", ['p' - 'a'] = "_",    ['s' - 'a'] = "i16",
		['t' - 'a'] = "u16", ['u' - 'a'] = "()",    ['v' - 'a'] = "...",
		['x' - 'a'] = "i64", ['y' - 'a'] = "u64",   ['z' - 'a'] = "!",
	};

	return tag >= 'a' && tag <= 'z' ? names[tag - 'a'] : NULL;
}

static void v0_function_type(struct v0 *v)
{
	if (v0_eat(v, 'G'))
		v0_base62(v);
	if (v0_eat(v, 'U'))
		v0_put(v, "unsafe ");
	if (v0_eat(v, 'K')) {
		v0_put(v, "extern \"");
		if (v0_eat(v, 'C'))
			v0_put(v, "C");
		else
			v0_put_name(v, v0_identifier(v));
		v0_put(v, "\" ");
	}
	v0_put(v, "fn(");
	for (unsigned i = 0; !v->bad && !v0_eat(v, 'E'); i++) {
		if (i)
			v0_put(v, ", ");
		v0_type(v);
	}
	v0_put(v, ")");
	if (v0_eat(v, 'u'))
		return;
	v0_put(v, " -> ");
	v0_type(v);
}

static void v0_dyn_type(struct v0 *v)
{
	v0_put(v, "dyn ");
	if (v0_eat(v, 'G'))
		v0_base62(v);
	for (unsigned i = 0; !v->bad && !v0_eat(v, 'E'); i++) {
		if (i)
			v0_put(v, " + ");
		v0_path(v, false);
		while (v0_eat(v, 'p')) {
			v0_put(v, "<");
			v0_put_name(v, v0_identifier(v));
			v0_put(v, " = ");
			v0_type(v);
			v0_put(v, ">");
		}
	}
	if (!v0_eat(v, 'L'))
		v->bad = true;
	v0_base62(v);
}

static void v0_type(struct v0 *v)
{
	if (!v0_enter(v))
		return;
	char tag = *v->p;
	const char *basic = v0_basic_type(tag);
	if (basic) {
		v->p++;
		v0_put(v, basic);
	} else if (tag && strchr("ASTRQPOFDB", tag)) {
		v->p++;
		switch (tag) {
		case 'A':
		case 'S':
			v0_put(v, "[");
			v0_type(v);
			if (tag == 'A') {
				v0_put(v, "; ");
				v0_const(v);
			}
			v0_put(v, "]");
			break;
		case 'T': {
			unsigned n = 0;

			v0_put(v, "(");
			for (; !v->bad && !v0_eat(v, 'E'); n++) {
				if (n)
					v0_put(v, ", ");
				v0_type(v);
			}
			v0_put(v, n == 1 ? ",)" : ")");
			break;
		}
		case 'R':
		case 'Q':
			if (v0_eat(v, 'L'))
				v0_base62(v);
			v0_put(v, tag == 'R' ? "&" : "&mut ");
			v0_type(v);
			break;
		case 'P':
		case 'O':
			v0_put(v, tag == 'P' ? "*const " : "*mut ");
			v0_type(v);
			break;
		case 'F':
			v0_function_type(v);
			break;
		case 'D':
			v0_dyn_type(v);
			break;
		case 'B':
			v0_backref(v, v0_print_type, false);
			break;
		default:
			v->bad = true;
		}
	} else {
		v0_path(v, false);
	}
	v->depth--;
}

static void v0_const(struct v0 *v)
{
	if (!v0_enter(v))
		return;
	char type = *v->p;
	if (type)
		v->p++;
	if (type == 'B') {
		v0_backref(v, v0_print_const, false);
	} else if (type == 'p') {
		v0_put(v, "_");
	} else if (type && strchr("abchijlmnostxy", type)) {
		const char *sign = v0_eat(v, 'n') ? "-" : "";
		const char *digits = v->p;

		while (isxdigit((unsigned char)*v->p))
			v->p++;
		size_t len = (size_t)(v->p - digits);
		if (!v0_eat(v, '_'))
			v->bad = true;
		else if (!v->quiet && type == 'b')
			buf_addstr(&v->out, len == 1 && *digits == '1' ? "true" : "false");
		else if (!v->quiet && len <= 16)
			buf_printf(&v->out, "%s%llu", sign, strtoull(digits, NULL, 16));
		else if (!v->quiet)
			buf_printf(&v->out, "%s0x%.*s", sign, (int)len, digits);
	} else {
		v->bad = true;
	}
	v->depth--;
}

static char *demangle_rust_v0(const char *name)
{
	struct v0 v = { .start = name + 2, .p = name + 2 };

	v0_path(&v, true);
	// An instantiating crate may follow, and a vendor's suffix behind a dot.
	if (!v.bad && *v.p && *v.p != '.' && *v.p != '$') {
		v.quiet = true;
		v0_path(&v, false);
	}
	if (v.bad || (*v.p && *v.p != '.' && *v.p != '$')) {
		buf_deinit(&v.out);
		return NULL;
	}
	return buf_steal(&v.out);
}

char *demangle(const char *name)
{
	size_t len = strnlen(name, DEMANGLE_MAX_INPUT);

	if (len < 4 || len == DEMANGLE_MAX_INPUT)
		return NULL;
	if (name[0] == '_' && name[1] == 'R' && isupper((unsigned char)name[2]))
		return demangle_rust_v0(name);
	if (name[0] != '_' || name[1] != 'Z')
		return NULL;
	char *rust = name[2] == 'N' ? demangle_rust_legacy(name) : NULL;
	return rust ? rust : demangle_cxx(name, len);
}
