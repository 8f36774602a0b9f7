/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_SECRETS_H
#define PCATCH_SECRETS_H

#include "error.h"

/*
 * Names that secrets have here beside those that redact.h knows: patterns, one per line, "#" begins
 * a comment, in /etc/pcatch/redact and in $XDG_CONFIG_HOME/pcatch/redact, else
 * ~/.config/pcatch/redact.
 */

enum { SECRETS_FILES = 2 };

/*
 * Take in file NUMBER of them; none is no error. The error names the first line that is wrong, and
 * all others are taken in all the same.
 */
struct error *secrets_read(int number) __attribute__((warn_unused_result));

#endif
