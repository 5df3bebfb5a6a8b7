/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster_member.c: what is around a replica in a member: journal, matcher, clock, and the order in which things get
 * done. It decides nothing: what the real engine will do, it does here with a simulated disk and network.
 */
#include <string.h>

#include "../tests/take_events.h"
#include "cluster.h"

static unsigned index_of(const void *context)
{
    return (unsigned)((const struct member *)context - world.members);
}

uint64_t member_clock(unsigned index)
{
    const struct member *member = &world.members[index];
    return member->clock_ns + world.now_ns + world.now_ns / 1024 * member->skew;
}

/* Crashes lie between any two things that a member does; a fuse puts them where they are rare otherwise. */
static void burn(struct member *member)
{
    member->blown = member->blown || member->fuse == 1;
    member->fuse -= member->fuse > 0;
}

/* ---- struct ib_replica_io: notes what is asked for; member_after does it ---- */

static void io_send(void *context, unsigned peer, const uint8_t *bytes, size_t size)
{
    net_send(index_of(context), peer, bytes, size);
}

static void io_disconnect(void *context, unsigned peer, const char *why)
{
    (void)why;
    net_disconnect(index_of(context), peer);
}

static bool io_append(void *context, const struct ib_replica_entry *entries, size_t count)
{
    struct member *member = context;
    if ((member->last_seq + count) * RECORD > member->disk.room || member->last_seq + count > LOG_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].command.seq != member->last_seq + 1) {
            fail("member %u was given entry %llu behind %llu", index_of(context),
                 (unsigned long long)entries[i].command.seq, (unsigned long long)member->last_seq);
        }
        member->log[++member->last_seq] = entries[i];
    }
    return true;
}

static void io_truncate(void *context, uint64_t seq)
{
    struct member *member = context;
    burn(member);
    member->cut_wanted = true;
    member->cut_seq = seq;
}

static size_t io_read(void *context, uint64_t seq, struct ib_replica_entry *entries, size_t count)
{
    const struct member *member = context;
    uint64_t last = member->last_seq;
    if (seq < 1 || seq > last) {
        fail("member %u reads entry %llu of %llu", index_of(context), (unsigned long long)seq,
             (unsigned long long)last);
    }
    if (seq < member->begin_seq && world.now_ns < member->readable_ns) {
        reached[UNREADABLE]++;
        return 0;
    }
    size_t read = last - seq + 1 < count ? (size_t)(last - seq + 1) : count;
    memcpy(entries, &member->log[seq], read * sizeof *entries);
    return read;
}

static void io_promise(void *context, uint64_t epoch, uint64_t doubt_seq)
{
    struct member *member = context;
    burn(member);
    member->disk.promised[0] = epoch;
    member->disk.doubt[0] = doubt_seq;
    push((struct event){.kind = PROMISED, .member = (uint8_t)index_of(context), .life = member->life, .a = epoch,
                        .b = doubt_seq},
         300000 + member->disk.slow_ns);
}

static void io_store_read(void *context, uint64_t request)
{
    store_ask(index_of(context), request, NULL);
}

static void io_store_write(void *context, uint64_t request, const struct ib_shard_record *record)
{
    burn(context);
    store_ask(index_of(context), request, record);
}

static void io_commit(void *context, uint64_t seq)
{
    struct member *member = context;
    member->commit_seq = seq;
    if (member->replica.role == IB_ROLE_PRIMARY || member->replica.role == IB_ROLE_OPENING) {
        member->led_seq = seq;
    }
}

static void io_role(void *context, enum ib_replica_role role, const char *why)
{
    struct member *member = context;
    SAY("member %u: role %d in epoch %llu at %llu: %s", index_of(context), (int)role,
        (unsigned long long)member->replica.epoch, (unsigned long long)member->last_seq, why);
    reached[STEPPED_DOWN] += role == IB_ROLE_STANDBY && member->led_seq > 0;
    mix(role + 16 * index_of(context));
    if (role == IB_ROLE_STOPPED && strstr(why, "state") == NULL && world.bounded) {
        fail("I2: member %u halts: %s", index_of(context), why); /* it is right to: what it has seen may not be */
    }
    member->stopped = role == IB_ROLE_STOPPED;
    world.opened_ns = role == IB_ROLE_PRIMARY ? world.now_ns : world.opened_ns;
}

/* ---- matching ---- */

static void keep(void *context, const struct ib_event *event)
{
    struct member *member = context;
    if (member->event_end[event->seq] >= EVENTS_MAX) {
        fail("no room for events");
    }
    member->events[member->event_end[event->seq]++] = *event;
}

static void match_next(unsigned index)
{
    struct member *member = &world.members[index];
    uint64_t seq = member->applied_seq + 1;
    const struct ib_command *command = &member->log[seq].command;
    member->event_end[seq] = member->event_end[seq - 1];
    if (take_events(member->matcher, command, member, keep) != IB_OK) {
        fail("member %u: command %llu was refused by the core", index, (unsigned long long)seq);
    }
    struct ib_totals totals;
    ib_matcher_totals(member->matcher, &totals);
    member->hashes[seq] = totals.state_hash + (member->astray ? index + 1 : 0); /* each in its own way */
    member->applied_seq = seq;
}

