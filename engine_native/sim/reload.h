/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * reload.h: a matcher goes through a snapshot and lives on as what was loaded: so whatever is compared afterwards,
 * event by event, is compared with a state that was written and read. For the simulation, the flows and the tests.
 */
#ifndef IB_RELOAD_H
#define IB_RELOAD_H

#include <stdio.h>
#include <stdlib.h>

#include "hash.h"
#include "snapshot_format.h"

struct reload_bytes {
    uint8_t *at;
    size_t size;
    size_t room;
};

static inline int reload_write(void *context, const void *bytes, size_t size)
{
    struct reload_bytes *to = context;
    if (to->size + size > to->room) {
        to->room = 2 * (to->size + size);
        to->at = realloc(to->at, to->room);
        if (to->at == NULL) {
            return IB_ERROR_MEMORY;
        }
    }
    memcpy(to->at + to->size, bytes, size);
    to->size += size;
    return IB_OK;
}

/* The bytes of a snapshot, to be freed. */
static inline struct reload_bytes reload_dump(const struct ib_matcher *matcher, const struct ib_past *past,
                                              uint32_t orders)
{
    struct reload_bytes bytes = {0};
    struct ib_snapshot_writer *writer = calloc(1, sizeof *writer);
    struct ib_totals totals;
    ib_matcher_totals(matcher, &totals);
    struct ib_snapshot_head head = {.format = IB_SNAPSHOT_FORMAT,
                                    .shard = 3,
                                    .rules = ib_matcher_rules(matcher),
                                    .orders = orders,
                                    .epoch = 1,
                                    .seq = totals.seq,
                                    .time_ns = ib_matcher_time_ns(matcher),
                                    .chain = 0x1234,
                                    .event_count = totals.event_count,
                                    .state_hash = totals.state_hash,
                                    .entry = {.epoch = 1, .chain = 0x5678}};
    writer->write = reload_write;
    writer->context = &bytes;
    if (ib_snapshot_write(writer, &head, matcher, past) != IB_OK) {
        abort();
    }
    free(writer);
    return bytes;
}

/* Null, or what is wrong. `past` is filled in. */
static inline int reload_load(const struct reload_bytes *bytes, struct ib_matcher **matcher, struct ib_past *past,
                              char *what)
{
    struct ib_snapshot_head head;
    struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS];
    *matcher = NULL;
    int status = ib_snapshot_read(bytes->at, bytes->size, &head, parts, what);
    return status == IB_OK ? ib_matcher_restore(matcher, &head, parts, past, what) : status;
}

/* Null, or what is wrong: then the matcher is the old one. */
static inline const char *reload(struct ib_matcher **matcher, uint32_t orders)
{
    static struct ib_past past;
    static char what[IB_ERROR_TEXT_SIZE];
    struct ib_matcher *loaded;
    struct reload_bytes first = reload_dump(*matcher, &past, orders);
    if (reload_load(&first, &loaded, &past, what) != IB_OK) {
        free(first.at);
        return what;
    }
    struct reload_bytes second = reload_dump(loaded, &past, orders);
    int same = first.size == second.size && memcmp(first.at, second.at, first.size) == 0;
    free(first.at);
    free(second.at);
    ib_matcher_close(*matcher);
    *matcher = loaded;
    return same ? NULL : "a snapshot of what was loaded has other bytes";
}

/* Whether the state goes through a snapshot behind this command: one in some five hundred, anywhere. */
static inline int reload_is_due(uint64_t seq)
{
    return ib_mix(seq, IB_HASH_A) % 512 == 0;
}

#endif
