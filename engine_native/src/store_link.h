/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * store_link.h: the engine's end of store.sock (docs/protocols/store.md): the agent beside it reads and writes the
 * shard's record for it. Where there is no agent, every request is answered with "unknown", and the link is tried anew.
 *
 * Everything here runs on the I/O thread.
 */
#ifndef IB_STORE_LINK_H
#define IB_STORE_LINK_H

#include "io_loop.h"
#include "replica.h"

struct ib_store_link;

struct ib_store_link_config {
    const char *run_directory; /* borrowed */
    uint32_t shard;
    uint32_t member;
    uint32_t retry_ms;
};

struct ib_store_link_hooks {
    void *context;
    /* Of ib_replica_stored, and of ib_replica_record_seen. */
    void (*stored)(void *context, uint64_t request, enum ib_store_outcome outcome,
                   const struct ib_shard_record *record);
    void (*seen)(void *context, const struct ib_shard_record *record);
};

int ib_store_link_open(struct ib_store_link **link, const struct ib_store_link_config *config, struct ib_io_loop *loop,
                       struct ib_store_link_hooks hooks);
void ib_store_link_close(struct ib_store_link *link); /* null is allowed; answers nothing */

/* One request at a time; a newer one takes the place of one that is not answered. Null `record`: read it. */
void ib_store_link_ask(struct ib_store_link *link, uint64_t request, const struct ib_shard_record *record);
/* Connects where there is no connection, and answers what cannot be asked. Several times a second. */
void ib_store_link_tick(struct ib_store_link *link);
/* Why the store's last answer was none, or null. */
const char *ib_store_link_fault(const struct ib_store_link *link);

#endif
