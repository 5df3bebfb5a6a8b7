/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * directory.c: see directory.h. Symbols are found as the matcher finds them: open addressing, at most half of the
 * buckets in use, and a removed instrument's bucket stays for the next one of its symbol.
 */
#include "directory.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hash.h"
#include "memory.h"

enum { BUCKETS = 2 * IB_INSTRUMENTS_MAX };

struct ib_directory {
    struct ib_directory_entry *entries;
    uint32_t *buckets; /* index + 1, or 0 */
    uint32_t count;
    uint32_t volatile_count;
    uint64_t definitions;
    uint64_t opened_seq; /* the matcher's, when its definitions were copied */
    uint64_t staged_seq; /* 0: nothing is staged */
    uint32_t staged_index;
    struct ib_instrument staged;
};

static uint32_t bucket_of(const struct ib_directory *directory, const char symbol[IB_SYMBOL_SIZE])
{
    uint64_t word;
    IB_ASSERT(symbol != NULL);
    _Static_assert(sizeof word == IB_SYMBOL_SIZE, "a symbol is one word");
    memcpy(&word, symbol, sizeof word);
    uint32_t bucket = (uint32_t)(ib_mix(word, IB_HASH_C) % BUCKETS);
    IB_ASSERT(directory->count <= IB_INSTRUMENTS_MAX);
    while (directory->buckets[bucket] != 0) {
        const struct ib_directory_entry *entry = &directory->entries[directory->buckets[bucket] - 1];
        if (memcmp(entry->definition.symbol, symbol, IB_SYMBOL_SIZE) == 0) {
            break;
        }
        bucket = (bucket + 1) % BUCKETS;
    }
    return bucket;
}

/* Whether its auction has to end: one that was removed has none any more. */
static uint32_t is_volatile(const struct ib_instrument *definition)
{
    IB_ASSERT(definition->phase <= IB_PHASE_CLOSING_AUCTION);
    return !definition->removed && definition->phase == IB_PHASE_VOLATILITY_AUCTION;
}

static void append(struct ib_directory *directory, const struct ib_instrument *definition, uint64_t since_ns)
{
    IB_ASSERT(directory->count < IB_INSTRUMENTS_MAX);
    IB_ASSERT(definition->tick >= 1);
    directory->buckets[bucket_of(directory, definition->symbol)] = directory->count + 1;
    directory->entries[directory->count++] =
        (struct ib_directory_entry){.definition = *definition, .since_ns = since_ns};
    directory->volatile_count += is_volatile(definition);
}

int ib_directory_open(struct ib_directory **directory, const struct ib_matcher *matcher, const uint64_t *since_ns)
{
    IB_ASSERT(directory != NULL && matcher != NULL);
    struct ib_directory *self = calloc(1, sizeof *self);
    *directory = NULL;
    if (self == NULL) {
        return IB_ERROR_MEMORY;
    }
    self->entries = ib_memory_reserve(IB_INSTRUMENTS_MAX * sizeof *self->entries);
    self->buckets = ib_memory_reserve(BUCKETS * sizeof *self->buckets);
    if (self->entries == NULL || self->buckets == NULL) {
        ib_directory_close(self);
        return IB_ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < ib_matcher_instrument_count(matcher); i++) {
        append(self, ib_matcher_instrument(matcher, i), since_ns != NULL ? since_ns[i] : 0);
    }
    IB_ASSERT(self->count == ib_matcher_instrument_count(matcher));
    self->opened_seq = ib_matcher_seq(matcher);
    *directory = self;
    return IB_OK;
}

void ib_directory_close(struct ib_directory *directory)
{
    if (directory != NULL) {
        IB_ASSERT(directory->count <= IB_INSTRUMENTS_MAX);
        ib_memory_release(directory->entries, IB_INSTRUMENTS_MAX * sizeof *directory->entries);
        ib_memory_release(directory->buckets, BUCKETS * sizeof *directory->buckets);
        free(directory);
    }
}

uint32_t ib_directory_count(const struct ib_directory *directory)
{
    IB_ASSERT(directory != NULL);
    IB_ASSERT(directory->count <= IB_INSTRUMENTS_MAX);
    return directory->count;
}

struct ib_directory_entry *ib_directory_at(struct ib_directory *directory, uint32_t index)
{
    IB_ASSERT(directory != NULL);
    IB_ASSERT(directory->count <= IB_INSTRUMENTS_MAX);
    return index < directory->count ? &directory->entries[index] : NULL;
}

