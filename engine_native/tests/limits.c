/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * limits.c: the sizes that are promised are had, and the end of each is a reject or an ignored definition. Optimised
 * build, since ten million orders are checked once and not after each command; some 1 GB of memory.
 *
 *   limits [ORDERS [INSTRUMENTS]]     10,000,000 and 100,000 where nothing is said
 *
 * Bytes are the kernel's count of 4 KiB pages that were touched, huge pages off: all tables and indexes are in it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "book.h"
#include "commands.h"
#include "matcher_state.h"
#include "take_events.h"

enum { SESSIONS = 64, IDLE_BYTES_MAX = 4096, PRICES = 10, FAR_ORDERS = 100000, SMALL = 500 };
enum { ORDERS_PROMISED = 10000000, INSTRUMENTS_PROMISED = 100000 };
/* Bytes an order, five orders at each price, as measured (49.1 and 89.1) and a little: without client data, and with,
 * which takes a cold half of 40 bytes. Of the promised size; a small one pays for pages that it does not fill. */
enum { PLAIN_BYTES_MAX = 51, CLIENT_DATA_BYTES_MAX = 91 };

static struct ib_matcher *matcher;
static struct ib_event last; /* of the last command; type 0: it had none */
static uint64_t event_count; /* of the last command */

#define REQUIRE_THAT(condition)                                                              \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            printf("limits: FAILED: line %d: %s\n", __LINE__, #condition);                   \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

static void keep(void *context, const struct ib_event *event)
{
    (void)context;
    last = *event;
    event_count++;
}

static void apply(struct ib_command command)
{
    command.seq = ib_matcher_seq(matcher) + 1;
    command.time_ns = 1;
    last = (struct ib_event){0};
    event_count = 0;
    REQUIRE_THAT(take_events(matcher, &command, NULL, keep) == IB_OK);
}

static struct ib_totals totals(void)
{
    struct ib_totals result;
    ib_matcher_totals(matcher, &result);
    return result;
}

static void check(void)
{
    char text[IB_ERROR_TEXT_SIZE];
    if (ib_matcher_check(matcher, text, sizeof text) != IB_OK) {
        printf("limits: FAILED: %s\n", text);
        exit(1);
    }
}

static void expect_reject(struct ib_command command, uint8_t reason)
{
    struct ib_totals before = totals();
    apply(command);
    REQUIRE_THAT(event_count == 1 && last.type == IB_EVENT_REJECTED && last.reason == reason);
    REQUIRE_THAT(totals().orders_open == before.orders_open && totals().trades == before.trades);
}

static void open_matcher(uint32_t orders)
{
    if (ib_matcher_open(&matcher, orders) != IB_OK) {
        printf("limits: FAILED: no address space for %" PRIu32 " orders\n", orders);
        exit(1);
    }
    apply((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_2});
    REQUIRE_THAT(ib_matcher_rules(matcher) == IB_RULES_2);
}

static void close_matcher(void)
{
    ib_matcher_close(matcher);
    matcher = NULL;
}

static void add_instruments(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char symbol[9];
        (void)snprintf(symbol, sizeof symbol, "S%07" PRIu32, i % 10000000);
        apply(instrument_add(i, symbol, 1));
    }
}

static void add_sessions(uint16_t count, uint16_t account)
{
    for (uint16_t i = 0; i < count; i++) {
        char name[11];
        (void)snprintf(name, sizeof name, "U%05uFIRM", i % 100000u);
        struct ib_command command = session_add(i, name);
        command.account = account;
        apply(command);
    }
    REQUIRE_THAT(ib_matcher_session_count(matcher) == count);
}

static struct ib_command order(uint16_t session, uint32_t instrument, uint8_t side, uint64_t quantity, int64_t price)
{
    struct ib_command command = enter(session, ib_matcher_next_user_ref(matcher, session), side, quantity, price);
    command.instrument = instrument;
    return command;
}

