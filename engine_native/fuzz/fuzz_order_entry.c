/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_order_entry.c: whatever bytes a client sends, the way from bytes to commands ends in a packet, a command or a
 * refusal, reads nothing beyond what came, and keeps its promises about what it hands on.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ouch50.h"
#include "soupbintcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_command(const struct ib_command *command)
{
    IB_ASSERT(command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE ||
              command->type == IB_COMMAND_CANCEL || command->type == IB_COMMAND_MASS_CANCEL ||
              command->type == IB_COMMAND_ORDER_ENTRY);
    IB_ASSERT(command->seq == 0 && command->session == 0);
    if (command->reason != IB_REASON_NONE || command->type == IB_COMMAND_CANCEL ||
        command->type == IB_COMMAND_MASS_CANCEL || command->type == IB_COMMAND_ORDER_ENTRY) {
        IB_ASSERT(command->value <= (command->type == IB_COMMAND_ORDER_ENTRY));
        return;
    }
    IB_ASSERT(command->quantity >= 1 && command->quantity <= IB_OUCH_QUANTITY_MAX);
    IB_ASSERT(command->order_type == IB_ORDER_MARKET || (command->price >= 1 && command->price <= IB_OUCH_PRICE_MAX));
    IB_ASSERT(command->time_in_force <= IB_TIME_IN_FORCE_AT_CLOSE && command->time_in_force != IB_TIME_IN_FORCE_GTC);
    IB_ASSERT(command->displayed <= command->quantity && command->minimum <= command->quantity);
    IB_ASSERT((command->flags & ~(IB_ORDER_HIDDEN | IB_ORDER_POST_ONLY)) == 0);
}

static void decode_message(const uint8_t *bytes, size_t size)
{
    static const char firm[IB_FIRM_SIZE] = {'M', 'A', 'K', 'R'};
    struct ib_ouch_message message;
    enum ib_ouch_kind kind = ib_ouch_decode(bytes, size, firm, &message);
    if (kind == IB_OUCH_COMMAND || kind == IB_OUCH_MASS_CANCEL || kind == IB_OUCH_ORDER_ENTRY) {
        IB_ASSERT((kind == IB_OUCH_ORDER_ENTRY) == (message.command.type == IB_COMMAND_ORDER_ENTRY));
        IB_ASSERT((kind == IB_OUCH_MASS_CANCEL) == (message.command.type == IB_COMMAND_MASS_CANCEL));
        check_command(&message.command);
        IB_ASSERT(message.command.reason != IB_REASON_NONE || message.command.time_in_force != IB_TIME_IN_FORCE_GTD ||
                  (message.expire_seconds >= 1 && message.expire_seconds <= 86400));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    size_t used = 0;
    struct ib_soup_packet packet;
    int step;
    while ((step = ib_soup_decode(bytes + used, size - used, IB_OUCH_INBOUND_SIZE_MAX, &packet)) > 0) {
        struct ib_soup_login login;
        IB_ASSERT((size_t)step == packet.payload_size + IB_SOUP_HEADER_SIZE && used + (size_t)step <= size);
        /* In memory of its exact size, so that the sanitizer sees a read beyond the packet. */
        uint8_t *copy = malloc(packet.payload_size + 1);
        if (copy == NULL) {
            return 0;
        }
        memcpy(copy, packet.payload, packet.payload_size);
        copy = realloc(copy, packet.payload_size > 0 ? packet.payload_size : 1);
        IB_ASSERT(copy != NULL);
        (void)ib_soup_decode_login(copy, packet.payload_size, &login);
        decode_message(copy, packet.payload_size);
        free(copy);
        used += (size_t)step;
    }
    /* Most random bytes are no packets: try them as a message, too, of a size that a packet can have. */
    if (size > 0 && size <= IB_OUCH_INBOUND_SIZE_MAX) {
        uint8_t *copy = malloc(size);
        if (copy != NULL) {
            static const uint8_t types[] = {'O', 'U', 'X', 'M', 'Q', 'C', 'D', 'E'};
            memcpy(copy, bytes, size);
            copy[0] = types[copy[0] % sizeof types];
            decode_message(copy, size);
        }
        free(copy);
    }
    return 0;
}
