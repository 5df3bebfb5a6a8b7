/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * risk.h: the risk gate (docs/matching.md, section 7): accounts with their limits and kill switches, and for each
 * (account, instrument) a row with its position and what it has open.
 *
 *   (account, instrument) ─► slot of a hash table ─► row: position, open, limits in force
 *   account ─► first row ─► next row …                a new default reaches the rows that have no limit of their own
 *
 * Account 0 is nobody's: it has no limits, and its row is row 0, which is never looked at and may be scribbled on; so
 * the path of an order adds and subtracts without asking whose it is. Rows are never given back, because a position
 * stays. All memory is taken at open; all arithmetic is of integers and exact.
 */
#ifndef IB_RISK_H
#define IB_RISK_H

#include "check.h"
#include "hash.h"
#include "ironbook.h"

enum {
    IB_RISK_LIMITS = IB_RISK_OPEN_ORDERS + 1, /* a limit is its own index; 0 is none */
    IB_RISK_ROWS_MIN = 1024,
    IB_RISK_ROWS_MAX = 1048576,
    IB_ACCOUNT_NAME_SIZE = 24,
};

/* One (account, instrument). `limits` are those in force: the account's, where the pair has none of its own. */
struct ib_risk_row {
    int64_t position;      /* bought less sold */
    uint64_t open[2];      /* quantity of live buy and sell orders */
    uint32_t open_orders;
    uint32_t next;         /* row of the same account */
    uint32_t instrument;
    uint16_t account;
    uint16_t own;          /* bit `limit`: the pair has a value of its own */
    uint64_t weight;       /* of the position in the hash: odd */
    uint64_t limits[IB_RISK_LIMITS]; /* MESSAGE_RATE is the account's alone and not used here */
    uint64_t reserved[2];
};

_Static_assert(sizeof(struct ib_risk_row) == 128, "two cache lines");

struct ib_risk_account {
    uint64_t window_end_ns; /* end of the whole second of its last message */
    uint64_t second;        /* that second since the epoch */
    uint32_t messages;      /* ENTER and REPLACE in it */
    uint32_t killed;
    uint32_t first_row;
    uint32_t reserved;
    uint64_t limits[IB_RISK_LIMITS]; /* by default, of every instrument */
    uint8_t name[IB_ACCOUNT_NAME_SIZE];
    uint64_t reserved_2;
};

_Static_assert(sizeof(struct ib_risk_account) == 128, "two cache lines");

struct ib_risk {
    struct ib_risk_row *rows; /* [0] is account 0's */
    uint64_t *slots;          /* key << 32 | row; 0 = empty */
    uint32_t slot_mask;
    uint32_t row_count;       /* in use, row 0 not counted */
    uint32_t row_capacity;
    uint32_t account_count;   /* account 0 counted */
    uint64_t hash;            /* sum over rows: position and own limits; what is open follows from the book */
    struct ib_risk_account accounts[IB_ACCOUNTS_MAX];
};

/* An order that asks to be let in. */
struct ib_risk_order {
    uint16_t account;
    uint8_t order_type;
    uint8_t is_sell;
    uint8_t is_replacing; /* the order that it replaces counts no more */
    uint64_t replaced;    /* what is open of that one */
    uint64_t quantity;    /* to be open */
    int64_t price;        /* limit; of STOP its stop price; MARKET: not looked at */
    int64_t base;         /* last price, or reference price; 0 = none */
    uint32_t instrument;
    uint32_t row;         /* as ib_risk_find has it */
};

int ib_risk_open(struct ib_risk *risk, uint32_t rows); /* enum ib_status; accounts are zeroed memory */
void ib_risk_close(struct ib_risk *risk);

/* The next account; the caller has seen that there is room. */
void ib_risk_add_account(struct ib_risk *risk, const uint8_t name[IB_ACCOUNT_NAME_SIZE]);
/* Row of a pair, made when it has none; 0 when none can be had. */
uint32_t ib_risk_make(struct ib_risk *risk, uint16_t account, uint32_t instrument);
/* Counts an ENTER or REPLACE of the account. */
void ib_risk_count_message(struct ib_risk *risk, uint16_t account, uint64_t time_ns);
/* The first limit that the order would exceed, as a reason; IB_REASON_NONE lets it in. Changes nothing. */
uint8_t ib_risk_refusal(const struct ib_risk *risk, const struct ib_risk_order *order);
/* A new default of an account, and a pair's own value: 0 when there is no row for it. */
void ib_risk_set_default(struct ib_risk *risk, uint16_t account, uint8_t limit, uint64_t value);
int ib_risk_set_own(struct ib_risk *risk, uint16_t account, uint32_t instrument, uint8_t limit, uint64_t value);
/* Of all accounts and rows: equal states, equal hashes. O(accounts). */
uint64_t ib_risk_state_hash(const struct ib_risk *risk);
/* What the rows contribute to it, summed anew. O(rows). */
uint64_t ib_risk_rows_hash(const struct ib_risk *risk);

/* Not 0, because account is not. */
IB_INLINE uint32_t ib_risk_key(uint16_t account, uint32_t instrument)
{
    IB_EXPECT(account > 0 && account < IB_ACCOUNTS_MAX && instrument < IB_INSTRUMENTS_MAX);
    return (uint32_t)account << 17 | instrument;
}

_Static_assert(IB_INSTRUMENTS_MAX <= 1 << 17 && IB_ACCOUNTS_MAX <= 1 << 15, "a pair has 32 bits");

/* The slot of a key, or the empty one where it would go: at most half of them are in use. */
IB_INLINE uint64_t *ib_risk_slot(const struct ib_risk *risk, uint32_t key)
{
    uint32_t at = (uint32_t)((key * IB_HASH_A) >> 32) & risk->slot_mask;
    while (risk->slots[at] != 0 && risk->slots[at] >> 32 != key) {
        at = (at + 1) & risk->slot_mask;
    }
    return &risk->slots[at];
}

/* Row of a pair, or 0 when it has none. */
IB_INLINE uint32_t ib_risk_find(const struct ib_risk *risk, uint16_t account, uint32_t instrument)
{
    return account == 0 ? 0 : (uint32_t)*ib_risk_slot(risk, ib_risk_key(account, instrument));
}

/* ---- what happens to orders that were let in; row 0 takes everything ---- */

static inline void ib_risk_add(struct ib_risk *risk, uint32_t row, unsigned is_sell, uint64_t quantity)
{
    IB_EXPECT(row <= risk->row_count && is_sell <= 1);
    risk->rows[row].open[is_sell] += quantity;
    risk->rows[row].open_orders++;
}

/* `orders` 1: the last of the order is gone; 0: it lost `quantity` and lives on. */
static inline void ib_risk_take(struct ib_risk *risk, uint32_t row, unsigned is_sell, uint64_t quantity, uint32_t orders)
{
    IB_EXPECT(row <= risk->row_count && is_sell <= 1);
    IB_EXPECT(row == 0 || (risk->rows[row].open[is_sell] >= quantity && risk->rows[row].open_orders >= orders));
    risk->rows[row].open[is_sell] -= quantity;
    risk->rows[row].open_orders -= orders;
}

static inline void ib_risk_trade(struct ib_risk *risk, uint32_t row, unsigned is_sell, uint64_t quantity)
{
    IB_EXPECT(row <= risk->row_count && is_sell <= 1);
    uint64_t change = is_sell ? 0 - quantity : quantity;
    struct ib_risk_row *of = &risk->rows[row];
    of->position = (int64_t)((uint64_t)of->position + change); /* row 0 may wrap round */
    risk->hash += change * of->weight; /* row 0 weighs nothing */
}

#endif
