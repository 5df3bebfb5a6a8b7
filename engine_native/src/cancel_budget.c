/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cancel_budget.c: see cancel_budget.h.
 */
#include "cancel_budget.h"

#include "check.h"

enum { PLACES = IB_ACCOUNTS_MAX + IB_SESSIONS_MAX };

void ib_cancel_budget_open(struct ib_cancel_budget *budget, uint32_t percent)
{
    IB_ASSERT(budget != NULL);
    IB_ASSERT(percent >= 1 && percent <= 100);
    /* A share s leaves (1 - s) / s to the others for each one that it takes. */
    budget->patience = 10000 / percent - 100;
}

uint32_t ib_cancel_budget_place(uint16_t account, uint16_t session)
{
    IB_ASSERT(account < IB_ACCOUNTS_MAX);
    IB_ASSERT(session < IB_SESSIONS_MAX);
    return account != 0 ? account : IB_ACCOUNTS_MAX + (uint32_t)session;
}

bool ib_cancel_budget_allows(const struct ib_cancel_budget *budget, uint32_t place, uint64_t released_seq,
                             uint64_t now_ns)
{
    IB_ASSERT(place < PLACES);
    IB_ASSERT(budget->patience <= 9900);
    return budget->places[place].last_seq <= released_seq &&
           now_ns >= atomic_load_explicit(&budget->places[place].free_ns, memory_order_acquire);
}

void ib_cancel_budget_take(struct ib_cancel_budget *budget, uint32_t place, uint64_t seq)
{
    IB_ASSERT(place < PLACES);
    IB_ASSERT(seq > budget->places[place].last_seq);
    budget->places[place].last_seq = seq;
}

void ib_cancel_budget_charge(struct ib_cancel_budget *budget, uint32_t place, uint64_t cost_ns, uint64_t now_ns)
{
    IB_ASSERT(place < PLACES);
    IB_ASSERT(cost_ns <= UINT64_MAX / 10000);
    uint64_t free_ns = atomic_load_explicit(&budget->places[place].free_ns, memory_order_relaxed);
    free_ns = (free_ns > now_ns ? free_ns : now_ns) + cost_ns * budget->patience / 100;
    atomic_store_explicit(&budget->places[place].free_ns, free_ns, memory_order_release);
}
