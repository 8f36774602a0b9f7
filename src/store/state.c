/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "state.h"

#include <math.h>
#include <stdio.h>

#include "../buf.h"
#include "../cleanup.h"

// What JSON readers with doubles carry exactly.
#define JSON_EXACT ((uint64_t)1 << 53)

enum kind {
	KIND_BOOL,
	KIND_CHAR, // a letter, 0 is ""
	KIND_I8,
	KIND_U16,
	KIND_I32,
	KIND_U32,
	KIND_I64,
	KIND_U64,
	KIND_DOUBLE,
	KIND_ENUM,
	KIND_ARCH,
	KIND_BYTES,
	KIND_BUILD_ID,	 // with the length behind it
	KIND_ID,	 // char[37]
	KIND_STRING,	 // never NULL
	KIND_MAYBE,	 // may be NULL
	KIND_STRINGS,
	KIND_PIDS,
	KIND_RECORD,
	KIND_LIST,
};

struct field {
	const char *name;
	enum kind kind;
	size_t offset;
	const struct record *of;
	const char *const *names; // of enumerators, NULL ends them
};

struct record {
	size_t size;
	const struct field *fields; // the last has no name
	const void *unknown; // an item of which nothing has been read; NULL: all of it zero
};

// The kind follows from the member's type, so that the two cannot disagree.
#define KIND_OF(x)                                                                                 \
	_Generic((x), bool: KIND_BOOL, char: KIND_CHAR, signed char: KIND_I8,                      \
		 uint16_t: KIND_U16, int32_t: KIND_I32, uint32_t: KIND_U32, int64_t: KIND_I64,     \
		 uint64_t: KIND_U64, double: KIND_DOUBLE, const struct arch *: KIND_ARCH,          \
		 struct bytes: KIND_BYTES, char *: KIND_STRING, strings: KIND_STRINGS)
#define MEMBER(type, member) (((const type *)NULL)->member)
#define F(type, m) { .name = #m, .kind = KIND_OF(MEMBER(type, m)), .offset = offsetof(type, m) }
#define MAYBE(type, m)                                                                             \
	{                                                                                          \
		.name = #m, .kind = _Generic(MEMBER(type, m), char *: KIND_MAYBE),                 \
		.offset = offsetof(type, m)                                                        \
	}
