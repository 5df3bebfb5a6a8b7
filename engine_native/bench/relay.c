/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay.c: what an engine is measured beside: the same bytes through the same sockets, files and processes, and no
 * engine. bench/durable.py starts it.
 *
 *   relay echo PORT ACCEPTED EXECUTED
 *       one connection at a time, a blocking read and a write: each order is answered at once.
 *   relay primary PORT ACCEPTED EXECUTED FILE SYNC [STANDBY_PORT …]
 *       takes orders of several connections. What has arrived is a group: it goes to each standby, in frames as the
 *       engine's members send them, and into FILE, in records of the journal's size, synced by SYNC (none; group:
 *       fdatasync; write: RWF_DSYNC). Orders are answered when all have them.
 *   relay standby PORT FILE SYNC
 *       writes and syncs what has arrived as one group, acknowledges it, and ends with its connection.
 *
 * ACCEPTED and EXECUTED are the bytes of the engine's two reports about an order (0: none). Nothing is checked, kept,
 * compared or retried: it is a lower bound and no service. All of them end when the process that started them ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "wire.h"

enum {
    PEERS = 16,
    INPUT = 1 << 18,
    OUTPUT = 1 << 23,
    RECORD = 192,       /* of the journal, an order's */
    FRAME = 96,         /* header of a frame between members; an acknowledgement is one */
    ENTRY = 136,        /* and each order in it */
    FRAME_ENTRIES = 64, /* at most */
    GROUP = 4096,       /* records in one write, at most */
    FILE_BYTES = 64 << 20, /* a segment */
    WINDOW = 1 << 20, /* orders that are not answered, at most */
};

struct peer {
    int fd;
    size_t input_size, output_begin, output_end;
    uint8_t *input, *output;
};

struct order {
    unsigned peer;
    uint32_t ref;
};

static struct peer peers[PEERS]; /* standbys first, then clients */
static unsigned peer_count, standby_count;
static size_t accepted_size, executed_size;
static int file = -1;
static int sync_by_call, sync_by_flag;
static off_t file_end;
static struct order orders[WINDOW];
static uint64_t ordered, sent, written, answered, acknowledged[PEERS];
static uint8_t group[GROUP * RECORD];

static void fail(const char *what)
{
    wire_fail("relay", what);
}

/* ---- the file ---- */

static void open_file(const char *path, const char *sync)
{
    sync_by_call = strcmp(sync, "group") == 0;
    sync_by_flag = strcmp(sync, "write") == 0 ? RWF_DSYNC : 0;
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || unlink(path) != 0 || (errno = posix_fallocate(file, 0, FILE_BYTES)) != 0) {
        fail(path);
    }
    memset(group, 0, sizeof group);
    for (off_t at = 0; at < FILE_BYTES; at += (off_t)sizeof group) {
        size_t left = (size_t)(FILE_BYTES - at);
        if (pwrite(file, group, left < sizeof group ? left : sizeof group, at) < 0) {
            fail(path);
        }
    }
    if (fsync(file) != 0) {
        fail("fsync");
    }
}

/* As many records, which are the group's, at the end of the file; it is begun again when it is full. */
static void write_records(uint64_t count)
{
    while (count > 0) {
        size_t part = count < GROUP ? (size_t)count : GROUP;
        struct iovec vector = {group, part * RECORD};
        if (file_end + (off_t)vector.iov_len > FILE_BYTES) {
            file_end = 0;
        }
        if (pwritev2(file, &vector, 1, file_end, sync_by_flag) != (ssize_t)vector.iov_len ||
            (sync_by_call && fdatasync(file) != 0)) {
            fail("write");
        }
        file_end += (off_t)vector.iov_len;
        count -= part;
    }
}

/* ---- sockets ---- */

static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int yes = 1;
    address.sin_port = htons((uint16_t)atoi(port));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, PEERS) != 0) {
        fail("listen");
    }
    return fd;
}

