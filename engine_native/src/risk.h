/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * risk.h: the risk gate (docs/matching.md, section 7): accounts with their limits and kill switches, and for each
 * (account, instrument) a row with its position and what it has open.
 *
 *   account << 17 | instrument ─► index ─► row (64 B): all that the gate compares an order with, and the position
 *                                     └──► pair: limits in force, next row of the account
 *   account ─► first row ─► next row …     a new default reaches the rows that have no limit of their own
 *
 * The index is plain address space, of which a page is touched for each thousand instruments that an account trades:
 * one load finds a row. Account 0 is nobody's: it has no limits, and its row is row 0, which is never looked at and may
 * be scribbled on; so the path of an order adds and subtracts without asking whose it is. A pair without a row finds
 * row 0 as well, and that lets nobody in. Rows are never given back, because a position stays. All memory is taken at
 * open; all arithmetic is of integers and exact.
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
    IB_RISK_COLLAR_NEAR = 1 << 20, /* basis points: a hundredfold; what is beyond is looked at closely */
};

/* One (account, instrument), as an order on its way sees it. What may still be bought is the limit less the position
 * and what is open to buy; it may be below 0 after a limit was lowered. So what is open follows from it, and a trade of
 * an order in the book changes only what the other side may do. */
struct ib_risk_row {
    int64_t room[2];          /* units that may still be ordered to buy, to sell */
    int64_t position;         /* bought less sold */
    uint64_t weight;          /* of the position in the hash: odd */
    uint64_t order_quantity;  /* the limits in force; this one at most what an order may have */
    uint64_t order_notional;
    uint64_t collar;          /* basis points, but at most IB_RISK_COLLAR_NEAR */
    uint32_t open_orders;
    uint32_t open_orders_max; /* row 0 has none, so nobody passes it */
};

_Static_assert(sizeof(struct ib_risk_row) == 64, "one cache line");

/* … and what only those look at who change limits. `limits` are those in force: the account's, where the pair has none
 * of its own. */
struct ib_risk_pair {
    uint64_t limits[IB_RISK_LIMITS]; /* MESSAGE_RATE is the account's alone and not used here */
    uint32_t next;                   /* row of the same account */
    uint32_t instrument;
    uint16_t account;
    uint16_t own;                    /* bit `limit`: the pair has a value of its own */
    uint32_t reserved;
};

_Static_assert(sizeof(struct ib_risk_pair) == 80, "no holes");

struct ib_risk_account {
    uint64_t window_end_ns; /* end of the whole second of its last message */
    uint64_t messages;      /* ENTER and REPLACE in it */
    uint64_t messages_max;  /* 0 when it is killed */
    uint64_t second;        /* that second since the epoch */
    uint32_t killed;
    uint32_t first_row;
    uint64_t limits[IB_RISK_LIMITS]; /* by default, of every instrument */
    uint8_t name[IB_ACCOUNT_NAME_SIZE];
};

_Static_assert(sizeof(struct ib_risk_account) == 128, "two cache lines");

