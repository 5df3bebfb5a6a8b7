/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster_fault.c: what breaks, and when it is whole again. Bounded runs keep to what the design promises to survive:
 * one member in trouble at a time (all at once by a power loss, but with their disks), and of every entry one good
 * copy. They must stay right and go on. Unbounded runs break anything at any time, and must stay right, or stand
 * still.
 */
#include <stdio.h>

#include "cluster.h"

enum fault {
    PROCESS, HOST, PAUSE, ISOLATED, ONE_WAY, PAIR, NO_STORE, STORE_DOWN, STORE_LOSSY, SLOW_DISK, DISK_FULL, SYNC_FAILS,
    BIT_FLIP, CLOCK, ALL_HOSTS, LOSSY, SWITCH_OVER, NEW_DISK, STATE, FUSE, FAULTS
};

static const char *const names[FAULTS] = {
    "process", "host", "pause", "isolated", "one way", "pair", "no store", "store down", "store lossy", "slow disk",
    "disk full", "sync fails", "bit flip", "clock", "all hosts", "lossy", "switchover", "new disk", "state", "fuse"};
static uint64_t counts[FAULTS];
static const char *const reached_names[REACHED] = {
    "takeovers", "races lost", "primaries stepped down", "suffixes cut off", "recoveries that cut off",
    "starts in doubt", "states told apart", "writes carried out late", "writes without an answer", "resends",
    "windows full", "reads of before a snapshot"};
uint64_t reached[REACHED];

unsigned fault_primary(void)
{
    return world.record.primary < MEMBERS ? world.record.primary : MEMBERS;
}

static void heal_later(enum fault fault, unsigned member, uint64_t delay_ns)
{
    push((struct event){.kind = HEAL, .a = fault, .b = member}, delay_ns);
}

/* A disk is good again when its member has everything and is in no doubt. */
static void look_at_damage(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct member *member = &world.members[i];
        if (member->disk.damaged && member->up && member->disk.doubt[1] == 0 && member->replica.doubt_seq == 0 &&
            member->written_seq >= check_committed() && !member->syncing) {
            member->disk.damaged = false;
        }
    }
}

static bool may_damage(unsigned victim)
{
    bool whole = true;
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct member *member = &world.members[i];
        whole = whole && !member->disk.damaged && (i == victim || (member->up && member->disk.doubt[1] == 0));
    }
    return whole || !world.bounded;
}

static void damage(unsigned victim, enum fault fault, uint64_t for_ns)
{
    struct member *member = &world.members[victim];
    uint64_t entries = member->written_seq;
    if (chance(512)) { /* it is back before it is shut out, takes long to catch up, and meanwhile its primary ends */
        for_ns = 20u * MS + draw(60u * MS);
        member->disk.slow_ns = draw(1000u * MS);
        heal_later(SLOW_DISK, victim, for_ns + draw(3000u * MS));
        heal_later(PROCESS, victim, for_ns + 5u * MS + draw(100u * MS));
    }
    if (fault == NEW_DISK) {
        member_crash(victim, true, for_ns);
        disk_reset(&member->disk);
        check_forgot(victim);
        member->disk.damaged = true;
        member->disk.doubt[0] = member->disk.doubt[1] = IB_DOUBT_NEW; /* what a member writes that finds nothing */
    } else if (entries > 0) {
        /* Where many copies may be hit, not the newest group: that cannot be told from one that was never synced. */
        uint64_t below = world.bounded ? entries * RECORD : entries > 20 ? (entries - 20) * RECORD : 0;
        member_crash(victim, chance(512), for_ns);
        for (uint64_t flips = 1 + draw(3); flips > 0 && below > 0; flips--) {
            disk_flip(&member->disk, (size_t)draw(below));
        }
    }
}

static void cut_pair(unsigned a, unsigned b, bool both)
{
    world.cut[a][b] = true;
    world.cut[b][a] = world.cut[b][a] || both;
}

/* Of the network: between this member and others. */
static void cut_off(unsigned victim, enum fault fault, uint64_t for_ns)
{
    unsigned other = (victim + 1 + (unsigned)draw(MEMBERS - 1)) % MEMBERS;
    if (fault == ISOLATED) {
        cut_pair(victim, (victim + 1) % MEMBERS, true);
        cut_pair(victim, (victim + 2) % MEMBERS, true);
        world.cut_store[victim] = chance(512);
    } else if (fault == ONE_WAY && chance(512)) {
        cut_pair(other, victim, false);
    } else {
        cut_pair(victim, other, fault == PAIR);
    }
    heal_later(fault, victim, for_ns);
}

static void strike_member(enum fault fault, unsigned victim, uint64_t for_ns)
{
    struct member *member = &world.members[victim];
    if (fault == FUSE || chance(300)) { /* whoever is in trouble may crash of it, too */
        member->fuse = 1 + (uint32_t)draw(3);
        member->fuse_is_host = chance(512);
    }
    switch (fault) {
    case PROCESS:
    case HOST:
        member_crash(victim, fault == HOST, for_ns);
        break;
    case PAUSE:
        member->paused_until_ns = world.now_ns + for_ns;
        break;
    case NO_STORE:
        world.cut_store[victim] = true;
        heal_later(fault, victim, for_ns);
        break;
    case SLOW_DISK:
        member->disk.slow_ns = 20u * MS + draw(2000u * MS);
        heal_later(fault, victim, for_ns);
        break;
    case DISK_FULL:
        member->disk.room = (size_t)member->last_seq * RECORD;
        heal_later(fault, victim, for_ns);
        break;
    case SYNC_FAILS:
        member->disk.fails = true;
        break;
    case STATE:
        member->astray = victim != fault_primary() && member->replica.role == IB_ROLE_STANDBY;
        break;
    case FUSE:
        break;
    case CLOCK:
        member->clock_ns += draw(60000u * MS);
        member->wall_ns = (int64_t)draw(7200000u * (uint64_t)MS) - (int64_t)(3600000u * (uint64_t)MS);
        member->skew = draw(100);
        break;
    case BIT_FLIP:
    case NEW_DISK:
        damage(victim, fault, for_ns);
        break;
    default:
        cut_off(victim, fault, for_ns);
        break;
    }
}

