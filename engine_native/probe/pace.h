/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pace.h: when something is to be sent, whatever became of what was sent before. A stall delays what is due meanwhile,
 * and each of those is timed from when it was due: otherwise a stall of a second would be one bad value among
 * thousands of good ones ("coordinated omission"). What is due in the warm-up is counted apart.
 */
#ifndef PROBE_PACE_H
#define PROBE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "json.h"

#define PROBE_GRACE_NS 1000000000u /* after the end, for what is overdue */

struct probe_pace {
    uint64_t first_ns;
    uint64_t interval_ns;
    uint64_t measured_ns; /* what is due from here on counts */
    uint64_t end_ns;
    uint64_t next; /* number of the next one */
};

struct probe_times {
    struct probe_histogram cold;     /* due in the warm-up */
    struct probe_histogram from_due; /* what counts */
    struct probe_histogram from_sent;
    uint64_t lost;   /* no answer within its time */
    uint64_t unsent; /* overdue when the time was up */
};

struct probe_pace probe_pace_begin(uint64_t now_ns, uint64_t interval_ns, uint64_t warm_up_ns, uint64_t seconds);
/* When the next one is due; false where there is none, or no time for it. */
bool probe_pace_next(struct probe_pace *pace, uint64_t now_ns, uint64_t *due_ns);
/* How many of those that count were never sent. */
uint64_t probe_pace_unsent(const struct probe_pace *pace);

void probe_times_clear(struct probe_times *times);
void probe_times_add(struct probe_times *times, const struct probe_pace *pace, uint64_t due_ns, uint64_t sent_ns,
                     uint64_t done_ns);
void probe_times_lost(struct probe_times *times, const struct probe_pace *pace, uint64_t due_ns);
/* The members of an object that is open. */
void probe_times_write(struct probe_json *json, const struct probe_times *times);

#endif
