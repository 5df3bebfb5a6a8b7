/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_links.c: members find each other and frames pass, whole and in order; and whoever has not the key, says
 * nothing, says nonsense, comes in crowds or never listens does no harm to the others.
 */
#define _GNU_SOURCE
#include "link_world.h"

static char error[IB_ERROR_TEXT_SIZE];

static unsigned let_in(const struct side *side)
{
    unsigned count = 0;
    for (unsigned i = 0; i < IB_REPLICA_MEMBERS_MAX; i++) {
        count += side->connected[i];
    }
    return count;
}

static void members_find_each_other_and_frames_pass_in_order(void)
{
    open_sides(MEMBERS);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1) && comes(0, 2, 1) && comes(1, 2, 1));
    for (unsigned i = 0; i < MEMBERS; i++) {
        EXPECT_EQUAL(let_in(&sides[i]), MEMBERS - 1); /* once each */
        EXPECT_EQUAL(sides[i].connected[i], 0);
    }
    for (uint64_t number = 1; number <= 1000; number++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            send_number(i, (i + 1) % MEMBERS, number);
            send_number(i, (i + 2) % MEMBERS, number);
        }
        if (number % 50 == 0) {
            turns(1);
        }
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        uint64_t last[MEMBERS] = {0};
        EXPECT_SOON(sides[i].received == 2000);
        EXPECT_EQUAL(sides[i].damaged, 0);
        for (unsigned j = 0; j < sides[i].received; j++) {
            EXPECT(sides[i].from[j] < MEMBERS && sides[i].from[j] != i);
            EXPECT_EQUAL(sides[i].numbers[j], ++last[sides[i].from[j]]);
        }
    }
    close_sides();
}

static void a_member_that_goes_is_told_once_and_found_again(void)
{
    open_sides(2);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1) && comes(1, 0, 1));
    for (unsigned goes = 0; goes < 2; goes++) {
        unsigned stays = 1 - goes;
        unsigned before = sides[stays].connected[goes];
        ib_links_close(sides[goes].links);
        ib_io_loop_close(&sides[goes].loop);
        sides[goes].links = NULL;
        EXPECT_SOON(sides[stays].disconnected[goes] == before);
        send_number(stays, goes, 1); /* to nobody */
        turns(5);
        EXPECT_EQUAL(open_side(goes, SHARD, KEY, error), IB_OK);
        EXPECT(comes(stays, goes, before + 1) && comes(goes, stays, 1));
        send_number(stays, goes, 2);
        EXPECT_SOON(sides[goes].received > 0);
        EXPECT(sides[goes].received == 1 && sides[goes].numbers[0] == 2);
        for (unsigned i = 0; i < 2; i++) {
            memset(sides[i].connected, 0, sizeof sides[i].connected);
            memset(sides[i].disconnected, 0, sizeof sides[i].disconnected);
        }
        sides[1 - stays].connected[stays] = sides[stays].connected[1 - stays] = 1;
    }
    close_sides();
}

static void another_key_shard_or_number_is_not_let_in(void)
{
    static const struct {
        uint32_t shard;
        const char *key;
    } wrong[] = {{SHARD, "correct horse batterz"}, {SHARD, KEY "!"}, {SHARD + 1, KEY}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        open_sides(1);
        EXPECT_SOUND();
        EXPECT_EQUAL(open_side(1, wrong[i].shard, wrong[i].key, error), IB_OK);
        turns(60);
        EXPECT(let_in(&sides[0]) == 0 && let_in(&sides[1]) == 0);
        close_sides();
    }
    open_sides(1); /* the member at the address is another one */
    EXPECT_SOUND();
    struct ib_engine_member first = members[0];
    members[0] = members[1];
    members[1] = first;
    EXPECT_EQUAL(open_side(2, SHARD, KEY, error), IB_OK); /* takes 0 for 1 */
    turns(60);
    EXPECT(let_in(&sides[0]) == 0 && let_in(&sides[2]) == 0);
    close_sides();
}

