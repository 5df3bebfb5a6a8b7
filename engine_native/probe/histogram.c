/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * histogram.c: see histogram.h.
 */
#include "histogram.h"

#include <assert.h>
#include <string.h>

#define SUB ((uint64_t)1 << PROBE_SUB_BITS)

void probe_histogram_clear(struct probe_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram); /* and so every page of it is there before anything is timed */
    histogram->min_ns = UINT64_MAX;
}

void probe_histogram_add(struct probe_histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->sum_ns += ns;
    histogram->min_ns = ns < histogram->min_ns ? ns : histogram->min_ns;
    histogram->max_ns = ns > histogram->max_ns ? ns : histogram->max_ns;
    histogram->buckets[probe_bucket(ns)]++;
}

uint32_t probe_bucket(uint64_t ns)
{
    if (ns < 2 * SUB) {
        return (uint32_t)ns;
    }
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(ns) - PROBE_SUB_BITS;
    uint64_t bucket = ((uint64_t)shift << PROBE_SUB_BITS) + (ns >> shift);
    assert(ns >> shift >= SUB && ns >> shift < 2 * SUB);
    return bucket < PROBE_BUCKETS ? (uint32_t)bucket : PROBE_BUCKETS - 1;
}

uint64_t probe_bucket_upper_ns(uint32_t bucket)
{
    assert(bucket < PROBE_BUCKETS);
    if (bucket < 2 * SUB) {
        return bucket;
    }
    uint32_t shift = (bucket >> PROBE_SUB_BITS) - 1;
    uint64_t mantissa = bucket - ((uint64_t)shift << PROBE_SUB_BITS);
    return ((mantissa + 1) << shift) - 1;
}
