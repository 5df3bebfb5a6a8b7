/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wake.c: how late a thread runs after it should. Three ways to be woken, a third of the time each: a timer, a write to
 * an eventfd, a futex. The last two are round trips of two threads; who begins does not sleep before it does.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "pace.h"
#include "probe.h"

/* One thread tells the other that it is its turn. */
struct bell {
    bool is_futex;
    int event;
    _Atomic uint32_t rung;
    uint32_t heard;
};

struct pair {
    struct bell there;
    struct bell back;
    struct probe_cpus cpu;
    atomic_bool stop;
    char error[PROBE_ERROR];
};

static void ring(struct bell *bell)
{
    if (bell->is_futex) {
        (void)atomic_fetch_add(&bell->rung, 1);
        (void)syscall(SYS_futex, &bell->rung, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    } else {
        (void)!write(bell->event, &(uint64_t){1}, sizeof(uint64_t));
    }
}

static void hear(struct bell *bell)
{
    if (bell->is_futex) {
        while (atomic_load(&bell->rung) == bell->heard) {
            (void)syscall(SYS_futex, &bell->rung, FUTEX_WAIT_PRIVATE, bell->heard, NULL, NULL, 0);
        }
        bell->heard++;
    } else {
        uint64_t rung = 0;
        while (read(bell->event, &rung, sizeof rung) < 0 && errno == EINTR) {
        }
    }
}

static void *answer(void *argument)
{
    struct pair *pair = argument;
    (void)probe_pin(&pair->cpu, pair->error);
    for (;;) {
        hear(&pair->there);
        if (atomic_load(&pair->stop)) {
            return NULL;
        }
        ring(&pair->back);
    }
}

static void time_pair(struct pair *pair, struct probe_pace *pace, struct probe_times *times)
{
    uint64_t due;
    while (probe_pace_next(pace, probe_now_ns(), &due)) {
        uint64_t sent = probe_now_ns();
        while (sent < due) {
            sent = probe_now_ns();
        }
        ring(&pair->there);
        hear(&pair->back);
        probe_times_add(times, pace, due, sent, probe_now_ns());
    }
    atomic_store(&pair->stop, true);
    ring(&pair->there);
}

static bool run_pair(bool is_futex, const struct probe_cpus *second, struct probe_pace *pace,
                     struct probe_times *times, char *error)
{
    struct pair pair = {.there.is_futex = is_futex, .back.is_futex = is_futex, .cpu = *second};
    pair.there.event = eventfd(0, EFD_CLOEXEC);
    pair.back.event = eventfd(0, EFD_CLOEXEC);
    pthread_t other;
    bool started = pair.there.event >= 0 && pair.back.event >= 0 && pthread_create(&other, NULL, answer, &pair) == 0;
    if (started) {
        time_pair(&pair, pace, times);
        (void)pthread_join(other, NULL);
    } else {
        (void)snprintf(error, PROBE_ERROR, "wake: no second thread (%s)", strerror(errno));
    }
    (void)close(pair.there.event);
    (void)close(pair.back.event);
    return started;
}

static void time_timer(struct probe_pace *pace, struct probe_times *times)
{
    uint64_t due;
    while (probe_pace_next(pace, probe_now_ns(), &due)) {
        struct timespec when = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
        }
        probe_times_add(times, pace, due, due, probe_now_ns());
    }
}

bool probe_wake(const struct probe_options *options, struct probe_json *json, char *error)
{
    static const char *const names[] = {"timer", "eventfd", "futex"};
    struct probe_cpus first = options->cpus;
    struct probe_cpus second = options->cpus;
    if (first.count == 2) {
        first.count = 1;
        second.count = 1;
        second.cpu[0] = second.cpu[1];
    }
    struct probe_times *times = malloc(sizeof *times);
    bool sound = times != NULL && probe_pin(&first, error);
    probe_json_number(json, "interval_us", options->interval_us);
    probe_json_open(json, "wakes", '{');
    for (int i = 0; sound && i < 3; i++) {
        probe_times_clear(times);
        struct probe_pace pace =
            probe_pace_begin(probe_now_ns(), options->interval_us * 1000, options->warm_up_ms * 1000000, 0);
        pace.end_ns = pace.measured_ns + options->seconds * 1000000000u / 3;
        if (i == 0) {
            time_timer(&pace, times);
        } else {
            sound = run_pair(i == 2, &second, &pace, times, error);
        }
        times->unsent = probe_pace_unsent(&pace);
        probe_json_open(json, names[i], '{');
        probe_times_write(json, times);
        probe_json_close(json, '}');
    }
    probe_json_close(json, '}');
    free(times);
    return sound;
}
