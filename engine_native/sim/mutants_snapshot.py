# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the writing and loading of a snapshot: name, file, line, fault.

A flow or the simulation, whose state goes through snapshots, or the test of a small one, must notice each of them.
"""

from __future__ import annotations

MUTANTS = [
    # what is forgotten
    ("a snapshot forgets the sessions' last numbers", "matcher_restore", "session->session_seq = session_seq;", ""),
    ("a snapshot forgets the present second's messages", "matcher_restore", "account->messages = messages;", ""),
    (
        "a snapshot forgets the last prices",
        "matcher_restore",
        "        ib_matcher_set_last_price(matcher, index, last_price);",
        "",
    ),
    (
        "a snapshot forgets the positions",
        "matcher_restore",
        "ib_risk_trade(risk, &risk->rows[index], position < 0, quantity);",
        "",
    ),
    (
        "a snapshot forgets what is open",
        "matcher_restore",
        "ib_risk_add(row, entry.side_index & 1, entry.remaining);",
        "",
    ),
    ("a snapshot forgets its past", "matcher_restore", "past->disabled[i] = bits[i / 8] >> i % 8 & 1;", ""),
    (
        "a snapshot forgets who waits for the close",
        "matcher_dump",
        "for (uint32_t index = ib_walk_next(&walk); index != IB_NONE; index = ib_walk_next(&walk)) {",
        "for (uint32_t index = ib_walk_next(&walk); index != IB_NONE && walk.stage < 6; index = ib_walk_next(&walk)) {",
    ),
    # what is turned round
    (
        "a snapshot turns priority round",
        "matcher_restore",
        "    (void)ib_book_put(book, &entry, (parts & IB_DUMP_EXTRA) != 0 ? &extra : NULL);",
        """    uint32_t put = ib_book_put(book, &entry, (parts & IB_DUMP_EXTRA) != 0 ? &extra : NULL);
    (void)ib_ring_unlink(book->orders.slots, &ib_book_order(book, put)->links);
    uint32_t first = ib_book_links(book, ib_book_order(book, put)->level)->next;
    ib_ring_append(book->orders.slots, first, &ib_book_order(book, put)->links, ib_name_of(put));""",
    ),
    (
        "an iceberg shows all of itself again",
        "matcher_dump",
        "ib_put_u64(&record, extra->shown);",
        "ib_put_u64(&record, extra->displayed);",
    ),
    (
        "the rows of the risk gate are written as they lie",
        "matcher_dump",
        "qsort(keys, risk->row_count, sizeof *keys, compare_keys);",
        "(void)compare_keys;",
    ),
    # what is believed
    ("the state hash is not compared", "matcher_restore", "if (totals.state_hash != head->state_hash) {", "if (0) {"),
    (
        "a file's sum is not compared",
        "snapshot_format",
        "if (memcmp(digest, bytes + size - IB_SHA256_SIZE, sizeof digest) != 0) {",
        "if (0) {",
    ),
    ("a section may be another one", "snapshot_format", " || found != kind) {", ") {"),
    ("a section may have a rest", "matcher_restore", "wrong = is_read(&parts[kind]) ? NULL :", "wrong = kind ? NULL :"),
    ("a killed account lives again", "matcher_restore", "ib_risk_kill(risk, index, killed);", ""),
]
