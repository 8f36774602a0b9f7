/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_TREND_H
#define PCATCH_ANALYSE_TREND_H

#include "findings.h"

/*
 * Fill FINDINGS' trends from its snapshot's timeline: what had gone on up to the end, as far as it
 * stands out from how programs breathe. Starting up is not growth, nor is one peak.
 */
struct error *trends_find(struct findings *findings) __attribute__((warn_unused_result));

#endif
