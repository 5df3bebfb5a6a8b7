/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_ahead.h: a journal is read and checked by a thread of its own while its commands are visited by the caller:
 * recovery takes as long as the slower of the two.
 */
#ifndef IB_JOURNAL_AHEAD_H
#define IB_JOURNAL_AHEAD_H

#include "journal_reader.h"

/* Every command that is left in the reader to `visit`, on the thread that calls this. IB_OK at the end of the journal;
 * what the reader failed with, after everything before it has been visited; or what `visit` ended it with, and then
 * `*visit_status` says the same. Nobody else may touch the reader meanwhile. */
int ib_journal_visit_all(struct ib_journal_reader *reader, ib_journal_visit visit, void *context, int *visit_status);

#endif
