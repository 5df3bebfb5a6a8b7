/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pingpong.c: round trips to an echo, one message at a time, each at the time that it is due (pace.h). It spins until
 * then, so that what is timed is the way and not its own waking for the send; for the answer it waits in the kernel, as
 * a server does, with the adapter polled or not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "pace.h"
#include "probe.h"

struct caller {
    int socket;
    bool tcp;
    uint64_t run;
    uint64_t strange; /* answers that are none of ours, or that came too late */
    int busy_poll_error;
    struct sockaddr_in peer;
    char name[INET_ADDRSTRLEN];
};

static bool open_socket(struct caller *caller, const struct probe_options *options, char *error)
{
    struct timeval patience = {.tv_sec = (time_t)(options->timeout_ms / 1000),
                               .tv_usec = (suseconds_t)(options->timeout_ms % 1000 * 1000)};
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = options->bind};
    caller->socket = socket(AF_INET, (caller->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (caller->socket < 0 ||
        (options->has_bind && bind(caller->socket, (struct sockaddr *)&here, sizeof here) != 0)) {
        (void)snprintf(error, PROBE_ERROR, "pingpong: no socket at the address of --bind: %s", strerror(errno));
        return false;
    }
    (void)setsockopt(caller->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(caller->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (caller->tcp) {
        (void)setsockopt(caller->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    caller->busy_poll_error = probe_busy_poll(caller->socket, options->busy_poll_us);
    return true;
}

/* One round trip; false where no answer came within the timeout. A late one of UDP is passed over. */
static bool call(struct caller *caller, uint64_t number)
{
    struct probe_message message = {.magic = PROBE_MAGIC, .run = caller->run, .number = number};
    struct probe_message reply;
    if (send(caller->socket, &message, sizeof message, MSG_NOSIGNAL) != (ssize_t)sizeof message) {
        return false;
    }
    for (;;) {
        if (caller->tcp ? !probe_read_whole(caller->socket, &reply)
                        : recv(caller->socket, &reply, sizeof reply, 0) < 0) {
            return false;
        }
        if (reply.magic == PROBE_MAGIC && reply.run == caller->run && reply.number == number) {
            return true;
        }
        caller->strange++;
    }
}

/* The peer may still be starting. */
static bool reach(struct caller *caller, const struct probe_options *options, char *error)
{
    uint64_t until = probe_now_ns() + options->wait_seconds * 1000000000u;
    for (;;) {
        if (!open_socket(caller, options, error)) {
            return false;
        }
        if (connect(caller->socket, (struct sockaddr *)&caller->peer, sizeof caller->peer) == 0 &&
            call(caller, PROBE_HELLO)) {
            return true;
        }
        int reason = errno;
        (void)close(caller->socket);
        if (probe_now_ns() >= until) {
            (void)snprintf(error, PROBE_ERROR,
                           "pingpong: %s does not answer at %s port %u (%s): serve has to run there, its port open",
                           caller->name, caller->tcp ? "TCP" : "UDP", ntohs(caller->peer.sin_port), strerror(reason));
            return false;
        }
        (void)poll(NULL, 0, 50);
    }
}

/* False where the connection has ended. */
static bool measure(struct caller *caller, const struct probe_options *options, struct probe_times *times, char *error)
{
    struct probe_pace pace = probe_pace_begin(probe_now_ns(), options->interval_us * 1000,
                                              options->warm_up_ms * 1000000, options->seconds);
    uint64_t due;
    for (uint64_t number = 0; probe_pace_next(&pace, probe_now_ns(), &due); number++) {
        uint64_t sent = probe_now_ns();
        while (sent < due) {
            sent = probe_now_ns();
        }
        if (call(caller, number)) {
            probe_times_add(times, &pace, due, sent, probe_now_ns());
        } else if (caller->tcp) { /* whatever came next would be the answer to this one */
            (void)snprintf(error, PROBE_ERROR, "pingpong: %s has ended the connection or is silent: %s", caller->name,
                           strerror(errno));
            return false;
        } else {
            probe_times_lost(times, &pace, due);
        }
    }
    times->unsent = probe_pace_unsent(&pace);
    return true;
}

static void write_result(struct probe_json *json, const struct caller *caller, const struct probe_options *options,
                         const struct probe_times *times)
{
    unsigned queue = 0;
    socklen_t size = sizeof queue;
    struct sockaddr_in here = {0};
    socklen_t here_size = sizeof here;
    char name[INET_ADDRSTRLEN] = "";
    (void)getsockname(caller->socket, (struct sockaddr *)&here, &here_size);
    (void)inet_ntop(AF_INET, &here.sin_addr, name, sizeof name);
    (void)getsockopt(caller->socket, SOL_SOCKET, SO_INCOMING_NAPI_ID, &queue, &size);
    probe_json_text(json, "protocol", caller->tcp ? "tcp" : "udp");
    probe_json_text(json, "local", name);
    probe_json_text(json, "peer", caller->name);
    probe_json_flag(json, "own_echo", !options->has_peer);
    probe_json_number(json, "message_bytes", PROBE_MESSAGE);
    probe_json_number(json, "interval_us", options->interval_us);
    probe_json_open(json, "busy_poll", '{');
    probe_json_number(json, "asked_us", options->busy_poll_us);
    if (caller->busy_poll_error != 0) {
        probe_json_text(json, "refused", strerror(caller->busy_poll_error));
    } else {
        probe_json_null(json, "refused");
    }
    probe_json_flag(json, "has_queue", queue != 0); /* without one there is nothing to poll: the loopback has none */
    probe_json_close(json, '}');
    probe_json_number(json, "strange", caller->strange);
    probe_times_write(json, times);
}

bool probe_pingpong(const struct probe_options *options, struct probe_json *json, char *error)
{
    static struct probe_echo echo;
    struct caller caller = {.tcp = options->tcp, .run = probe_now_ns() ^ (uint64_t)getpid() << 40};
    struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    caller.peer.sin_family = AF_INET;
    caller.peer.sin_addr = options->has_peer ? options->peer : loopback;
    (void)inet_ntop(AF_INET, &caller.peer.sin_addr, caller.name, sizeof caller.name);
    if (!options->has_peer && !probe_echo_start(&echo, loopback, 0, options->busy_poll_us, error)) {
        return false;
    }
    caller.peer.sin_port = htons(options->has_peer ? (uint16_t)options->port : echo.port);
    struct probe_times *times = malloc(sizeof *times);
    bool sound = times != NULL && probe_pin(&options->cpus, error) && reach(&caller, options, error);
    if (sound) {
        probe_times_clear(times);
        sound = measure(&caller, options, times, error);
        if (sound) {
            write_result(json, &caller, options, times);
        }
        (void)close(caller.socket);
    }
    if (!options->has_peer) {
        probe_echo_stop(&echo);
    }
    free(times);
    return sound;
}
