/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * clock.h: the time, for the shell. The matcher and all below it know none.
 */
#ifndef IB_CLOCK_H
#define IB_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "check.h"

enum { IB_NS_A_MS = 1000000, IB_NS_A_S = 1000000000 };

/* CLOCK_REALTIME: since the Unix epoch; CLOCK_MONOTONIC: the same on all cores, never set; CLOCK_THREAD_CPUTIME_ID:
 * what the calling thread has had of a processor. */
static inline uint64_t ib_clock_ns(clockid_t clock)
{
    struct timespec time;
    int result = clock_gettime(clock, &time);
    IB_ASSERT(result == 0);
    IB_ASSERT(time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < IB_NS_A_S);
    (void)result;
    return (uint64_t)time.tv_sec * IB_NS_A_S + (uint64_t)time.tv_nsec;
}

#endif
