/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * status.c: the names of statuses and reasons, and the end of a process whose assertion failed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "ironbook.h"

void ib_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "ironbook: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}

const char *ib_status_text(int status)
{
    switch (status) {
    case IB_OK: return "ok";
    case IB_ERROR_ARGUMENT: return "invalid argument";
    case IB_ERROR_MEMORY: return "out of memory";
    case IB_ERROR_CAPACITY: return "capacity exhausted";
    case IB_ERROR_IO: return "input/output error";
    case IB_ERROR_JOURNAL_DAMAGED: return "journal damaged";
    case IB_ERROR_JOURNAL_FOREIGN: return "foreign journal";
    case IB_ERROR_ADDRESS: return "address not usable";
    case IB_ERROR_CONFIGURATION: return "configuration refused";
    case IB_RESTART: return "state to be discarded";
    default: return "unknown status";
    }
}

const char *ib_reason_text(int reason)
{
    switch (reason) {
    case IB_REASON_NONE: return "none";
    case IB_REASON_USER: return "user";
    case IB_REASON_IMMEDIATE_OR_CANCEL: return "immediate or cancel";
    case IB_REASON_FILL_OR_KILL: return "fill or kill";
    case IB_REASON_MINIMUM_QUANTITY: return "minimum quantity";
    case IB_REASON_SELF_TRADE: return "self-trade";
    case IB_REASON_PRICE_BAND: return "price band";
    case IB_REASON_AUCTION_ENDED: return "auction ended";
    case IB_REASON_DAY_ENDED: return "day ended";
    case IB_REASON_EXPIRED: return "expired";
    case IB_REASON_MASS_CANCEL: return "mass cancel";
    case IB_REASON_INSTRUMENT_REMOVED: return "instrument removed";
    case IB_REASON_HALTED: return "halted";
    case IB_REASON_INSTRUMENT_UNKNOWN: return "instrument unknown";
    case IB_REASON_PRICE_INVALID: return "price invalid";
    case IB_REASON_QUANTITY_INVALID: return "quantity invalid";
    case IB_REASON_SIDE_INVALID: return "side invalid";
    case IB_REASON_ORDER_TYPE_INVALID: return "order type invalid";
    case IB_REASON_TIME_IN_FORCE_INVALID: return "time in force invalid";
    case IB_REASON_ORDER_UNKNOWN: return "order unknown";
    case IB_REASON_BOOK_FULL: return "book full";
    case IB_REASON_EVENT_LOG_FULL: return "event log full";
    case IB_REASON_UNSUPPORTED: return "unsupported";
    case IB_REASON_FLAGS_INVALID: return "flags invalid";
    case IB_REASON_PHASE: return "phase forbids it";
    case IB_REASON_POST_ONLY: return "post-only would trade";
    case IB_REASON_JOURNAL_FULL: return "journal disk full";
    case IB_REASON_RISK_KILLED: return "account killed";
    case IB_REASON_RISK_RATE: return "message rate";
    case IB_REASON_RISK_QUANTITY: return "order quantity limit";
    case IB_REASON_RISK_COLLAR: return "price collar";
    case IB_REASON_RISK_NOTIONAL: return "order notional limit";
    case IB_REASON_RISK_POSITION: return "position limit";
    case IB_REASON_RISK_OPEN_ORDERS: return "open orders limit";
    case IB_REASON_RISK_TABLE_FULL: return "risk table full";
    default: return "unknown reason";
    }
}
