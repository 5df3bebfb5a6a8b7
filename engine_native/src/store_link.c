/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * store_link.c: see store_link.h. Messages are short and rare: one is written at once, or the link is given up.
 */
#define _GNU_SOURCE
#include "store_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

enum { HELLO_SIZE = 32, MESSAGE_SIZE = 64, PROTOCOL_VERSION = 1, HAS_RECORD = 1 };

enum kind { KIND_READ = 1, KIND_WRITE = 2, KIND_ANSWER = 3, KIND_CHANGE = 4 };

/* Outcome REFUSED of the protocol: certainly not written. The replica has no use for the difference to unknown. */
enum { OUTCOME_REFUSED = 3 };

/* All little-endian, as they lie in memory. */
struct hello {
    char magic[8];
    uint32_t version, shard, member, reserved[3];
};

struct answer {
    char magic[8];
    uint32_t version, status, shard, member, reserved[2];
};

struct message {
    uint32_t kind, outcome;
    uint64_t request, version, epoch;
    uint32_t in_sync, primary, flags, reason;
    uint64_t reserved[2];
};

_Static_assert(sizeof(struct hello) == HELLO_SIZE && sizeof(struct answer) == HELLO_SIZE, "layout");
_Static_assert(sizeof(struct message) == MESSAGE_SIZE && offsetof(struct message, in_sync) == 32, "layout");

struct ib_store_link {
    struct ib_store_link_config config;
    struct ib_io_loop *loop;
    struct ib_store_link_hooks hooks;
    struct ib_io_handler handler;
    uint64_t dial_ms;
    bool is_greeted;
    bool waits; /* `request` is not answered, and may still be */
    uint64_t request;
    const char *fault;
    uint8_t input[16 * MESSAGE_SIZE];
    size_t size;
};

static const char magic[8] = {'I', 'B', 'S', 'T', 'O', 'R', 'E', '1'};

static void give_up(struct ib_store_link *link, const char *fault)
{
    IB_ASSERT(fault != NULL);
    IB_ASSERT(!link->is_greeted || link->handler.fd >= 0);
    ib_io_drop(&link->handler);
    link->fault = fault;
    link->is_greeted = false;
    link->size = 0;
    link->dial_ms = link->loop->now_ms + link->config.retry_ms;
}

static bool send_all(struct ib_store_link *link, const void *bytes, size_t size)
{
    IB_ASSERT(link->handler.fd >= 0);
    IB_ASSERT(size <= MESSAGE_SIZE);
    ssize_t sent = send(link->handler.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)size) {
        give_up(link, "the agent takes nothing: is it running?");
    }
    return sent == (ssize_t)size;
}

static const char *reason_text(uint32_t reason)
{
    static const char *const texts[] = {
        "the store gives no reason",
        "the store does not answer in time",
        "the store is asked too much",
        "the store does not allow it, or its table is missing: see the agent's log",
        "what the store has is no record of this shard: see the agent's log",
        "the store contradicts itself: see the agent's log",
        "the record may not follow the one that is there",
        "the agent's log says why",
    };
    size_t count = sizeof texts / sizeof texts[0];
    IB_ASSERT(count > 0);
    return texts[reason < count ? reason : count - 1];
}

/* ---- what the agent says ---- */

/* False: it says that there is a record in it, and what is there is none. */
static bool is_sound(const struct message *message)
{
    IB_ASSERT(message != NULL);
    return (message->flags & HAS_RECORD) == 0 || message->primary <= IB_REPLICA_NOBODY;
}

static struct ib_shard_record record_of(const struct message *message)
{
    IB_ASSERT((message->flags & HAS_RECORD) != 0);
    IB_ASSERT(message->primary <= IB_REPLICA_NOBODY);
    return (struct ib_shard_record){.version = message->version,
                                    .epoch = message->epoch,
                                    .in_sync = message->in_sync,
                                    .primary = (uint8_t)message->primary};
}

static void take_answer(struct ib_store_link *link, const struct message *message)
{
    struct ib_shard_record record;
    bool is_known = message->outcome == IB_STORE_OK || message->outcome == IB_STORE_CONFLICT;
    bool has_record = is_known && (message->flags & HAS_RECORD) != 0;
    IB_ASSERT(message->kind == KIND_ANSWER && message->outcome <= OUTCOME_REFUSED);
    if (!link->waits || message->request != link->request) {
        return; /* of a request that counts as unknown already */
    }
    if (has_record) {
        record = record_of(message);
    }
    link->waits = false;
    link->fault = is_known ? NULL : reason_text(message->reason);
    link->hooks.stored(link->hooks.context, message->request,
                       is_known ? (enum ib_store_outcome)message->outcome : IB_STORE_UNKNOWN,
                       has_record ? &record : NULL);
    IB_ASSERT(link->request >= message->request);
}

static void take_message(struct ib_store_link *link, const uint8_t *bytes)
{
    struct message message;
    memcpy(&message, bytes, sizeof message);
    IB_ASSERT(link->is_greeted && link->handler.fd >= 0);
    if (is_sound(&message) && message.kind == KIND_ANSWER && message.outcome <= OUTCOME_REFUSED) {
        take_answer(link, &message);
    } else if (is_sound(&message) && message.kind == KIND_CHANGE && (message.flags & HAS_RECORD) != 0) {
        const struct ib_shard_record record = record_of(&message);
        link->hooks.seen(link->hooks.context, &record);
    } else {
        give_up(link, "what answers at store.sock is no agent of this build");
    }
}