static void open_matcher(struct member *member)
{
    ib_matcher_close(member->matcher);
    if (ib_matcher_open(&member->matcher, ORDERS) != IB_OK) {
        fail("no memory");
    }
    member->applied_seq = 0;
    member->astray = false;
    member->event_end[0] = 0;
}

/* ---- the journal: one group at a time, written and synced ---- */

static void write_group(unsigned index)
{
    struct member *member = &world.members[index];
    uint64_t first = member->written_seq + 1;
    uint64_t last = member->last_seq < first + 15 ? member->last_seq : first + 15;
    for (uint64_t seq = first; seq <= last; seq++) {
        member->chain_disk = disk_write_entry(&member->disk, &member->log[seq], member->chain_disk, first);
    }
    member->written_seq = member->syncing_seq = last;
    member->syncing = true;
    push((struct event){.kind = SYNCED, .member = (uint8_t)index, .life = member->life},
         100000 + draw(400000) + member->disk.slow_ns);
}

void member_synced(const struct event *event)
{
    struct member *member = &world.members[event->member];
    if (member->disk.fails) { /* R6: fatal, no second try; the kernel may have thrown away what was not written */
        member->disk.fails = false;
        SAY("member %u: sync failed", event->member);
        disk_lose_power(&member->disk);
        member_crash(event->member, false, 200u * MS + draw(1000u * MS));
        return;
    }
    disk_sync(&member->disk);
    member->syncing = false;
    ib_replica_durable(&member->replica, member->syncing_seq);
    member_after(event->member);
}

/* Every record's own chain, from the first one on: the journal's, which covers the groups too. */
static uint64_t chain_at(const struct member *member, uint64_t seq)
{
    struct ib_record_header header;
    if (seq == 0) {
        return 0;
    }
    memcpy(&header, member->disk.cache + (seq - 1) * RECORD, sizeof header);
    return ib_record_chain(&header, member->disk.cache + (seq - 1) * RECORD + sizeof header);
}

static void begin_cut(unsigned index)
{
    struct member *member = &world.members[index];
    reached[CUTS]++;
    member->cut_wanted = false;
    member->cutting = true;
    uint64_t stays = member->cut_seq < member->written_seq ? member->cut_seq : member->written_seq;
    disk_erase(&member->disk, (size_t)stays * RECORD);
    push((struct event){.kind = TRUNCATED, .member = (uint8_t)index, .life = member->life},
         200000 + member->disk.slow_ns);
}

void member_truncated(const struct event *event)
{
    struct member *member = &world.members[event->member];
    disk_sync(&member->disk);
    member->cutting = false;
    if (member->written_seq < member->cut_seq) { /* it was never written: what stays of it is written now */
        member->last_seq = member->cut_seq;
        while (member->written_seq < member->cut_seq) {
            uint64_t seq = ++member->written_seq;
            member->chain_disk = disk_write_entry(&member->disk, &member->log[seq], member->chain_disk, seq);
        }
        disk_sync(&member->disk);
    }
    member->last_seq = member->written_seq = member->cut_seq;
    member->chain_disk = chain_at(member, member->cut_seq);
    member->readable_ns = 0;
    open_matcher(member); /* R5: its state is discarded, and replayed */
    while (member->applied_seq < member->last_seq) {
        match_next(event->member);
    }
    SAY("member %u: cut at %llu", event->member, (unsigned long long)member->cut_seq);
    ib_replica_truncated(&member->replica, member->cut_seq);
    member_after(event->member);
}

void member_promised(const struct event *event)
{
    struct member *member = &world.members[event->member];
    if (event->a >= member->disk.promised[1]) {
        member->disk.promised[1] = event->a;
        member->disk.doubt[1] = event->b;
        ib_replica_promised(&member->replica, event->a, event->b);
        member_after(event->member);
    }
}

/* ---- life ---- */

void member_after(unsigned index)
{
    struct member *member = &world.members[index];
    if (!member->up) {
        return;
    }
    if (member->stopped) { /* a supervisor starts it again, and it discards its state */
        member_crash(index, false, 100u * MS);
        return;
    }
    if (member->blown) {
        member_crash(index, member->fuse_is_host, 50u * MS + draw(800u * MS));
        return;
    }
    if (member->cut_wanted && !member->syncing) {
        begin_cut(index);
    }
    if (!member->cut_wanted && !member->cutting) {
        while (member->applied_seq < member->last_seq) {
            match_next(index);
            uint64_t seq = member->applied_seq;
            if (ib_replica_is_checked(&member->replica, &member->log[seq].command)) {
                ib_replica_applied(&member->replica, seq, member->hashes[seq]);
            }
        }
        if (!member->syncing && member->written_seq < member->last_seq) {
            write_group(index);
        }
    }
    while (member->shown_seq < member->commit_seq && member->shown_seq < member->applied_seq) {
        uint64_t seq = ++member->shown_seq;
        check_commit(index, seq, &member->log[seq], member->hashes[seq], seq <= member->led_seq);
        check_shown(index, member->events + member->event_end[seq - 1],
                    member->event_end[seq] - member->event_end[seq - 1]);
    }
    if (member->stopped) {
        member_crash(index, false, 100u * MS);
    }
}