/* Bytes of memory that this process has touched. */
static uint64_t touched_bytes(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Anonymous: %" SCNu64, &kib) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    REQUIRE_THAT(kib > 0);
    return kib * 1024;
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the promised size, full, and trading ---- */

/* Order `i` of a full book: two sides of ten prices each in every instrument, as many at each. */
static struct ib_command resting(uint64_t i, uint32_t instruments)
{
    uint64_t round = i / instruments;
    int is_sell = (int)(round % 2);
    int64_t away = (int64_t)(round / 2 % PRICES);
    return order((uint16_t)(i % SESSIONS), (uint32_t)(i % instruments), is_sell ? IB_SIDE_SELL : IB_SIDE_BUY, 100,
                 is_sell ? 1001 + away : 1000 - away);
}

struct filling {
    double order_bytes;
    uint64_t idle_bytes; /* of an instrument */
};

/* Opens a matcher and fills it. */
static struct filling fill(uint32_t orders, uint32_t instruments, int with_client_data)
{
    open_matcher(orders);
    add_sessions(SESSIONS, 0);
    uint64_t empty = touched_bytes();
    add_instruments(0, instruments);
    uint64_t idle = touched_bytes();
    REQUIRE_THAT(ib_matcher_instrument_count(matcher) == instruments);
    REQUIRE_THAT((idle - empty) / instruments <= IDLE_BYTES_MAX);
    for (uint64_t i = 0; i < orders; i++) {
        struct ib_command command = resting(i, instruments);
        if (!with_client_data) {
            memset(command.client_data, 0, sizeof command.client_data);
        }
        apply(command);
        REQUIRE_THAT(last.type == IB_EVENT_RESTED);
    }
    struct filling filling = {(double)(touched_bytes() - idle) / orders, (idle - empty) / instruments};
    REQUIRE_THAT(totals().orders_open == orders && totals().trades == 0);
    if (orders == ORDERS_PROMISED && instruments == INSTRUMENTS_PROMISED) {
        REQUIRE_THAT(filling.order_bytes <= (with_client_data ? CLIENT_DATA_BYTES_MAX : PLAIN_BYTES_MAX));
    }
    return filling;
}

static void fill_and_trade(uint32_t orders, uint32_t instruments)
{
    double begin = seconds();
    struct filling plain = fill(orders, instruments, 0);
    close_matcher();
    double between = seconds();
    struct filling filling = fill(orders, instruments, 1);
    expect_reject(resting(0, instruments), IB_REASON_BOOK_FULL);
    double filled = seconds();
    for (uint32_t i = 0; i < instruments; i++) { /* a full book trades: an order and a half of each */
        struct ib_command taker = order((uint16_t)(i % SESSIONS), i, IB_SIDE_BUY, 150, 1001);
        taker.time_in_force = IB_TIME_IN_FORCE_IOC;
        apply(taker);
        REQUIRE_THAT(event_count == 5 && last.type == IB_EVENT_EXECUTED && last.remaining == 0);
    }
    REQUIRE_THAT(totals().trades == 2 * (uint64_t)instruments && totals().orders_open == orders - instruments);
    for (uint32_t i = 0; i < instruments; i++) { /* the slots are there again */
        apply(resting(i, instruments));
        REQUIRE_THAT(last.type == IB_EVENT_RESTED);
    }
    expect_reject(resting(0, instruments), IB_REASON_BOOK_FULL);
    check();
    apply((struct ib_command){.type = IB_COMMAND_MASS_CANCEL, .session = IB_SESSION_NONE, .account = IB_ACCOUNT_ANY,
                              .instrument = IB_INSTRUMENT_ALL});
    REQUIRE_THAT(event_count == orders && totals().orders_open == 0);
    check();
    close_matcher();
    printf("limits: %" PRIu32 " orders in %" PRIu32 " instruments rest and trade: %.1f bytes an order, %.1f with "
           "client data, %" PRIu64 " an idle instrument; %.1f s to fill, %.1f s in all\n",
           orders, instruments, plain.order_bytes, filling.order_bytes, filling.idle_bytes, filled - between,
           seconds() - begin);
}

/* ---- the end of each table ---- */

static void no_more_instruments(void)
{
    open_matcher(1);
    add_instruments(0, IB_INSTRUMENTS_MAX);
    REQUIRE_THAT(ib_matcher_instrument_count(matcher) == IB_INSTRUMENTS_MAX);
    apply(instrument_add(IB_INSTRUMENTS_MAX, "ONE MORE", 1));
    REQUIRE_THAT(event_count == 0 && ib_matcher_instrument_count(matcher) == IB_INSTRUMENTS_MAX);
    add_sessions(1, 0);
    apply(order(0, IB_INSTRUMENTS_MAX - 1, IB_SIDE_BUY, 1, 5));
    REQUIRE_THAT(last.type == IB_EVENT_RESTED);
    expect_reject(order(0, IB_INSTRUMENTS_MAX, IB_SIDE_BUY, 1, 5), IB_REASON_INSTRUMENT_UNKNOWN);
    check();
    close_matcher();
}

static void no_more_sessions_and_accounts(void)
{
    open_matcher(1);
    for (uint16_t i = 1; i < IB_ACCOUNTS_MAX; i++) {
        apply((struct ib_command){.type = IB_COMMAND_ACCOUNT_ADD, .account = i});
    }
    struct ib_command none = {.type = IB_COMMAND_ACCOUNT_ADD, .account = IB_ACCOUNTS_MAX};
    uint32_t accounts = matcher->risk.account_count;
    apply(none);
    REQUIRE_THAT(accounts == IB_ACCOUNTS_MAX && matcher->risk.account_count == accounts && event_count == 0);
    add_sessions(IB_SESSIONS_MAX, IB_ACCOUNTS_MAX - 1);
    apply(session_add(IB_SESSIONS_MAX, "MORE  FIRM"));
    REQUIRE_THAT(ib_matcher_session_count(matcher) == IB_SESSIONS_MAX && event_count == 0);
    add_instruments(0, 1);
    apply(order(IB_SESSIONS_MAX - 1, 0, IB_SIDE_BUY, 1, 5));
    REQUIRE_THAT(last.type == IB_EVENT_RESTED);
    check();
    close_matcher();
}

/* The gate's rows are as many as the orders, within bounds: the smallest table is the first to end. */
static void no_more_risk_rows(void)
{
    open_matcher(1);
    apply((struct ib_command){.type = IB_COMMAND_ACCOUNT_ADD, .account = 1});
    add_sessions(1, 1);
    uint32_t rows = matcher->risk.row_capacity;
    add_instruments(0, rows + 1);
    for (uint32_t i = 0; i < rows; i++) {
        struct ib_command command = order(0, i, IB_SIDE_BUY, 1, 5);
        command.time_in_force = IB_TIME_IN_FORCE_IOC;
        apply(command);
        REQUIRE_THAT(last.type == IB_EVENT_CANCELED);
    }
    expect_reject(order(0, rows, IB_SIDE_BUY, 1, 5), IB_REASON_RISK_TABLE_FULL);
    struct ib_command limit = {.type = IB_COMMAND_RISK_LIMIT, .account = 1, .instrument = rows,
                               .limit = IB_RISK_ORDER_QUANTITY, .value = 1};
    apply(limit);
    REQUIRE_THAT(event_count == 0);
    limit.instrument = rows - 1;
    apply(limit);
    REQUIRE_THAT(event_count == 1 && last.type == IB_EVENT_RISK);
    expect_reject(order(0, rows - 1, IB_SIDE_BUY, 2, 5), IB_REASON_RISK_QUANTITY);
    check();
    close_matcher();
}

/* Each price far from every other: a leaf and its parent each, and forks above: the most that an order can cost. */
static void no_more_price_nodes(void)
{
    open_matcher(FAR_ORDERS);
    add_instruments(0, 1);
    add_sessions(1, 0);
    uint64_t random = 88172645463325252u;
    for (uint32_t i = 0; i < FAR_ORDERS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int64_t price = (int64_t)(random >> 2) | 1; /* buys in the lower half of 63 bits, sells in the upper */
        apply(i % 2 == 0 ? order(0, 0, IB_SIDE_BUY, 1, price) : order(0, 0, IB_SIDE_SELL, 1, price | (int64_t)1 << 62));
        REQUIRE_THAT(last.type == IB_EVENT_RESTED);
    }
    const struct ib_pool *nodes = &matcher->book.nodes;
    REQUIRE_THAT(nodes->in_use > 2 * FAR_ORDERS && nodes->in_use <= nodes->capacity);
    expect_reject(order(0, 0, IB_SIDE_BUY, 1, 3), IB_REASON_BOOK_FULL);
    check();
    apply((struct ib_command){.type = IB_COMMAND_INSTRUMENT_REMOVE});
    REQUIRE_THAT(event_count == FAR_ORDERS + 1 && nodes->in_use == 0);
    check();
    close_matcher();
}

/* Every order with all that an order can have beside itself: an extra, a cold half, an expiry. */
static void no_more_extras(void)
{
    open_matcher(SMALL);
    add_instruments(0, 1);
    add_sessions(1, 0);
    for (uint32_t i = 0; i <= SMALL; i++) {
        struct ib_command command = order(0, 0, IB_SIDE_BUY, 64, 1000 + i);
        command.displayed = 1;
        command.time_in_force = IB_TIME_IN_FORCE_GTD;
        command.expire_time_ns = 100 + i;
        if (i == SMALL) {
            expect_reject(command, IB_REASON_BOOK_FULL);
        } else {
            apply(command);
            REQUIRE_THAT(last.type == IB_EVENT_RESTED && last.displayed == 1);
        }
    }
    check();
    close_matcher();
}

int main(int count, char **arguments)
{
    uint32_t orders = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : ORDERS_PROMISED;
    uint32_t instruments = count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : INSTRUMENTS_PROMISED;
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    no_more_instruments();
    no_more_sessions_and_accounts();
    no_more_risk_rows();
    no_more_price_nodes();
    no_more_extras();
    fill_and_trade(orders, instruments);
    return 0;
}