/* What a caller may say that it is: none of these would call member 1, or there is no such member. */
static void who_would_not_call_is_not_let_in(void)
{
    struct ib_peer peer;
    static const unsigned numbers[] = {0, MEMBERS, 7, 8, 200, 255};
    open_sides(2);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int fd = shake(1, numbers[i], KEY, &peer);
        EXPECT(!ib_peer_is_proven(&peer));
        EXPECT(is_ended(fd));
        close(fd);
        sleep_ms(1000);
    }
    int fd = shake(0, 1, KEY "?", &peer); /* nor who has not the key */
    EXPECT(!ib_peer_is_proven(&peer));
    EXPECT(is_ended(fd));
    close(fd);
    fd = shake(1, 2, KEY, &peer); /* … but who has it is */
    EXPECT(ib_peer_is_proven(&peer));
    EXPECT_SOON(sides[1].connected[2] == 1);
    EXPECT(let_in(&sides[0]) == 1 && sides[0].disconnected[1] == 0);
    close(fd);
    close_sides();
}

static struct ib_replica_frame ack = {.type = IB_FRAME_ACK, .from = 2, .shard = SHARD, .number = 77};

static void no_frame_is_taken_before_the_proof(void)
{
    struct ib_peer peer;
    struct ib_peer_message message, answer;
    uint8_t frame[IB_REPLICA_FRAME_MAX], all[2 * sizeof message + 10 * IB_REPLICA_HEADER_SIZE];
    const uint8_t random[12] = {9};
    size_t size;
    open_sides(1);
    EXPECT_SOUND();
    size_t frame_size = ib_replica_frame_write(&ack, NULL, 0, frame);
    int fd = call(0); /* frames at once */
    for (int i = 0; i < 20; i++) {
        (void)say(fd, frame, frame_size);
    }
    EXPECT(is_ended(fd));
    close(fd);
    fd = call(0); /* frames where the proof should be */
    EXPECT_EQUAL(begin_as(&peer, SHARD, 2, 0, "a key that is not the right one", random, &message), IB_OK);
    memcpy(all, &message, sizeof message);
    for (size_t i = 0; i < 10; i++) {
        memcpy(all + sizeof message + i * frame_size, frame, frame_size);
    }
    EXPECT(say(fd, all, sizeof message + 10 * frame_size));
    EXPECT(is_ended(fd));
    close(fd);
    fd = call(0); /* and behind a proof that is none */
    EXPECT(say(fd, &message, sizeof message));
    EXPECT(hear(fd, &answer, sizeof answer));
    EXPECT(ib_peer_take(&peer, &answer, &message, &size) == NULL);
    memcpy(all, &message, sizeof message);
    memcpy(all + sizeof message, frame, frame_size);
    (void)say(fd, all, sizeof message + frame_size);
    EXPECT(is_ended(fd));
    close(fd);
    EXPECT(sides[0].received == 0 && sides[0].damaged == 0 && let_in(&sides[0]) == 0);
    close_sides();
}

/* The member's own words, turned round: its challenge, and its proof for a challenge that is its own. */
static void a_mirror_is_not_let_in(void)
{
    struct ib_peer_message message;
    struct ib_peer peer;
    const uint8_t random[12] = {4};
    open_sides(1);
    EXPECT_SOUND();
    int fd = call(0);
    EXPECT_EQUAL(begin_as(&peer, SHARD, 2, 0, KEY "x", random, &message), IB_OK);
    EXPECT(say(fd, &message, sizeof message));
    for (int i = 0; i < 3 && hear(fd, &message, sizeof message); i++) {
        message.from = 2;
        message.to = 0;
        (void)say(fd, &message, sizeof message);
    }
    EXPECT(is_ended(fd));
    close(fd);
    EXPECT_EQUAL(let_in(&sides[0]), 0);
    close_sides();
}

