/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_cut.h: taking back the end of a journal that nobody has open: what a member journaled and no primary ever
 * committed (R5). Nothing else may shorten a journal.
 */
#ifndef IB_JOURNAL_CUT_H
#define IB_JOURNAL_CUT_H

#include <stdbool.h>
#include <stdint.h>

/* Cuts off what is behind command `seq`, durably, with the seals and snapshots that speak of it. A crash in between
 * leaves a longer end, sound as before: cut again. Done already: IB_OK. On failure `error` (IB_ERROR_TEXT_SIZE) has the
 * line for people: IB_ERROR_IO; IB_ERROR_JOURNAL_DAMAGED: what stands at the place is not that command's record, and
 * nothing was changed. */
int ib_journal_cut(const char *directory, uint64_t seq, char *error);

#endif
