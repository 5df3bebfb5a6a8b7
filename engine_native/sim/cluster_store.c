/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster_store.c: a store with one record, linearizable. A request may be lost, its answer may be, and it may be
 * carried out seconds after whoever asked has given it up.
 */
#include <string.h>

#include "cluster.h"

struct request {
    bool is_write;
    uint64_t asked_ns;
    struct ib_shard_record record;
    enum ib_store_outcome outcome;
};

void store_ask(unsigned member, uint64_t number, const struct ib_shard_record *record)
{
    struct request request = {.is_write = record != NULL, .asked_ns = world.now_ns};
    if (record != NULL) {
        check_asked(member, record->epoch);
    }
    if (world.cut_store[member] || (world.store_down && chance(768))) {
        return;
    }
    if (record != NULL) {
        request.record = *record;
    }
    uint32_t slot = take_slot();
    memcpy(slot_bytes(slot), &request, sizeof request);
    uint64_t delay_ns = 500000 + draw(4 * MS);
    if (world.store_down || chance(world.store_lost)) {
        delay_ns += draw(4000u * MS);
    }
    push((struct event){.kind = STORE_APPLY, .member = (uint8_t)member, .life = world.members[member].life,
                        .slot = slot, .a = number},
         delay_ns);
}

/* What the agent's store refuses (docs/decisions/0014): no change that a replica asks for may be such a one. */
static void require_follows(const struct ib_shard_record *next, const struct ib_shard_record *known)
{
    bool is_new_epoch = next->epoch > known->epoch;
    if (next->epoch < known->epoch || (!is_new_epoch && next->primary != known->primary) ||
        (is_new_epoch && (next->in_sync & ~known->in_sync) != 0) || (next->in_sync >> next->primary & 1) == 0) {
        fail("I6: epoch %llu, primary %u, in sync %x may not follow epoch %llu, primary %u, in sync %x",
             (unsigned long long)next->epoch, next->primary, next->in_sync, (unsigned long long)known->epoch,
             known->primary, known->in_sync);
    }
}

void store_apply(const struct event *event)
{
    struct request request;
    memcpy(&request, slot_bytes(event->slot), sizeof request);
    request.outcome = IB_STORE_OK;
    if (request.is_write && request.record.version == world.record.version + 1) {
        require_follows(&request.record, &world.record);
        reached[TAKEOVERS] += request.record.epoch > world.record.epoch;
        reached[WRITTEN_LATE] += world.now_ns - request.asked_ns > 200 * (uint64_t)MS;
        world.record = request.record;
        SAY("store: version %llu, epoch %llu, primary %u, in sync %x", (unsigned long long)world.record.version,
            (unsigned long long)world.record.epoch, world.record.primary, world.record.in_sync);
    } else if (request.is_write) {
        request.outcome = IB_STORE_CONFLICT;
        reached[RACES_LOST] += request.record.epoch > world.record.epoch ||
                               request.record.primary != world.record.primary;
    }
    request.record = world.record;
    bool lost = world.cut_store[event->member] || chance(world.store_lost);
    if (lost || world.members[event->member].life != event->life) {
        reached[UNKNOWN_WRITES] += request.is_write;
        return; /* done, or not; and nobody hears of it */
    }
    uint32_t slot = take_slot();
    memcpy(slot_bytes(slot), &request, sizeof request);
    push((struct event){.kind = STORE_ANSWER, .member = event->member, .life = event->life, .slot = slot,
                        .a = event->a},
         500000 + draw(2 * MS));
}

void store_answer(const struct event *event)
{
    struct request request;
    memcpy(&request, slot_bytes(event->slot), sizeof request);
    ib_replica_stored(&world.members[event->member].replica, event->a, request.outcome, &request.record);
    member_after(event->member);
}
