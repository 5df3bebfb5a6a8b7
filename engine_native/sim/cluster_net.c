/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster_net.c: connections between members, and what becomes of frames on them: lost, doubled, late, in another
 * order. Of TCP it keeps one promise only, the one that replica.h asks for: nothing arrives on a newer connection.
 */
#include <string.h>

#include "cluster.h"

static void trace(const char *what, const struct event *event)
{
    const struct ib_replica_frame *frame = slot_bytes(event->slot);
    SAY("%s %u > %u: type %u epoch %llu seq %llu count %u commit %llu", what, event->peer, event->member, frame->type,
        (unsigned long long)frame->epoch, (unsigned long long)frame->seq, frame->count,
        (unsigned long long)frame->commit_seq);
}

static bool reaches(unsigned from, unsigned to)
{
    return !world.cut[from][to] && world.members[to].up;
}

void net_send(unsigned from, unsigned to, const uint8_t *bytes, size_t size)
{
    struct ib_replica_frame frame;
    memcpy(&frame, bytes, sizeof frame);
    if (frame.type == IB_FRAME_ACK) {
        check_acknowledged(from, frame.epoch);
    }
    reached[DIVERGED] += frame.type == IB_FRAME_DIVERGED;
    if (world.connection[from][to] == 0 || !reaches(from, to) || chance(world.loss)) {
        return;
    }
    for (unsigned copies = chance(world.twice) ? 2 : 1; copies > 0; copies--) {
        uint32_t slot = take_slot();
        memcpy(slot_bytes(slot), bytes, size);
        *slot_size(slot) = size;
        push((struct event){.kind = FRAME, .member = (uint8_t)to, .peer = (uint8_t)from, .slot = slot,
                            .life = world.members[to].life, .a = world.connection[from][to]},
             50000 + draw(world.delay_ns));
    }
}

static void tell(unsigned to, unsigned peer, uint64_t delay_ns)
{
    if (world.connection[to][peer] != 0) {
        push((struct event){.kind = DISCONNECTED, .member = (uint8_t)to, .peer = (uint8_t)peer,
                            .life = world.members[to].life, .a = world.connection[to][peer]},
             delay_ns);
    }
}

void net_disconnect(unsigned from, unsigned to)
{
    tell(from, to, 1);
    if (!world.cut[from][to]) {
        tell(to, from, 50000 + draw(world.delay_ns));
    }
}

/* A dead process has its connections closed; a dead host says nothing. */
void net_died(unsigned member, bool host)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (i != member) {
            world.connection[member][i] = 0;
            if (!host && !world.cut[member][i]) {
                tell(i, member, 50000 + draw(world.delay_ns));
            }
        }
    }
}

void net_frame(const struct event *event)
{
    trace(world.connection[event->member][event->peer] == event->a ? "frame" : "stale frame", event);
    if (world.connection[event->member][event->peer] == event->a) {
        ib_replica_received(&world.members[event->member].replica, event->peer, slot_bytes(event->slot),
                            *slot_size(event->slot));
        member_after(event->member);
    }
}

void net_disconnected(const struct event *event)
{
    if (world.connection[event->member][event->peer] == event->a && event->a != 0) {
        world.connection[event->member][event->peer] = 0;
        ib_replica_disconnected(&world.members[event->member].replica, event->peer);
        member_after(event->member);
    }
}

static void close_old(unsigned member, unsigned peer)
{
    net_disconnected(&(struct event){.member = (uint8_t)member, .peer = (uint8_t)peer,
                                     .a = world.connection[member][peer]});
}

static bool awake(unsigned member)
{
    return world.members[member].up && world.members[member].paused_until_ns <= world.now_ns;
}

/* Tried again and again by both members' shells. */
void net_connect(unsigned a, unsigned b)
{
    bool whole = world.connection[a][b] != 0 && world.connection[a][b] == world.connection[b][a];
    if (!whole && awake(a) && awake(b) && reaches(a, b) && reaches(b, a)) {
        close_old(a, b);
        close_old(b, a);
        world.connection[a][b] = world.connection[b][a] = ++world.next_connection;
        ib_replica_connected(&world.members[a].replica, b);
        member_after(a);
        if (world.connection[b][a] == world.next_connection && world.members[b].up) {
            ib_replica_connected(&world.members[b].replica, a);
            member_after(b);
        }
    }
    push((struct event){.kind = CONNECT, .a = a, .b = b}, 10 * MS + draw(30 * MS));
}
