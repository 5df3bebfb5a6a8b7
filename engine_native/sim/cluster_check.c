/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster_check.c: I1 to I7 of the design, at every step, from what is seen from outside: what members say is
 * committed, what they show, what clients send and get, what is on the platters, what stands in the store. It shares
 * no code with replica.c; it has a matcher of its own, which gets what is committed and nothing else. I8 is in
 * cluster.c, which knows when what was broken.
 */
#include <string.h>

#include "../tests/take_events.h"
#include "cluster.h"

static struct {
    struct ib_matcher *matcher;
    uint64_t seq; /* committed */
    struct ib_replica_entry log[LOG_MAX + 1];
    uint64_t hashes[LOG_MAX + 1];
    uint32_t event_end[LOG_MAX + 1];
    struct ib_event events[EVENTS_MAX];
    uint8_t acker[EPOCHS_MAX]; /* member + 1, by epoch */
    uint64_t ordered[CLIENTS][USER_REFS_MAX]; /* by which command an order was taken; 0 = not yet */
    uint64_t open[CLIENTS][USER_REFS_MAX];    /* what must be left of it */
    uint64_t invoked_after[CLIENTS][USER_REFS_MAX]; /* the newest command acknowledged to anybody before it was sent */
    bool reported[CLIENTS][USER_REFS_MAX];
    uint64_t acknowledged; /* the newest command acknowledged to anybody */
    uint64_t bought, sold;
    uint64_t asked[MEMBERS]; /* highest epoch that a member has asked for or acknowledged in, forgotten or not */
} check;

void check_begin(void)
{
    ib_matcher_close(check.matcher);
    memset(&check, 0, sizeof check);
    if (ib_matcher_open(&check.matcher, ORDERS) != IB_OK) {
        fail("no memory");
    }
}

uint64_t check_committed(void)
{
    return check.seq;
}

uint64_t check_trades(void)
{
    struct ib_totals totals;
    ib_matcher_totals(check.matcher, &totals);
    return totals.trades;
}

static unsigned long long u(uint64_t value)
{
    return (unsigned long long)value;
}

/* I4 and the first half of I1: each order is taken once, and what is left of it follows from what became of it. */
static void account(void *context, const struct ib_event *event)
{
    (void)context;
    if (check.event_end[event->seq] >= EVENTS_MAX) {
        fail("no room for events");
    }
    check.events[check.event_end[event->seq]++] = *event;
    if (event->session >= CLIENTS || event->user_ref >= USER_REFS_MAX) {
        return;
    }
    uint64_t *open = &check.open[event->session][event->user_ref];
    uint64_t *ordered = &check.ordered[event->session][event->user_ref];
    switch (event->type) {
    case IB_EVENT_ACCEPTED:
    case IB_EVENT_REPLACED:
    case IB_EVENT_REJECTED:
        if (*ordered != 0) {
            fail("I1: order %u of client %u is taken at %llu and again at %llu", event->user_ref, event->session,
                 u(*ordered), u(event->seq));
        }
        *ordered = event->seq;
        *open = event->type == IB_EVENT_REJECTED ? 0 : event->quantity;
        if (event->type == IB_EVENT_REPLACED) {
            check.open[event->session][event->user_ref_original] = 0;
        }
        break;
    case IB_EVENT_EXECUTED:
        *(event->side == IB_SIDE_BUY ? &check.bought : &check.sold) += event->quantity;
        *open -= event->quantity;
        break;
    case IB_EVENT_CANCELED:
        *open -= event->quantity;
        break;
    default:
        break;
    }
    if (event->type != IB_EVENT_REJECTED && *open != event->remaining) {
        fail("I4: order %u of client %u has %llu left, not %llu", event->user_ref, event->session,
             u(event->remaining), u(*open));
    }
}

/* R1, by looking: who counts in the store has it on its platter. Of a member whose platter was damaged afterwards it is
 * enough that it had. */
static void check_durable(unsigned member, uint64_t seq, const struct ib_replica_entry *entry)
{
    unsigned copies = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        bool holds = disk_holds(&world.members[i].disk, seq, entry);
        copies += holds || world.members[i].disk.damaged;
        if (!holds && !world.members[i].disk.damaged && (world.record.in_sync >> i & 1) != 0 &&
            world.record.epoch == world.members[member].replica.epoch) {
            fail("I1: member %u commits %llu, and member %u of the in-sync set does not have it on disk", member,
                 u(seq), i);
        }
    }
    if (copies < 2) {
        fail("I1: member %u commits %llu, which %u members have on disk", member, u(seq), copies);
    }
}

