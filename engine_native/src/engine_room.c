/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_room.c: the thread that makes the journal's next segment as soon as the last one was taken. No order waits for
 * it, but those that find the journal used up faster than the disk can give room.
 *
 * A disk that is full is no failure: the segment that is written lasts for a while, the sequencer shares out what is
 * left of it (sequencer.h), and room is looked for again five times a second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "engine_internal.h"

enum { LOOK_MS = 200, REST_MS = 60000 };

/* Says when the state of the disk changes, and only then. */
static void tell(const struct ib_engine *engine, bool is_full, int reason)
{
    IB_ASSERT(engine->journal != NULL);
    IB_ASSERT(!is_full || reason != 0);
    if (is_full) {
        fprintf(stderr,
                "ironbook: journal: no room for the next segment of %" PRIu64 " bytes in %s: %s. New orders are "
                "rejected (JOURNAL_FULL) when the present segment is nearly full: make room\n",
                engine->config.segment_bytes, engine->config.journal_directory, strerror(reason));
    } else {
        fprintf(stderr, "ironbook: journal: there is room for the next segment again\n");
    }
}

void *ib_engine_run_room(void *context)
{
    struct ib_engine *engine = context;
    bool was_full = false;
    IB_ASSERT(engine->journal != NULL);
    IB_ASSERT(ib_journal_room_seq(engine->journal) >= engine->sequencer.base_seq);
    while (!ib_ring_is_closed(&engine->sequencer.ring)) {
        int status = ib_journal_prepare(engine->journal);
        int reason = errno;
        if (status != IB_OK && status != IB_ERROR_CAPACITY) {
            char error[IB_ERROR_TEXT_SIZE];
            snprintf(error, sizeof error, "the journal's next segment cannot be made in %.300s: %s",
                     engine->config.journal_directory, strerror(reason));
            ib_engine_fail(engine, status, error);
            return NULL;
        }
        bool is_full = status != IB_OK;
        if (is_full != was_full) {
            tell(engine, is_full, reason);
            was_full = is_full;
        }
        ib_journal_wait(engine->journal, is_full ? LOOK_MS : REST_MS);
    }
    return NULL;
}
