/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * snapshot_store.h: names of snapshots, for the files that read them and those that write them.
 */
#ifndef IB_SNAPSHOT_STORE_H
#define IB_SNAPSHOT_STORE_H

#include <stdint.h>

enum { IB_SNAPSHOT_NAME_SIZE = 40 }; /* 20 digits, ".snapshot", and room for ".new" with its closing zero */

void ib_snapshot_name(char name[IB_SNAPSHOT_NAME_SIZE], uint64_t seq);
/* The number in a snapshot's name; 0, which no snapshot has, for any other name. */
uint64_t ib_snapshot_seq_of(const char *name);

#endif
