/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_restore.c: a matcher out of the sections of a snapshot, which matcher_dump.c has written. It is built by the
 * functions that build it out of commands, and believes nothing: each field is looked at before one of them relies on
 * it, at the end every invariant is checked and the state hash is compared. What does not fit is refused, and then
 * there is no matcher at all.
 */
#include <stdio.h>
#include <string.h>

#include "book_path.h"
#include "book_rare.h"
#include "matcher_define.h"
#include "matcher_dump.h"

#define REQUIRE(condition, words) \
    do {                          \
        if (!(condition)) {       \
            return (words);       \
        }                         \
    } while (0)

#define NS_PER_SECOND 1000000000u

/* How many records the sections have, by the first of them. */
struct counts {
    uint32_t accounts; /* account 0 counted */
    uint32_t sessions;
    uint32_t instruments;
    uint32_t rows;
    uint32_t orders;
};

static int is_read(const struct ib_snapshot_part *part)
{
    IB_ASSERT(part->at <= part->end);
    return !part->is_short && part->at == part->end;
}

static const char *restore_sums(struct ib_matcher *matcher, struct ib_snapshot_part *part, struct counts *counts)
{
    IB_ASSERT(matcher->seq == 0);
    matcher->match_ref = ib_get_u64(part);
    matcher->traded_quantity = ib_get_u64(part);
    matcher->notional = ib_get_u64(part);
    matcher->notional |= (ib_uint128)ib_get_u64(part) << 64;
    matcher->rejects = ib_get_u64(part);
    matcher->order_ref = ib_get_u64(part);
    uint32_t trading_state = ib_get_u32(part);
    counts->accounts = ib_get_u32(part);
    counts->sessions = ib_get_u32(part);
    counts->instruments = ib_get_u32(part);
    counts->rows = ib_get_u32(part);
    counts->orders = ib_get_u32(part);
    REQUIRE(is_read(part), "its sums have another length");
    REQUIRE(trading_state <= IB_TRADING_ENDED && matcher->order_ref <= IB_SEQ_MAX, "its sums make no sense");
    REQUIRE(counts->accounts >= 1 && counts->accounts <= IB_ACCOUNTS_MAX && counts->sessions <= IB_SESSIONS_MAX &&
                counts->instruments <= IB_INSTRUMENTS_MAX && counts->rows <= matcher->risk.row_capacity &&
                counts->orders <= matcher->book.orders.capacity,
            "it has more of something than there is room for");
    matcher->trading_state = (int)trading_state;
    return NULL;
}

static const char *restore_past(struct ib_past *past, struct ib_snapshot_part *part)
{
    uint8_t bits[IB_SESSIONS_MAX / 8];
    IB_ASSERT(past != NULL);
    past->first_time_ns = ib_get_u64(part);
    past->event_seq = ib_get_u64(part);
    past->event_index = ib_get_u32(part);
    ib_get_bytes(part, bits, sizeof bits);
    for (unsigned i = 0; i < IB_SESSIONS_MAX; i++) {
        past->disabled[i] = bits[i / 8] >> i % 8 & 1;
    }
    IB_ASSERT(past->disabled[0] <= 1);
    REQUIRE(is_read(part), "what it says of the past has another length");
    return NULL;
}

static const char *restore_account(struct ib_risk *risk, struct ib_snapshot_part *part)
{
    uint8_t name[IB_ACCOUNT_NAME_SIZE];
    uint16_t index = (uint16_t)risk->account_count;
    IB_ASSERT(index < IB_ACCOUNTS_MAX);
    ib_get_bytes(part, name, sizeof name);
    uint64_t second = ib_get_u64(part);
    uint64_t messages = ib_get_u64(part);
    uint32_t killed = ib_get_u32(part);
    ib_risk_add_account(risk, name);
    struct ib_risk_account *account = &risk->accounts[index];
    for (uint8_t limit = 1; limit < IB_RISK_LIMITS; limit++) {
        uint64_t value = ib_get_u64(part);
        ib_risk_set_default(risk, index, limit, value);
        REQUIRE(account->limits[limit] == value, "an account has a limit that means another one");
    }
    REQUIRE(killed <= 1, "an account is neither killed nor alive");
    REQUIRE(second <= UINT64_MAX / NS_PER_SECOND && (messages > 0 || second == 0) && messages <= IB_SEQ_MAX,
            "an account's messages are of no second"); /* the state hash does not see their highest bit */
    ib_risk_kill(risk, index, killed);
    if (messages > 0) {
        ib_risk_begin_window(account, second * NS_PER_SECOND);
        account->messages = messages;
    }
    IB_ASSERT(risk->account_count == index + 1u);
    return NULL;
}

