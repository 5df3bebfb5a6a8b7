/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * options.c: see options.h.
 */
#include "options.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char probe_usage[] =
    "ironbook-probe noise    --seconds N [--cpus LIST] [--threshold-ns N] [--clock auto|kernel] [--warm-up-ms N]\n"
    "ironbook-probe wake     --seconds N [--cpus FIRST[,SECOND]] [--interval-us N] [--warm-up-ms N]\n"
    "ironbook-probe pingpong --seconds N [--peer ADDRESS --port N] [--bind ADDRESS] [--protocol udp|tcp]\n"
    "                        [--busy-poll-us N] [--interval-us N] [--timeout-ms N] [--wait-seconds N]\n"
    "                        [--warm-up-ms N] [--cpus LIST]\n"
    "ironbook-probe serve    --seconds N --bind ADDRESS --port N [--idle-seconds N] [--busy-poll-us N] [--cpus LIST]\n"
    "Prints one JSON document, and ends by itself. It measures, and changes nothing.";

enum { ALL = PROBE_NOISE | PROBE_WAKE | PROBE_PINGPONG | PROBE_SERVE };

struct number {
    const char *name;
    unsigned modes;
    uint64_t least;
    uint64_t most;
    size_t offset;
};

#define AT(field) offsetof(struct probe_options, field)

static const struct number numbers[] = {
    {"--seconds", ALL, 1, 3600, AT(seconds)},
    {"--warm-up-ms", PROBE_NOISE | PROBE_WAKE | PROBE_PINGPONG, 0, 60000, AT(warm_up_ms)},
    {"--interval-us", PROBE_WAKE | PROBE_PINGPONG, 10, 1000000, AT(interval_us)},
    {"--threshold-ns", PROBE_NOISE, 1, 1000000000, AT(threshold_ns)},
    {"--timeout-ms", PROBE_PINGPONG, 1, 60000, AT(timeout_ms)},
    {"--port", PROBE_PINGPONG | PROBE_SERVE, 1, 65535, AT(port)},
    {"--busy-poll-us", PROBE_PINGPONG | PROBE_SERVE, 0, 10000, AT(busy_poll_us)},
    {"--wait-seconds", PROBE_PINGPONG, 0, 600, AT(wait_seconds)},
    {"--idle-seconds", PROBE_SERVE, 1, 3600, AT(idle_seconds)},
};

static bool parse_number(const struct number *number, const char *text, struct probe_options *options, char *error)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)*text) || *end != '\0' || value < number->least || value > number->most) {
        (void)snprintf(error, PROBE_ERROR, "%s %.40s: a number from %llu to %llu is wanted", number->name, text,
                       (unsigned long long)number->least, (unsigned long long)number->most);
        return false;
    }
    memcpy((char *)options + number->offset, &(uint64_t){value}, sizeof(uint64_t));
    return true;
}

/* Of one host: neither "any address" nor one of many hosts. */
static bool parse_address(const char *name, const char *text, struct in_addr *address, char *error)
{
    if (inet_pton(AF_INET, text, address) != 1 || address->s_addr == INADDR_ANY ||
        address->s_addr == INADDR_BROADCAST || IN_MULTICAST(ntohl(address->s_addr))) {
        (void)snprintf(error, PROBE_ERROR, "%s %.40s: the IPv4 address of one host is wanted", name, text);
        return false;
    }
    return true;
}

static bool parse_choice(const char *name, const char *text, const char *no, const char *yes, bool *chosen, char *error)
{
    *chosen = strcmp(text, yes) == 0;
    if (!*chosen && strcmp(text, no) != 0) {
        (void)snprintf(error, PROBE_ERROR, "%s %.40s: %s or %s is wanted", name, text, no, yes);
        return false;
    }
    return true;
}

