/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * echo.c: sends back what it gets, by UDP and TCP on one port of one address. Each of its two threads waits in the
 * kernel for at most 50 ms, so that it sees when it is to end. It answers 64 bytes with 64, and only to what begins as
 * it should: it makes nothing larger, and nobody gets an answer who does not know how to ask.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "probe.h"

#define SILENT_NS UINT64_C(5000000000) /* a connection that says nothing is left for the next one */

static void wait_at_most_50_ms(int socket)
{
    struct timeval turn = {.tv_usec = 50000};
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &turn, sizeof turn);
}

int probe_busy_poll(int socket, uint64_t microseconds)
{
    int value = (int)microseconds;
    return value == 0 || setsockopt(socket, SOL_SOCKET, SO_BUSY_POLL, &value, sizeof value) == 0 ? 0 : errno;
}

bool probe_read_whole(int socket, struct probe_message *message)
{
    size_t size = 0;
    while (size < sizeof *message) {
        ssize_t got = recv(socket, (char *)message + size, sizeof *message - size, 0);
        if (got == 0) {
            errno = ECONNRESET;
        }
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
    }
    return true;
}

static void *echo_udp(void *argument)
{
    struct probe_echo *echo = argument;
    struct probe_message message;
    while (!atomic_load(&echo->stop)) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(echo->udp, &message, sizeof message, MSG_TRUNC, (struct sockaddr *)&from, &size);
        if (got < 0) {
            continue;
        }
        if (got != (ssize_t)sizeof message || message.magic != PROBE_MAGIC) {
            (void)atomic_fetch_add(&echo->strange, 1);
            continue;
        }
        (void)sendto(echo->udp, &message, sizeof message, 0, (struct sockaddr *)&from, size);
        (void)atomic_fetch_add(&echo->echoed_udp, 1);
        atomic_store(&echo->last_ns, probe_now_ns());
    }
    return NULL;
}

static void serve_connection(struct probe_echo *echo, int connection)
{
    struct probe_message message;
    uint64_t heard_ns = probe_now_ns();
    wait_at_most_50_ms(connection);
    (void)setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    (void)probe_busy_poll(connection, echo->busy_poll_us);
    while (!atomic_load(&echo->stop) && probe_now_ns() - heard_ns < SILENT_NS) {
        ssize_t got = recv(connection, &message, sizeof message, MSG_PEEK);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (got <= 0 || !probe_read_whole(connection, &message)) {
            return;
        }
        if (message.magic != PROBE_MAGIC) {
            (void)atomic_fetch_add(&echo->strange, 1);
            return;
        }
        if (send(connection, &message, sizeof message, MSG_NOSIGNAL) != (ssize_t)sizeof message) {
            return;
        }
        (void)atomic_fetch_add(&echo->echoed_tcp, 1);
        heard_ns = probe_now_ns();
        atomic_store(&echo->last_ns, heard_ns);
    }
}

static void *echo_tcp(void *argument)
{
    struct probe_echo *echo = argument;
    while (!atomic_load(&echo->stop)) {
        struct pollfd wanted = {.fd = echo->tcp, .events = POLLIN};
        if (poll(&wanted, 1, 50) == 1) {
            int connection = accept4(echo->tcp, NULL, NULL, SOCK_CLOEXEC);
            if (connection >= 0) {
                serve_connection(echo, connection);
                (void)close(connection);
            }
        }
    }
    return NULL;
}

static bool listen_at(struct probe_echo *echo, struct in_addr address, uint16_t port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = address, .sin_port = htons(port)};
    socklen_t size = sizeof here;
    echo->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    echo->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(echo->tcp, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(echo->tcp, (struct sockaddr *)&here, sizeof here) != 0 || listen(echo->tcp, 4) != 0 ||
        getsockname(echo->tcp, (struct sockaddr *)&here, &size) != 0) {
        return false;
    }
    echo->port = ntohs(here.sin_port);
    return bind(echo->udp, (struct sockaddr *)&here, sizeof here) == 0;
}

bool probe_echo_start(struct probe_echo *echo, struct in_addr address, uint16_t port, uint64_t busy_poll_us,
                      char *error)
{
    memset(echo, 0, sizeof *echo);
    echo->busy_poll_us = busy_poll_us;
    char name[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, &address, name, sizeof name);
    if (!listen_at(echo, address, port)) {
        (void)snprintf(error, PROBE_ERROR, "serve: cannot listen at %s port %u: %s", name, port, strerror(errno));
        return false;
    }
    wait_at_most_50_ms(echo->udp);
    (void)probe_busy_poll(echo->udp, busy_poll_us);
    if (pthread_create(&echo->threads[0], NULL, echo_udp, echo) != 0 ||
        pthread_create(&echo->threads[1], NULL, echo_tcp, echo) != 0) {
        (void)snprintf(error, PROBE_ERROR, "serve: no thread");
        return false;
    }
    return true;
}

void probe_echo_stop(struct probe_echo *echo)
{
    atomic_store(&echo->stop, true);
    (void)pthread_join(echo->threads[0], NULL);
    (void)pthread_join(echo->threads[1], NULL);
    (void)close(echo->udp);
    (void)close(echo->tcp);
}

bool probe_serve(const struct probe_options *options, struct probe_json *json, char *error)
{
    static struct probe_echo echo;
    if (!probe_pin(&options->cpus, error) ||
        !probe_echo_start(&echo, options->bind, (uint16_t)options->port, options->busy_poll_us, error)) {
        return false;
    }
    uint64_t end_ns = probe_now_ns() + options->seconds * 1000000000u;
    for (uint64_t now = probe_now_ns(); now < end_ns; now = probe_now_ns()) {
        uint64_t last = atomic_load(&echo.last_ns);
        if (last != 0 && now > last + options->idle_seconds * 1000000000u) {
            break;
        }
        (void)poll(NULL, 0, 50);
    }
    probe_echo_stop(&echo);
    probe_json_number(json, "echoed_udp", atomic_load(&echo.echoed_udp));
    probe_json_number(json, "echoed_tcp", atomic_load(&echo.echoed_tcp));
    probe_json_number(json, "strange", atomic_load(&echo.strange));
    return true;
}
