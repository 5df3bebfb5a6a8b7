/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cancel_budget.h: what mass cancels may cost the others.
 *
 * A mass cancel walks the orders of others until it has found its own, and nothing of rules 2 makes that shorter. So a
 * member pays for it with patience: the matcher thread counts what each mass cancel took, and the account's next one is
 * not taken up before the others have had the matcher for so much longer that its share of the time stays what the
 * configuration allows. Nothing is refused: what is not taken up stays in its connection's buffer. A mass cancel of a
 * small book costs microseconds, and nobody notices.
 *
 * Two threads share it without a lock: the matcher writes `free_ns`, the I/O thread all else.
 */
#ifndef IB_CANCEL_BUDGET_H
#define IB_CANCEL_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ironbook.h"

struct ib_cancel_budget {
    uint64_t patience; /* nanoseconds to wait, in hundredths of one that was spent */
    struct {
        _Atomic uint64_t free_ns; /* of CLOCK_MONOTONIC: when the next one may be taken up */
        uint64_t last_seq;        /* of the last one that was */
    } places[IB_ACCOUNTS_MAX + IB_SESSIONS_MAX];
};

/* `percent`: the matcher's time that the mass cancels of one account may take, 1 to 100. */
void ib_cancel_budget_open(struct ib_cancel_budget *budget, uint32_t percent);
/* Whose budget it is: the account's, or, where a session trades for nobody in particular, its own. */
uint32_t ib_cancel_budget_place(uint16_t account, uint16_t session);

/* ---- I/O thread ---- */

/* Whether one more may be taken up: those before are released, and their time has been waited for. */
bool ib_cancel_budget_allows(const struct ib_cancel_budget *budget, uint32_t place, uint64_t released_seq,
                             uint64_t now_ns);
void ib_cancel_budget_take(struct ib_cancel_budget *budget, uint32_t place, uint64_t seq);

/* ---- matcher thread ---- */

/* One took `cost_ns` of its time and ended at `now_ns`. */
void ib_cancel_budget_charge(struct ib_cancel_budget *budget, uint32_t place, uint64_t cost_ns, uint64_t now_ns);

#endif
