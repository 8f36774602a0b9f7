/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_FILE_H
#define PCATCH_STORE_FILE_H

#include "../error.h"
#include "../target/snapshot.h"

/*
 * A folder for reports, opened once and tried before watching begins. Files appear in it whole
 * or not at all: temporary file (O_TMPFILE where there is one), mode 0600, fsync, link; nothing
 * is overwritten.
 */
struct store {
	int dir;    /* descriptor of the folder */
	char *path; /* absolute */
	uid_t owner; /* whose folder it is */
	uid_t reader; /* files are given to this user; 0: to nobody */
};

/*
 * Create PATH (and parents, mode 0700) when it is missing, and prove that a file can be written
 * there. NULL for PATH: $PCATCH_DIR, else for root /var/lib/pcatch, else
 * $XDG_STATE_HOME/pcatch, else ~/.local/state/pcatch. A folder in which just anybody may put
 * files in the place of others, or, for all but root, one of another user, is ERROR_DENIED.
 */
struct error *store_open(const char *path, struct store *ret) __attribute__((warn_unused_result));
/* ERROR_DENIED, with the remedy, unless the folder belongs to us, to root or to USER. */
struct error *store_admits(const struct store *store, uid_t user)
	__attribute__((warn_unused_result));
/* The same folder, as it is: nothing is made and nothing is tried. */
struct error *store_find(const char *path, struct store *ret) __attribute__((warn_unused_result));
void store_close(struct store *store); /* safe on zero and twice */

/*
 * The name, without its ending, under which SNAPSHOT is filed: COMM-PID-YYYYMMDDTHHMMSSZ, with
 * "-2" and so on behind it where a file of any ending has that name already. Malloc'ed.
 */
struct error *store_name(const struct store *store, const struct snapshot *snapshot, char **ret)
	__attribute__((warn_unused_result));

/*
 * Write DATA as NAME.SUFFIX, whole or not at all; the file's absolute path is returned in PATH_RET,
 * malloc'ed. On an error nothing is left behind, and what had that name before is untouched.
 */
struct error *store_write(const struct store *store, const char *name, const char *suffix,
			  const void *data, size_t len, char **path_ret)
	__attribute__((warn_unused_result));

/* A file that is being written: nobody sees it before it is whole. */
struct draft {
	const struct store *store; /* borrowed */
	int fd;
	char *path;    /* that it will have, absolute */
	char temp[32]; /* the name that it has until then, where it must have one */
};

struct error *draft_begin(const struct store *store, const char *name, const char *suffix,
			  struct draft *ret) __attribute__((warn_unused_result));
/* Put it into its place. What fails leaves it a draft; after success there is none to discard. */
struct error *draft_publish(struct draft *draft, char **path_ret)
	__attribute__((warn_unused_result));
void draft_discard(struct draft *draft); /* safe on zero and twice */

/*
 * All LEN bytes of DATA into file FD at offset AT: 0, or -1 with errno. A limit on the size of files is
 * EFBIG, and no SIGXFSZ.
 */
int file_write_at(int fd, uint64_t at, const void *data, size_t len);

/* The same, with holes for blocks that are nothing but zeros; the file may end before one. */
int file_write_sparse(int fd, uint64_t at, const void *data, size_t len);

/*
 * A file in the folder that has no name and is gone when it is closed, for reading and writing: its
 * descriptor, or -1 and errno.
 */
int store_scratch(const struct store *store);

/*
 * Make such a file, which is taken over in any case, a draft. Where file systems cannot give a name
 * to what has none, publishing it is ERROR_UNSUPPORTED.
 */
struct error *draft_adopt(const struct store *store, int fd, const char *name, const char *suffix,
			  struct draft *ret) __attribute__((warn_unused_result));

/*
 * Open NAME.SUFFIX, with FLAGS as for open(2). No link is followed; for writing, a file
 * with other names or of another user than it was written for is ERROR_DENIED.
 */
struct error *store_reopen(const struct store *store, const char *name, const char *suffix,
			   int flags, int *ret) __attribute__((warn_unused_result));

#endif
