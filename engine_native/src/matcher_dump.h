/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_dump.h: sizes of what a snapshot's sections hold, for its two halves, matcher_dump.c and matcher_restore.c.
 */
#ifndef IB_MATCHER_DUMP_H
#define IB_MATCHER_DUMP_H

#include "matcher_state.h"
#include "snapshot_format.h"

enum {
    IB_DUMP_SUMS_SIZE = 72,
    IB_DUMP_PAST_SIZE = 20 + IB_SESSIONS_MAX / 8,
    IB_DUMP_ACCOUNT_SIZE = 44 + 8 * (IB_RISK_LIMITS - 1),
    IB_DUMP_SESSION_SIZE = 20,
    IB_DUMP_INSTRUMENT_SIZE = 73,
    IB_DUMP_ROW_SIZE = 16,   /* and eight for each limit of its own, … */
    IB_DUMP_OWN = ((1 << IB_RISK_LIMITS) - 1) & ~1 & ~(1 << IB_RISK_MESSAGE_RATE), /* … which are these bits */
    IB_DUMP_ORDER_SIZE = 37, /* and what its last byte says: */
    IB_DUMP_COLD = 1,        /* executed quantity and client data */
    IB_DUMP_COLD_SIZE = 8 + IB_CLIENT_DATA_SIZE,
    IB_DUMP_EXTRA = 2,       /* of an iceberg, an order that expires, one that is parked */
    IB_DUMP_EXTRA_SIZE = 34,
};

#endif
