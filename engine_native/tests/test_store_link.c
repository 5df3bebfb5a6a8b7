/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_store_link.c: the engine's end of store.sock against an agent that answers, refuses, contradicts, talks nonsense
 * or is not there: every request is answered once at most, and what is no answer is none.
 */
#define _GNU_SOURCE
#include "store_link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ironbook.h"
#include "test.h"

enum { SHARD = 3, MEMBER = 1, RETRY_MS = 50 };

/* As docs/protocols/store.md has them, written anew here: nothing is shared with what is tested. */
enum { READ = 1, WRITE = 2, ANSWER = 3, CHANGE = 4, OK = 0, CONFLICT = 1, UNKNOWN = 2, REFUSED = 3 };

struct message {
    uint32_t kind, outcome;
    uint64_t request, version, epoch;
    uint32_t in_sync, primary, flags, reason;
    uint64_t reserved[2];
};

static struct {
    char directory[256];
    struct ib_io_loop loop;
    struct ib_store_link *link;
    int listener, agent;
    /* what the hooks were told */
    unsigned answers, changes;
    uint64_t request;
    enum ib_store_outcome outcome;
    int has_record;
    struct ib_shard_record record, change;
    uint64_t asks_again; /* the hook asks at once, as the replica does */
} world;

static void stored(void *context, uint64_t request, enum ib_store_outcome outcome, const struct ib_shard_record *record)
{
    (void)context;
    world.answers++;
    world.request = request;
    world.outcome = outcome;
    world.has_record = record != NULL;
    if (record != NULL) {
        world.record = *record;
    }
    if (world.asks_again > 0) {
        ib_store_link_ask(world.link, world.asks_again, NULL);
        world.asks_again = 0;
    }
}

static void seen(void *context, const struct ib_shard_record *record)
{
    (void)context;
    world.changes++;
    world.change = *record;
}

static void listen_as_agent(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.90s/store.sock", world.directory);
    (void)unlink(address.sun_path);
    world.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(world.listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(world.listener, 4) != 0) {
        perror(address.sun_path);
        exit(2);
    }
}

static void open_world(void)
{
    memset(&world, 0, sizeof world);
    world.agent = world.listener = -1;
    test_make_directory(world.directory);
    const struct ib_store_link_config config = {
        .run_directory = world.directory, .shard = SHARD, .member = MEMBER, .retry_ms = RETRY_MS};
    const struct ib_store_link_hooks hooks = {.stored = stored, .seen = seen};
    EXPECT_EQUAL(ib_io_loop_open(&world.loop), IB_OK);
    EXPECT_EQUAL(ib_store_link_open(&world.link, &config, &world.loop, hooks), IB_OK);
}

static void agent_goes(void)
{
    if (world.agent >= 0) {
        close(world.agent);
    }
    if (world.listener >= 0) {
        close(world.listener);
    }
    world.agent = world.listener = -1;
}

static void close_world(void)
{
    agent_goes();
    ib_store_link_close(world.link);
    ib_io_loop_close(&world.loop);
    test_remove_directory(world.directory);
}

static void turn(void)
{
    for (int i = 0; i < 4; i++) {
        EXPECT_EQUAL(ib_io_turn(&world.loop, 0), IB_OK);
    }
}

/* What comes to the agent within a second; less: the connection ended, or nothing came. */
static size_t hear(void *bytes, size_t size)
{
    size_t got = 0;
    while (got < size) {
        struct pollfd one = {.fd = world.agent, .events = POLLIN};
        if (poll(&one, 1, 1000) != 1) {
            break;
        }
        ssize_t more = recv(world.agent, (char *)bytes + got, size - got, 0);
        if (more <= 0) {
            break;
        }
        got += (size_t)more;
    }
    return got;
}