static int accept_on(int listener)
{
    int yes = 1;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        fail("accept");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void add_peer(int fd)
{
    struct peer *peer = &peers[peer_count];
    if (peer_count++ == PEERS) {
        fail("too many connections");
    }
    *peer = (struct peer){.fd = fd, .input = malloc(INPUT), .output = malloc(OUTPUT)};
    if (peer->input == NULL || peer->output == NULL) {
        fail("memory");
    }
}

/* False: the other side has closed it. */
static bool receive(struct peer *peer, int flags)
{
    ssize_t got = recv(peer->fd, peer->input + peer->input_size, INPUT - peer->input_size, flags);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    peer->input_size += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static void consume(struct peer *peer, size_t used)
{
    peer->input_size -= used;
    memmove(peer->input, peer->input + used, peer->input_size);
}

static void send_output(struct peer *peer, int flags)
{
    while (peer->output_begin < peer->output_end) {
        ssize_t size = send(peer->fd, peer->output + peer->output_begin, peer->output_end - peer->output_begin,
                            flags | MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && errno == EAGAIN) {
            return;
        }
        if (size < 0) { /* it is gone: poll says so, too */
            break;
        }
        peer->output_begin += (size_t)size;
    }
    peer->output_begin = peer->output_end = 0;
}

static uint8_t *room_for(struct peer *peer, size_t size)
{
    if (peer->output_end + size > OUTPUT) {
        send_output(peer, 0);
    }
    uint8_t *out = peer->output + peer->output_end;
    peer->output_end += size;
    return out;
}

static void put_report(uint8_t *out, size_t size, char type, uint32_t ref)
{
    uint32_t wire_order_ref = htobe32(ref);
    memset(out, 0, size);
    out[0] = (uint8_t)((size - 2) >> 8);
    out[1] = (uint8_t)(size - 2);
    out[2] = 'S';
    out[3] = (uint8_t)type;
    memcpy(out + WIRE_REF, &wire_order_ref, sizeof wire_order_ref);
}

static void answer_order(struct peer *peer, uint32_t ref)
{
    put_report(room_for(peer, accepted_size), accepted_size, 'A', ref);
    if (executed_size > 0) {
        put_report(room_for(peer, executed_size), executed_size, 'E', ref);
    }
}

static void answer_login(struct peer *peer)
{
    uint8_t *out = room_for(peer, WIRE_LOGIN_ACCEPTED);
    memset(out, ' ', WIRE_LOGIN_ACCEPTED);
    out[0] = 0;
    out[1] = WIRE_LOGIN_ACCEPTED - 2;
    out[2] = 'A';
}

/* ---- roles ---- */

static void echo(const char *port)
{
    int listener = listen_on(port);
    for (;;) {
        peer_count = 0;
        add_peer(accept_on(listener));
        struct peer *peer = &peers[0];
        while (receive(peer, 0)) {
            size_t used = 0, size;
            while ((size = wire_packet(peer->input + used, peer->input_size - used)) > 0) {
                const uint8_t *packet = peer->input + used;
                if (packet[2] == 'L') {
                    answer_login(peer);
                } else if (packet[2] == 'U') {
                    answer_order(peer, wire_ref(packet + 4));
                }
                used += size;
            }
            consume(peer, used);
            send_output(peer, 0);
        }
        close(peer->fd);
        free(peer->input);
        free(peer->output);
    }
}

static void take_orders(unsigned number)
{
    struct peer *peer = &peers[number];
    size_t used = 0, size;
    while ((size = wire_packet(peer->input + used, peer->input_size - used)) > 0) {
        const uint8_t *packet = peer->input + used;
        if (packet[2] == 'L') {
            answer_login(peer);
            send_output(peer, 0);
        } else if (packet[2] == 'U') {
            if (ordered - answered == WINDOW) {
                fail("more orders than the window");
            }
            orders[ordered++ % WINDOW] = (struct order){number, wire_ref(packet + 4)};
        }
        used += size;
    }
    consume(peer, used);
}

static void take_acknowledgements(unsigned number)
{
    struct peer *peer = &peers[number];
    size_t whole = peer->input_size / FRAME * FRAME;
    if (whole > 0) {
        memcpy(&acknowledged[number], peer->input + whole - FRAME + 24, sizeof acknowledged[number]);
        consume(peer, whole);
    }
}

/* All that has arrived, to each standby and into the file. */
static void replicate(void)
{
    while (sent < ordered) {
        uint64_t count = ordered - sent < FRAME_ENTRIES ? ordered - sent : FRAME_ENTRIES;
        for (unsigned i = 0; i < standby_count; i++) {
            uint8_t *out = room_for(&peers[i], FRAME + count * ENTRY);
            memset(out, 0, FRAME + count * ENTRY);
            memcpy(out + 12, &(uint32_t){(uint32_t)count}, 4);
            for (uint64_t j = 0; j < count; j++) {
                memcpy(out + FRAME + j * ENTRY + 8, &orders[(sent + j) % WINDOW], sizeof orders[0]);
            }
        }
        sent += count;
    }
    for (unsigned i = 0; i < standby_count; i++) {
        send_output(&peers[i], 0);
    }
    for (uint64_t i = 0; i < ordered - written && i < GROUP; i++) {
        memcpy(group + i * RECORD + 64, &orders[(written + i) % WINDOW], sizeof orders[0]);
    }
    write_records(ordered - written);
    written = ordered;
}

static void answer(void)
{
    uint64_t committed = written;
    for (unsigned i = 0; i < standby_count; i++) {
        committed = acknowledged[i] < committed ? acknowledged[i] : committed;
    }
    for (; answered < committed; answered++) {
        const struct order *order = &orders[answered % WINDOW];
        if (peers[order->peer].fd >= 0) {
            answer_order(&peers[order->peer], order->ref);
        }
    }
    for (unsigned i = standby_count; i < peer_count; i++) {
        send_output(&peers[i], MSG_DONTWAIT);
    }
}

/* The clients of one run are gone: the next ones begin with the same numbers of connections. */
static void forget_clients(void)
{
    bool any = false;
    for (unsigned i = standby_count; i < peer_count; i++) {
        any = any || peers[i].fd >= 0;
    }
    if (any || answered < ordered) {
        return;
    }
    for (; peer_count > standby_count; peer_count--) {
        free(peers[peer_count - 1].input);
        free(peers[peer_count - 1].output);
    }
}

static void serve(unsigned number, short happened)
{
    struct peer *peer = &peers[number];
    if (happened & POLLOUT) {
        send_output(peer, MSG_DONTWAIT);
    }
    if (!(happened & ~POLLOUT)) {
        return;
    }
    if (!receive(peer, MSG_DONTWAIT)) {
        if (number < standby_count) {
            fail("a standby is gone");
        }
        close(peer->fd);
        peer->fd = -1; /* poll passes over it */
        peer->output_begin = peer->output_end = 0;
        return;
    }
    if (number < standby_count) {
        take_acknowledgements(number);
    } else {
        take_orders(number);
    }
}

static void primary(const char *port)
{
    int listener = listen_on(port);
    for (;;) {
        struct pollfd polled[PEERS + 1];
        for (unsigned i = 0; i < peer_count; i++) {
            int writes = peers[i].output_begin < peers[i].output_end;
            polled[i] = (struct pollfd){.fd = peers[i].fd, .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
        }
        unsigned count = peer_count;
        polled[count] = (struct pollfd){.fd = listener, .events = POLLIN};
        if (poll(polled, count + 1, -1) < 0 && errno != EINTR) {
            fail("poll");
        }
        for (unsigned i = 0; i < count; i++) {
            serve(i, polled[i].revents);
        }
        if (polled[count].revents != 0) {
            forget_clients();
            add_peer(accept_on(listener));
        }
        if (written < ordered) {
            replicate();
        }
        answer();
    }
}

static void standby(const char *port)
{
    int listener = listen_on(port);
    uint64_t seq = 0;
    add_peer(accept_on(listener));
    struct peer *peer = &peers[0];
    while (receive(peer, 0)) {
        size_t used = 0;
        uint64_t before = seq;
        while (peer->input_size - used >= FRAME) {
            uint32_t count;
            memcpy(&count, peer->input + used + 12, sizeof count);
            if (peer->input_size - used < FRAME + count * ENTRY) {
                break;
            }
            for (uint32_t i = 0; i < count && seq - before + i < GROUP; i++) {
                memcpy(group + (seq - before + i) * RECORD + 64, peer->input + used + FRAME + i * ENTRY + 8,
                       ENTRY - 8);
            }
            seq += count;
            used += FRAME + count * ENTRY;
        }
        consume(peer, used);
        if (seq > before) {
            write_records(seq - before);
            uint8_t *out = room_for(peer, FRAME);
            memset(out, 0, FRAME);
            memcpy(out + 24, &seq, sizeof seq);
            send_output(peer, 0);
        }
    }
}

int main(int count, char **arguments)
{
    const char *role = count > 2 ? arguments[1] : "";
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strcmp(role, "standby") == 0 && count == 5) {
        open_file(arguments[3], arguments[4]);
        standby(arguments[2]);
        return 0;
    }
    if (count > 4) {
        accepted_size = strtoul(arguments[3], NULL, 10);
        executed_size = strtoul(arguments[4], NULL, 10);
    }
    if (strcmp(role, "echo") == 0 && count == 5) {
        echo(arguments[2]);
    } else if (strcmp(role, "primary") == 0 && count >= 7) {
        open_file(arguments[5], arguments[6]);
        for (int i = 7; i < count && standby_count < PEERS / 2; i++) {
            add_peer(wire_connect("relay", arguments[i]));
            standby_count++;
        }
        primary(arguments[2]);
    }
    fprintf(stderr, "relay echo PORT ACCEPTED EXECUTED\n"
                    "relay primary PORT ACCEPTED EXECUTED FILE SYNC [STANDBY_PORT ...]\n"
                    "relay standby PORT FILE SYNC\n");
    return 2;
}
