/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * auction.c: see auction.h.
 */
#include "auction.h"

#include <stddef.h>

#include "check.h"

void ib_auction_begin(struct ib_auction *auction, uint64_t limit_buys, uint64_t market_buys, uint64_t market_sells)
{
    IB_ASSERT(auction != NULL);
    IB_ASSERT(limit_buys <= UINT64_MAX - market_buys);
    *auction = (struct ib_auction){.demand = limit_buys + market_buys, .supply = market_sells};
}

void ib_auction_tell(struct ib_auction *auction, int64_t price, uint64_t buys, uint64_t sells)
{
    IB_ASSERT(!auction->told || price > auction->high);
    IB_ASSERT(auction->demand >= buys);
    auction->supply += sells;
    uint64_t demand = auction->demand;
    uint64_t supply = auction->supply;
    auction->demand -= buys; /* who bids no more than this price is gone at the next */
    uint64_t volume = demand < supply ? demand : supply;
    uint64_t surplus = demand < supply ? supply - demand : demand - supply;
    if (auction->told && (volume < auction->volume || (volume == auction->volume && surplus > auction->surplus))) {
        return;
    }
    if (!auction->told || volume != auction->volume || surplus != auction->surplus) {
        auction->volume = volume;
        auction->surplus = surplus;
        auction->low = price;
        auction->buys_press = 1;
        auction->sells_press = 1;
        auction->told = 1;
    }
    auction->high = price;
    auction->buys_press &= demand > supply;
    auction->sells_press &= supply > demand;
}

int64_t ib_auction_price(const struct ib_auction *auction, int64_t reference, int64_t tick)
{
    IB_ASSERT(auction->told && auction->volume > 0);
    IB_ASSERT(tick >= 1 && auction->low <= auction->high);
    if (auction->buys_press) {
        return auction->high;
    }
    if (auction->sells_press || reference <= auction->low) { /* no reference: the lowest */
        return auction->low;
    }
    int64_t price = reference < auction->high ? reference : auction->high;
    return price - price % tick; /* not below `low`, which is on the tick */
}
