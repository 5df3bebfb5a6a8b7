/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * probe.h: what the modes share. Each measures, and then writes its members into the document that is open; false, and
 * the reason in `error`, where it could not measure.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdatomic.h>

#include "json.h"
#include "options.h"

enum {
    PROBE_SCHEMA_VERSION = 1,
    PROBE_MESSAGE = 64, /* bytes, both ways: an order and its report are about as long */
};

/* What goes to and fro. Anybody may send anything to a port: what does not begin like this gets no answer. */
#define PROBE_MAGIC UINT64_C(0x3130454252505249)

struct probe_message {
    uint64_t magic;
    uint64_t run;    /* of one process: answers to an earlier one are told apart */
    uint64_t number; /* PROBE_HELLO: is somebody there? */
    uint8_t padding[PROBE_MESSAGE - 24];
};

#define PROBE_HELLO UINT64_MAX

/* An echo of UDP and TCP on one port: two threads. */
struct probe_echo {
    int udp;
    int tcp;
    uint16_t port;
    uint64_t busy_poll_us;
    atomic_bool stop;
    _Atomic uint64_t last_ns; /* when somebody last said something; 0: nobody has */
    _Atomic uint64_t echoed_udp;
    _Atomic uint64_t echoed_tcp;
    _Atomic uint64_t strange; /* what got no answer */
    unsigned long threads[2];
};

bool probe_echo_start(struct probe_echo *echo, struct in_addr address, uint16_t port, uint64_t busy_poll_us,
                      char *error);
void probe_echo_stop(struct probe_echo *echo);

/* Asks the kernel to poll the adapter's queue while a socket is waited for; errno, or 0. */
int probe_busy_poll(int socket, uint64_t microseconds);
/* Whether it reads a whole message in time. */
bool probe_read_whole(int socket, struct probe_message *message);

/* This thread, to these CPUs; nothing for none. */
bool probe_pin(const struct probe_cpus *cpus, char *error);
/* Those that this process may use. */
void probe_usable_cpus(struct probe_cpus *cpus);

bool probe_noise(const struct probe_options *options, struct probe_json *json, char *error);
bool probe_wake(const struct probe_options *options, struct probe_json *json, char *error);
bool probe_pingpong(const struct probe_options *options, struct probe_json *json, char *error);
bool probe_serve(const struct probe_options *options, struct probe_json *json, char *error);

#endif