const char *ib_directory_symbol(const struct ib_directory *directory, uint32_t index)
{
    static const char blank[IB_SYMBOL_SIZE + 1] = "        ";
    IB_ASSERT(directory != NULL);
    IB_ASSERT(directory->count <= IB_INSTRUMENTS_MAX);
    return index < directory->count ? directory->entries[index].definition.symbol : blank;
}

uint32_t ib_directory_find(const struct ib_directory *directory, const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(directory != NULL && symbol != NULL);
    uint32_t index = directory->buckets[bucket_of(directory, symbol)] - 1;
    IB_ASSERT(index == UINT32_MAX || index < directory->count);
    /* 0 - 1: nothing */
    return index == UINT32_MAX || directory->entries[index].definition.removed ? UINT32_MAX : index;
}

uint32_t ib_directory_volatile(const struct ib_directory *directory)
{
    IB_ASSERT(directory != NULL);
    IB_ASSERT(directory->volatile_count <= directory->count);
    return directory->volatile_count;
}

uint64_t ib_directory_definitions(const struct ib_directory *directory)
{
    IB_ASSERT(directory != NULL);
    return directory->definitions;
}

bool ib_directory_stage(struct ib_directory *directory, uint64_t seq, uint64_t released_seq, uint32_t index,
                        const struct ib_instrument *definition)
{
    IB_ASSERT(seq > released_seq);
    IB_ASSERT(index <= directory->count && definition->tick >= 1);
    if (directory->staged_seq > released_seq) {
        return false;
    }
    directory->staged_seq = seq;
    directory->staged_index = index;
    directory->staged = *definition;
    return true;
}

static void set_phase(struct ib_directory *directory, const struct ib_event *event)
{
    struct ib_directory_entry *entry = ib_directory_at(directory, event->instrument);
    IB_ASSERT(entry != NULL);
    IB_ASSERT(event->phase <= IB_PHASE_CLOSING_AUCTION);
    directory->volatile_count -= is_volatile(&entry->definition);
    entry->definition.phase = event->phase;
    directory->volatile_count += is_volatile(&entry->definition);
    entry->since_ns = event->time_ns;
}

static void define(struct ib_directory *directory, const struct ib_event *event)
{
    IB_ASSERT(event->instrument <= directory->count && event->instrument < IB_INSTRUMENTS_MAX);
    directory->definitions++;
    if (event->reason == IB_REASON_INSTRUMENT_REMOVED) {
        struct ib_directory_entry *entry = &directory->entries[event->instrument];
        IB_ASSERT(event->instrument < directory->count);
        directory->volatile_count -= is_volatile(&entry->definition);
        entry->definition.removed = 1;
    } else if (event->seq == directory->staged_seq) { /* others are of before the open, and known */
        IB_ASSERT(event->instrument == directory->staged_index);
        if (event->instrument == directory->count) {
            append(directory, &directory->staged, 0);
        } else {
            struct ib_instrument *definition = &directory->entries[event->instrument].definition;
            uint8_t phase = definition->phase;
            *definition = directory->staged;
            definition->phase = phase; /* a change leaves it, and it may have moved meanwhile */
        }
    }
    struct ib_directory_entry *entry = &directory->entries[event->instrument];
    if (entry->definition.phase == IB_PHASE_VOLATILITY_AUCTION && entry->since_ns == 0) {
        entry->since_ns = event->time_ns; /* it was defined in one, which has to end, too */
    }
}

void ib_directory_see(struct ib_directory *directory, const struct ib_event *event)
{
    IB_ASSERT(directory != NULL && event != NULL);
    if (event->type == IB_EVENT_PHASE) {
        set_phase(directory, event);
    } else if (event->type == IB_EVENT_INSTRUMENT) {
        define(directory, event);
    } else if (event->type == IB_EVENT_EXECUTED && (event->flags & IB_FLAG_AUCTION) != 0 &&
               event->seq > directory->opened_seq) { /* what was copied is newer than an auction of before the open */
        struct ib_directory_entry *entry = ib_directory_at(directory, event->instrument);
        IB_ASSERT(entry != NULL);
        entry->definition.reference_price = event->price; /* docs/matching.md, section 5: an auction sets it */
    }
}