static void garbage_ends_its_connection_and_no_other(void)
{
    struct ib_peer peer;
    uint8_t garbage[4096], frame[IB_REPLICA_FRAME_MAX];
    open_sides(2);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1));
    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (uint8_t)(i * 131 + 7);
    }
    int fd = call(0); /* before the handshake */
    (void)say(fd, garbage, sizeof garbage);
    EXPECT(is_ended(fd));
    close(fd);
    for (int kind = 0; kind < 3; kind++) { /* and behind it: no magic, more entries than there may be, a bad checksum */
        struct ib_replica_frame header;
        size_t size = ib_replica_frame_write(&ack, NULL, 0, frame);
        fd = shake(0, 2, KEY, &peer);
        EXPECT(ib_peer_is_proven(&peer));
        EXPECT_SOON(sides[0].connected[2] == (unsigned)kind + 1);
        EXPECT(say(fd, frame, size));
        EXPECT_SOON(sides[0].received == (unsigned)kind + 1);
        memcpy(&header, frame, sizeof header);
        header.count = kind == 1 ? IB_REPLICA_BATCH_MAX + 1 : 0;
        header.seq ^= kind == 2 ? 1 : 0;
        (void)say(fd, kind == 0 ? (const void *)garbage : &header, kind == 0 ? sizeof garbage : sizeof header);
        if (kind < 2) {
            EXPECT(is_ended(fd));
            EXPECT_EQUAL(sides[0].damaged, 0);
            EXPECT_EQUAL(sides[0].disconnected[2], kind + 1);
        } else {
            EXPECT_SOON(sides[0].damaged == 1); /* that is the replica's to judge */
        }
        close(fd);
        EXPECT_SOON(sides[0].disconnected[2] == (unsigned)kind + 1);
        sleep_ms(1000);
    }
    EXPECT(sides[0].disconnected[1] == 0 && sides[1].disconnected[0] == 0);
    close_sides();
}

static void frames_come_in_any_pieces(void)
{
    static struct ib_replica_entry entries[IB_REPLICA_BATCH_MAX];
    static uint8_t bytes[3 * IB_REPLICA_FRAME_MAX];
    struct ib_peer peer;
    size_t size = 0;
    open_sides(1);
    EXPECT_SOUND();
    int fd = shake(0, 1, KEY, &peer);
    EXPECT(ib_peer_is_proven(&peer));
    for (uint64_t number = 1; number <= 3; number++) { /* the longest, and the shortest between them */
        struct ib_replica_frame frame = {
            .type = IB_FRAME_APPEND, .from = 1, .shard = SHARD, .epoch = 1, .number = number};
        for (size_t i = 0; i < IB_REPLICA_BATCH_MAX; i++) {
            entries[i] = (struct ib_replica_entry){.epoch = 1, .command = {.type = IB_COMMAND_ENTER, .seq = i + 1}};
        }
        size += ib_replica_frame_write(&frame, entries, number == 2 ? 0 : IB_REPLICA_BATCH_MAX, bytes + size);
    }
    for (size_t at = 0, piece = 1; at < size; at += piece, piece = 1 + (piece * 7 + 3) % 997) {
        piece = piece < size - at ? piece : size - at;
        EXPECT_EQUAL(send(fd, bytes + at, piece, MSG_NOSIGNAL), (ssize_t)piece);
        turns(1);
    }
    EXPECT_SOON(sides[0].received + sides[0].damaged == 3);
    EXPECT_EQUAL(sides[0].damaged, 0);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQUAL(sides[0].numbers[i], i + 1);
    }
    close(fd);
    close_sides();
}

