/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_FETCH_H
#define PCATCH_FETCH_H

#include "walk/places.h"

/*
 * Binaries and debug information by build id, from the servers that DEBUGINFOD_URLS names and
 * into the cache of elfutils' libdebuginfod, which does the work in a child of its own. For those
 * who read dumps: while a process is held, or its death is reported, nobody is asked.
 */
struct fetch {
	int seconds;	  /* for everything together */
	bool progress;	  /* a line on standard error shows how it goes, and is gone in the end */
	bool say;	  /* a line for each file, with what became of it */
	int64_t deadline; /* CLOCK_MONOTONIC, milliseconds; 0: nothing was fetched yet */
};

#define FETCH_FILES   100		 /* a dump may name thousands */
#define FETCH_SIZE    (UINT64_C(1) << 30) /* of one file */
#define FETCH_TOTAL   (UINT64_C(4) << 30) /* of those that are asked for at once */
#define FETCH_SECONDS 60

/* A file, and what to call it. */
struct fetch_wish {
	uint8_t build_id[BUILD_ID_MAX];
	unsigned build_id_len;
	bool debug; /* its debug information, not the file itself */
	char *name; /* fit for a terminal */
};
typedef LIST(struct fetch_wish) fetch_wishes;

/* Whether DEBUGINFOD_URLS names a server. */
bool fetch_has_servers(void);

/*
 * Ask for what of WISHES was not asked for before, and note in PLACES what became of it; the
 * strings live in ARENA. *NEW_RET says whether there was any. That something could not be had is no error.
 */
struct error *fetch_files(struct fetch *fetch, const fetch_wishes *wishes, struct arena *arena,
			  struct places *places, bool *new_ret) __attribute__((warn_unused_result));

#endif