/* Of everybody at once. */
static void strike_all(enum fault fault, uint64_t for_ns)
{
    switch (fault) {
    case STORE_DOWN:
        world.store_down = true;
        heal_later(fault, 0, for_ns);
        break;
    case STORE_LOSSY:
        world.store_lost = 100 + (uint32_t)draw(400);
        heal_later(fault, 0, for_ns);
        break;
    case LOSSY:
        world.loss = (uint32_t)draw(300);
        world.twice = (uint32_t)draw(300);
        world.delay_ns = MS + draw(60u * MS);
        heal_later(fault, 0, for_ns);
        break;
    case ALL_HOSTS:
        for (unsigned i = 0; i < MEMBERS; i++) {
            member_crash(i, true, 200u * MS + draw(1500u * MS));
        }
        break;
    default: {
        unsigned primary = fault_primary();
        if (primary < MEMBERS && world.members[primary].up && world.members[primary].paused_until_ns <= world.now_ns) {
            (void)ib_replica_switch_over(&world.members[primary].replica,
                                         (primary + 1 + (unsigned)draw(MEMBERS - 1)) % MEMBERS);
            member_after(primary);
        }
        break;
    }
    }
}

void fault_strike(void)
{
    look_at_damage();
    enum fault fault = (enum fault)draw(FAULTS);
    unsigned victim = (unsigned)draw(MEMBERS);
    victim = chance(400) && fault_primary() < MEMBERS ? fault_primary() : victim;
    uint64_t for_ns = 50u * MS + (chance(512) ? draw(400u * MS) : draw(4000u * MS));
    bool of_all = fault == STORE_DOWN || fault == STORE_LOSSY || fault == LOSSY || fault == ALL_HOSTS ||
                  fault == SWITCH_OVER;
    bool damages = fault == BIT_FLIP || fault == NEW_DISK;
    bool busy = world.bounded && world.now_ns < world.trouble_until_ns;
    if (of_all && !(fault == ALL_HOSTS && (busy || !may_damage(MEMBERS)))) {
        strike_all(fault, for_ns);
        counts[fault]++;
        SAY("fault: %s for %llu ms", names[fault], (unsigned long long)for_ns / MS);
    } else if (!of_all && !busy && world.members[victim].up && (!damages || may_damage(victim))) {
        SAY("fault: %s of member %u for %llu ms", names[fault], victim, (unsigned long long)for_ns / MS);
        world.trouble_until_ns = world.now_ns + for_ns + (fault == SYNC_FAILS ? 1200u * MS : draw(300u * MS));
        strike_member(fault, victim, for_ns);
        counts[fault]++;
    }
    push((struct event){.kind = FAULT}, 20u * MS + draw(800u * MS));
}

void fault_heal(const struct event *event)
{
    unsigned victim = (unsigned)event->b;
    struct member *member = &world.members[victim];
    switch ((enum fault)event->a) {
    case STORE_DOWN:
        world.store_down = false;
        break;
    case STORE_LOSSY:
        world.store_lost = 0;
        break;
    case LOSSY:
        world.loss = world.twice = 0;
        world.delay_ns = MS;
        break;
    case SLOW_DISK:
        member->disk.slow_ns = 0;
        break;
    case DISK_FULL:
        member->disk.room = DISK_BYTES;
        break;
    case PROCESS: /* not healed: the primary follows the member that was damaged */
        if (!world.healed && fault_primary() < MEMBERS && fault_primary() != victim) {
            member_crash(fault_primary(), false, 50u * MS + draw(400u * MS));
        }
        break;
    default:
        for (unsigned i = 0; i < MEMBERS; i++) {
            world.cut[victim][i] = world.cut[i][victim] = false;
        }
        world.cut_store[victim] = false;
        break;
    }
}

void fault_heal_all(void)
{
    world.healed = true;
    world.store_down = false;
    world.store_lost = world.loss = world.twice = 0;
    world.delay_ns = MS;
    for (unsigned i = 0; i < MEMBERS; i++) {
        fault_heal(&(struct event){.a = ISOLATED, .b = i});
        world.members[i].disk.slow_ns = 0;
        world.members[i].disk.room = DISK_BYTES;
        world.members[i].disk.fails = false;
        world.members[i].fuse = 0;
        if (world.members[i].astray) { /* nobody would see it before the next comparison */
            member_crash(i, false, 100u * MS);
        }
    }
}

void fault_report(void)
{
    printf("cluster: faults:");
    for (unsigned i = 0; i < FAULTS; i++) {
        printf(" %s %llu%s", names[i], (unsigned long long)counts[i], i + 1 < FAULTS ? "," : "\n");
    }
    printf("cluster: reached:");
    for (unsigned i = 0; i < REACHED; i++) {
        printf(" %s %llu%s", reached_names[i], (unsigned long long)reached[i], i + 1 < REACHED ? "," : "\n");
    }
}