/* Now and then it begins with a snapshot: of what it knew to be committed, as they are to be taken; or of anything that
 * it had, as a person might. Nothing is drawn for that, so that seeds keep their runs. */
static void begin_with_snapshot(unsigned index, const struct ib_replica_recovered *recovered)
{
    struct member *member = &world.members[index];
    uint64_t noise = (world.now_ns ^ (index + 1)) * 0x9e3779b97f4a7c15u >> 16;
    uint64_t committed = member->shown_seq < recovered->last_seq ? member->shown_seq : recovered->last_seq;
    member->begin_seq = noise % 8 == 0 && recovered->last_seq > 0 ? 1 + noise / 8 % recovered->last_seq
                        : noise % 2 != 0                          ? committed
                                                                  : 0;
    member->readable_ns = world.now_ns + noise / 1024 % 4000 * MS;
}

void member_start(unsigned index)
{
    static const struct ib_replica_config config = {
        .shard = SHARD, .members = MEMBERS, .min_in_sync = 2, .window = 64, .grow_lag = 8, .check_every = 16,
        .heartbeat_ns = 50u * MS, .silence_ns = 1000u * MS, .down_ns = 100u * MS, .lag_ns = 1000u * MS,
        .retry_ns = 100u * MS, .stagger_ns = 60u * MS, .store_ns = 200u * MS, .drain_ns = 100u * MS};
    struct member *member = &world.members[index];
    struct ib_replica_config mine = config;
    struct ib_replica_io io = {member, io_send, io_disconnect, io_append, io_truncate, io_read, io_promise,
                               io_store_read, io_store_write, io_commit, io_role};
    struct ib_replica_recovered recovered = disk_recover(member);
    mine.member = (uint8_t)index;
    reached[IN_DOUBT] += recovered.doubt_seq > 0;
    begin_with_snapshot(index, &recovered);
    recovered.begin_seq = member->begin_seq;
    member->up = true;
    member->stopped = member->syncing = member->cutting = member->cut_wanted = false;
    member->last_seq = member->written_seq = recovered.last_seq;
    member->commit_seq = member->shown_seq = member->led_seq = 0;
    open_matcher(member);
    SAY("member %u: starts with %llu entries, promised %llu, doubt %llu", index,
        (unsigned long long)recovered.last_seq, (unsigned long long)recovered.promised,
        (unsigned long long)recovered.doubt_seq);
    ib_replica_open(&member->replica, &mine, &io, &recovered, member_clock(index));
    push((struct event){.kind = TICK, .member = (uint8_t)index, .life = member->life}, draw(10 * MS));
    member_after(index);
}

void member_crash(unsigned index, bool power, uint64_t down_ns)
{
    struct member *member = &world.members[index];
    if (!member->up) {
        return;
    }
    SAY("member %u: %s, for %llu ms", index, power ? "host lost" : "process ends", (unsigned long long)down_ns / MS);
    mix(1000 + index);
    member->up = false;
    member->life++;
    member->blown = false;
    member->fuse = 0;
    member->paused_until_ns = 0;
    if (power) {
        disk_lose_power(&member->disk);
    }
    net_died(index, power);
    push((struct event){.kind = RESTART, .member = (uint8_t)index, .life = member->life}, down_ns);
}

void member_tick(unsigned index)
{
    struct member *member = &world.members[index];
    ib_replica_tick(&member->replica, member_clock(index));
    push((struct event){.kind = TICK, .member = (uint8_t)index, .life = member->life}, 10 * MS);
    member_after(index);
}

/* The sequencer: stamps one command, if the replica takes it. */
bool member_submit(unsigned index, struct ib_command command)
{
    struct member *member = &world.members[index];
    uint64_t wall_ns = 1000000000000u + member_clock(index) + (uint64_t)member->wall_ns;
    uint64_t before_ns = member->last_seq > 0 ? member->log[member->last_seq].command.time_ns : 0;
    command.seq = member->last_seq + 1;
    command.time_ns = wall_ns > before_ns ? wall_ns : before_ns;
    bool taken = ib_replica_sequence(&member->replica, &command, 1);
    reached[WINDOWS_FULL] += !taken && member->replica.role == IB_ROLE_PRIMARY;
    member_after(index);
    return taken;
}

void member_close(unsigned index)
{
    ib_matcher_close(world.members[index].matcher);
    world.members[index].matcher = NULL;
}
