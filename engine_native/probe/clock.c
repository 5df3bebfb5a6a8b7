/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * clock.c: see clock.h.
 */
#include "clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define GAUGED_NS 60000000u
#define LONGEST_STEP 8192u /* ticks */

#if defined(__x86_64__)
/* CPUID 8000_0007h, EDX bit 8: it counts at one rate in every power state. */
static bool counter_is_steady(void)
{
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    return __get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 8 & 1u) != 0;
}
#endif

/* Both clocks, read as close to each other as a few attempts allow. */
static void read_both(uint64_t *ns, uint64_t *ticks)
{
    uint64_t closest = UINT64_MAX;
    for (int attempt = 0; attempt < 64; attempt++) {
        uint64_t before = probe_ticks(true);
        uint64_t now = probe_now_ns();
        uint64_t after = probe_ticks(true);
        if (after - before < closest) {
            closest = after - before;
            *ns = now;
            *ticks = before + (after - before) / 2;
        }
    }
}

static double gauge(void)
{
    uint64_t ns = 0;
    uint64_t ticks = 0;
    uint64_t later_ns = 0;
    uint64_t later_ticks = 0;
    read_both(&ns, &ticks);
    do {
        read_both(&later_ns, &later_ticks);
    } while (later_ns - ns < GAUGED_NS);
    return later_ticks > ticks ? (double)(later_ns - ns) / (double)(later_ticks - ticks) : 0.0;
}

struct probe_clock probe_clock_open(bool kernel_only)
{
    const struct probe_clock kernel = {.source = "clock_gettime", .ns_per_tick = 1.0, .counter = false};
    struct probe_clock clock = kernel;
#if defined(__x86_64__)
    clock.source = "tsc";
    clock.counter = !kernel_only && counter_is_steady();
#elif defined(__aarch64__)
    clock.source = "cntvct";
    clock.counter = !kernel_only;
#endif
    if (clock.counter) {
        clock.ns_per_tick = gauge();
    }
    return clock.counter && clock.ns_per_tick > 0.0 ? clock : kernel;
}

uint64_t probe_clock_step_ticks(const struct probe_clock *clock, uint32_t readings)
{
    uint32_t counts[LONGEST_STEP] = {0};
    uint32_t differ = 0;
    uint64_t last = probe_ticks(clock->counter);
    for (uint32_t i = 0; i < readings; i++) {
        uint64_t now = probe_ticks(clock->counter);
        if (now > last) { /* a coarse clock says the same several times */
            counts[now - last < LONGEST_STEP ? now - last : LONGEST_STEP - 1]++;
            differ++;
        }
        last = now;
    }
    uint32_t seen = 0;
    for (uint32_t step = 1; step < LONGEST_STEP; step++) {
        seen += counts[step];
        if (seen > differ / 2) {
            return step;
        }
    }
    return 1;
}
