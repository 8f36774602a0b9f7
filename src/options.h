/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_OPTIONS_H
#define PCATCH_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "capture/watch.h"
#include "walk/embed.h"
#include "walk/places.h"

enum command { COMMAND_RUN, COMMAND_ATTACH, COMMAND_SNAPSHOT, COMMAND_SHOW, COMMAND_DIFF,
	       COMMAND_LIST, COMMAND_PRUNE, COMMAND_CORE_HANDLER, COMMAND_AUTOPSY,
	       COMMAND_DOCTOR };

enum format { FORMAT_TEXT = 1, FORMAT_JSON = 2, FORMAT_HTML = 4, FORMAT_CORE = 8 };

struct options {
	enum command command;
	char **program;	     /* run: what to start, NULL-terminated */
	pid_t pid;	     /* attach, snapshot; from the pidfile too; autopsy: 0 where not given */
	int64_t since;	     /* autopsy: nanoseconds since the epoch, 0 for no bound */
	const char *pidfile; /* NULL: none */
	const char *file;    /* show, diff */
	const char *other;   /* diff: the second file */
	const char *output;  /* NULL: the default folder */
	unsigned formats;    /* enum format */
	bool children, locals, no_redact, quiet, verbose;
	enum stop_python stop_python;
	bool compress;	     /* cores */
	uint64_t full_core;  /* as many bytes at most, 0: none is wanted */
	bool dry_run;	     /* prune */
	/* What the folder may hold, 0 for no bound. */
	long keep_reports, keep_days;
	uint64_t keep_bytes;
	struct {
		uid_t uid;
		gid_t gid;
		int dumpable, pidfd; /* pidfd -1: none */
		uint64_t limit;	     /* RLIMIT_CORE */
		bool ignore_limit;
		char **then;	     /* the next handler, NULL-terminated; NULL: none */
		enum { HANDLE, INSTALL, UNINSTALL } what;
		bool print;	     /* (UN)INSTALL: only say how */
		strings words;	     /* INSTALL: the options for the handler */
	} handler;		     /* core-handler */
	strings logs;
	enum embed embed;     /* what of modules goes into the dump */
	struct places places; /* where modules' files may be */
	int debuginfod_seconds; /* show, diff: for fetching what is not there, 0 for never */
	int lines;
	double sample;
	struct arena arena;
};

enum options_outcome {
	OPTIONS_GO,
	OPTIONS_DONE, /* --help or --version has been answered: exit 0 */
};

/*
 * Parse the command line. ERROR_INPUT, in one line, for what makes no sense (exit status 2);
 * other errors are of a command line that does but cannot be followed, such as a pidfile that
 * names nobody (exit status 1). RET borrows argv and must be deinitialised in any case.
 */
struct error *options_parse(int argc, char **argv, struct options *ret,
			    enum options_outcome *outcome) __attribute__((warn_unused_result));
void options_deinit(struct options *options);

#endif
