/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "../cleanup.h"
#include "procfs.h"

#define TEXT_MAX ((size_t)64 << 10)

// RFC 9562, version 4.
static struct error *make_id(char ret[37])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return error_new(ERROR_SYSTEM, "no random numbers to be had");
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
		 b[14], b[15]);
	return NULL;
}

#if defined(__x86_64__)
// Intel SDM volume 2, CPUID: leaf 0 names the vendor, leaf 1 family, model and features.
static void read_cpuid(struct host *host)
{
	unsigned a, b, c, d;

	if (__get_cpuid(0, &a, &b, &c, &d)) {
		host->cpu_vendor[0] = b;
		host->cpu_vendor[1] = d;
		host->cpu_vendor[2] = c;
	}
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		unsigned family = a >> 8 & 0xf, model = a >> 4 & 0xf;

		host->cpu_version = a;
		host->cpu_features = d;
		if (family == 6 || family == 15)
			model |= a >> 12 & 0xf0;
		if (family == 15)
			family += a >> 20 & 0xff;
		host->cpu_family = (uint16_t)family;
		host->cpu_model_stepping = (uint16_t)(model << 8 | (a & 0xf));
	}
	if (__get_cpuid(0x80000001, &a, &b, &c, &d))
		host->cpu_amd_features = d;
}
#else
static void read_cpuid(struct host *host)
{
	(void)host;
}
#endif

// pid_namespaces(7): the first namespace has this inode number in every kernel.
static bool in_container(void)
{
	char link[64] = "";

	return readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0 &&
	       strcmp(link, "pid:[4026531836]") != 0;
}

struct error *procfs_host(struct snapshot *snapshot)
{
	struct host *host = &snapshot->host;
	struct arena *arena = &snapshot->arena;
	struct utsname u;
	struct error *err = make_id(snapshot->id);

	if (err)
		return err;
	if (uname(&u) < 0)
		return error_new(ERROR_SYSTEM, "uname failed");
	snapshot->generator = arena_strdup(arena, PACKAGE_VERSION);
	host->hostname = arena_strdup(arena, u.nodename);
	host->kernel = arena_strdup(arena, u.release);
	host->uname = arena_printf(arena, "%s %s %s %s GNU/Linux", u.sysname, u.release, u.version,
				   u.machine);
	if (!snapshot->generator || !host->hostname || !host->kernel || !host->uname)
		return error_nomem();
	host->arch = arch_host();
	host->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	host->memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	time_t now = time(NULL);
	struct tm local;
	if (localtime_r(&now, &local))
		host->utc_offset = local.tm_gmtoff;
	host->in_container = in_container();
	read_cpuid(host);
	// Neither is worth a gap.
	_cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	error_drop(procfs_read(root, "proc/cpuinfo", TEXT_MAX, arena, &host->cpuinfo));
	error_drop(procfs_read(root, "etc/os-release", TEXT_MAX, arena, &host->os_release));
	return NULL;
}