void check_commit(unsigned member, uint64_t seq, const struct ib_replica_entry *entry, uint64_t hash, bool leads)
{
    if (seq <= check.seq) {
        if (entry->epoch != check.log[seq].epoch ||
            memcmp(&entry->command, &check.log[seq].command, sizeof entry->command) != 0) {
            fail("I2: member %u has another entry committed at %llu, of epoch %llu instead of %llu", member, u(seq),
                 u(entry->epoch), u(check.log[seq].epoch));
        }
    } else {
        uint64_t epoch = world.members[member].replica.epoch;
        if (!leads) {
            fail("I2: standby %u says that %llu is committed, and no primary did", member, u(seq));
        }
        if (seq != check.seq + 1 || entry->command.seq != seq || entry->epoch < check.log[seq - 1].epoch) {
            fail("I6: member %u commits %llu of epoch %llu behind %llu of epoch %llu", member, u(seq),
                 u(entry->epoch), u(check.seq), u(check.log[check.seq].epoch));
        }
        if (epoch >= EPOCHS_MAX || (check.acker[epoch] != 0 && check.acker[epoch] != member + 1)) {
            fail("I6: members %d and %u commit in epoch %llu", check.acker[epoch % EPOCHS_MAX] - 1, member, u(epoch));
        }
        check.acker[epoch] = (uint8_t)(member + 1);
        check_durable(member, seq, entry);
        check.seq = seq;
        check.log[seq] = *entry;
        check.event_end[seq] = check.event_end[seq - 1];
        if (take_events(check.matcher, &entry->command, NULL, account) != IB_OK) {
            fail("I3: what is committed at %llu cannot be replayed", u(seq));
        }
        struct ib_totals totals;
        ib_matcher_totals(check.matcher, &totals);
        check.hashes[seq] = totals.state_hash;
        mix(totals.state_hash);
    }
    if (hash != check.hashes[seq] && (leads || !world.members[member].astray)) {
        fail("I3: member %u has another state behind %llu than a replay", member, u(seq));
    }
}

void check_asked(unsigned member, uint64_t epoch)
{
    check.asked[member] = epoch > check.asked[member] ? epoch : check.asked[member];
}

void check_forgot(unsigned member)
{
    check.asked[member] = world.record.epoch;
}

/* R2 and R3, on the wire. */
void check_acknowledged(unsigned member, uint64_t epoch)
{
    if (epoch < check.asked[member]) {
        fail("R3: member %u acknowledges in epoch %llu, and has asked for, or acknowledged in, %llu", member, u(epoch),
             u(check.asked[member]));
    }
    check_asked(member, epoch);
}

void check_shown(unsigned member, const struct ib_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t seq = events[i].seq;
        uint32_t at = check.event_end[seq - 1] + (uint32_t)i;
        if (seq > check.seq || at >= check.event_end[seq] ||
            memcmp(&events[i], &check.events[at], sizeof events[i]) != 0) {
            fail("I5: member %u shows event %zu of %llu, which is not in the replay", member, i, u(seq));
        }
    }
}

void check_invoke(unsigned client, uint32_t user_ref)
{
    check.invoked_after[client][user_ref] = check.acknowledged;
}

void check_report(unsigned client, const struct ib_event *event)
{
    mix(event->seq);
    if (event->seq > check.seq || memcmp(event, &check.events[check.event_end[event->seq - 1] + event->index],
                                         sizeof *event) != 0) {
        fail("I5: client %u is told of %llu what is not in the replay", client, u(event->seq));
    }
    if (event->user_ref >= USER_REFS_MAX || check.ordered[client][event->user_ref] != event->seq) {
        return; /* not the first report of an order */
    }
    check.reported[client][event->user_ref] = true;
    if (event->seq <= check.invoked_after[client][event->user_ref]) {
        fail("I7: order %u of client %u got %llu, and %llu was acknowledged before it was sent", event->user_ref,
             client, u(event->seq), u(check.invoked_after[client][event->user_ref]));
    }
    check.acknowledged = event->seq > check.acknowledged ? event->seq : check.acknowledged;
}

/* I1, the other half: every order that was acknowledged is in every surviving journal, as acknowledged. */
static void check_member(const struct member *member, unsigned index)
{
    for (uint64_t seq = 1; seq <= check.seq; seq++) {
        if (seq > member->last_seq || member->log[seq].epoch != check.log[seq].epoch ||
            memcmp(&member->log[seq].command, &check.log[seq].command, sizeof check.log[seq].command) != 0) {
            fail("I1: entry %llu, which was committed, is not in the journal of member %u", u(seq), index);
        }
        if (member->hashes[seq] != check.hashes[seq]) {
            fail("I3: member %u has another state behind %llu than a replay", index, u(seq));
        }
    }
}

void check_end(void)
{
    static struct ib_live_order live[ORDERS];
    size_t count;
    uint64_t left = 0;
    uint64_t open = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct member *member = &world.members[i];
        bool sound = member->replica.doubt_seq == 0 && !member->disk.damaged;
        if (member->up && (world.record.in_sync >> i & 1) != 0 && (world.bounded || sound)) {
            check_member(&world.members[i], i);
        }
    }
    if (ib_matcher_live_orders(check.matcher, live, ORDERS, &count) != IB_OK) {
        fail("more orders than there can be");
    }
    for (size_t i = 0; i < count; i++) {
        left += live[i].remaining;
    }
    for (unsigned client = 0; client < CLIENTS; client++) {
        for (unsigned ref = 0; ref < USER_REFS_MAX; ref++) {
            open += check.open[client][ref];
        }
        for (uint32_t ref = 1; world.healed && ref < world.clients[client].next_ref; ref++) {
            if (check.ordered[client][ref] != 0 && !check.reported[client][ref] && clients_are_done()) {
                fail("I1: order %u of client %u was taken, and nobody told it", ref, client);
            }
        }
    }
    if (left != open || check.bought != check.sold) {
        fail("I4: %llu is left of all orders, not %llu; %llu bought, %llu sold", u(left), u(open), u(check.bought),
             u(check.sold));
    }
}
