/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_query.c: what whoever sequences has to know of the state, so that only what changes something is sequenced:
 * accounts, limits in force, whether an instrument has live orders. Nothing here changes the state.
 */
#include <string.h>

#include "book.h"
#include "book_rare.h"
#include "matcher_state.h"

uint16_t ib_matcher_account_count(const struct ib_matcher *matcher)
{
    _Static_assert(IB_ACCOUNTS_MAX < IB_ACCOUNT_ANY, "no account is taken for all");
    IB_ASSERT(matcher != NULL);
    IB_ASSERT(matcher->risk.account_count >= 1 && matcher->risk.account_count <= IB_ACCOUNTS_MAX);
    return (uint16_t)matcher->risk.account_count;
}

uint16_t ib_matcher_find_account(const struct ib_matcher *matcher, const uint8_t name[IB_CLIENT_DATA_SIZE])
{
    IB_ASSERT(matcher != NULL && name != NULL);
    _Static_assert((int)IB_ACCOUNT_NAME_SIZE == (int)IB_CLIENT_DATA_SIZE, "ACCOUNT_ADD carries all of it");
    for (uint16_t i = 1; i < matcher->risk.account_count; i++) {
        if (memcmp(matcher->risk.accounts[i].name, name, IB_ACCOUNT_NAME_SIZE) == 0) {
            return i;
        }
    }
    return IB_ACCOUNT_ANY;
}

const uint8_t *ib_matcher_account_name(const struct ib_matcher *matcher, uint16_t account)
{
    IB_ASSERT(matcher != NULL);
    IB_ASSERT(account < matcher->risk.account_count);
    return matcher->risk.accounts[account].name;
}

bool ib_matcher_limit(const struct ib_matcher *matcher, uint16_t account, uint32_t instrument, uint8_t limit,
                      uint64_t *value)
{
    const struct ib_risk *risk = &matcher->risk;
    IB_ASSERT(account > 0 && account < risk->account_count);
    IB_ASSERT(limit >= IB_RISK_MESSAGE_RATE && limit <= IB_RISK_OPEN_ORDERS);
    if (instrument == IB_INSTRUMENT_ALL) {
        *value = risk->accounts[account].limits[limit];
        return true;
    }
    uint32_t row = ib_risk_find(risk, account, instrument);
    if (row == 0 || (risk->pairs[row].own & (1u << limit)) == 0) {
        return false;
    }
    *value = risk->pairs[row].limits[limit];
    return true;
}

bool ib_matcher_instrument_is_idle(const struct ib_matcher *matcher, uint32_t instrument)
{
    IB_ASSERT(matcher != NULL);
    IB_ASSERT(instrument < matcher->book.instrument_count);
    return ib_book_is_empty(&matcher->book, instrument);
}

bool ib_matcher_session_is_idle(const struct ib_matcher *matcher, uint16_t session)
{
    IB_ASSERT(matcher != NULL && session < matcher->session_count);
    for (uint32_t i = 0; i < matcher->book.instrument_count; i++) {
        struct ib_walk walk;
        if (ib_book_is_empty(&matcher->book, i)) {
            continue;
        }
        ib_walk_begin(&walk, &matcher->book, i);
        for (uint32_t index = ib_walk_next(&walk); index != IB_NONE; index = ib_walk_next(&walk)) {
            if (ib_order_session(ib_book_order(&matcher->book, index)) == session) {
                return false;
            }
        }
    }
    return true;
}
