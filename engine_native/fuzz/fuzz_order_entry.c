/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_order_entry.c: whatever bytes a client sends, the way from bytes to commands ends in a packet, a command or a
 * refusal, reads nothing beyond what came, and keeps its promises about what it hands on. A packet that was read and is
 * written again is the same bytes. At its end it says what it has reached (run.py reads that).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "ouch50_internal.h"
#include "seen.h"
#include "soupbintcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What the messages of all inputs were. */
static struct {
    uint64_t kinds[IB_OUCH_MALFORMED + 1];
    uint64_t commands[IB_COMMAND_MODIFY + 1];
    uint64_t times_in_force[IB_TIME_IN_FORCE_AT_CLOSE + 1]; /* of orders that nothing speaks against */
    uint64_t codes[CODE_EXCEEDS_NOTIONAL + 1];              /* of rejects */
} seen;

static void print_all_seen(void)
{
    print_seen("kinds", seen.kinds, sizeof seen.kinds / sizeof seen.kinds[0]);
    print_seen("commands", seen.commands, sizeof seen.commands / sizeof seen.commands[0]);
    print_seen("times_in_force", seen.times_in_force, sizeof seen.times_in_force / sizeof seen.times_in_force[0]);
    print_seen("codes", seen.codes, sizeof seen.codes / sizeof seen.codes[0]);
}

static void see(const struct ib_command *command)
{
    seen.commands[command->type]++;
    if (command->type != IB_COMMAND_ENTER && command->type != IB_COMMAND_REPLACE) {
        return;
    }
    if (command->reason == IB_REASON_NONE) {
        seen.times_in_force[command->time_in_force]++;
        return;
    }
    uint16_t code = ib_load_u16(command->client_data + CLIENT_CODE);
    IB_ASSERT(code > 0 && code < sizeof seen.codes / sizeof seen.codes[0]);
    seen.codes[code]++;
}

static void check_command(const struct ib_command *command)
{
    IB_ASSERT(command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE ||
              command->type == IB_COMMAND_CANCEL || command->type == IB_COMMAND_MASS_CANCEL ||
              command->type == IB_COMMAND_MODIFY || command->type == IB_COMMAND_ORDER_ENTRY);
    IB_ASSERT(command->seq == 0 && command->session == 0);
    if (command->reason != IB_REASON_NONE || command->type == IB_COMMAND_CANCEL ||
        command->type == IB_COMMAND_MASS_CANCEL || command->type == IB_COMMAND_MODIFY ||
        command->type == IB_COMMAND_ORDER_ENTRY) {
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
    seen.kinds[kind]++;
    if (kind != IB_OUCH_ACCOUNT_QUERY && kind < IB_OUCH_UNKNOWN) {
        IB_ASSERT((kind == IB_OUCH_ORDER_ENTRY) == (message.command.type == IB_COMMAND_ORDER_ENTRY));
        IB_ASSERT((kind == IB_OUCH_MASS_CANCEL) == (message.command.type == IB_COMMAND_MASS_CANCEL));
        IB_ASSERT((kind == IB_OUCH_MODIFY) == (message.command.type == IB_COMMAND_MODIFY));
        check_command(&message.command);
        see(&message.command);
        IB_ASSERT(message.command.reason != IB_REASON_NONE || message.command.time_in_force != IB_TIME_IN_FORCE_GTD ||
                  (message.expire_seconds >= 1 && message.expire_seconds <= 86400));
    }
}

/* A Login Request that can be read is answered, and the answer can be read, too. */
static void answer_login(const struct ib_soup_login *login)
{
    uint8_t answer[IB_SOUP_HEADER_SIZE + IB_SOUP_LOGIN_ACCEPTED_SIZE];
    struct ib_soup_packet packet;
    size_t size = ib_soup_encode_login_accepted(answer, login->session, login->sequence);
    IB_ASSERT(size == sizeof answer && ib_soup_decode(answer, size, size, &packet) == (int)size);
    IB_ASSERT(packet.type == IB_SOUP_LOGIN_ACCEPTED && packet.payload_size == IB_SOUP_LOGIN_ACCEPTED_SIZE);
    size = ib_soup_encode_login_rejected(answer, IB_SOUP_SESSION_NOT_AVAILABLE);
    IB_ASSERT(ib_soup_decode(answer, size, 1, &packet) == (int)size && packet.type == IB_SOUP_LOGIN_REJECTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static int prepared;
    if (!prepared) {
        prepared = 1;
        (void)atexit(print_all_seen);
    }
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
        if (ib_soup_decode_login(copy, packet.payload_size, &login)) {
            answer_login(&login);
        }
        uint8_t again[IB_SOUP_HEADER_SIZE + IB_OUCH_INBOUND_SIZE_MAX];
        IB_ASSERT(ib_soup_encode(again, packet.type, copy, packet.payload_size) == (size_t)step);
        IB_ASSERT(memcmp(again, bytes + used, (size_t)step) == 0);
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
