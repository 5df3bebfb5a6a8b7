/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ouch50_internal.h: what the two directions of OUCH 5.0 share: where in `client_data` the fields lie that the core
 * does not interpret, and the codes of appendix D.
 */
#ifndef IB_OUCH50_INTERNAL_H
#define IB_OUCH50_INTERNAL_H

#include "ouch50.h"

enum { CLIENT_SIDE = 14, CLIENT_DISPLAY, CLIENT_CAPACITY, CLIENT_SWEEP, CLIENT_CROSS, CLIENT_TIME_IN_FORCE,
       CLIENT_CODE = 20 };
enum { CL_ORD_ID_SIZE = 14 };

_Static_assert((int)CLIENT_SIDE == (int)CL_ORD_ID_SIZE, "the letters follow ClOrdID");
_Static_assert(CLIENT_TIME_IN_FORCE < CLIENT_CODE, "the reject code follows the letters");
_Static_assert(CLIENT_CODE + sizeof(uint16_t) <= IB_CLIENT_DATA_SIZE, "all of it has room");

/* Appendix D. */
enum reject_code {
    CODE_INVALID_DISPLAY = 0x0003,
    CODE_INVALID_MAX_FLOOR = 0x0004,
    CODE_INVALID_PEG_TYPE = 0x0005,
    CODE_HALTED = 0x0007,
    CODE_INVALID_SIDE = 0x0009,
    CODE_PROCESSING_ERROR = 0x000A,
    CODE_FIRM_NOT_AUTHORIZED = 0x000C,
    CODE_INVALID_MIN_QUANTITY = 0x000D,
    CODE_OTHER = 0x000F,
    CODE_PEGGING_NOT_ALLOWED = 0x0011,
    CODE_INVALID_QUANTITY = 0x0013,
    CODE_INVALID_CROSS_ORDER = 0x0014,
    CODE_REPLACE_NOT_ALLOWED = 0x0015,
    CODE_ROUTING_NOT_ALLOWED = 0x0016,
    CODE_INVALID_SYMBOL = 0x0017,
    CODE_RETAIL_NOT_ALLOWED = 0x001A,
    CODE_INVALID_PRICE = 0x001D,
    CODE_EXCEEDS_SIZE = 0x001E,     /* shares exceed the threshold */
    CODE_EXCEEDS_NOTIONAL = 0x001F, /* maximum notional value */
};

#endif
