/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * directory.h: the instruments as the I/O thread knows them: names, definitions and phases, up to the last released
 * event. The matcher's own belong to its thread, which may be changing them; this copy follows by the events, and by
 * the definitions that the I/O thread itself has sequenced.
 *
 * Everything here runs on the I/O thread. All memory is taken at open.
 */
#ifndef IB_DIRECTORY_H
#define IB_DIRECTORY_H

#include <stdbool.h>

#include "matcher.h"

struct ib_directory_entry {
    struct ib_instrument definition;
    uint64_t since_ns;    /* of its last change of phase; 0 = none yet */
    uint64_t pending_seq; /* the last PHASE that was sequenced for it: not released yet, it may still move what is
                           * here */
};

_Static_assert(sizeof(struct ib_directory_entry) == 80, "all 131,072 take 10 MiB of address space");

struct ib_directory;

/* Copies the instruments of a matcher that stands still. `since_ns`: of each, when it last changed its phase, as far as
 * its events are not going to tell (past.h); null = they tell all. */
int ib_directory_open(struct ib_directory **directory, const struct ib_matcher *matcher, const uint64_t *since_ns);
void ib_directory_close(struct ib_directory *directory); /* null is allowed */

uint32_t ib_directory_count(const struct ib_directory *directory);
/* Null when the index is not defined. */
struct ib_directory_entry *ib_directory_at(struct ib_directory *directory, uint32_t index);
/* Symbol of an instrument, padded with spaces; spaces when the index is not defined. */
const char *ib_directory_symbol(const struct ib_directory *directory, uint32_t index);
/* UINT32_MAX when there is none of that symbol (padded with spaces) that was not removed. */
uint32_t ib_directory_find(const struct ib_directory *directory, const char symbol[IB_SYMBOL_SIZE]);
/* Instruments whose phase is a volatility auction. */
uint32_t ib_directory_volatile(const struct ib_directory *directory);

/* How often an Instrument event has changed something: who derives things from the definitions looks again then. */
uint64_t ib_directory_definitions(const struct ib_directory *directory);

/* A definition that was sequenced as command `seq` and takes effect with its Instrument event. One at a time: false
 * while the one before may still come. */
bool ib_directory_stage(struct ib_directory *directory, uint64_t seq, uint64_t released_seq, uint32_t index,
                        const struct ib_instrument *definition);
/* Takes in one released event, in order. */
void ib_directory_see(struct ib_directory *directory, const struct ib_event *event);

#endif
