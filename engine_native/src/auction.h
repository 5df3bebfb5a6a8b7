/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * auction.h: the price of a call auction (docs/matching.md, section 5): most volume, then least surplus, then the side
 * that presses, then the reference price. A pure sum over the limit prices of both sides, told once each and from the
 * lowest up: as many steps as there are prices, however many orders stand at them.
 *
 *   demand(p) = market buys + buys at p or higher      falls with p
 *   supply(p) = market sells + sells at p or lower     rises with p
 */
#ifndef IB_AUCTION_H
#define IB_AUCTION_H

#include <stdint.h>

struct ib_auction {
    uint64_t demand; /* at the next price that is told */
    uint64_t supply; /* below it */
    uint64_t volume; /* the most that trades at any price told so far */
    uint64_t surplus; /* |demand - supply|: the least of those with that volume */
    int64_t low;     /* of those with that volume and surplus: the lowest price */
    int64_t high;    /* … and the highest */
    uint8_t told;    /* some price was */
    uint8_t buys_press;  /* at all of those demand is above supply */
    uint8_t sells_press; /* … below it */
    uint8_t reserved[5];
};

/* What stands on both sides in all: limits of the buy side, and market orders of both. */
void ib_auction_begin(struct ib_auction *auction, uint64_t limit_buys, uint64_t market_buys, uint64_t market_sells);
/* What stands at the next higher price. */
void ib_auction_tell(struct ib_auction *auction, int64_t price, uint64_t buys, uint64_t sells);
/* The price of the auction when something would trade (volume > 0): `reference` decides where nothing else does, 0 = no
 * reference. */
int64_t ib_auction_price(const struct ib_auction *auction, int64_t reference, int64_t tick);

#endif