struct ib_risk {
    uint32_t *index;           /* row of account << 17 | instrument; 0 = none */
    struct ib_risk_row *rows;  /* [0] is account 0's */
    struct ib_risk_pair *pairs; /* of the same rows */
    uint64_t hash;             /* sum over rows: position and own limits; what is open follows from the book */
    uint32_t row_count;        /* in use, row 0 not counted */
    uint32_t row_capacity;
    uint32_t account_count;    /* account 0 counted */
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
/* Kills an account, or revives it. */
void ib_risk_kill(struct ib_risk *risk, uint16_t account, uint32_t killed);
/* The window of messages of an account becomes the second of `time_ns`. */
void ib_risk_begin_window(struct ib_risk_account *account, uint64_t time_ns);
/* The first limit that the order would exceed, as a reason; IB_REASON_NONE lets it in. Changes nothing. */
uint8_t ib_risk_refusal(const struct ib_risk *risk, const struct ib_risk_order *order);
/* A new default of an account, and a pair's own value: 0 when there is no row for it. */
void ib_risk_set_default(struct ib_risk *risk, uint16_t account, uint8_t limit, uint64_t value);
int ib_risk_set_own(struct ib_risk *risk, uint16_t account, uint32_t instrument, uint8_t limit, uint64_t value);
/* Of all accounts and rows: equal states, equal hashes. O(accounts). */
uint64_t ib_risk_state_hash(const struct ib_risk *risk);
/* What the rows contribute to it, summed anew. O(rows). */
uint64_t ib_risk_rows_hash(const struct ib_risk *risk);

#define IB_RISK_INSTRUMENT_BITS 17

_Static_assert(IB_INSTRUMENTS_MAX <= 1 << IB_RISK_INSTRUMENT_BITS && IB_ACCOUNTS_MAX <= 1 << 15, "a pair has 32 bits");

/* Rows of an account, by instrument; 0 = none. */
IB_INLINE const uint32_t *ib_risk_rows_of(const struct ib_risk *risk, uint16_t account)
{
    IB_EXPECT(account < IB_ACCOUNTS_MAX);
    return &risk->index[(size_t)account << IB_RISK_INSTRUMENT_BITS];
}

/* Row of a pair, or 0 when it has none. */
IB_INLINE uint32_t ib_risk_find(const struct ib_risk *risk, uint16_t account, uint32_t instrument)
{
    IB_EXPECT(instrument < IB_INSTRUMENTS_MAX);
    return ib_risk_rows_of(risk, account)[instrument];
}

/* Counts an ENTER or REPLACE of an account. */
IB_INLINE void ib_risk_count_message(struct ib_risk_account *account, uint64_t time_ns)
{
    if (!IB_LIKELY(time_ns < account->window_end_ns)) {
        ib_risk_begin_window(account, time_ns); /* a division a second, and not one a message */
    }
    account->messages++;
}

/* Whether one more message of an account is surely within its rate: the second has begun, and is not used up. */
IB_INLINE int ib_risk_admits_message(const struct ib_risk_account *account, uint64_t time_ns)
{
    return time_ns < account->window_end_ns && account->messages < account->messages_max;
}

/* Whether a plain limit order of any quantity, 0 included, surely exceeds no limit: each product in 64 bits, and where
 * one does not fit the answer is no. Then ib_risk_refusal has the last word. `base` is the last price, or the reference
 * price. */
IB_INLINE int ib_risk_admits(const struct ib_risk_row *row, uint64_t is_sell, uint64_t quantity, int64_t price,
                             int64_t base)
{
    IB_EXPECT(is_sell <= 1 && row->order_quantity <= IB_QUANTITY_MAX && base >= 0);
    uint64_t buys = is_sell - 1; /* all ones, and no branch: the side is a coin's toss */
    /* Beyond the base, where a collar would hold it. A price below 1 comes out as anything: its ticks are judged. */
    int64_t away = (int64_t)((((uint64_t)base - (uint64_t)price) ^ buys) - buys);
    int64_t reach;
    int64_t notional;
    /* One after the other: of a chain of && the compiler keeps flags in registers, three instructions more an order. */
    int over = __builtin_mul_overflow(base, (int64_t)row->collar, &reach);
    if (!IB_LIKELY(!over)) {
        return 0;
    }
    over = __builtin_mul_overflow(away, IB_BASIS_POINTS, &away);
    if (!IB_LIKELY(!over)) {
        return 0;
    }
    over = __builtin_mul_overflow(price, (int64_t)quantity, &notional);
    return IB_LIKELY(!over) && away <= reach && (uint64_t)notional <= row->order_notional &&
           quantity - 1 < row->order_quantity && (int64_t)quantity <= row->room[is_sell] &&
           row->open_orders < row->open_orders_max;
}

/* Quantity of live orders of a row that is not row 0. */
static inline uint64_t ib_risk_open_quantity(const struct ib_risk *risk, const struct ib_risk_row *row,
                                             unsigned is_sell)
{
    IB_ASSERT(row > risk->rows && row <= risk->rows + risk->row_count);
    const uint64_t *limits = risk->pairs[row - risk->rows].limits;
    uint64_t position = (uint64_t)row->position;
    return is_sell ? limits[IB_RISK_POSITION_SHORT] - (uint64_t)row->room[1] + position
                   : limits[IB_RISK_POSITION_LONG] - (uint64_t)row->room[0] - position;
}

/* ---- what happens to orders that were let in; row 0 takes everything, and may wrap round ---- */

/* `room` + `units`, which may be a negative number. */
IB_INLINE int64_t ib_risk_sum(int64_t room, uint64_t units)
{
    return (int64_t)((uint64_t)room + units);
}

IB_INLINE void ib_risk_add(struct ib_risk_row *row, unsigned is_sell, uint64_t quantity)
{
    IB_EXPECT(is_sell <= 1 && quantity <= IB_QUANTITY_MAX);
    row->room[is_sell] = ib_risk_sum(row->room[is_sell], 0 - quantity);
    row->open_orders++;
}

/* `orders` 1: the last of the order is gone; 0: it lost `quantity` and lives on. */
IB_INLINE void ib_risk_take(struct ib_risk_row *row, unsigned is_sell, uint64_t quantity, uint32_t orders)
{
    IB_EXPECT(is_sell <= 1 && orders <= 1);
    IB_EXPECT(row->weight == 0 || row->open_orders >= orders);
    row->room[is_sell] = ib_risk_sum(row->room[is_sell], quantity);
    row->open_orders -= orders;
}

IB_INLINE void ib_risk_trade(struct ib_risk *risk, struct ib_risk_row *row, unsigned is_sell, uint64_t quantity)
{
    IB_EXPECT(is_sell <= 1);
    uint64_t change = is_sell ? 0 - quantity : quantity;
    row->position = ib_risk_sum(row->position, change);
    row->room[is_sell] = ib_risk_sum(row->room[is_sell], 0 - quantity);
    row->room[is_sell ^ 1] = ib_risk_sum(row->room[is_sell ^ 1], quantity);
    risk->hash += change * row->weight; /* row 0 weighs nothing */
}

/* A trade of an order in the book, as ib_risk_take and ib_risk_trade: it was open, so its own side has room as
 * before. */
IB_INLINE void ib_risk_fill(struct ib_risk *risk, struct ib_risk_row *row, unsigned is_sell, uint64_t quantity,
                            uint32_t orders)
{
    IB_EXPECT(is_sell <= 1 && orders <= 1);
    IB_EXPECT(row->weight == 0 || row->open_orders >= orders);
    uint64_t change = is_sell ? 0 - quantity : quantity;
    row->position = ib_risk_sum(row->position, change);
    row->room[is_sell ^ 1] = ib_risk_sum(row->room[is_sell ^ 1], quantity);
    row->open_orders -= orders;
    risk->hash += change * row->weight;
}

#endif
