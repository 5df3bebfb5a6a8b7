/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * event_feed.h: the event log over events.sock, for the ledger, the publisher and whoever else follows the shard.
 *
 * A consumer names the last event that it has, (seq, index), and is sent all later ones as struct ib_event, for
 * ever. It is sent straight from the mapped log at its own pace: a slow one lags, keeps nothing here but a position,
 * and blocks nobody. docs/protocols/event_feed.md has the bytes.
 *
 * Everything here runs on the I/O thread.
 */
#ifndef IB_EVENT_FEED_H
#define IB_EVENT_FEED_H

#include "event_log.h"
#include "io_loop.h"
#include "sequencer.h"

struct ib_event_feed;

int ib_event_feed_open(struct ib_event_feed **feed, const char *run_directory, uint32_t shard, uint64_t epoch,
                       struct ib_io_loop *loop, const struct ib_sequencer *sequencer, const struct ib_event_log *log,
                       char *error);
void ib_event_feed_close(struct ib_event_feed *feed);
/* Sends what was released since. Call after each release. */
void ib_event_feed_progress(struct ib_event_feed *feed);
uint32_t ib_event_feed_consumer_count(const struct ib_event_feed *feed);

#endif
