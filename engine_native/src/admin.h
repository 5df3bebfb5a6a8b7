/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin.h: admin.sock. One line asks, one line of JSON answers. docs/protocols/admin.md has the requests and keys.
 *
 * The socket's own part: connections, lines, waiting. What a request means is the engine's, through the hooks: an
 * answer is given once everything that was sequenced before it, and the request itself, may be shown.
 *
 * Everything here runs on the I/O thread.
 */
#ifndef IB_ADMIN_H
#define IB_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io_loop.h"
#include "ironbook.h"

enum ib_admin_request {
    IB_ADMIN_STATUS,
    IB_ADMIN_TOTALS,
    IB_ADMIN_HALT,
    IB_ADMIN_RESUME,
    IB_ADMIN_END_OF_DAY,
    IB_ADMIN_INSTRUMENTS, /* with a number; asks nothing of the matcher */
    IB_ADMIN_INSTRUMENT,  /* with a symbol; asks nothing of the matcher */
    IB_ADMIN_SWITCH_OVER, /* with a number; sequences nothing */
    IB_ADMIN_PHASE, /* from here on with arguments, answered by the events of their command */
    IB_ADMIN_INSTRUMENT_ADD,
    IB_ADMIN_INSTRUMENT_CHANGE,
    IB_ADMIN_INSTRUMENT_REMOVE,
    IB_ADMIN_RISK_LIMIT,
    IB_ADMIN_KILL,
    IB_ADMIN_REVIVE,
    IB_ADMIN_MASS_CANCEL,
    IB_ADMIN_REQUEST_COUNT,
};

enum { IB_ADMIN_ANSWER_SIZE = 196608 }; /* 1,024 sessions take 100 bytes each */

_Static_assert(IB_ADMIN_ANSWER_SIZE >= IB_SESSIONS_MAX * 128 + 16384, "room for every session, and for the rest");

struct ib_admin_hooks {
    void *context;
    /* Begins a request: its ticket, or false and why not (it goes into the answer as "error"). `arguments` is what
     * stands behind the request's name, and may be cut into words. */
    bool (*begin)(void *context, enum ib_admin_request request, char *arguments, uint64_t *ticket, const char **error);
    /* True when the answer to a ticket can be written. */
    bool (*ready)(void *context, enum ib_admin_request request, uint64_t ticket);
    /* Writes the answer, at most IB_ADMIN_ANSWER_SIZE bytes, without a line end; returns its size. */
    size_t (*answer)(void *context, enum ib_admin_request request, uint64_t ticket, char *out);
};

/* As it is asked for. */
const char *ib_admin_request_name(enum ib_admin_request request);

struct ib_admin;

int ib_admin_open(struct ib_admin **admin, const char *run_directory, struct ib_io_loop *loop,
                  struct ib_admin_hooks hooks, char *error);
void ib_admin_close(struct ib_admin *admin);
/* Answers what has become ready. Call in each turn of the loop. */
void ib_admin_progress(struct ib_admin *admin);

#endif
