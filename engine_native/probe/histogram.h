/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * histogram.h: counts of times in whole nanoseconds, log-linear: the value itself below 128, from there on 64 buckets
 * of the same width in each power of two. A bucket is at most 1/64 of its lowest value wide, so the highest value of a
 * bucket is never below a time in it and at most 1.6 % above. Memory is fixed; the layout is that of
 * include/ironbook_latency.h.
 */
#ifndef PROBE_HISTOGRAM_H
#define PROBE_HISTOGRAM_H

#include <stdint.h>

enum {
    PROBE_SUB_BITS = 6,
    PROBE_BUCKETS = 2240, /* up to 2^40 ns, 18 minutes; what takes longer is counted in the last one */
};

struct probe_histogram {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t min_ns; /* of no time: UINT64_MAX */
    uint64_t max_ns;
    uint64_t buckets[PROBE_BUCKETS];
};

void probe_histogram_clear(struct probe_histogram *histogram);
void probe_histogram_add(struct probe_histogram *histogram, uint64_t ns);
uint32_t probe_bucket(uint64_t ns);            /* where such a time is counted */
uint64_t probe_bucket_upper_ns(uint32_t bucket); /* the highest time that is counted there */

#endif
