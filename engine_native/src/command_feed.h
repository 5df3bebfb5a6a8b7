/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * command_feed.h: commands.sock, the command stream: orders as the core knows them, for what no public protocol
 * carries. A client names a session, sends struct ib_command, and is sent the session's reports as struct ib_event.
 * docs/protocols/commands.md has the bytes.
 *
 * Who may connect is the administrator (the peer's uid is the engine's own or root's), so no password is asked. All
 * else is as for a client of order entry: one connection to a session, numbers of orders that only rise, reports that
 * can be had again from any number on, the cancel of a session's orders when its connection ends.
 *
 * Everything here runs on the I/O thread.
 */
#ifndef IB_COMMAND_FEED_H
#define IB_COMMAND_FEED_H

#include "event_log.h"
#include "gateway.h"
#include "io_loop.h"
#include "sequencer.h"

struct ib_command_feed;

struct ib_command_feed_config {
    const char *run_directory;
    uint32_t shard;
    uint32_t rules; /* in force: nothing is served under rules 1 */
};

int ib_command_feed_open(struct ib_command_feed **feed, const struct ib_command_feed_config *config,
                         struct ib_io_loop *loop, struct ib_gateway *gateway, const struct ib_sequencer *sequencer,
                         const struct ib_event_log *log, char *error);
void ib_command_feed_close(struct ib_command_feed *feed);
/* Sends what was released, and takes input again where there was no room. Call after each release. */
void ib_command_feed_progress(struct ib_command_feed *feed);
/* True while a client has not been shown all that was released although its socket takes data: the loop must not
 * sleep. */
bool ib_command_feed_is_busy(const struct ib_command_feed *feed);

#endif