bool probe_parse_cpus(const char *text, struct probe_cpus *cpus, char error[PROBE_ERROR])
{
    static const char wanted[] = "a CPU list such as 2-5,8 is wanted";
    bool chosen[PROBE_CPUS] = {false};
    const char *at = text;
    do {
        char *end = NULL;
        unsigned long first = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : PROBE_CPUS;
        unsigned long last = first;
        if (end != NULL && *end == '-') {
            at = end + 1;
            last = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : PROBE_CPUS;
        }
        if (first >= PROBE_CPUS || last >= PROBE_CPUS || last < first || (*end != ',' && *end != '\0')) {
            (void)snprintf(error, PROBE_ERROR, "--cpus %.60s: %s", text, wanted);
            return false;
        }
        for (unsigned long cpu = first; cpu <= last; cpu++) {
            chosen[cpu] = true;
        }
        at = *end == ',' ? end + 1 : NULL;
    } while (at != NULL);
    cpus->count = 0;
    for (uint16_t cpu = 0; cpu < PROBE_CPUS; cpu++) {
        if (chosen[cpu]) {
            cpus->cpu[cpus->count++] = cpu;
        }
    }
    return true;
}

static bool parse_pair(const char *name, const char *value, struct probe_options *options, char *error)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(name, numbers[i].name) == 0 && (numbers[i].modes & options->mode) != 0) {
            return parse_number(&numbers[i], value, options, error);
        }
    }
    bool network = options->mode == PROBE_PINGPONG || options->mode == PROBE_SERVE;
    if (strcmp(name, "--cpus") == 0) {
        return probe_parse_cpus(value, &options->cpus, error);
    }
    if (strcmp(name, "--clock") == 0 && options->mode == PROBE_NOISE) {
        return parse_choice(name, value, "auto", "kernel", &options->kernel_clock, error);
    }
    if (strcmp(name, "--protocol") == 0 && options->mode == PROBE_PINGPONG) {
        return parse_choice(name, value, "udp", "tcp", &options->tcp, error);
    }
    if (strcmp(name, "--peer") == 0 && options->mode == PROBE_PINGPONG) {
        options->has_peer = true;
        return parse_address(name, value, &options->peer, error);
    }
    if (strcmp(name, "--bind") == 0 && network) {
        options->has_bind = true;
        return parse_address(name, value, &options->bind, error);
    }
    (void)snprintf(error, PROBE_ERROR, "%.40s: this mode has no such option", name);
    return false;
}

/* What options have to have in common. */
static bool whole(const struct probe_options *options, char *error)
{
    const char *wrong = NULL;
    if (options->seconds == 0) {
        wrong = "--seconds is missing";
    } else if (options->mode == PROBE_SERVE && (!options->has_bind || options->port == 0)) {
        wrong = "serve: --bind ADDRESS and --port N are wanted: it listens there and nowhere else";
    } else if (options->mode == PROBE_PINGPONG && options->has_peer != (options->port != 0)) {
        wrong = "pingpong: --peer and --port are given both, or neither for an echo of its own on the loopback";
    } else if (options->mode == PROBE_PINGPONG && options->has_bind && !options->has_peer) {
        wrong = "pingpong: --bind is for a --peer";
    } else if (options->mode == PROBE_WAKE && options->cpus.count > 2) {
        wrong = "wake: --cpus names one CPU, or two that wake each other";
    }
    if (wrong != NULL) {
        (void)snprintf(error, PROBE_ERROR, "%s", wrong);
    }
    return wrong == NULL;
}

bool probe_options_parse(int count, char **words, struct probe_options *options, char error[PROBE_ERROR])
{
    static const struct {
        const char *name;
        enum probe_mode mode;
    } modes[] = {
        {"noise", PROBE_NOISE}, {"wake", PROBE_WAKE}, {"pingpong", PROBE_PINGPONG}, {"serve", PROBE_SERVE}};
    *options = (struct probe_options){
        .warm_up_ms = 200, .interval_us = 1000, .timeout_ms = 1000, .wait_seconds = 10, .idle_seconds = 3};
    for (size_t i = 0; count > 1 && i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(words[1], modes[i].name) == 0) {
            options->mode = modes[i].mode;
        }
    }
    if (options->mode == 0) {
        (void)snprintf(error, PROBE_ERROR, "a mode is wanted first: noise, wake, pingpong or serve");
        return false;
    }
    for (int i = 2; i < count; i += 2) {
        if (i + 1 == count) {
            (void)snprintf(error, PROBE_ERROR, "%.40s: a value is wanted", words[i]);
            return false;
        }
        if (!parse_pair(words[i], words[i + 1], options, error)) {
            return false;
        }
    }
    return whole(options, error);
}
