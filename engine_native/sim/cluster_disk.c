/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster_disk.c: a disk with a cache, and a journal on it: the records of journal.h without segments, one behind the
 * other, in a file that was filled with zeros. What was written is in the cache; a sync brings it to the platter; a
 * power loss leaves of each sector that was not synced the old bytes or the new ones.
 *
 * One group is written and synced at a time. So a sound record of a later group, behind a bad one, proves that the bad
 * one was durable once (it is damage), and that all before that group was; anything else may be what a power loss left.
 */
#include <string.h>

#include "cluster.h"

void disk_reset(struct disk *disk)
{
    memset(disk->cache, 0, disk->extent);
    memset(disk->platter, 0, disk->extent);
    disk->extent = disk->dirty_to = 0;
    disk->promised[0] = disk->promised[1] = disk->doubt[0] = disk->doubt[1] = 0;
    disk->slow_ns = 0;
    disk->fails = disk->damaged = false;
    disk->room = DISK_BYTES;
    disk->dirty_from = DISK_BYTES;
}

static void dirty(struct disk *disk, size_t from, size_t to)
{
    disk->dirty_from = from < disk->dirty_from ? from : disk->dirty_from;
    disk->dirty_to = to > disk->dirty_to ? to : disk->dirty_to;
}

bool disk_write(struct disk *disk, size_t offset, const void *bytes, size_t size)
{
    if (offset + size > disk->room || offset + size > DISK_BYTES) {
        return false;
    }
    memcpy(disk->cache + offset, bytes, size);
    disk->extent = offset + size > disk->extent ? offset + size : disk->extent;
    dirty(disk, offset, offset + size);
    return true;
}

void disk_erase(struct disk *disk, size_t offset)
{
    if (offset < disk->extent) {
        memset(disk->cache + offset, 0, disk->extent - offset);
        dirty(disk, offset, disk->extent);
    }
}

static void clean(struct disk *disk)
{
    disk->dirty_from = DISK_BYTES;
    disk->dirty_to = 0;
}

void disk_sync(struct disk *disk)
{
    if (disk->dirty_from < disk->dirty_to) {
        memcpy(disk->platter + disk->dirty_from, disk->cache + disk->dirty_from, disk->dirty_to - disk->dirty_from);
    }
    clean(disk);
}

void disk_lose_power(struct disk *disk)
{
    for (size_t at = disk->dirty_from / SECTOR * SECTOR; at < disk->dirty_to; at += SECTOR) {
        size_t size = DISK_BYTES - at < SECTOR ? DISK_BYTES - at : SECTOR;
        bool landed = chance(512);
        memcpy(landed ? disk->platter + at : disk->cache + at, landed ? disk->cache + at : disk->platter + at, size);
    }
    clean(disk);
    if (disk->promised[0] != disk->promised[1] || disk->doubt[0] != disk->doubt[1]) {
        unsigned keep = chance(512) ? 0 : 1; /* one sector, renamed into its place: the old one or the new one */
        disk->promised[0] = disk->promised[1] = disk->promised[keep];
        disk->doubt[0] = disk->doubt[1] = disk->doubt[keep];
    }
}

void disk_flip(struct disk *disk, size_t offset)
{
    uint8_t bit = (uint8_t)(1u << draw(8));
    disk->cache[offset] ^= bit;
    disk->platter[offset] ^= bit;
    disk->damaged = true;
    disk->damage_ns = world.now_ns;
}

struct record {
    struct ib_record_header header;
    struct ib_command command;
};

uint64_t disk_write_entry(struct disk *disk, const struct ib_replica_entry *entry, uint64_t chain, uint64_t group_seq)
{
    struct record record = {.header = {.magic = IB_JOURNAL_MAGIC, .format = IB_JOURNAL_FORMAT,
                                       .type = IB_RECORD_COMMAND, .shard = SHARD, .epoch = entry->epoch,
                                       .seq = entry->command.seq, .time_ns = entry->command.time_ns, .chain = chain,
                                       .group_seq = group_seq},
                            .command = entry->command};
    ib_record_seal(&record.header, &record.command, sizeof record.command);
    if (!disk_write(disk, (size_t)(entry->command.seq - 1) * RECORD, &record, sizeof record)) {
        fail("the journal was written beyond its room");
    }
    return ib_record_chain(&record.header, &record.command);
}

static bool is_sound(const struct record *record)
{
    struct ib_record_header again = record->header;
    if (!ib_record_header_is_sound(&record->header) || record->header.length != sizeof record->command) {
        return false;
    }
    ib_record_seal(&again, &record->command, sizeof record->command);
    return again.payload_crc32c == record->header.payload_crc32c;
}

bool disk_holds(const struct disk *disk, uint64_t seq, const struct ib_replica_entry *entry)
{
    struct record record;
    memcpy(&record, disk->platter + (seq - 1) * RECORD, sizeof record);
    return is_sound(&record) && record.header.epoch == entry->epoch &&
           memcmp(&record.command, &entry->command, sizeof record.command) == 0;
}

/* What stands behind the last good record: 0 when nothing does; otherwise the last entry that surely was durable once,
 * at least 1. */
static uint64_t doubt_behind(const struct disk *disk, uint64_t seq)
{
    uint64_t doubt = 0;
    for (size_t at = (size_t)seq * RECORD; at < disk->extent; at++) {
        if (disk->cache[at] != 0) {
            doubt = 1;
            break;
        }
    }
    for (size_t slot = (size_t)seq + 1; doubt > 0 && slot * RECORD < disk->extent; slot++) {
        struct record record;
        memcpy(&record, disk->cache + slot * RECORD, sizeof record);
        if (is_sound(&record) && record.header.seq == slot + 1 && record.header.group_seq > seq + 1 &&
            record.header.group_seq - 1 > doubt) {
            doubt = record.header.group_seq - 1;
        }
    }
    return doubt;
}

struct ib_replica_recovered disk_recover(struct member *member)
{
    struct disk *disk = &member->disk;
    struct ib_replica_recovered result = {.promised = disk->promised[0], .doubt_seq = disk->doubt[0],
                                          .chain = IB_REPLICA_CHAIN_EMPTY};
    uint64_t chain = 0;
    while (result.last_seq < LOG_MAX) {
        struct record record;
        memcpy(&record, disk->cache + result.last_seq * RECORD, sizeof record);
        if (!is_sound(&record) || record.header.seq != result.last_seq + 1 || record.header.chain != chain ||
            record.header.epoch < result.last_epoch) {
            break;
        }
        chain = ib_record_chain(&record.header, &record.command);
        struct ib_replica_entry *entry = &member->log[++result.last_seq];
        entry->epoch = result.last_epoch = record.header.epoch;
        entry->command = record.command;
        entry->chain = result.chain = ib_replica_chain(result.chain, entry->epoch, &entry->command);
        result.last_time_ns = record.command.time_ns;
    }
    uint64_t doubt = doubt_behind(disk, result.last_seq);
    reached[TORN] += doubt > 0;
    if (doubt > result.doubt_seq) {
        result.doubt_seq = doubt;
    }
    disk_erase(disk, (size_t)result.last_seq * RECORD);
    disk_sync(disk);
    disk->doubt[0] = result.doubt_seq;
    disk->promised[1] = disk->promised[0];
    disk->doubt[1] = disk->doubt[0];
    member->chain_disk = chain;
    return result;
}