#define RECORD(type, m, record)                                                                    \
	{ .name = #m, .kind = KIND_RECORD, .offset = offsetof(type, m), .of = &(record) }
#define LIST_OF(type, m, record)                                                                   \
	{ .name = #m, .kind = KIND_LIST, .offset = offsetof(type, m), .of = &(record) }
#define ENUM(type, m, list)                                                                        \
	{ .name = #m, .kind = KIND_ENUM, .offset = offsetof(type, m), .names = (list) }
#define RECORD_TYPE(id, type) static const struct record id = { sizeof(type), id##_fields, NULL }

static const char *const sender_lives[] = { "unknown", "running", "ending", NULL };
static const char *const sender_kinds[] = { "unknown", "self", "process", "kernel", "outside",
					    NULL };
static const char *const relations[] = { "unknown", "self",	"parent", "child",
					 "sibling", "ancestor", "other",  NULL };
static const char *const sources[] = { "none", "siginfo", "tracepoint", "audit", "inferred", NULL };
static const char *const dispositions[] = { "default", "ignored", "handled", "untaken", NULL };
static const char *const roles[] = { "main", "child", NULL };
static const char *const pidfile_states[] = { "none", "removed", "stale", "replaced", "missing",
					      NULL };
static const char *const death_kinds[] = { "exit", "signal", "snapshot", "unknown", NULL };

static const struct field gap_record_fields[] = {
	F(struct gap, what), F(struct gap, why), MAYBE(struct gap, remedy), {},
};
RECORD_TYPE(gap_record, struct gap);

static const struct field signal_info_record_fields[] = {
	F(struct signal_info, signo),
	F(struct signal_info, code),
	F(struct signal_info, addr),
	F(struct signal_info, pid),
	F(struct signal_info, uid),
	F(struct signal_info, timer_id),
	F(struct signal_info, value),
	F(struct signal_info, syscall),
	F(struct signal_info, child_status),
	{},
};
RECORD_TYPE(signal_info_record, struct signal_info);

static const struct field process_ref_record_fields[] = {
	F(struct process_ref, pid),
	F(struct process_ref, uid),
	MAYBE(struct process_ref, comm),
	MAYBE(struct process_ref, exe),
	F(struct process_ref, cmdline),
	{},
};
RECORD_TYPE(process_ref_record, struct process_ref);

static const struct field sender_record_fields[] = {
	ENUM(struct sender, kind, sender_kinds),
	RECORD(struct sender, process, process_ref_record),
	F(struct sender, tid),
	MAYBE(struct sender, user),
	LIST_OF(struct sender, ancestors, process_ref_record),
	ENUM(struct sender, relation, relations),
	ENUM(struct sender, source, sources),
	F(struct sender, gone),
	F(struct sender, forwarded),
	F(struct sender, on_behalf),
	ENUM(struct sender, life, sender_lives),
	{},
};
RECORD_TYPE(sender_record, struct sender);

static const struct field signal_event_record_fields[] = {
	RECORD(struct signal_event, info, signal_info_record),
	F(struct signal_event, tid),
	F(struct signal_event, at),
	F(struct signal_event, last),
	F(struct signal_event, count),
	ENUM(struct signal_event, disposition, dispositions),
	RECORD(struct signal_event, sender, sender_record),
	{},
};
RECORD_TYPE(signal_event_record, struct signal_event);

static const struct field thread_record_fields[] = {
	F(struct thread, tid),
	F(struct thread, name),
	F(struct thread, state),
	{ .name = "tls", .kind = KIND_U64, .offset = offsetof(struct thread, regs.tls) },
	F(struct thread, blocked),
	F(struct thread, pending),
	F(struct thread, have_masks),
	F(struct thread, first_chance),
	F(struct thread, stack_start),
	F(struct thread, stack_end),
	F(struct thread, stack_cut),
	{},
};
RECORD_TYPE(thread_record, struct thread);

static const struct field module_record_fields[] = {
	F(struct module, start),
	F(struct module, end),
	F(struct module, path),
	MAYBE(struct module, soname),
	F(struct module, inode),
	F(struct module, dev_major),
	F(struct module, dev_minor),
	{ .name = "build_id", .kind = KIND_BUILD_ID, .offset = offsetof(struct module, build_id) },
	F(struct module, deleted),
	F(struct module, in_memory),
	{},
};
RECORD_TYPE(module_record, struct module);

static const struct field socket_record_fields[] = {
	MAYBE(struct socket, family),
	MAYBE(struct socket, type),
	MAYBE(struct socket, local),
	MAYBE(struct socket, peer),
	MAYBE(struct socket, state),
	{},
};
RECORD_TYPE(socket_record, struct socket);

static const struct field fd_record_fields[] = {
	F(struct fd, fd),
	F(struct fd, target),
	F(struct fd, is_socket),
	RECORD(struct fd, socket, socket_record),
	{},
};
RECORD_TYPE(fd_record, struct fd);

static const struct field log_cut_record_fields[] = {
	F(struct log_cut, before),
	F(struct log_cut, lines),
	{},
};
RECORD_TYPE(log_cut_record, struct log_cut);

static const struct field log_record_fields[] = {
	F(struct log, path),
	F(struct log, fd),
	F(struct log, lines),
	F(struct log, ends_in_newline),
	F(struct log, modified),
	LIST_OF(struct log, cuts, log_cut_record),
	{},
};
RECORD_TYPE(log_record, struct log);

static const struct field cgroup_level_record_fields[] = {
	F(struct cgroup_level, path),
	F(struct cgroup_level, limit),
	F(struct cgroup_level, usage),
	F(struct cgroup_level, peak),
	F(struct cgroup_level, kills_before),
	F(struct cgroup_level, kills_after),
	F(struct cgroup_level, ooms_before),
	F(struct cgroup_level, ooms_after),
	{},
};
RECORD_TYPE(cgroup_level_record, struct cgroup_level);

static const struct field process_record_fields[] = {
	F(struct process, pid),
	F(struct process, ppid),
	F(struct process, pgid),
	F(struct process, sid),
	{ .name = "ns_pids", .kind = KIND_PIDS, .offset = offsetof(struct process, ns_pids) },
	F(struct process, uid),
	F(struct process, gid),
	MAYBE(struct process, user),
	MAYBE(struct process, tty),
	F(struct process, comm),
	MAYBE(struct process, exe),
	MAYBE(struct process, cwd),
	F(struct process, cmdline),
	F(struct process, environ),
	F(struct process, environ_redacted),
	F(struct process, have_environ),
	LIST_OF(struct process, ancestors, process_ref_record),
	LIST_OF(struct process, children, process_ref_record),
	MAYBE(struct process, cgroup),
	F(struct process, memory_limit),
	F(struct process, memory_usage),
	F(struct process, oom_kills_before),
	F(struct process, oom_kills_after),
	LIST_OF(struct process, cgroup_levels, cgroup_level_record),
	F(struct process, cgroup_others),
	F(struct process, dumpable),
	F(struct process, ignored),
	F(struct process, caught),
	F(struct process, have_dispositions),
	F(struct process, tracer),
	LIST_OF(struct process, fds, fd_record),
	F(struct process, have_fds),
	ENUM(struct process, role, roles),
	ENUM(struct process, pidfile_state, pidfile_states),
	MAYBE(struct process, pidfile),
	F(struct process, pidfile_names),
	F(struct process, stat),
	F(struct process, cgroup_text),
	F(struct process, mountinfo),
	{},
};
RECORD_TYPE(process_record, struct process);

static const struct field death_record_fields[] = {
	ENUM(struct death, kind, death_kinds),
	F(struct death, exit_code),
	F(struct death, signo),
	RECORD(struct death, info, signal_info_record),
	F(struct death, first_chance),
	F(struct death, since_abort),
	F(struct death, tid),
	RECORD(struct death, sender, sender_record),
	F(struct death, core_dumped),
	LIST_OF(struct death, earlier, signal_event_record),
	F(struct death, earlier_dropped),
	F(struct death, listened),
	F(struct death, records_lost),
	{},
};
RECORD_TYPE(death_record, struct death);

static const struct field python_record_fields[] = {
	F(struct python_hint, found),
	F(struct python_hint, runtime),
	F(struct python_hint, version),
	MAYBE(struct python_hint, found_by),
	MAYBE(struct python_hint, module),
	F(struct python_hint, free_threaded),
	F(struct python_hint, asyncio),
	F(struct python_hint, asyncio_size),
	F(struct python_hint, locals),
	F(struct python_hint, locals_redacted),
	{},
};
RECORD_TYPE(python_record, struct python_hint);

static const struct field host_record_fields[] = {
	F(struct host, hostname),
	F(struct host, kernel),
	F(struct host, uname),
	F(struct host, arch),
	F(struct host, cpus),
	F(struct host, memory),
	F(struct host, cpu_vendor[0]),
	F(struct host, cpu_vendor[1]),
	F(struct host, cpu_vendor[2]),
	F(struct host, cpu_version),
	F(struct host, cpu_features),
	F(struct host, cpu_amd_features),
	F(struct host, cpu_family),
	F(struct host, cpu_model_stepping),
	F(struct host, utc_offset),
	F(struct host, in_container),
	{},
};
RECORD_TYPE(host_record, struct host);

static const struct field sample_record_fields[] = {
	F(struct sample, at),
	F(struct sample, rss),
	F(struct sample, cgroup_memory),
	F(struct sample, swap),
	F(struct sample, minor_faults),
	F(struct sample, major_faults),
	F(struct sample, threads),
	F(struct sample, fds),
	F(struct sample, cpu_percent),
	F(struct sample, pressure_some),
	F(struct sample, pressure_full),
	F(struct sample, pss),
	F(struct sample, children_rss),
	F(struct sample, children),
	F(struct sample, voluntary_switches),
	F(struct sample, involuntary_switches),
	F(struct sample, merged),
	F(struct sample, rss_min),
	F(struct sample, rss_max),
	{},
};

// An older pcatch wrote fewer of them.
static const struct record sample_record = { sizeof(struct sample), sample_record_fields,
					     &sample_unknown };

static const char *const testimony_sources[] = { "kernel", "systemd", "coredump", NULL };

static const struct field testimony_record_fields[] = {
	ENUM(struct testimony, source, testimony_sources),
	F(struct testimony, where),
	F(struct testimony, at),
	F(struct testimony, text),
	F(struct testimony, signo),
	F(struct testimony, exit_code),
	MAYBE(struct testimony, core),
	F(struct testimony, by_pid),
	{},
};
RECORD_TYPE(testimony_record, struct testimony);

static const struct field leftover_record_fields[] = {
	RECORD(struct leftover, process, process_ref_record),
	RECORD(struct leftover, parent, process_ref_record),
	F(struct leftover, same_family),
	F(struct leftover, same_log),
	MAYBE(struct leftover, listens),
	{},
};
RECORD_TYPE(leftover_record, struct leftover);

static const struct field autopsy_record_fields[] = {
	F(struct autopsy, made),
	F(struct autopsy, at),
	F(struct autopsy, since),
	F(struct autopsy, boot),
	F(struct autopsy, halt),
	F(struct autopsy, pidfile_written),
	RECORD(struct autopsy, holder, process_ref_record),
	F(struct autopsy, holder_started),
	F(struct autopsy, holder_thread_of),
	F(struct autopsy, holder_zombie),
	LIST_OF(struct autopsy, left, leftover_record),
	LIST_OF(struct autopsy, told, testimony_record),
	F(struct autopsy, kernel_log_read),
	F(struct autopsy, kernel_log_from),
	F(struct autopsy, kernel_tells_faults),
	{},
};
RECORD_TYPE(autopsy_record, struct autopsy);

static const struct field kernel_line_record_fields[] = {
	F(struct kernel_line, at),
	F(struct kernel_line, text),
	{},
};
RECORD_TYPE(kernel_line_record, struct kernel_line);

static const struct field snapshot_record_fields[] = {
	{ .name = "id", .kind = KIND_ID, .offset = offsetof(struct snapshot, id) },
	F(struct snapshot, generator),
	RECORD(struct snapshot, host, host_record),
	F(struct snapshot, time.process_start),
	F(struct snapshot, time.attached),
	F(struct snapshot, time.death),
	F(struct snapshot, time.finalization),
	F(struct snapshot, time.frozen),
	F(struct snapshot, full_core.bytes),
	F(struct snapshot, full_core.held),
	F(struct snapshot, full_core.swapped),
	F(struct snapshot, unredacted),
	RECORD(struct snapshot, process, process_record),
	RECORD(struct snapshot, death, death_record),
	LIST_OF(struct snapshot, threads, thread_record),
	LIST_OF(struct snapshot, modules, module_record),
	RECORD(struct snapshot, python, python_record),
	LIST_OF(struct snapshot, logs, log_record),
	F(struct snapshot, timeline.interval),
	LIST_OF(struct snapshot, timeline.samples, sample_record),
	RECORD(struct snapshot, autopsy, autopsy_record),
	F(struct snapshot, kernel_log.followed),
	F(struct snapshot, kernel_log.whole),
	LIST_OF(struct snapshot, kernel_log.lines, kernel_line_record),
	F(struct snapshot, machine_kills_before),
	F(struct snapshot, machine_kills_after),
	LIST_OF(struct snapshot, gaps, gap_record),
	{},
};
RECORD_TYPE(snapshot_record, struct snapshot);

// What every LIST() looks like.
struct any_list {
	void *v;
	size_t n;
};

static struct any_list list_at(const void *p)
{
	struct any_list list;

	memcpy(&list, p, sizeof(list));
	return list;
}

static json_t *encode_hex(const void *data, size_t len)
{
	_cleanup_(buf_deinit) struct buf hex = {};
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		const char digits[] = "0123456789abcdef";
		const char pair[2] = { digits[p[i] >> 4], digits[p[i] & 15] };

		buf_add(&hex, pair, sizeof(pair));
	}
	return hex.failed ? NULL : json_stringn(len ? (const char *)hex.data : "", hex.len);
}

static json_t *encode_bytes(const void *data, size_t len)
{
	json_t *text = len && memchr(data, '\0', len) ? NULL : json_stringn(len ? data : "", len);

	// No text, or no UTF-8.
	return text ? text : json_pack("{s:o}", "hex", encode_hex(data, len));
}

static json_t *encode_u64(uint64_t v)
{
	char hex[19];

	if (v <= JSON_EXACT)
		return json_integer((json_int_t)v);
	snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)v);
	return json_string(hex);
}

