/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_define.h: definitions as such, whoever makes them: a command (matcher_admin.c), or a snapshot
 * (matcher_restore.c). The caller has seen that they are sound, new, and have room.
 */
#ifndef IB_MATCHER_DEFINE_H
#define IB_MATCHER_DEFINE_H

#include "matcher_state.h"

int ib_instrument_is_sound(const struct ib_instrument *instrument);
/* The next instrument, which may be one that was removed. */
void ib_matcher_define_instrument(struct ib_matcher *matcher, const struct ib_instrument *instrument);
/* The next session; `name` is username and firm. */
struct ib_session *ib_matcher_define_session(struct ib_matcher *matcher, const char *name, uint16_t account);
/* Rules, trading state or instruments are other ones now: says whose plain orders take the path. */
void ib_matcher_open_path(struct ib_matcher *matcher);

#endif
