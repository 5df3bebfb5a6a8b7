/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * layout.h: the structs of ironbook.h lie on disk and on sockets as they lie in memory. Here the compiler checks that,
 * field by field. Whoever writes them out includes it.
 */
#ifndef IB_LAYOUT_H
#define IB_LAYOUT_H

#include "ironbook.h"

_Static_assert(sizeof(struct ib_command) == 128, "layout");
_Static_assert(sizeof(struct ib_instrument_command) == 128, "layout");
_Static_assert(offsetof(struct ib_command, seq) == 0, "layout");
_Static_assert(offsetof(struct ib_command, time_ns) == 8, "layout");
_Static_assert(offsetof(struct ib_command, type) == 16, "layout");
_Static_assert(offsetof(struct ib_command, session) == 18, "layout");
_Static_assert(offsetof(struct ib_command, instrument) == 20, "layout");
_Static_assert(offsetof(struct ib_command, user_ref) == 24, "layout");
_Static_assert(offsetof(struct ib_command, user_ref_original) == 28, "layout");
_Static_assert(offsetof(struct ib_command, price) == 32, "layout");
_Static_assert(offsetof(struct ib_command, quantity) == 40, "layout");
_Static_assert(offsetof(struct ib_command, side) == 48, "layout");
_Static_assert(offsetof(struct ib_command, time_in_force) == 49, "layout");
_Static_assert(offsetof(struct ib_command, order_type) == 50, "layout");
_Static_assert(offsetof(struct ib_command, reason) == 51, "layout");
_Static_assert(offsetof(struct ib_command, self_trade) == 52, "layout");
_Static_assert(offsetof(struct ib_command, flags) == 53, "layout");
_Static_assert(offsetof(struct ib_command, account) == 54, "layout");
_Static_assert(offsetof(struct ib_command, displayed) == 56, "layout");
_Static_assert(offsetof(struct ib_command, minimum) == 64, "layout");
_Static_assert(offsetof(struct ib_command, client_data) == 72, "layout");
_Static_assert(offsetof(struct ib_command, stop_price) == 96, "layout");
_Static_assert(offsetof(struct ib_command, expire_time_ns) == 104, "layout");
_Static_assert(offsetof(struct ib_command, value) == 112, "layout");
_Static_assert(offsetof(struct ib_command, phase) == 120, "layout");
_Static_assert(offsetof(struct ib_command, limit) == 121, "layout");
_Static_assert(offsetof(struct ib_command, reserved) == 122, "layout");
_Static_assert(offsetof(struct ib_instrument_command, instrument) == offsetof(struct ib_command, instrument), "layout");
_Static_assert(offsetof(struct ib_instrument_command, tick) == offsetof(struct ib_command, price), "layout");
_Static_assert(offsetof(struct ib_instrument_command, lot) == 40, "layout");
_Static_assert(offsetof(struct ib_instrument_command, price_scale) == 48, "layout");
_Static_assert(offsetof(struct ib_instrument_command, schedule) == 52, "layout");
_Static_assert(offsetof(struct ib_instrument_command, static_band) == 56, "layout");
_Static_assert(offsetof(struct ib_instrument_command, dynamic_band) == 64, "layout");
_Static_assert(offsetof(struct ib_instrument_command, symbol) == offsetof(struct ib_command, client_data), "layout");
_Static_assert(offsetof(struct ib_instrument_command, reference_price) == 96, "layout");

_Static_assert(sizeof(struct ib_event) == 128, "layout");
_Static_assert(offsetof(struct ib_event, seq) == 0, "layout");
_Static_assert(offsetof(struct ib_event, time_ns) == 8, "layout");
_Static_assert(offsetof(struct ib_event, index) == 16, "layout");
_Static_assert(offsetof(struct ib_event, type) == 20, "layout");
_Static_assert(offsetof(struct ib_event, session) == 22, "layout");
_Static_assert(offsetof(struct ib_event, instrument) == 24, "layout");
_Static_assert(offsetof(struct ib_event, user_ref) == 28, "layout");
_Static_assert(offsetof(struct ib_event, user_ref_original) == 32, "layout");
_Static_assert(offsetof(struct ib_event, side) == 36, "layout");
_Static_assert(offsetof(struct ib_event, time_in_force) == 37, "layout");
_Static_assert(offsetof(struct ib_event, order_type) == 38, "layout");
_Static_assert(offsetof(struct ib_event, reason) == 39, "layout");
_Static_assert(offsetof(struct ib_event, order_ref) == 40, "layout");
_Static_assert(offsetof(struct ib_event, match_ref) == 48, "layout");
_Static_assert(offsetof(struct ib_event, price) == 56, "layout");
_Static_assert(offsetof(struct ib_event, quantity) == 64, "layout");
_Static_assert(offsetof(struct ib_event, remaining) == 72, "layout");
_Static_assert(offsetof(struct ib_event, flags) == 80, "layout");
_Static_assert(offsetof(struct ib_event, session_seq) == 84, "layout");
_Static_assert(offsetof(struct ib_event, displayed) == 88, "layout");
_Static_assert(offsetof(struct ib_event, phase) == 96, "layout");
_Static_assert(offsetof(struct ib_event, limit) == 97, "layout");
_Static_assert(offsetof(struct ib_event, account) == 98, "layout");
_Static_assert(offsetof(struct ib_event, reserved) == 100, "layout");
_Static_assert(offsetof(struct ib_event, client_data) == 104, "layout");

#endif