static json_t *encode_i64(int64_t v)
{
	return v < 0 && v >= -(int64_t)JSON_EXACT ? json_integer(v) : encode_u64((uint64_t)v);
}

static json_t *encode_string(const char *s)
{
	return encode_bytes(s, strlen(s));
}

static json_t *encode_record(const struct record *record, const void *p);

// SKIP is for what has no key: absent strings, empty lists. NULL otherwise is want of memory.
static json_t *encode_field(const struct field *f, const void *p, bool *skip)
{
#define AS(type) ({ type _v; memcpy(&_v, p, sizeof(_v)); _v; })
	switch (f->kind) {
	case KIND_BOOL:
		return json_boolean(AS(bool));
	case KIND_CHAR: {
		char c = AS(char);
		return encode_bytes(&c, c ? 1 : 0);
	}
	case KIND_I8:
		return json_integer(AS(signed char));
	case KIND_U16:
		return json_integer(AS(uint16_t));
	case KIND_I32:
		return json_integer(AS(int32_t));
	case KIND_U32:
		return json_integer(AS(uint32_t));
	case KIND_I64:
		return encode_i64(AS(int64_t));
	case KIND_U64:
		return encode_u64(AS(uint64_t));
	case KIND_DOUBLE: {
		double v = AS(double);
		*skip = !isfinite(v);
		return *skip ? NULL : json_real(v);
	}
	case KIND_ENUM:
		return json_string(f->names[AS(unsigned)]);
	case KIND_ARCH: {
		const struct arch *arch = AS(const struct arch *);
		*skip = !arch;
		return arch ? json_string(arch->name) : NULL;
	}
	case KIND_BYTES: {
		struct bytes bytes = AS(struct bytes);
		*skip = !bytes.len;
		return *skip ? NULL : encode_bytes(bytes.data, bytes.len);
	}
	case KIND_BUILD_ID: {
		const struct module *m =
			(const struct module *)((const char *)p - f->offset);
		*skip = !m->build_id_len;
		return *skip ? NULL : encode_hex(m->build_id, m->build_id_len);
	}
	case KIND_ID:
		return encode_string(p);
	case KIND_STRING:
	case KIND_MAYBE: {
		const char *s = AS(const char *);
		*skip = !s;
		return s ? encode_string(s) : NULL;
	}
	case KIND_RECORD:
		return encode_record(f->of, p);
	case KIND_STRINGS:
	case KIND_PIDS:
	case KIND_LIST:
		break;
	}
	struct any_list list = list_at(p);
	*skip = !list.n;
	if (*skip)
		return NULL;
	json_t *array = json_array();
	for (size_t i = 0; array && i < list.n; i++) {
		json_t *item;

		if (f->kind == KIND_STRINGS)
			item = encode_string(((char **)list.v)[i]);
		else if (f->kind == KIND_PIDS)
			item = json_integer(((pid_t *)list.v)[i]);
		else
			item = encode_record(f->of, (const char *)list.v + i * f->of->size);
		if (json_array_append_new(array, item) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
#undef AS
}

static json_t *encode_record(const struct record *record, const void *p)
{
	json_t *object = json_object();

	for (const struct field *f = record->fields; object && f->name; f++) {
		bool skip = false;
		json_t *value = encode_field(f, (const char *)p + f->offset, &skip);

		if (!skip && json_object_set_new_nocheck(object, f->name, value) < 0) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}

struct error *state_encode(const struct snapshot *snapshot, json_t **ret)
{
	json_t *root = encode_record(&snapshot_record, snapshot);

	if (!root)
		return error_nomem();
	*ret = root;
	return NULL;
}

struct decoder {
	struct arena *arena;
	size_t budget;
	bool cut; // the budget was met
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static size_t decode_hex(const char *s, uint8_t *ret, size_t room)
{
	size_t n = 0;

	for (; n < room && s[0] && hex_digit(s[0]) >= 0 && hex_digit(s[1]) >= 0; s += 2)
		ret[n++] = (uint8_t)(hex_digit(s[0]) << 4 | hex_digit(s[1]));
	return n;
}

// Text or { "hex": ... }; FOUND false for anything else.
static struct error *decode_bytes(struct decoder *d, const json_t *value, struct bytes *ret,
				  bool *found)
{
	const json_t *hex = json_object_get(value, "hex");
	struct bytes bytes = {};

	*found = json_is_string(value) || json_is_string(hex);
	if (!*found)
		return NULL;
	if (hex) {
		size_t room = json_string_length(hex) / 2;
		bytes.data = arena_alloc(d->arena, room + 1);
		if (bytes.data)
			bytes.len = decode_hex(json_string_value(hex), bytes.data, room);
	} else {
		bytes.len = json_string_length(value);
		bytes.data = (uint8_t *)arena_strndup(d->arena, json_string_value(value), bytes.len);
	}
	if (!bytes.data)
		return error_nomem();
	*ret = bytes;
	return NULL;
}

static bool decode_u64(const json_t *value, uint64_t *ret)
{
	const char *s = json_string_value(value);
	uint64_t v = 0;

	if (json_is_integer(value)) {
		*ret = (uint64_t)json_integer_value(value);
		return true;
	}
	if (!s || strncmp(s, "0x", 2) != 0 || !s[2] || strlen(s) > 18)
		return false;
	for (s += 2; *s; s++) {
		if (hex_digit(*s) < 0)
			return false;
		v = v << 4 | (uint64_t)hex_digit(*s);
	}
	*ret = v;
	return true;
}

static bool decode_integer(const json_t *value, json_int_t min, json_int_t max, json_int_t *ret)
{
	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return false;
	*ret = json_integer_value(value);
	return true;
}

static struct error *decode_record(struct decoder *d, const struct record *record,
				   const json_t *object, void *p);

// Append to the list at P; NULL with no error when the budget does not allow it.
static struct error *decode_item(struct decoder *d, void *p, size_t size, void **ret)
{
	struct any_list list = list_at(p);

	*ret = NULL;
	if (size > d->budget) {
		d->cut = true;
		return NULL;
	}
	d->budget -= size;
	list.v = arena_list_grow(d->arena, list.v, list.n, size);
	if (!list.v)
		return error_nomem();
	*ret = (char *)list.v + list.n++ * size;
	memcpy(p, &list, sizeof(list));
	return NULL;
}

static struct error *decode_list(struct decoder *d, const struct field *f, const json_t *array,
				 void *p)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *value = json_array_get(array, i);
		struct error *err;
		void *item;

		if (f->kind == KIND_LIST) {
			if (!json_is_object(value))
				continue;
			err = decode_item(d, p, f->of->size, &item);
			if (!err && item && f->of->unknown)
				memcpy(item, f->of->unknown, f->of->size);
			if (!err && item)
				err = decode_record(d, f->of, value, item);
		} else if (f->kind == KIND_STRINGS) {
			struct bytes bytes;
			bool found;
			err = decode_bytes(d, value, &bytes, &found);
			if (!err && !found)
				continue;
			if (!err)
				err = decode_item(d, p, sizeof(char *), &item);
			if (!err && item)
				*(char **)item = (char *)bytes.data;
		} else {
			json_int_t pid;
			if (!decode_integer(value, INT32_MIN, INT32_MAX, &pid))
				continue;
			err = decode_item(d, p, sizeof(pid_t), &item);
			if (!err && item)
				*(pid_t *)item = (pid_t)pid;
		}
		if (err)
			return err;
		if (!item)
			break;
	}
	return NULL;
}

static struct error *decode_field(struct decoder *d, const struct field *f, const json_t *value,
				  void *p)
{
#define SET(type, x) ({ type _v = (type)(x); memcpy(p, &_v, sizeof(_v)); })
	struct error *err = NULL;
	struct bytes bytes;
	bool found;
	json_int_t i;
	uint64_t u;

	switch (f->kind) {
	case KIND_BOOL:
		if (json_is_boolean(value))
			SET(bool, json_is_true(value));
		break;
	case KIND_CHAR:
		if (json_is_string(value))
			SET(char, json_string_value(value)[0]);
		break;
	case KIND_I8:
		if (decode_integer(value, INT8_MIN, INT8_MAX, &i))
			SET(signed char, i);
		break;
	case KIND_U16:
		if (decode_integer(value, 0, UINT16_MAX, &i))
			SET(uint16_t, i);
		break;
	case KIND_I32:
		if (decode_integer(value, INT32_MIN, INT32_MAX, &i))
			SET(int32_t, i);
		break;
	case KIND_U32:
		if (decode_integer(value, 0, UINT32_MAX, &i))
			SET(uint32_t, i);
		break;
	case KIND_I64:
	case KIND_U64:
		if (decode_u64(value, &u))
			SET(uint64_t, u);
		break;
	case KIND_DOUBLE:
		if (json_is_number(value))
			SET(double, json_number_value(value));
		break;
	case KIND_ENUM:
		for (unsigned n = 0; json_is_string(value) && f->names[n]; n++)
			if (!strcmp(f->names[n], json_string_value(value)))
				SET(unsigned, n);
		break;
	case KIND_ARCH: {
		const struct arch *arch =
			json_is_string(value) ? arch_by_name(json_string_value(value)) : NULL;
		if (arch)
			SET(const struct arch *, arch);
		break;
	}
	case KIND_BYTES:
		err = decode_bytes(d, value, &bytes, &found);
		if (!err && found)
			SET(struct bytes, bytes);
		break;
	case KIND_BUILD_ID: {
		struct module *m = (struct module *)((char *)p - f->offset);
		if (json_is_string(value))
			m->build_id_len = (unsigned)decode_hex(json_string_value(value),
							       m->build_id, BUILD_ID_MAX);
		break;
	}
	case KIND_ID:
		if (json_is_string(value))
			snprintf(p, sizeof(MEMBER(struct snapshot, id)), "%s",
				 json_string_value(value));
		break;
	case KIND_STRING:
	case KIND_MAYBE:
		err = decode_bytes(d, value, &bytes, &found);
		if (!err && found)
			SET(char *, (char *)bytes.data);
		break;
	case KIND_RECORD:
		if (json_is_object(value))
			err = decode_record(d, f->of, value, p);
		break;
	case KIND_STRINGS:
	case KIND_PIDS:
	case KIND_LIST:
		err = decode_list(d, f, value, p);
		break;
	}
	return err;
#undef SET
}

static struct error *decode_record(struct decoder *d, const struct record *record,
				   const json_t *object, void *p)
{
	static char none[1];

	for (const struct field *f = record->fields; f->name; f++) {
		char *at = (char *)p + f->offset;
		const json_t *value = json_object_get(object, f->name);
		struct error *err = value ? decode_field(d, f, value, at) : NULL;

		if (err)
			return err;
		char *string = none;
		if (f->kind == KIND_STRING)
			memcpy(&string, at, sizeof(string));
		if (!string)
			memcpy(at, &(char *){ none }, sizeof(string));
	}
	return NULL;
}

struct error *state_decode(const json_t *root, size_t budget, struct snapshot *snapshot)
{
	struct decoder d = { .arena = &snapshot->arena, .budget = budget };
	struct error *err = decode_record(&d, &snapshot_record, root, snapshot);

	// A descriptor means nothing after the process that held it.
	for (size_t i = 0; i < snapshot->modules.n; i++)
		snapshot->modules.v[i].fd = -1;
	if (!err && d.cut)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "state in the dump", NULL,
			       "its lists are longer than its size can justify");
	return err;
}
