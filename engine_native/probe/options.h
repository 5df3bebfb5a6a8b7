/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * options.h: the command line. Every number has a least and a most; an option that its mode does not know is refused.
 */
#ifndef PROBE_OPTIONS_H
#define PROBE_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    PROBE_CPUS = 1024,
    PROBE_ERROR = 256, /* a line for people */
};

enum probe_mode { PROBE_NOISE = 1, PROBE_WAKE = 2, PROBE_PINGPONG = 4, PROBE_SERVE = 8 };

struct probe_cpus {
    uint32_t count;
    uint16_t cpu[PROBE_CPUS]; /* ascending */
};

struct probe_options {
    enum probe_mode mode;
    uint64_t seconds;
    uint64_t warm_up_ms;
    uint64_t interval_us;
    uint64_t threshold_ns; /* 0: eight times the clock's step */
    uint64_t timeout_ms;
    uint64_t port;
    uint64_t busy_poll_us; /* 0: off */
    uint64_t wait_seconds;
    uint64_t idle_seconds;
    bool kernel_clock;
    bool tcp;
    bool has_peer; /* none: an echo on the loopback, of this process */
    struct in_addr peer;
    bool has_bind;
    struct in_addr bind;
    struct probe_cpus cpus; /* none: wherever the kernel puts it; noise: all that the process may use */
};

/* False, and the reason in `error`. */
bool probe_options_parse(int count, char **words, struct probe_options *options, char error[PROBE_ERROR]);
bool probe_parse_cpus(const char *text, struct probe_cpus *cpus, char error[PROBE_ERROR]);
extern const char probe_usage[];

#endif