static void a_stranger_that_says_nothing_has_two_seconds(void)
{
    struct ib_peer peer;
    struct ib_peer_message message;
    const uint8_t random[12] = {1};
    open_sides(2);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1));
    int silent = call(0), half = call(0);
    EXPECT_EQUAL(begin_as(&peer, SHARD, 2, 0, KEY, random, &message), IB_OK);
    EXPECT(say(half, &message, 100));
    sleep_ms(1000);
    turns(4);
    char byte;
    EXPECT(recv(silent, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    EXPECT(say(half, (const char *)&message + 100, sizeof message - 100)); /* and no proof after it */
    EXPECT(hear(half, &message, sizeof message));
    sleep_ms(2000);
    EXPECT(is_ended(silent));
    EXPECT(is_ended(half));
    EXPECT(sides[0].disconnected[1] == 0 && let_in(&sides[0]) == 1); /* who has proven it has no such time */
    close(silent);
    close(half);
    close_sides();
}

/* A crowd keeps its places for a while, and costs few proofs; members keep theirs, and come in after it. */
static void a_crowd_of_strangers_does_no_harm(void)
{
    enum { CROWD = 60 };
    int crowd[CROWD];
    struct ib_peer peer;
    struct ib_peer_message message;
    const uint8_t random[12] = {2};
    unsigned answered = 0;
    open_sides(2);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1));
    sleep_ms(1000);
    turns(2);
    EXPECT_EQUAL(begin_as(&peer, SHARD, 2, 0, KEY "?", random, &message), IB_OK);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = call(0);
        EXPECT_EQUAL(send(crowd[i], &message, sizeof message, MSG_NOSIGNAL), sizeof message);
        turns(1);
    }
    for (int i = 0; i < CROWD; i++) {
        char byte;
        ssize_t size = recv(crowd[i], &byte, 1, MSG_DONTWAIT);
        EXPECT(size == 1 || (size < 0 && errno == EAGAIN)); /* the others wait */
        answered += size == 1;
    }
    EXPECT_EQUAL(answered, IB_LINK_PACE); /* in sixty milliseconds */
    send_number(1, 0, 5);
    EXPECT_SOON(sides[0].received == 1);
    EXPECT_EQUAL(sides[0].disconnected[1], 0);
    EXPECT_EQUAL(open_side(2, SHARD, KEY, error), IB_OK); /* behind the whole crowd */
    for (int i = 0; i < 40 && sides[0].connected[2] == 0; i++) {
        sleep_ms(500);
        turns(30);
    }
    EXPECT_EQUAL(sides[0].connected[2], 1);
    EXPECT_EQUAL(sides[0].disconnected[1], 0);
    for (int i = 0; i < CROWD; i++) {
        close(crowd[i]);
    }
    close_sides();
}