static const char *restore_session(struct ib_matcher *matcher, struct ib_snapshot_part *part)
{
    char name[IB_USERNAME_SIZE + IB_FIRM_SIZE];
    IB_ASSERT(matcher->session_count < IB_SESSIONS_MAX);
    ib_get_bytes(part, name, sizeof name);
    uint16_t account = ib_get_u16(part);
    uint32_t last_user_ref = ib_get_u32(part);
    uint32_t session_seq = ib_get_u32(part);
    REQUIRE(account < matcher->risk.account_count, "a session trades for no account");
    REQUIRE(ib_matcher_find_session(matcher, name) == IB_SESSION_NONE, "two sessions have one name");
    struct ib_session *session = ib_matcher_define_session(matcher, name, account);
    session->last_user_ref = last_user_ref;
    session->session_seq = session_seq;
    IB_ASSERT(session->account == account);
    return NULL;
}

static const char *restore_instrument(struct ib_matcher *matcher, struct ib_past *past, struct ib_snapshot_part *part)
{
    struct ib_instrument instrument = {0};
    uint32_t index = matcher->book.instrument_count;
    IB_ASSERT(index < IB_INSTRUMENTS_MAX);
    ib_get_bytes(part, instrument.symbol, IB_SYMBOL_SIZE);
    instrument.tick = (int64_t)ib_get_u64(part);
    instrument.lot = ib_get_u64(part);
    instrument.reference_price = (int64_t)ib_get_u64(part);
    instrument.static_band = ib_get_u64(part);
    instrument.dynamic_band = ib_get_u64(part);
    instrument.schedule = ib_get_u32(part);
    instrument.phase = ib_get_u8(part);
    instrument.breach = ib_get_u8(part);
    instrument.price_scale = ib_get_u8(part);
    instrument.quantity_scale = ib_get_u8(part);
    instrument.removed = ib_get_u8(part);
    int64_t last_price = (int64_t)ib_get_u64(part);
    past->since_ns[index] = ib_get_u64(part);
    REQUIRE(instrument.lot >= 1 && instrument.removed <= 1 && ib_instrument_is_sound(&instrument) && last_price >= 0,
            "an instrument's definition makes no sense");
    ib_matcher_define_instrument(matcher, &instrument);
    if (last_price != 0) { /* else the reference price stands for it */
        ib_matcher_set_last_price(matcher, index, last_price);
    }
    IB_ASSERT(matcher->book.instrument_count == index + 1);
    return NULL;
}

static const char *restore_row(struct ib_matcher *matcher, uint64_t *newest, struct ib_snapshot_part *part)
{
    struct ib_risk *risk = &matcher->risk;
    uint16_t account = ib_get_u16(part);
    uint16_t own = ib_get_u16(part);
    uint32_t instrument = ib_get_u32(part);
    int64_t position = (int64_t)ib_get_u64(part);
    uint64_t key = (uint64_t)account << 32 | instrument;
    IB_ASSERT(risk->row_count <= risk->row_capacity);
    REQUIRE(account > 0 && account < risk->account_count && instrument < matcher->book.instrument_count,
            "a row of the risk gate is nobody's");
    REQUIRE(key > *newest, "the rows of the risk gate are not in order");
    REQUIRE((own & ~(uint32_t)IB_DUMP_OWN) == 0, "a row of the risk gate has a limit that there is not");
    *newest = key;
    uint32_t index = ib_risk_make(risk, account, instrument);
    IB_ASSERT(index != 0); /* the count of rows was seen to fit */
    for (uint8_t limit = 1; limit < IB_RISK_LIMITS; limit++) {
        if (own & 1u << limit) {
            uint64_t value = ib_get_u64(part);
            (void)ib_risk_set_own(risk, account, instrument, limit, value);
            REQUIRE(risk->pairs[index].limits[limit] == value, "a row has a limit that means another one");
        }
    }
    REQUIRE(position >= -IB_POSITION_MAX && position <= IB_POSITION_MAX, "a position is out of bounds");
    uint64_t quantity = position < 0 ? 0 - (uint64_t)position : (uint64_t)position;
    ib_risk_trade(risk, &risk->rows[index], position < 0, quantity);
    return NULL;
}

/* ---- orders ---- */

/* Whether a key of a side is a price of its instrument, or none at all. */
static int is_key(const struct ib_book *book, uint32_t side_index, uint64_t key)
{
    uint32_t place = side_index >> IB_PLACE_SHIFT;
    unsigned side_number = side_index & 1;
    IB_ASSERT(place <= IB_PLACE_AT_CLOSE);
    IB_ASSERT(ib_side_instrument(side_index) < book->instrument_count);
    if (place == IB_PLACE_AT_CLOSE || (key == 0 && place != IB_PLACE_STOP)) {
        return key == 0;
    }
    uint64_t ticks = place == IB_PLACE_STOP ? ib_book_stop_key(side_number, key) : ib_book_key(side_number, key);
    return ticks - 1 < book->instruments[ib_side_instrument(side_index)].ticks_max;
}

