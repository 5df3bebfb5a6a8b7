/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster_client.c: clients that know the members' addresses and nothing else. What has no report is sent again, to
 * whoever answers, under its own number; reports are asked for by their number in the session's stream, as SoupBinTCP
 * resumes.
 */
#include <string.h>

#include "cluster.h"

struct request {
    uint32_t session_seq;
    uint32_t count;
    struct ib_command orders[OUTSTANDING + 1]; /* one more: a cancel, which is never repeated */
};

struct answer {
    uint32_t count;
    bool is_primary;
    struct ib_event reports[REPORTS];
};

static struct ib_command new_order(unsigned index)
{
    struct client *client = &world.clients[index];
    struct ib_command command = {.type = IB_COMMAND_ENTER, .session = (uint16_t)index, .user_ref = client->next_ref++};
    command.instrument = (uint32_t)draw(INSTRUMENTS);
    command.side = (uint8_t)(1 + draw(2));
    command.order_type = chance(64) ? IB_ORDER_MARKET : IB_ORDER_LIMIT;
    command.time_in_force = chance(128) ? IB_TIME_IN_FORCE_IOC : IB_TIME_IN_FORCE_DAY;
    command.price = 100 * (int64_t)(100 + draw(6));
    command.quantity = 1 + draw(50);
    command.client_data[0] = (uint8_t)draw(256);
    if (chance(160) && command.user_ref > 3) {
        command.type = IB_COMMAND_REPLACE;
        command.user_ref_original = command.user_ref - 1 - (uint32_t)draw(3);
    }
    check_invoke(index, command.user_ref);
    return command;
}

void client_ask(unsigned index)
{
    struct client *client = &world.clients[index];
    struct request request = {.session_seq = client->session_seq};
    if (client->outstanding < OUTSTANDING && world.orders_left > 0 && client->next_ref < USER_REFS_MAX && chance(700)) {
        client->orders[client->outstanding++] = new_order(index);
        world.orders_left--;
    }
    if (world.now_ns - client->answered_ns > 60 * MS) {
        client->target = (uint8_t)((client->target + 1) % MEMBERS);
        client->answered_ns = world.now_ns;
    }
    memcpy(request.orders, client->orders, client->outstanding * sizeof client->orders[0]);
    request.count = client->outstanding;
    if (chance(100)) {
        request.orders[request.count++] = (struct ib_command){
            .type = IB_COMMAND_CANCEL, .session = (uint16_t)index, .user_ref = 1 + (uint32_t)draw(client->next_ref)};
    }
    if (world.members[client->target].up && !chance(world.loss)) {
        uint32_t slot = take_slot();
        memcpy(slot_bytes(slot), &request, sizeof request);
        push((struct event){.kind = REQUEST, .member = client->target, .a = index, .slot = slot,
                            .life = world.members[client->target].life},
             200000 + draw(2 * MS));
    }
    push((struct event){.kind = ASK, .a = index}, 5 * MS + draw(20 * MS));
}

/* What an administrator has configured: defined by the first primary, and again by whoever finds some missing. */
static bool define(unsigned index)
{
    const struct ib_matcher *matcher = world.members[index].matcher;
    struct ib_command command = {.type = IB_COMMAND_INSTRUMENT_ADD, .price = 100};
    uint32_t instruments = ib_matcher_instrument_count(matcher);
    uint16_t sessions = ib_matcher_session_count(matcher);
    if (instruments < INSTRUMENTS) {
        command.instrument = instruments;
        memcpy(command.client_data, instruments == 0 ? "AAPL    " : "MSFT    ", 8);
        return member_submit(index, command);
    }
    if (sessions < CLIENTS) {
        command = (struct ib_command){.type = IB_COMMAND_SESSION_ADD, .session = sessions};
        memcpy(command.client_data, "USER0 FIRM", 10);
        command.client_data[4] = (uint8_t)('0' + sessions);
        return member_submit(index, command);
    }
    return false;
}

/* The gateway of a member. */
void client_request(const struct event *event)
{
    struct member *member = &world.members[event->member];
    struct request request;
    struct answer answer = {.is_primary = member->replica.role == IB_ROLE_PRIMARY};
    memcpy(&request, slot_bytes(event->slot), sizeof request);
    while (member->up && member->replica.role == IB_ROLE_PRIMARY && define(event->member)) {
    }
    for (uint32_t i = 0; i < request.count && member->up && member->replica.role == IB_ROLE_PRIMARY; i++) {
        const struct ib_session *session = ib_matcher_session(member->matcher, (uint16_t)event->a);
        bool known = session == NULL || (request.orders[i].type != IB_COMMAND_CANCEL &&
                                         request.orders[i].user_ref <= session->last_user_ref);
        reached[RESENDS] += known && session != NULL;
        /* Mostly the gateway itself sees a resend; where it does not, the core must (R7). */
        if (session != NULL && (!known || chance(64)) && !member_submit(event->member, request.orders[i])) {
            break; /* those behind it must not overtake it */
        }
    }
    if (!member->up) {
        return;
    }
    for (uint32_t i = 0; i < member->event_end[member->shown_seq] && answer.count < REPORTS; i++) { /* R8 */
        const struct ib_event *report = &member->events[i];
        if (report->session == event->a && report->session_seq > request.session_seq) {
            answer.reports[answer.count++] = *report;
        }
    }
    uint32_t slot = take_slot();
    memcpy(slot_bytes(slot), &answer, sizeof answer);
    push((struct event){.kind = ANSWER, .a = event->a, .b = event->member, .slot = slot}, 200000 + draw(2 * MS));
}

void client_answer(const struct event *event)
{
    struct client *client = &world.clients[event->a];
    struct answer answer;
    memcpy(&answer, slot_bytes(event->slot), sizeof answer);
    for (uint32_t i = 0; i < answer.count; i++) {
        const struct ib_event *report = &answer.reports[i];
        if (report->session_seq != client->session_seq + 1) {
            continue; /* had already, by an answer that came later */
        }
        client->session_seq++;
        check_report((unsigned)event->a, report);
        for (uint32_t order = 0; order < client->outstanding; order++) {
            if (client->orders[order].user_ref == report->user_ref) {
                client->outstanding--;
                memmove(&client->orders[order], &client->orders[order + 1],
                        (client->outstanding - order) * sizeof client->orders[0]);
                world.last_answer_ns = world.now_ns;
                break;
            }
        }
    }
    if (answer.is_primary && event->b == client->target) {
        client->answered_ns = world.now_ns;
    }
}

bool clients_are_done(void)
{
    uint32_t left = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        left += world.clients[i].outstanding;
    }
    return left == 0 && world.orders_left == 0;
}
