/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PLACES_H
#define PCATCH_WALK_PLACES_H

#include <stdbool.h>

#include "../target/snapshot.h"

/* What a server was asked for: the file with this build id, or its debug information. */
struct fetched_file {
	uint8_t build_id[BUILD_ID_MAX];
	unsigned build_id_len;
	bool debug;
	char *path; /* where it was put; NULL: it could not be had */
	char *why;  /* not; NULL with a path */
};

/*
 * Where the files of a snapshot's modules are looked for when they are not held open: at their
 * paths on this machine, and where the user says. These are names alone; whether what is there is
 * the file that was mapped, its build id tells.
 */
struct places {
	strings named;	    /* files, each of which may be any module's or its debug information */
	strings sysroots;   /* folders that stand for the root of the machine of the dump */
	strings debug_dirs; /* folders like /usr/lib/debug, with .build-id/ in them */
	bool not_here;	    /* neither at their paths nor in /usr/lib/debug on this machine */
	LIST(struct fetched_file) fetched;
};

/* A longer one is passed over. */
#define PLACE_MAX 4352

/*
 * The Nth path at which the file of MODULE may be, those that are named first, then sysroots; false
 * when there are no more. PLACES may be NULL. A path that is too long for RET comes out empty.
 */
bool places_file(const struct places *places, const struct module *module, unsigned n,
		 char ret[PLACE_MAX]);

/* The same for the debug information of the file with this build id. */
bool places_debug(const struct places *places, const uint8_t *build_id, unsigned build_id_len,
		  unsigned n, char ret[PLACE_MAX]);

/* The same for the file that NAME, the .gnu_debuglink of a file that was mapped from PATH, stands for. */
bool places_debuglink(const struct places *places, const char *path, const char *name, unsigned n,
		      char ret[PLACE_MAX]);

/* What became of asking a server for one of the two; NULL: it was not asked. PLACES may be NULL. */
const struct fetched_file *places_fetched(const struct places *places, const uint8_t *build_id,
					  unsigned build_id_len, bool debug);

/* The LEN bytes of a build id as hexadecimal digits. */
#define BUILD_ID_TEXT (2 * BUILD_ID_MAX + 1)
void build_id_text(const uint8_t *build_id, unsigned len, char ret[BUILD_ID_TEXT]);

#endif