static int hears_nothing(void)
{
    char byte;
    return recv(world.agent, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void say(const void *bytes, size_t size)
{
    EXPECT_EQUAL(send(world.agent, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
    turn();
}

static void accept_link(void)
{
    unsigned char hello[32];
    const uint32_t wanted[] = {1, SHARD, MEMBER, 0, 0, 0};
    world.loop.now_ms += RETRY_MS;
    ib_store_link_tick(world.link);
    world.agent = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC);
    EXPECT(world.agent >= 0);
    EXPECT_EQUAL(hear(hello, sizeof hello), sizeof hello);
    EXPECT_EQUAL(memcmp(hello, "IBSTORE1", 8), 0);
    EXPECT_EQUAL(memcmp(hello + 8, wanted, sizeof wanted), 0);
}

static void greet(uint32_t status)
{
    unsigned char hello[32] = "IBSTORE1";
    const uint32_t fields[] = {1, status, SHARD, MEMBER, 0, 0};
    memcpy(hello + 8, fields, sizeof fields);
    say(hello, sizeof hello);
}

static void connect_agent(void)
{
    listen_as_agent();
    accept_link();
    EXPECT_SOUND();
    greet(0);
    EXPECT_SOUND();
    EXPECT(ib_store_link_fault(world.link) == NULL);
}

/* True: the link has ended the connection. */
static int is_over(void)
{
    char byte;
    turn();
    return recv(world.agent, &byte, 1, MSG_DONTWAIT) == 0;
}

static const struct ib_shard_record record = {.version = 8, .epoch = 5, .in_sync = 7, .primary = 2};

static struct message answer(uint64_t request, uint32_t outcome, int has_record)
{
    struct message message = {.kind = ANSWER, .outcome = outcome, .request = request};
    if (has_record) {
        message.version = record.version;
        message.epoch = record.epoch;
        message.in_sync = record.in_sync;
        message.primary = record.primary;
        message.flags = 1;
    }
    return message;
}

static int is_the_record(const struct ib_shard_record *found)
{
    return found->version == record.version && found->epoch == record.epoch && found->in_sync == record.in_sync &&
           found->primary == record.primary;
}

/* ---- cases ---- */

static void it_reads_and_writes(void)
{
    struct message asked, said;
    open_world();
    connect_agent();
    EXPECT_SOUND();
    ib_store_link_ask(world.link, 1, NULL);
    EXPECT_EQUAL(hear(&asked, sizeof asked), sizeof asked);
    const struct message reads = {.kind = READ, .request = 1};
    EXPECT_EQUAL(memcmp(&asked, &reads, sizeof asked), 0);
    ib_store_link_tick(world.link); /* it may still be answered */
    EXPECT_EQUAL(world.answers, 0);
    said = answer(1, OK, 1);
    say(&said, sizeof said);
    EXPECT(world.answers == 1 && world.request == 1 && world.outcome == IB_STORE_OK && world.has_record);
    EXPECT(is_the_record(&world.record));
    ib_store_link_ask(world.link, 2, &record);
    EXPECT_EQUAL(hear(&asked, sizeof asked), sizeof asked);
    struct message writes = answer(2, 0, 1);
    writes.kind = WRITE;
    EXPECT_EQUAL(memcmp(&asked, &writes, sizeof asked), 0);
    said = answer(2, OK, 0);
    say(&said, sizeof said);
    EXPECT(world.answers == 2 && world.request == 2 && world.outcome == IB_STORE_OK && !world.has_record);
    EXPECT(ib_store_link_fault(world.link) == NULL);
    say(&said, sizeof said); /* a second time: of a request that is answered */
    ib_store_link_tick(world.link);
    EXPECT_EQUAL(world.answers, 2);
    close_world();
}

static void every_outcome_is_told_as_what_it_is(void)
{
    static const struct {
        uint32_t outcome;
        int has_record;
        uint32_t reason;
        enum ib_store_outcome told;
        const char *fault;
    } rows[] = {
        {OK, 1, 0, IB_STORE_OK, NULL},
        {OK, 0, 0, IB_STORE_OK, NULL},
        {CONFLICT, 1, 0, IB_STORE_CONFLICT, NULL},
        {CONFLICT, 0, 0, IB_STORE_CONFLICT, NULL},
        {UNKNOWN, 0, 1, IB_STORE_UNKNOWN, "the store does not answer in time"},
        {UNKNOWN, 1, 2, IB_STORE_UNKNOWN, "the store is asked too much"},
        {REFUSED, 0, 3, IB_STORE_UNKNOWN, "the store does not allow it, or its table is missing: see the agent's log"},
        {REFUSED, 1, 6, IB_STORE_UNKNOWN, "the record may not follow the one that is there"},
        {REFUSED, 0, 7, IB_STORE_UNKNOWN, "the agent's log says why"},
        {REFUSED, 0, 8, IB_STORE_UNKNOWN, "the agent's log says why"},
        {REFUSED, 0, UINT32_MAX, IB_STORE_UNKNOWN, "the agent's log says why"},
    };
    open_world();
    connect_agent();
    EXPECT_SOUND();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct message said = answer(i + 1, rows[i].outcome, rows[i].has_record);
        said.reason = rows[i].reason;
        ib_store_link_ask(world.link, i + 1, NULL);
        say(&said, sizeof said);
        EXPECT_EQUAL(world.answers, i + 1);
        EXPECT_EQUAL(world.outcome, rows[i].told);
        EXPECT_EQUAL(world.has_record, rows[i].has_record && rows[i].told != IB_STORE_UNKNOWN);
        const char *fault = ib_store_link_fault(world.link);
        EXPECT(rows[i].fault == NULL ? fault == NULL : fault != NULL && strcmp(fault, rows[i].fault) == 0);
    }
    close_world();
}

static void a_change_is_told_whenever_it_comes(void)
{
    struct message said;
    open_world();
    connect_agent();
    EXPECT_SOUND();
    said = answer(0, 0, 1);
    said.kind = CHANGE;
    ib_store_link_ask(world.link, 1, NULL);
    for (size_t i = 0; i < sizeof said; i++) { /* byte by byte */
        say((const char *)&said + i, 1);
        EXPECT_EQUAL(world.changes, i + 1 == sizeof said);
    }
    EXPECT(is_the_record(&world.change));
    EXPECT_EQUAL(world.answers, 0);
    struct message many[20]; /* more than the link takes at once */
    for (size_t i = 0; i < 20; i++) {
        many[i] = said;
        many[i].version = 100 + i;
    }
    many[19] = answer(1, OK, 1);
    say(many, 10 * sizeof said + 20); /* a part of one behind whole ones */
    EXPECT_EQUAL(world.changes, 11);
    say((const char *)many + 10 * sizeof said + 20, sizeof said - 20);
    EXPECT(world.changes == 12 && world.change.version == 110);
    say(many + 11, 9 * sizeof said);
    EXPECT_EQUAL(world.changes, 20);
    EXPECT_EQUAL(world.change.version, 118);
    EXPECT_EQUAL(world.answers, 1);
    close_world();
}

static void an_answer_to_an_older_request_is_none(void)
{
    struct message said;
    open_world();
    connect_agent();
    EXPECT_SOUND();
    ib_store_link_ask(world.link, 1, NULL);
    EXPECT(ib_store_link_fault(world.link) == NULL);
    ib_store_link_ask(world.link, 2, &record);
    EXPECT(strstr(ib_store_link_fault(world.link), "the agent does not answer in time") != NULL);
    said = answer(1, OK, 1);
    say(&said, sizeof said);
    said = answer(3, OK, 1); /* nor one to a request that there was not */
    say(&said, sizeof said);
    EXPECT_EQUAL(world.answers, 0);
    said = answer(2, CONFLICT, 1);
    say(&said, sizeof said);
    EXPECT(world.answers == 1 && world.request == 2 && world.outcome == IB_STORE_CONFLICT);
    close_world();
}

static void a_refused_hello_is_said_and_tried_again(void)
{
    static const char *const faults[] = {"store.sock: the agent is of another build",
                                         "store.sock: the agent is another shard's",
                                         "store.sock: the agent is another member's"};
    open_world();
    listen_as_agent();
    for (uint32_t status = 1; status <= 3; status++) {
        accept_link();
        EXPECT_SOUND();
        ib_store_link_ask(world.link, status, NULL);
        EXPECT(hears_nothing()); /* nothing is asked of whom it does not know */
        greet(status);
        EXPECT_SOUND();
        EXPECT_EQUAL(strcmp(ib_store_link_fault(world.link), faults[status - 1]), 0);
        EXPECT(is_over());
        EXPECT_EQUAL(world.answers, status - 1);
        ib_store_link_tick(world.link); /* too early to dial, but the request is answered */
        EXPECT(world.answers == status && world.request == status && world.outcome == IB_STORE_UNKNOWN);
        close(world.agent);
    }
    accept_link();
    EXPECT_SOUND();
    greet(0);
    EXPECT(ib_store_link_fault(world.link) == NULL);
    close_world();
}

static void whoever_is_no_agent_is_left(void)
{
    struct message wrong[5];
    open_world();
    listen_as_agent();
    for (size_t byte = 0; byte < 16; byte++) { /* magic, version, status */
        unsigned char hello[32] = "IBSTORE1";
        hello[8] = 1;
        hello[byte] ^= 0x84;
        accept_link();
        EXPECT_SOUND();
        say(hello, sizeof hello);
        EXPECT(is_over());
        EXPECT(strstr(ib_store_link_fault(world.link), "another build") != NULL);
        close(world.agent);
    }
    memset(wrong, 0, sizeof wrong);
    wrong[0].kind = 0;
    wrong[1] = answer(1, REFUSED + 1, 1);
    wrong[2] = answer(0, 0, 0); /* a change without a record */
    wrong[2].kind = CHANGE;
    wrong[3] = answer(0, 0, 1);
    wrong[3].kind = CHANGE;
    wrong[3].primary = 0x100;
    memset(&wrong[4], 0xff, sizeof wrong[4]);
    for (size_t i = 0; i < 5; i++) {
        accept_link();
        EXPECT_SOUND();
        greet(0);
        ib_store_link_ask(world.link, i + 1, NULL);
        say(&wrong[i], sizeof wrong[i]);
        (void)recv(world.agent, &(struct message){0}, sizeof(struct message), MSG_DONTWAIT);
        EXPECT(is_over());
        EXPECT(strstr(ib_store_link_fault(world.link), "no agent of this build") != NULL);
        EXPECT(world.changes == 0 && world.answers == i);
        ib_store_link_tick(world.link);
        EXPECT(world.answers == i + 1 && world.outcome == IB_STORE_UNKNOWN);
        close(world.agent);
    }
    close_world();
}

/* A record that is none is no "there is none". */
static void an_answer_with_a_record_that_is_none_is_no_answer(void)
{
    struct message said;
    open_world();
    connect_agent();
    EXPECT_SOUND();
    ib_store_link_ask(world.link, 1, NULL);
    said = answer(1, OK, 1);
    said.primary = 0x102; /* cut to eight bits it would be member 2 */
    say(&said, sizeof said);
    EXPECT_EQUAL(world.answers, 0);
    ib_store_link_tick(world.link);
    EXPECT(world.answers == 1 && world.outcome == IB_STORE_UNKNOWN && !world.has_record);
    close_world();
}

static void an_agent_that_goes_leaves_no_request_open(void)
{
    struct message asked, said;
    open_world();
    connect_agent();
    EXPECT_SOUND();
    ib_store_link_ask(world.link, 1, &record);
    EXPECT_EQUAL(hear(&asked, sizeof asked), sizeof asked);
    agent_goes();
    turn();
    EXPECT_EQUAL(world.answers, 0);
    EXPECT(strstr(ib_store_link_fault(world.link), "the agent is gone") != NULL);
    ib_store_link_tick(world.link);
    EXPECT(world.answers == 1 && world.request == 1 && world.outcome == IB_STORE_UNKNOWN);
    for (int i = 0; i < 5; i++) {
        world.loop.now_ms += RETRY_MS;
        ib_store_link_tick(world.link);
    }
    EXPECT_EQUAL(world.answers, 1); /* exactly once */
    EXPECT(strstr(ib_store_link_fault(world.link), "no agent answers at store.sock") != NULL);
    ib_store_link_ask(world.link, 2, NULL); /* while nobody is there */
    EXPECT_EQUAL(world.answers, 1);
    ib_store_link_tick(world.link);
    EXPECT(world.answers == 2 && world.request == 2 && world.outcome == IB_STORE_UNKNOWN);
    connect_agent(); /* it comes back */
    EXPECT_SOUND();
    EXPECT(hears_nothing()); /* what counts as unknown is not asked after all */
    said = answer(2, OK, 1);
    say(&said, sizeof said);
    EXPECT_EQUAL(world.answers, 2);
    ib_store_link_ask(world.link, 3, NULL);
    EXPECT_EQUAL(hear(&asked, sizeof asked), sizeof asked);
    EXPECT_EQUAL(asked.request, 3);
    close_world();
}

/* The agent has ended, and the link hears of it when it asks. */
static void a_request_into_a_dead_connection_is_answered(void)
{
    open_world();
    connect_agent();
    EXPECT_SOUND();
    agent_goes();
    ib_store_link_ask(world.link, 1, &record);
    turn();
    ib_store_link_tick(world.link);
    ib_store_link_tick(world.link);
    EXPECT(world.answers == 1 && world.outcome == IB_STORE_UNKNOWN);
    close_world();
}

static void it_dials_no_more_often_than_it_should(void)
{
    open_world();
    listen_as_agent();
    accept_link();
    EXPECT_SOUND();
    close(world.agent);
    turn();
    for (uint32_t ms = 0; ms < RETRY_MS; ms++) {
        struct pollfd one = {.fd = world.listener, .events = POLLIN};
        ib_store_link_tick(world.link);
        EXPECT_EQUAL(poll(&one, 1, 0), 0);
        world.loop.now_ms += ms == 0 ? 0 : 1;
    }
    world.loop.now_ms += RETRY_MS;
    ib_store_link_tick(world.link);
    world.agent = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC);
    EXPECT(world.agent >= 0);
    close_world();
}

static void who_is_told_may_ask_at_once(void)
{
    struct message asked, said[2];
    open_world();
    connect_agent();
    EXPECT_SOUND();
    ib_store_link_ask(world.link, 1, &record);
    EXPECT_EQUAL(hear(&asked, sizeof asked), sizeof asked);
    world.asks_again = 2;
    said[0] = answer(1, CONFLICT, 1);
    said[1] = answer(1, OK, 1);
    say(said, sizeof said);
    EXPECT_EQUAL(world.answers, 1);
    EXPECT_EQUAL(hear(&asked, sizeof asked), sizeof asked);
    EXPECT_EQUAL(asked.request, 2);
    world.asks_again = 3; /* … and when there is nobody to ask, by the tick that answers */
    agent_goes();
    turn();
    ib_store_link_tick(world.link);
    EXPECT(world.answers == 2 && world.request == 2);
    ib_store_link_tick(world.link);
    EXPECT(world.answers == 3 && world.request == 3 && world.outcome == IB_STORE_UNKNOWN);
    close_world();
}

static void a_directory_too_long_for_a_socket_is_named(void)
{
    char name[200];
    open_world();
    ib_store_link_close(world.link);
    memset(name, 'd', sizeof name);
    name[sizeof name - 1] = '\0';
    const struct ib_store_link_config config = {.run_directory = name, .retry_ms = RETRY_MS};
    const struct ib_store_link_hooks hooks = {.stored = stored, .seen = seen};
    EXPECT_EQUAL(ib_store_link_open(&world.link, &config, &world.loop, hooks), IB_OK);
    ib_store_link_ask(world.link, 1, NULL);
    ib_store_link_tick(world.link);
    EXPECT(world.answers == 1 && world.outcome == IB_STORE_UNKNOWN);
    EXPECT(strstr(ib_store_link_fault(world.link), "choose a shorter one") != NULL);
    close_world();
}

static const struct test_case cases[] = {
    CASE(it_reads_and_writes),
    CASE(every_outcome_is_told_as_what_it_is),
    CASE(a_change_is_told_whenever_it_comes),
    CASE(an_answer_to_an_older_request_is_none),
    CASE(a_refused_hello_is_said_and_tried_again),
    CASE(whoever_is_no_agent_is_left),
    CASE(an_answer_with_a_record_that_is_none_is_no_answer),
    CASE(an_agent_that_goes_leaves_no_request_open),
    CASE(a_request_into_a_dead_connection_is_answered),
    CASE(it_dials_no_more_often_than_it_should),
    CASE(who_is_told_may_ask_at_once),
    CASE(a_directory_too_long_for_a_socket_is_named),
};

TEST_MAIN("test_store_link", cases)
