/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * noise.c: one thread on each CPU reads the clock in a loop. Two readings that are further apart than a threshold are a
 * gap: the CPU did something else meanwhile, or nothing at all.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "attribution.h"
#include "clock.h"
#include "probe.h"

#define STEP_READINGS 100000u

struct spinner {
    pthread_t thread;
    const struct probe_options *options;
    const struct probe_clock *clock;
    pthread_barrier_t *together;
    struct probe_cpus cpu;
    bool pinned;
    char error[PROBE_ERROR];
    uint64_t step_ns;
    uint64_t threshold_ns;
    uint64_t readings;
    uint64_t spun_ns;
    struct probe_histogram gaps;
    struct probe_thread_look before;
    struct probe_thread_look after;
};

static void spin(struct spinner *self, uint64_t threshold, uint64_t span)
{
    bool counter = self->clock->counter;
    uint64_t begin = probe_ticks(counter);
    uint64_t last = begin;
    uint64_t readings = 0;
    while (last - begin < span) {
        uint64_t now = probe_ticks(counter);
        readings++;
        if (now - last >= threshold && now > last) {
            probe_histogram_add(&self->gaps, probe_ticks_to_ns(self->clock, now - last));
            last = probe_ticks(counter); /* what counting costs is no gap */
        } else {
            last = now;
        }
    }
    self->readings = readings;
    self->spun_ns = probe_ticks_to_ns(self->clock, last - begin);
}

static void *spinner_run(void *argument)
{
    struct spinner *self = argument;
    self->pinned = probe_pin(&self->cpu, self->error);
    uint64_t step = probe_clock_step_ticks(self->clock, STEP_READINGS);
    uint64_t wanted = (uint64_t)((double)self->options->threshold_ns / self->clock->ns_per_tick);
    uint64_t threshold = wanted > 0 ? wanted : 8 * step;
    self->step_ns = probe_ticks_to_ns(self->clock, step);
    self->threshold_ns = probe_ticks_to_ns(self->clock, threshold);
    double ticks_per_ms = 1e6 / self->clock->ns_per_tick;
    /* Until the processor runs at full speed. */
    spin(self, threshold, (uint64_t)(ticks_per_ms * (double)self->options->warm_up_ms));
    probe_histogram_clear(&self->gaps);
    (void)pthread_barrier_wait(self->together); /* ready */
    (void)pthread_barrier_wait(self->together); /* the CPUs' counters are read */
    probe_thread_look(&self->before);
    spin(self, threshold, (uint64_t)(ticks_per_ms * 1e3 * (double)self->options->seconds));
    probe_thread_look(&self->after);
    return NULL;
}

static void write_cpu(struct probe_json *json, const struct spinner *spinner, const struct probe_look *before,
                      const struct probe_look *after)
{
    probe_json_open(json, NULL, '{');
    probe_json_number(json, "cpu", spinner->cpu.cpu[0]);
    probe_json_number(json, "step_ns", spinner->step_ns);
    probe_json_number(json, "threshold_ns", spinner->threshold_ns);
    probe_json_number(json, "readings", spinner->readings);
    probe_json_number(json, "spun_ns", spinner->spun_ns);
    probe_json_number(json, "lost_ns", spinner->gaps.sum_ns);
    probe_json_histogram(json, "histogram", &spinner->gaps);
    probe_json_open(json, "attribution", '{');
    probe_look_write(json, before, after);
    probe_thread_look_write(json, &spinner->before, &spinner->after);
    probe_json_close(json, '}');
    probe_json_close(json, '}');
}

/* Starts the threads, which wait for each other; the main one only sleeps and reads counters. */
static void measure(struct spinner *spinners, uint32_t count, pthread_barrier_t *together, struct probe_look *before,
                    struct probe_look *after)
{
    (void)pthread_barrier_wait(together);
    for (uint32_t i = 0; i < count; i++) {
        probe_look(spinners[i].cpu.cpu[0], &before[i]);
    }
    (void)pthread_barrier_wait(together);
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(spinners[i].thread, NULL);
    }
    for (uint32_t i = 0; i < count; i++) {
        probe_look(spinners[i].cpu.cpu[0], &after[i]);
    }
}

static bool run(struct spinner *spinners, const struct probe_cpus *cpus, const struct probe_options *options,
                const struct probe_clock *clock, struct probe_look *looks, char *error)
{
    pthread_barrier_t together;
    (void)pthread_barrier_init(&together, NULL, cpus->count + 1);
    for (uint32_t i = 0; i < cpus->count; i++) {
        spinners[i].options = options;
        spinners[i].clock = clock;
        spinners[i].together = &together;
        spinners[i].cpu.count = 1;
        spinners[i].cpu.cpu[0] = cpus->cpu[i];
        if (pthread_create(&spinners[i].thread, NULL, spinner_run, &spinners[i]) != 0) {
            (void)snprintf(error, PROBE_ERROR, "noise: no thread for CPU %u", cpus->cpu[i]);
            return false; /* those that wait for it end with the process */
        }
    }
    measure(spinners, cpus->count, &together, looks, looks + cpus->count);
    (void)pthread_barrier_destroy(&together);
    for (uint32_t i = 0; i < cpus->count; i++) {
        if (!spinners[i].pinned) {
            (void)snprintf(error, PROBE_ERROR, "%s", spinners[i].error);
            return false;
        }
    }
    return true;
}

bool probe_noise(const struct probe_options *options, struct probe_json *json, char *error)
{
    struct probe_cpus cpus = options->cpus;
    if (cpus.count == 0) {
        probe_usable_cpus(&cpus);
    }
    struct probe_clock clock = probe_clock_open(options->kernel_clock);
    struct spinner *spinners = calloc(cpus.count, sizeof *spinners);
    struct probe_look *looks = calloc(2 * (size_t)cpus.count, sizeof *looks);
    if (spinners == NULL || looks == NULL) {
        (void)snprintf(error, PROBE_ERROR, "noise: no memory");
        free(spinners);
        free(looks);
        return false;
    }
    if (!run(spinners, &cpus, options, &clock, looks, error)) {
        return false; /* what was allocated may still be in use by a thread */
    }
    probe_json_open(json, "clock", '{');
    probe_json_text(json, "source", clock.source);
    probe_json_real(json, "ns_per_tick", clock.ns_per_tick);
    probe_json_close(json, '}');
    probe_json_open(json, "cpus", '[');
    for (uint32_t i = 0; i < cpus.count; i++) {
        write_cpu(json, &spinners[i], &looks[i], &looks[cpus.count + i]);
    }
    probe_json_close(json, ']');
    free(spinners);
    free(looks);
    return true;
}