static const char *misfit(const struct ib_matcher *matcher, const struct ib_book_entry *entry)
{
    const struct ib_book *book = &matcher->book;
    IB_ASSERT(entry->client_data != NULL);
    REQUIRE(entry->order_ref <= IB_SEQ_MAX && entry->remaining > 0 && entry->remaining <= IB_QUANTITY_MAX &&
                entry->executed <= IB_QUANTITY_MAX,
            "an order's quantities or its number make no sense");
    REQUIRE(entry->session < matcher->session_count, "an order is of no session");
    REQUIRE(entry->time_in_force <= IB_TIME_IN_FORCE_AT_CLOSE && entry->order_type >= IB_ORDER_LIMIT &&
                entry->order_type <= IB_ORDER_STOP_LIMIT,
            "an order is of no type");
    REQUIRE(entry->side_index >> IB_PLACE_SHIFT <= IB_PLACE_AT_CLOSE &&
                ib_side_instrument(entry->side_index) < book->instrument_count &&
                is_key(book, entry->side_index, entry->key),
            "an order stands nowhere");
    IB_ASSERT(entry->key != IB_KEY_NONE);
    return NULL;
}

static const char *misfit_of_extra(const struct ib_book_entry *entry, const struct ib_order_extra *extra)
{
    IB_ASSERT(entry->remaining > 0);
    IB_ASSERT(extra != NULL);
    REQUIRE(extra->shown <= entry->remaining && extra->displayed <= IB_QUANTITY_MAX, "an order shows more than it has");
    REQUIRE(extra->self_trade <= IB_SELF_TRADE_DECREMENT && extra->is_hidden <= 1 && extra->price >= 0,
            "an order's rarer attributes make no sense");
    return NULL;
}

static void get_extra(struct ib_snapshot_part *part, struct ib_order_extra *extra)
{
    IB_ASSERT(extra->order == IB_NONE);
    IB_ASSERT(part->at <= part->end);
    extra->displayed = ib_get_u64(part);
    extra->shown = ib_get_u64(part);
    extra->expire_time_ns = ib_get_u64(part);
    extra->price = (int64_t)ib_get_u64(part);
    extra->self_trade = ib_get_u8(part);
    extra->is_hidden = ib_get_u8(part);
}

static const char *restore_order(struct ib_matcher *matcher, struct ib_snapshot_part *part)
{
    uint8_t client_data[IB_CLIENT_DATA_SIZE] = {0};
    struct ib_book_entry entry = {.client_data = client_data};
    struct ib_order_extra extra = {0};
    struct ib_book *book = &matcher->book;
    entry.order_ref = ib_get_u64(part);
    entry.remaining = ib_get_u64(part);
    entry.key = ib_get_u64(part);
    entry.side_index = ib_get_u32(part);
    entry.user_ref = ib_get_u32(part);
    entry.session = ib_get_u16(part);
    entry.time_in_force = ib_get_u8(part);
    entry.order_type = ib_get_u8(part);
    uint8_t parts = ib_get_u8(part);
    if (parts & IB_DUMP_COLD) {
        entry.executed = ib_get_u64(part);
        ib_get_bytes(part, client_data, sizeof client_data);
    }
    if (parts & IB_DUMP_EXTRA) {
        get_extra(part, &extra);
    }
    const char *wrong = misfit(matcher, &entry);
    if (wrong == NULL && (parts & IB_DUMP_EXTRA) != 0) {
        wrong = misfit_of_extra(&entry, &extra);
    }
    REQUIRE(wrong == NULL, wrong);
    /* As the book has it: a cold half says something, what is parked has an extra, an extra hangs in a cold half. */
    int says = entry.executed != 0 || !ib_book_is_blank(client_data) || (parts & IB_DUMP_EXTRA) != 0;
    REQUIRE(parts <= (IB_DUMP_COLD | IB_DUMP_EXTRA) && ((parts & IB_DUMP_COLD) != 0) == says &&
                (entry.side_index >> IB_PLACE_SHIFT < IB_PLACE_STOP || (parts & IB_DUMP_EXTRA) != 0),
            "an order has another number of parts");
    struct ib_risk_row *row = ib_matcher_row(matcher, entry.session, ib_side_instrument(entry.side_index));
    REQUIRE(ib_matcher_account(matcher, entry.session) == 0 || row != matcher->risk.rows,
            "an order's account has no row in the risk gate");
    IB_ASSERT(!ib_book_is_full(book)); /* the count of orders was seen to fit */
    (void)ib_book_put(book, &entry, (parts & IB_DUMP_EXTRA) != 0 ? &extra : NULL);
    ib_risk_add(row, entry.side_index & 1, entry.remaining);
    return NULL;
}

