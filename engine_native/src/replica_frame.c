/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_frame.c: see replica_frame.h.
 */
#include "replica_frame.h"

#include <string.h>

#include "check.h"
#include "crc32c.h"
#include "hash.h"
#include "layout.h"

const char ib_replica_no_frame[] = "what came of it is no frame, or was damaged on its way; the connection begins "
                                   "anew: look at the network between the two";

uint64_t ib_replica_chain(uint64_t chain, uint64_t epoch, const struct ib_command *command)
{
    uint64_t words[sizeof *command / 8];
    IB_ASSERT(command != NULL);
    IB_ASSERT(epoch > 0);
    memcpy(words, command, sizeof words);
    chain = ib_mix(chain, epoch);
    for (size_t i = 0; i < sizeof words / 8; i += 2) {
        chain = ib_mix(chain + words[i], words[i + 1]);
    }
    return chain;
}

struct ib_entry_mark ib_entry_mark_behind(struct ib_entry_mark before, const struct ib_command *command)
{
    bool begins = command->type == IB_COMMAND_EPOCH && command->value > before.epoch; /* one that goes back is none */
    uint64_t epoch = begins ? command->value : before.epoch;
    IB_ASSERT(command->seq > 0 && before.epoch > 0);
    return (struct ib_entry_mark){.epoch = epoch, .chain = ib_replica_chain(before.chain, epoch, command)};
}

size_t ib_replica_frame_write(struct ib_replica_frame *frame, const struct ib_replica_entry *entries, size_t count,
                              uint8_t *bytes)
{
    IB_ASSERT(frame != NULL && bytes != NULL);
    IB_ASSERT(count <= IB_REPLICA_BATCH_MAX && (count == 0 || frame->type == IB_FRAME_APPEND));
    uint8_t *payload = bytes + sizeof *frame;
    for (size_t i = 0; i < count; i++) {
        memcpy(payload + i * IB_REPLICA_ENTRY_SIZE, &entries[i].epoch, 8);
        memcpy(payload + i * IB_REPLICA_ENTRY_SIZE + 8, &entries[i].command, sizeof entries[i].command);
    }
    frame->magic = IB_REPLICA_MAGIC;
    frame->count = (uint32_t)count;
    frame->payload_crc32c = ib_crc32c(0, payload, count * IB_REPLICA_ENTRY_SIZE);
    frame->header_crc32c = ib_crc32c(0, frame, offsetof(struct ib_replica_frame, header_crc32c));
    memcpy(bytes, frame, sizeof *frame);
    return sizeof *frame + count * IB_REPLICA_ENTRY_SIZE;
}

bool ib_replica_frame_read(const uint8_t *bytes, size_t size, struct ib_replica_frame *frame,
                           struct ib_replica_entry entries[IB_REPLICA_BATCH_MAX])
{
    IB_ASSERT(bytes != NULL);
    IB_ASSERT(frame != NULL && entries != NULL);
    if (size < sizeof *frame) {
        return false;
    }
    memcpy(frame, bytes, sizeof *frame);
    if (frame->magic != IB_REPLICA_MAGIC ||
        frame->header_crc32c != ib_crc32c(0, frame, offsetof(struct ib_replica_frame, header_crc32c)) ||
        frame->count > IB_REPLICA_BATCH_MAX || size != sizeof *frame + frame->count * (size_t)IB_REPLICA_ENTRY_SIZE ||
        frame->payload_crc32c != ib_crc32c(0, bytes + sizeof *frame, size - sizeof *frame)) {
        return false;
    }
    for (size_t i = 0; i < frame->count; i++) {
        const uint8_t *entry = bytes + sizeof *frame + i * IB_REPLICA_ENTRY_SIZE;
        memcpy(&entries[i].epoch, entry, 8);
        memcpy(&entries[i].command, entry + 8, sizeof entries[i].command);
        /* What no primary sends: dense from behind what stands before, of epochs that never go back. */
        if (entries[i].command.seq != frame->seq + 1 + i || entries[i].epoch == 0 || entries[i].epoch > frame->epoch ||
            (i > 0 && entries[i].epoch < entries[i - 1].epoch)) {
            return false;
        }
    }
    return true;
}
