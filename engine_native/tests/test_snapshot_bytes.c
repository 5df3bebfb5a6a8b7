/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_snapshot_bytes.c: a small snapshot with something in each of its sections. What was loaded is what was written;
 * cut anywhere, or with any bit flipped, it is refused; and with every checksum made to fit again, it is refused still,
 * or what was flipped is no part of the state.
 */
#include "matcher_state.h"
#include "snapshot_world.h"

static struct ib_past past;

static void live_orders_agree(const struct ib_matcher *left, const struct ib_matcher *right)
{
    struct ib_live_order a[ORDERS], b[ORDERS];
    size_t count, others;
    EXPECT_EQUAL(ib_matcher_live_orders(left, a, ORDERS, &count), IB_OK);
    EXPECT_EQUAL(ib_matcher_live_orders(right, b, ORDERS, &others), IB_OK);
    EXPECT_EQUAL(count, others);
    EXPECT(memcmp(a, b, count * sizeof a[0]) == 0);
}

static void the_world_has_everything(void)
{
    make_world();
    struct ib_matcher *matcher = matcher_of_world(world_size);
    struct ib_live_order orders[ORDERS];
    size_t count;
    unsigned places[4] = {0};
    EXPECT_EQUAL(ib_matcher_live_orders(matcher, orders, ORDERS, &count), IB_OK);
    unsigned icebergs = 0, executed = 0, expire = 0, market = 0;
    for (size_t i = 0; i < count; i++) {
        places[orders[i].place]++;
        icebergs += orders[i].displayed > 0;
        executed += orders[i].executed > 0;
        expire += orders[i].expire_time_ns > 0;
        market += orders[i].order_type == IB_ORDER_MARKET;
    }
    EXPECT(places[IB_PLACE_VISIBLE] >= 5 && places[IB_PLACE_HIDDEN] == 1 && places[IB_PLACE_STOP] == 1);
    EXPECT_EQUAL(places[IB_PLACE_AT_CLOSE], 2);
    EXPECT_EQUAL(icebergs, 1);
    EXPECT_EQUAL(executed, 1);
    EXPECT_EQUAL(expire, 1);
    EXPECT_EQUAL(market, 1);
    EXPECT(matcher->risk.row_count >= 4 && matcher->risk.accounts[3].killed == 1);
    EXPECT(matcher->book.instruments[0].last_price == 10000);
    ib_matcher_close(matcher);
}

/* At each of the world's commands. */
static void what_is_loaded_is_what_was_written(void)
{
    char what[IB_ERROR_TEXT_SIZE];
    make_world();
    for (uint64_t seq = 1; seq <= world_size; seq++) {
        struct ib_matcher *matcher = matcher_of_world(seq);
        struct ib_matcher *loaded;
        struct reload_bytes bytes = reload_dump(matcher, past_of_world(), ORDERS);
        memset(&past, 0, sizeof past);
        EXPECT_EQUAL(reload_load(&bytes, &loaded, &past, what), IB_OK);
        EXPECT(memcmp(&past, past_of_world(), offsetof(struct ib_past, since_ns)) == 0);
        EXPECT_EQUAL(past.since_ns[1], ib_matcher_instrument_count(loaded) > 1 ? past_of_world()->since_ns[1] : 0);
        EXPECT_EQUAL(hash_of(loaded), hash_of(matcher));
        live_orders_agree(loaded, matcher);
        EXPECT_SOUND();
        struct reload_bytes again = reload_dump(loaded, past_of_world(), ORDERS);
        EXPECT(again.size == bytes.size && memcmp(again.at, bytes.at, bytes.size) == 0);
        for (uint64_t i = seq; i < world_size; i++) {
            EXPECT_EQUAL(take_events(loaded, &world[i], NULL, see_nothing), IB_OK);
            EXPECT_EQUAL(take_events(matcher, &world[i], NULL, see_nothing), IB_OK);
        }
        EXPECT_EQUAL(hash_of(loaded), hash_of(matcher));
        free(bytes.at);
        free(again.at);
        ib_matcher_close(loaded);
        ib_matcher_close(matcher);
    }
}

/* The bytes are the state's, not those of how it came about: other slots, another order of definitions in memory. */
static void another_history_writes_the_same_bytes(void)
{
    make_world();
    struct ib_matcher *matcher = matcher_of_world(world_size);
    struct reload_bytes bytes = reload_dump(matcher, past_of_world(), ORDERS);
    struct ib_matcher *loaded;
    char what[IB_ERROR_TEXT_SIZE];
    EXPECT_EQUAL(reload_load(&bytes, &loaded, &past, what), IB_OK);
    struct ib_book *book = &loaded->book;
    uint32_t first = ib_book_find(book, 0, 1); /* it stands in another slot than in the matcher where it came first */
    uint32_t second = ib_book_find(book, 1, 2);
    EXPECT(first != ib_book_find(&matcher->book, 0, 1) || second != ib_book_find(&matcher->book, 1, 2));
    struct reload_bytes again = reload_dump(loaded, past_of_world(), ORDERS);
    EXPECT(again.size == bytes.size && memcmp(again.at, bytes.at, bytes.size) == 0);
    free(again.at);
    free(bytes.at);
    ib_matcher_close(loaded);
    ib_matcher_close(matcher);
}

static struct reload_bytes snapshot_of_world(void)
{
    make_world();
    struct ib_matcher *matcher = matcher_of_world(world_size);
    struct reload_bytes bytes = reload_dump(matcher, past_of_world(), ORDERS);
    ib_matcher_close(matcher);
    return bytes;
}