/* Where all places are taken by such as say nothing, whoever has waited longest goes. */
static void the_oldest_stranger_makes_place(void)
{
    int silent[IB_LINK_STRANGERS];
    struct ib_peer peer;
    char byte;
    open_sides(1);
    EXPECT_SOUND();
    for (int i = 0; i < IB_LINK_STRANGERS; i++) {
        silent[i] = call(0);
        turns(2);
        if (i % IB_LINK_PACE == IB_LINK_PACE - 1) {
            sleep_ms(IB_LINK_PACE_MS);
        }
    }
    for (int i = 0; i < IB_LINK_STRANGERS; i++) {
        EXPECT(recv(silent[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    }
    int fd = shake(0, 1, KEY, &peer);
    EXPECT(ib_peer_is_proven(&peer));
    EXPECT_EQUAL(sides[0].connected[1], 1);
    for (int i = 0; i < IB_LINK_STRANGERS; i++) {
        int ended = recv(silent[i], &byte, 1, MSG_DONTWAIT) == 0;
        EXPECT_EQUAL(ended, i == 0);
        close(silent[i]);
    }
    close(fd);
    close_sides();
}

static void the_newer_connection_takes_the_place_of_the_older(void)
{
    struct ib_peer peer;
    uint8_t frame[IB_REPLICA_FRAME_MAX];
    size_t size = ib_replica_frame_write(&ack, NULL, 0, frame);
    open_sides(1);
    EXPECT_SOUND();
    int older = shake(0, 2, KEY, &peer);
    EXPECT(ib_peer_is_proven(&peer));
    int stranger = shake(0, 2, KEY "?", &peer); /* only one that has proven it */
    EXPECT(is_ended(stranger));
    EXPECT(sides[0].connected[2] == 1 && sides[0].disconnected[2] == 0);
    int newer = shake(0, 2, KEY, &peer);
    EXPECT(ib_peer_is_proven(&peer));
    EXPECT_SOON(sides[0].connected[2] == 2);
    EXPECT_EQUAL(sides[0].disconnected[2], 1);
    EXPECT(is_ended(older));
    EXPECT(say(newer, frame, size));
    EXPECT_SOON(sides[0].received == 1);
    send_number(0, 2, 9);
    EXPECT(hear(newer, frame, IB_REPLICA_HEADER_SIZE));
    EXPECT_EQUAL(sides[0].disconnected[2], 1);
    close(older);
    close(stranger);
    close(newer);
    close_sides();
}

/* Who never reads loses whole frames, the newest, and later gets the others and what comes then. */
static void what_finds_no_room_is_left_out_whole(void)
{
    enum { FRAMES = 120000 }; /* 11 MiB, more than output and sockets take */
    static struct ib_replica_entry entries[IB_REPLICA_BATCH_MAX];
    struct ib_peer peer;
    uint8_t bytes[IB_REPLICA_FRAME_MAX];
    struct ib_replica_frame frame;
    uint64_t last = 0, lost = 0;
    const int few = 1 << 16;
    open_sides(1);
    EXPECT_SOUND();
    int fd = shake(0, 2, KEY, &peer);
    EXPECT(ib_peer_is_proven(&peer));
    EXPECT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few), 0);
    entries[0] = (struct ib_replica_entry){.epoch = 1, .command = {.type = IB_COMMAND_ENTER, .seq = 1}};
    for (uint64_t number = 1; number <= FRAMES; number++) { /* long ones and short ones */
        frame = (struct ib_replica_frame){
            .type = IB_FRAME_APPEND, .shard = SHARD, .epoch = 1, .number = number};
        size_t size = ib_replica_frame_write(&frame, entries, number % 3 == 0, bytes);
        ib_links_send(sides[0].links, 2, bytes, size);
        if (number % 1000 == 0) {
            ib_links_flush(sides[0].links);
        }
    }
    for (int i = 0; hear(fd, bytes, IB_REPLICA_HEADER_SIZE) && last != FRAMES + 1; i++) {
        memcpy(&frame, bytes, sizeof frame);
        EXPECT(frame.magic == IB_REPLICA_MAGIC && frame.count <= 1);
        size_t rest = frame.count * (size_t)IB_REPLICA_ENTRY_SIZE;
        EXPECT(rest == 0 || hear(fd, bytes + IB_REPLICA_HEADER_SIZE, rest));
        EXPECT(ib_replica_frame_read(bytes, IB_REPLICA_HEADER_SIZE + rest, &frame, entries));
        EXPECT(frame.number == last + 1 || frame.number == FRAMES + 1 || last > 1000);
        EXPECT(frame.number > last);
        lost += frame.number - last - 1;
        last = frame.number;
        if (i % 500 == 0) {
            turns(1);
        }
        if (i == 30000) {
            send_number(0, 2, FRAMES + 1); /* there is room again */
        }
    }
    EXPECT_EQUAL(last, FRAMES + 1);
    EXPECT(lost > 0);
    EXPECT_EQUAL(sides[0].disconnected[2], 0);
    close(fd);
    close_sides();
}

static void who_is_dropped_is_told_once(void)
{
    open_sides(2);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1) && comes(1, 0, 1));
    ib_links_drop(sides[0].links, 1, NULL);
    ib_links_drop(sides[0].links, 1, NULL);
    ib_links_drop(sides[0].links, 2, NULL); /* is not there: nothing */
    send_number(0, 1, 1);
    EXPECT_EQUAL(sides[0].disconnected[1], 0); /* not from within */
    ib_links_flush(sides[0].links);
    EXPECT_EQUAL(sides[0].disconnected[1], 1);
    ib_links_flush(sides[0].links);
    EXPECT_EQUAL(sides[0].disconnected[1], 1);
    EXPECT(comes(0, 1, 2) && comes(1, 0, 2)); /* and calls again */
    EXPECT_SOON(sides[1].disconnected[0] == 1);
    EXPECT_EQUAL(sides[0].disconnected[1], 1);
    EXPECT_EQUAL(sides[1].received, 0); /* what was sent to it after that has not arrived */
    sides[0].drops = 1; /* from within what it is told */
    send_number(1, 0, 2);
    send_number(1, 0, 3);
    EXPECT_SOON(sides[0].disconnected[1] == 2);
    EXPECT_EQUAL(sides[0].received, 1);
    sides[0].drops = 0;
    EXPECT(comes(0, 1, 3));
    close_sides();
}