static void take_greeting(struct ib_store_link *link, const uint8_t *bytes)
{
    static const char *const refusals[] = {"store.sock: the agent is of another build", "store.sock: the agent is "
                                           "another shard's", "store.sock: the agent is another member's"};
    struct answer answer;
    memcpy(&answer, bytes, sizeof answer);
    IB_ASSERT(!link->is_greeted && link->handler.fd >= 0);
    if (memcmp(answer.magic, magic, sizeof magic) != 0 || answer.version != PROTOCOL_VERSION || answer.status > 3) {
        give_up(link, refusals[0]);
    } else if (answer.status != 0) {
        give_up(link, refusals[answer.status - 1]);
    } else {
        link->is_greeted = true;
        link->fault = NULL;
    }
}

static void link_ready(void *owner, uint32_t events)
{
    struct ib_store_link *link = owner;
    (void)events;
    IB_ASSERT(link->handler.fd >= 0 && link->size < sizeof link->input);
    ssize_t got = recv(link->handler.fd, link->input + link->size, sizeof link->input - link->size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        give_up(link, "the agent is gone: is it running?");
        return;
    }
    link->size += (size_t)got;
    IB_ASSERT(link->size <= sizeof link->input);
    size_t begin = 0;
    while (link->handler.fd >= 0) {
        size_t wanted = link->is_greeted ? MESSAGE_SIZE : HELLO_SIZE;
        if (link->size - begin < wanted) {
            break;
        }
        const uint8_t *bytes = link->input + begin;
        begin += wanted;
        if (link->is_greeted) {
            take_message(link, bytes);
        } else {
            take_greeting(link, bytes);
        }
    }
    if (link->handler.fd >= 0) {
        IB_ASSERT(link->size - begin < MESSAGE_SIZE); /* there is room for more the next time */
        link->size -= begin;
        memmove(link->input, link->input + begin, link->size);
    }
}

/* ---- what is asked ---- */

void ib_store_link_ask(struct ib_store_link *link, uint64_t request, const struct ib_shard_record *record)
{
    struct message message = {.kind = record != NULL ? KIND_WRITE : KIND_READ, .request = request};
    IB_ASSERT(request > link->request);
    IB_ASSERT(record == NULL || record->version > 0); /* a write names the version that it makes */
    if (link->waits && link->is_greeted) {
        link->fault = "the agent does not answer in time: see its log, and whether it runs";
    }
    link->request = request;
    link->waits = true;
    if (!link->is_greeted) {
        return; /* the tick answers */
    }
    if (record != NULL) {
        message.version = record->version;
        message.epoch = record->epoch;
        message.in_sync = record->in_sync;
        message.primary = record->primary;
        message.flags = HAS_RECORD;
    }
    (void)send_all(link, &message, sizeof message);
}

static void dial(struct ib_store_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct hello hello = {.magic = {'I', 'B', 'S', 'T', 'O', 'R', 'E', '1'},
                                .version = PROTOCOL_VERSION,
                                .shard = link->config.shard,
                                .member = link->config.member};
    IB_ASSERT(link->handler.fd < 0 && !link->is_greeted);
    IB_ASSERT(link->size == 0); /* nothing of the connection before is taken for its greeting */
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/store.sock", link->config.run_directory);
    link->dial_ms = link->loop->now_ms + link->config.retry_ms;
    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        link->fault = "run_directory is too long for a socket in it: choose a shorter one";
        return;
    }
    link->handler.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->handler.fd < 0 ||
        connect(link->handler.fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        ib_io_add(link->loop, &link->handler, EPOLLIN) != IB_OK) {
        give_up(link, "no agent answers at store.sock in run_directory: is it running?");
        return;
    }
    (void)send_all(link, &hello, sizeof hello);
}

void ib_store_link_tick(struct ib_store_link *link)
{
    IB_ASSERT(link != NULL);
    if (link->handler.fd < 0 && link->loop->now_ms >= link->dial_ms) {
        dial(link);
    }
    if (link->waits && !link->is_greeted) {
        link->waits = false;
        link->hooks.stored(link->hooks.context, link->request, IB_STORE_UNKNOWN, NULL);
    }
    IB_ASSERT(!link->is_greeted || link->handler.fd >= 0);
}

const char *ib_store_link_fault(const struct ib_store_link *link)
{
    IB_ASSERT(link != NULL);
    return link->fault;
}

/* ---- life ---- */

int ib_store_link_open(struct ib_store_link **link, const struct ib_store_link_config *config, struct ib_io_loop *loop,
                       struct ib_store_link_hooks hooks)
{
    IB_ASSERT(link != NULL && loop != NULL && config->run_directory != NULL);
    IB_ASSERT(hooks.stored != NULL && hooks.seen != NULL);
    *link = calloc(1, sizeof **link);
    if (*link == NULL) {
        return IB_ERROR_MEMORY;
    }
    (*link)->config = *config;
    (*link)->loop = loop;
    (*link)->hooks = hooks;
    (*link)->handler = (struct ib_io_handler){.fd = -1, .owner = *link, .ready = link_ready};
    (*link)->fault = "the agent was not asked yet";
    return IB_OK;
}

void ib_store_link_close(struct ib_store_link *link)
{
    if (link != NULL) {
        ib_io_drop(&link->handler);
        free(link);
    }
}
