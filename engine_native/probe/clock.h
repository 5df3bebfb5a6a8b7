/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * clock.h: the time, in two ways. What is awaited or sent is timed by the kernel's monotonic clock. What only spins
 * reads the processor's own counter, several times as often: the TSC where it never stops (invariant), CNTVCT on arm64,
 * and the kernel's clock where there is neither.
 */
#ifndef PROBE_CLOCK_H
#define PROBE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

struct probe_clock {
    const char *source; /* "tsc", "cntvct" or "clock_gettime" */
    double ns_per_tick;
    bool counter; /* the processor's */
};

/* Chooses and gauges the counter, which takes 60 ms; `kernel_only`: it is not to be used. */
struct probe_clock probe_clock_open(bool kernel_only);

static inline uint64_t probe_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t probe_ticks(bool counter)
{
#if defined(__x86_64__)
    if (counter) {
        return __rdtsc();
    }
#elif defined(__aarch64__)
    if (counter) {
        uint64_t ticks;
        __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks)::"memory");
        return ticks;
    }
#endif
    (void)counter;
    return probe_now_ns();
}

static inline uint64_t probe_ticks_to_ns(const struct probe_clock *clock, uint64_t ticks)
{
    return (uint64_t)((double)ticks * clock->ns_per_tick + 0.5);
}

/* What usually lies between two readings in a row that differ: the median of so many. Nothing shorter can be seen. Not
 * the least: a counter that is read out of order differs by one tick now and then. */
uint64_t probe_clock_step_ticks(const struct probe_clock *clock, uint32_t readings);

#endif