/* Two have something to say in one turn, and the first one's words end both. */
static void who_is_dropped_while_it_speaks_is_not_heard(void)
{
    open_sides(3);
    EXPECT_SOUND();
    EXPECT(comes(0, 1, 1) && comes(0, 2, 1));
    sides[0].drops = 1;
    send_number(1, 0, 2);
    send_number(2, 0, 3);
    ib_links_flush(sides[1].links);
    ib_links_flush(sides[2].links);
    EXPECT_EQUAL(ib_io_turn(&sides[0].loop, 1000), IB_OK);
    ib_links_flush(sides[0].links);
    EXPECT_EQUAL(sides[0].received, 1);
    EXPECT(sides[0].disconnected[1] == 1 && sides[0].disconnected[2] == 1);
    close_sides();
}

static void a_configuration_that_cannot_be_is_named(void)
{
    static char key[IB_PEER_KEY_MAX + 2];
    begin();
    memset(key, 'k', sizeof key - 1);
    EXPECT_EQUAL(open_side(0, SHARD, key, error), IB_ERROR_CONFIGURATION);
    EXPECT_EQUAL(strcmp(error, "replication.key has 129 characters: give it 16 to 128"), 0);
    ib_io_loop_close(&sides[0].loop);
    EXPECT_EQUAL(open_side(0, SHARD, "too short a key", error), IB_ERROR_CONFIGURATION);
    ib_io_loop_close(&sides[0].loop);
    members[2].host = "8.8.8.8";
    EXPECT_EQUAL(open_side(0, SHARD, KEY, error), IB_ERROR_ADDRESS);
    EXPECT(strstr(error, "replication.members.host 8.8.8.8 is neither loopback nor private") != NULL);
    ib_io_loop_close(&sides[0].loop);
    members[2].host = "localhost";
    EXPECT_EQUAL(open_side(0, SHARD, KEY, error), IB_ERROR_ADDRESS);
    ib_io_loop_close(&sides[0].loop);
    members[2].host = "127.0.0.1";
    EXPECT_EQUAL(open_side(0, SHARD, KEY, error), IB_OK);
    struct side first = sides[0];
    EXPECT_EQUAL(open_side(0, SHARD, KEY, error), IB_ERROR_ADDRESS); /* somebody has the port */
    EXPECT(strstr(error, "Address already in use: stop the process that listens there") != NULL);
    ib_io_loop_close(&sides[0].loop);
    sides[0] = first;
    close_sides();
    ib_links_close(NULL);
}

static const struct test_case cases[] = {
    CASE(members_find_each_other_and_frames_pass_in_order),
    CASE(a_member_that_goes_is_told_once_and_found_again),
    CASE(another_key_shard_or_number_is_not_let_in),
    CASE(who_would_not_call_is_not_let_in),
    CASE(no_frame_is_taken_before_the_proof),
    CASE(a_mirror_is_not_let_in),
    CASE(garbage_ends_its_connection_and_no_other),
    CASE(frames_come_in_any_pieces),
    CASE(a_stranger_that_says_nothing_has_two_seconds),
    CASE(a_crowd_of_strangers_does_no_harm),
    CASE(the_oldest_stranger_makes_place),
    CASE(the_newer_connection_takes_the_place_of_the_older),
    CASE(what_finds_no_room_is_left_out_whole),
    CASE(who_is_dropped_is_told_once),
    CASE(who_is_dropped_while_it_speaks_is_not_heard),
    CASE(a_configuration_that_cannot_be_is_named),
};

TEST_MAIN("test_replica_links", cases)
