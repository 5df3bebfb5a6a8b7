/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_member_admin.c: the admin socket of a member of a replicated shard: how the shard is, as this member knows it,
 * and the planned switchover.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "engine_internal.h"

static void say_number_or_null(struct ib_text *text, const char *key, uint8_t member)
{
    IB_ASSERT(key != NULL);
    IB_ASSERT(member < IB_REPLICA_MEMBERS_MAX || member == IB_REPLICA_NOBODY);
    if (member < IB_REPLICA_MEMBERS_MAX) {
        ib_say(text, ", \"%s\": %u", key, member);
    } else {
        ib_say(text, ", \"%s\": null", key);
    }
}

static void say_members(const struct ib_replica *replica, uint32_t in_sync, struct ib_text *text)
{
    IB_ASSERT(replica->config.members <= IB_REPLICA_MEMBERS_MAX);
    IB_ASSERT(replica->config.member < replica->config.members);
    ib_say(text, ", \"in_sync\": [");
    const char *between = "";
    for (unsigned i = 0; i < replica->config.members; i++) {
        if ((in_sync & 1u << i) != 0) {
            ib_say(text, "%s%u", between, i);
            between = ", ";
        }
    }
    ib_say(text, "], \"members\": [");
    for (unsigned i = 0; i < replica->config.members; i++) {
        const struct ib_replica_peer *peer = &replica->peers[i];
        bool is_self = i == replica->config.member;
        ib_say(text, "%s{\"replica\": %u, \"connected\": %s, \"acked_seq\": %" PRIu64 ", \"last_seq\": %" PRIu64 "}",
               i == 0 ? "" : ", ", i, is_self || peer->connected ? "true" : "false",
               is_self ? replica->durable_seq : peer->acked_seq, is_self ? replica->last_seq : peer->last_seq);
    }
    ib_say(text, "]");
}

void ib_engine_say_replication(const struct ib_engine *engine, struct ib_text *text)
{
    const struct ib_replication *replication = engine->replication;
    IB_ASSERT(text != NULL);
    if (replication == NULL) {
        ib_say(text, ", \"role\": \"alone\", \"replication\": null");
        return;
    }
    const struct ib_replica *replica = &replication->replica;
    IB_ASSERT(replication->reason != NULL && replication->store != NULL);
    bool is_seen = replication->seen.version > replica->record.version; /* who follows reads none itself */
    const struct ib_shard_record *record = is_seen ? &replication->seen : &replica->record;
    const char *fault = replica->store.fault != NULL ? replica->store.fault : ib_store_link_fault(replication->store);
    bool opens = replica->role == IB_ROLE_PRIMARY && !ib_engine_has_venue(engine);
    ib_say(text, ", \"role\": \"%s\", \"replication\": {\"epoch\": %" PRIu64 ", \"promised\": %" PRIu64,
           ib_replica_role_text(opens ? IB_ROLE_OPENING : replica->role), replica->epoch, replica->promised);
    say_number_or_null(text, "primary", replica->primary);
    ib_say(text, ", \"version\": %" PRIu64 ", \"last_seq\": %" PRIu64 ", \"durable_seq\": %" PRIu64
                 ", \"commit_seq\": %" PRIu64 ", \"in_doubt\": %s",
           record->version, replica->last_seq, replica->durable_seq, replica->commit_seq,
           replica->doubt_seq > 0 ? "true" : "false");
    bool is_whole = engine->snapshot_seq == 0 || ib_entry_source_has(&replication->entries, 1);
    ib_say(text, ", \"snapshot_seq\": %" PRIu64 ", \"reads_from\": %" PRIu64, engine->snapshot_seq,
           is_whole ? 1 : engine->snapshot_seq);
    say_members(replica, record->in_sync, text);
    if (fault != NULL) {
        ib_say(text, ", \"store_fault\": \"%s\"", fault);
    } else {
        ib_say(text, ", \"store_fault\": null");
    }
    ib_say(text, ", \"reason\": \"%s\"}", replication->reason);
    IB_ASSERT(text->size < IB_ADMIN_ANSWER_SIZE);
}

const char *ib_engine_ask_another(struct ib_engine *engine)
{
    const struct ib_replica *replica = &engine->replication->replica;
    const char *role = ib_replica_role_text(replica->role == IB_ROLE_PRIMARY ? IB_ROLE_OPENING : replica->role);
    IB_ASSERT(!ib_engine_has_venue(engine));
    if (replica->primary < IB_REPLICA_MEMBERS_MAX && replica->primary != replica->config.member) {
        snprintf(engine->request_error, sizeof engine->request_error, "this member is %s: ask replica %u, the primary",
                 role, replica->primary);
    } else {
        snprintf(engine->request_error, sizeof engine->request_error,
                 "this member is %s, and knows of no primary: ask again in a moment", role);
    }
    return engine->request_error;
}

bool ib_engine_switch_over(struct ib_engine *engine, const char *arguments, const char **error)
{
    char *end;
    IB_ASSERT(arguments != NULL && error != NULL);
    if (engine->replication == NULL) {
        *error = "this engine runs alone: there is nobody to hand over to";
        return false;
    }
    if (!ib_engine_has_venue(engine)) {
        *error = ib_engine_ask_another(engine);
        return false;
    }
    IB_ASSERT(engine->config.replica < engine->config.replication->member_count);
    unsigned long to = strtoul(arguments, &end, 10);
    if (arguments[0] < '0' || arguments[0] > '9' || *end != '\0' || to >= engine->config.replication->member_count) {
        *error = "switch_over to which replica? give it its number";
        return false;
    }
    if (to == engine->config.replica) {
        *error = "this member is the primary already";
        return false;
    }
    if (ib_replica_switch_over(&engine->replication->replica, (unsigned)to) != IB_OK) {
        *error = "that member is not connected and in sync, or the set is just being changed: ask again when it is";
        return false;
    }
    return true;
}
