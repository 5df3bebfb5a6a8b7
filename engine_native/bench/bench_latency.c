/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_latency.c: what latency tracking adds to an order, all its threads' parts one after the other on one thread:
 * the gates of every command, and for those that are followed the clock, the notes and the histograms.
 *
 * Commands come in batches of 64, as the matcher takes them, and each batch has one socket read, one written group and
 * one release. Prints one JSON object: nanoseconds of thread CPU an order, the best of PASSES, with tracking off, for
 * one in 64 and for every order. The cost of an empty loop is in all three.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"

enum { PASSES = 15, BATCH = 64, BATCHES = 20000 };

static double thread_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static uint64_t pass(struct ib_latency *volatile *tracker, uint64_t seq)
{
    for (int batch = 0; batch < BATCHES; batch++) {
        struct ib_latency *latency = *tracker; /* read anew: the compiler must not know that it is null */
        uint64_t first = seq + 1;
        ib_latency_input(latency, ib_latency_read_clock(latency));
        for (int i = 0; i < BATCH; i++) {
            ib_latency_sequenced(latency, ++seq);
        }
        ib_latency_input(latency, 0);
        for (uint64_t i = first; i <= seq; i++) {
            ib_latency_begun(latency, i);
            ib_latency_matched(latency, i);
        }
        ib_latency_journaled(latency, seq);
        ib_latency_released(latency, seq);
        __asm__ volatile("" ::: "memory");
    }
    return seq;
}

int main(void)
{
    static const uint32_t shares[] = {0, 64, 1};
    static const char *const names[] = {"off", "one_in_64", "every_order"};
    char directory[] = "/dev/shm/ironbook-bench-XXXXXX", error[IB_ERROR_TEXT_SIZE];
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 1;
    }
    printf("{\"benchmark\": \"latency tracking, ns of CPU an order\"");
    for (size_t share = 0; share < sizeof shares / sizeof *shares; share++) {
        struct ib_latency *opened = NULL;
        if (ib_latency_open(&opened, directory, shares[share], 0, 0, 0, error) != IB_OK) {
            fprintf(stderr, "bench_latency: %s\n", error);
            return 1;
        }
        struct ib_latency *volatile tracker = opened;
        double best = 1e18;
        uint64_t seq = 0;
        for (int i = 0; i < PASSES; i++) {
            double start = thread_ns();
            seq = pass(&tracker, seq);
            double ns = (thread_ns() - start) / ((double)BATCH * BATCHES);
            best = ns < best ? ns : best;
        }
        printf(", \"%s\": %.2f", names[share], best);
        if (opened != NULL && shares[share] == 1) {
            printf(", \"clock_reading\": %llu", (unsigned long long)opened->header->clock_ns);
        }
        ib_latency_close(opened);
    }
    printf("}\n");
    (void)rmdir(directory);
    return 0;
}