static void cut_anywhere_it_is_refused(void)
{
    struct reload_bytes bytes = snapshot_of_world();
    struct ib_matcher *loaded;
    char what[IB_ERROR_TEXT_SIZE];
    for (size_t cut = 0; cut < bytes.size; cut++) {
        uint8_t *copy = malloc(cut + 1); /* exactly as long: the sanitizer sees who reads on */
        memcpy(copy, bytes.at, cut);
        struct reload_bytes shorter = {.at = copy, .size = cut};
        what[0] = '\0';
        EXPECT_EQUAL(reload_load(&shorter, &loaded, &past, what), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT(loaded == NULL && what[0] != '\0');
        free(copy);
    }
    free(bytes.at);
}

static void every_flipped_bit_is_refused(void)
{
    struct reload_bytes bytes = snapshot_of_world();
    struct ib_matcher *loaded;
    char what[IB_ERROR_TEXT_SIZE];
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        bytes.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        what[0] = '\0';
        EXPECT_EQUAL(reload_load(&bytes, &loaded, &past, what), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT(loaded == NULL && what[0] != '\0');
        bytes.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    EXPECT_EQUAL(reload_load(&bytes, &loaded, &past, what), IB_OK);
    ib_matcher_close(loaded);
    free(bytes.at);
}

/* ---- checksums that were made to fit again: what a defect of ours would write ---- */

static void put_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

/* Makes every checksum fit the content; where the sections are is told by the original. */
static void reseal(struct reload_bytes *bytes, const struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS])
{
    uint8_t *entry = bytes->at + IB_SNAPSHOT_HEAD_SIZE_FORMAT_1;
    put_u32(entry - 4, ib_crc32c(0, bytes->at, IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - 4));
    put_u32(entry + IB_SNAPSHOT_ENTRY_SIZE - 4, ib_crc32c(0, entry, IB_SNAPSHOT_ENTRY_SIZE - 4));
    for (unsigned kind = 0; kind < IB_SNAPSHOT_KINDS; kind++) {
        uint8_t *begin = bytes->at + (parts[kind].at - bytes->at);
        size_t size = (size_t)(parts[kind].end - parts[kind].at);
        put_u32(begin + size, ib_crc32c(0, begin, size));
        put_u32(begin - 12, ib_crc32c(ib_crc32c(0, begin - 16, 4), begin - 8, 8));
    }
    struct ib_sha256 sha;
    ib_sha256_begin(&sha);
    ib_sha256_add(&sha, bytes->at, bytes->size - IB_SHA256_SIZE);
    ib_sha256_end(&sha, bytes->at + bytes->size - IB_SHA256_SIZE);
}

/* What a snapshot says beside the state: its origin, and the shell's past. A flip there is no other state. */
static int is_beside_the_state(const uint8_t *at, const uint8_t *begin, const struct ib_snapshot_part *parts)
{
    size_t offset = (size_t)(at - begin);
    if ((offset >= 12 && offset < 16) || (offset >= 24 && offset < 32) || (offset >= 48 && offset < 56)) {
        return 1; /* shard, epoch, chain */
    }
    if (offset >= IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 && offset < IB_SNAPSHOT_HEAD_SIZE - 4) {
        return 1; /* epoch and chain of the entry */
    }
    if (offset >= 20 && offset < 24) {
        return 1; /* capacity of the book: more is room for more, and the configuration is compared with it */
    }
    if (at >= parts[IB_SNAPSHOT_PAST].at && at < parts[IB_SNAPSHOT_PAST].end) {
        return 1;
    }
    if (at >= parts[IB_SNAPSHOT_INSTRUMENTS].at && at < parts[IB_SNAPSHOT_INSTRUMENTS].end) {
        return (at - parts[IB_SNAPSHOT_INSTRUMENTS].at) % 73 >= 65; /* since when it is in its phase */
    }
    return 0;
}

static void a_flipped_bit_under_fitting_checksums_is_no_other_state(void)
{
    struct reload_bytes bytes = snapshot_of_world();
    struct ib_snapshot_head head;
    struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS];
    struct ib_matcher *loaded;
    char what[IB_ERROR_TEXT_SIZE];
    EXPECT_EQUAL(ib_snapshot_read(bytes.at, bytes.size, &head, parts, what), IB_OK);
    uint8_t *original = malloc(bytes.size);
    memcpy(original, bytes.at, bytes.size);
    unsigned beside = 0;
    for (size_t bit = 0; bit < 8 * (bytes.size - IB_SHA256_SIZE); bit++) {
        size_t at = bit / 8;
        bytes.at[at] ^= (uint8_t)(1u << bit % 8);
        reseal(&bytes, parts);
        int status = memcmp(bytes.at, original, bytes.size) == 0 ? IB_ERROR_JOURNAL_DAMAGED /* it was a checksum */
                                                                 : reload_load(&bytes, &loaded, &past, what);
        if (status == IB_OK) {
            beside++;
            EXPECT(is_beside_the_state(bytes.at + at, bytes.at, parts));
            EXPECT_EQUAL(hash_of(loaded), head.state_hash);
            ib_matcher_close(loaded);
        } else {
            EXPECT(status == IB_ERROR_JOURNAL_DAMAGED || status == IB_ERROR_JOURNAL_FOREIGN);
        }
        memcpy(bytes.at, original, bytes.size);
    }
    EXPECT(beside > 100);
    free(original);
    free(bytes.at);
}

static const struct test_case cases[] = {
    CASE(the_world_has_everything),
    CASE(what_is_loaded_is_what_was_written),
    CASE(another_history_writes_the_same_bytes),
    CASE(cut_anywhere_it_is_refused),
    CASE(every_flipped_bit_is_refused),
    CASE(a_flipped_bit_under_fitting_checksums_is_no_other_state),
};

TEST_MAIN("test_snapshot_bytes", cases)