/* ---- all of it ---- */

static const char *restore_sections(struct ib_matcher *matcher, struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS],
                                    struct ib_past *past)
{
    struct counts counts;
    uint64_t newest = 0;
    IB_ASSERT(matcher->risk.account_count == 1);
    const char *wrong = restore_sums(matcher, &parts[IB_SNAPSHOT_SUMS], &counts);
    if (wrong == NULL) {
        wrong = restore_past(past, &parts[IB_SNAPSHOT_PAST]);
    }
    for (uint32_t i = 1; wrong == NULL && i < counts.accounts; i++) {
        wrong = restore_account(&matcher->risk, &parts[IB_SNAPSHOT_ACCOUNTS]);
    }
    for (uint32_t i = 0; wrong == NULL && i < counts.sessions; i++) {
        wrong = restore_session(matcher, &parts[IB_SNAPSHOT_SESSIONS]);
    }
    for (uint32_t i = 0; wrong == NULL && i < counts.instruments; i++) {
        wrong = restore_instrument(matcher, past, &parts[IB_SNAPSHOT_INSTRUMENTS]);
    }
    for (uint32_t i = 0; wrong == NULL && i < counts.rows; i++) {
        wrong = restore_row(matcher, &newest, &parts[IB_SNAPSHOT_RISK_ROWS]);
    }
    for (uint32_t i = 0; wrong == NULL && i < counts.orders; i++) {
        wrong = restore_order(matcher, &parts[IB_SNAPSHOT_ORDERS]);
    }
    for (unsigned kind = 0; wrong == NULL && kind < IB_SNAPSHOT_KINDS; kind++) {
        wrong = is_read(&parts[kind]) ? NULL : "a section holds more or less than its records";
    }
    IB_ASSERT(wrong != NULL || matcher->book.orders.in_use == counts.orders);
    return wrong;
}

/* The state is there: is it one, and the one that was written? */
static int judge(struct ib_matcher *matcher, const struct ib_snapshot_head *head, char *what)
{
    struct ib_totals totals;
    IB_ASSERT(head->rules >= IB_RULES_1 && head->rules <= IB_RULES_NEWEST);
    IB_ASSERT(head->seq <= IB_SEQ_MAX);
    matcher->seq = head->seq;
    matcher->time_ns = head->time_ns;
    matcher->event_count = head->event_count;
    matcher->rules = head->rules;
    ib_matcher_open_path(matcher);
    if (ib_matcher_check(matcher, what, IB_ERROR_TEXT_SIZE) != IB_OK) {
        return IB_ERROR_JOURNAL_DAMAGED;
    }
    ib_matcher_totals(matcher, &totals);
    if (totals.state_hash != head->state_hash) {
        (void)snprintf(what, IB_ERROR_TEXT_SIZE, "the state hash of its content is %016llx, and it says %016llx",
                       (unsigned long long)totals.state_hash, (unsigned long long)head->state_hash);
        return IB_ERROR_JOURNAL_DAMAGED;
    }
    return IB_OK;
}

int ib_matcher_restore(struct ib_matcher **matcher, const struct ib_snapshot_head *head,
                       struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS], struct ib_past *past, char *what)
{
    struct ib_matcher *restored;
    IB_ASSERT(matcher != NULL && head != NULL && past != NULL && what != NULL);
    IB_ASSERT(head->format >= 1 && head->format <= IB_SNAPSHOT_FORMAT);
    *matcher = NULL;
    if (head->seq > IB_SEQ_MAX || head->orders == 0 || head->orders > IB_ORDERS_MAX) {
        (void)snprintf(what, IB_ERROR_TEXT_SIZE, "its head makes no sense");
        return IB_ERROR_JOURNAL_DAMAGED;
    }
    int status = ib_matcher_open(&restored, head->orders);
    if (status != IB_OK) {
        (void)snprintf(what, IB_ERROR_TEXT_SIZE, "%s", ib_status_text(status));
        return status;
    }
    const char *wrong = restore_sections(restored, parts, past);
    if (wrong != NULL) {
        (void)snprintf(what, IB_ERROR_TEXT_SIZE, "%s", wrong);
        status = IB_ERROR_JOURNAL_DAMAGED;
    } else {
        status = judge(restored, head, what);
    }
    if (status != IB_OK) {
        ib_matcher_close(restored);
        return status;
    }
    *matcher = restored;
    return IB_OK;
}
