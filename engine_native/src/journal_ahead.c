/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_ahead.c: see journal_ahead.h. Two threads, and some batches that go round between them: `empty` counts those
 * that may be filled, `full` those that may be visited. The reader's thread ends behind the last batch, which is the
 * first one that has no command or a failure; or at the next one when the visitor wants no more.
 */
#define _GNU_SOURCE
#include "journal_ahead.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"

enum { BATCHES = 4, BATCH = 1024 /* commands: 128 KiB */ };

struct batch {
    struct ib_command commands[BATCH];
    size_t count;
    int status;
};

struct ahead {
    struct ib_journal_reader *reader;
    sem_t empty, full;
    _Atomic bool unwanted; /* the visitor has failed */
    struct batch batches[BATCHES];
};

static void wait_for(sem_t *semaphore)
{
    int result;
    do {
        result = sem_wait(semaphore);
    } while (result != 0 && errno == EINTR);
    IB_ASSERT(result == 0);
}

static bool is_last(const struct batch *batch)
{
    IB_ASSERT(batch->count <= BATCH);
    IB_ASSERT(batch->status == IB_OK || batch->count == 0); /* what came before a failure was a batch of its own */
    return batch->count == 0;
}

static void *read_ahead(void *context)
{
    struct ahead *ahead = context;
    bool ended = false;
    for (size_t i = 0; !ended; i = (i + 1) % BATCHES) {
        struct batch *batch = &ahead->batches[i];
        wait_for(&ahead->empty);
        if (atomic_load(&ahead->unwanted)) {
            break;
        }
        batch->status = ib_journal_reader_next(ahead->reader, batch->commands, BATCH, &batch->count);
        ended = is_last(batch); /* before it is given away */
        (void)sem_post(&ahead->full);
    }
    return NULL;
}

/* Signals are the engine's I/O thread's. */
static int start(pthread_t *thread, struct ahead *ahead)
{
    sigset_t all, before;
    IB_ASSERT(ahead->reader != NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(thread, NULL, read_ahead, ahead);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result == 0 ? IB_OK : IB_ERROR_MEMORY;
}

static int visit_batches(struct ahead *ahead, ib_journal_visit visit, void *context, int *visit_status)
{
    IB_ASSERT(visit != NULL);
    IB_ASSERT(*visit_status == IB_OK);
    for (size_t i = 0;; i = (i + 1) % BATCHES) {
        const struct batch *batch = &ahead->batches[i];
        wait_for(&ahead->full);
        if (is_last(batch)) {
            return batch->status;
        }
        *visit_status = visit(context, batch->commands, batch->count);
        if (*visit_status != IB_OK) {
            atomic_store(&ahead->unwanted, true);
        }
        (void)sem_post(&ahead->empty);
        if (*visit_status != IB_OK) {
            return *visit_status;
        }
    }
}

int ib_journal_visit_all(struct ib_journal_reader *reader, ib_journal_visit visit, void *context, int *visit_status)
{
    pthread_t thread;
    IB_ASSERT(reader != NULL && visit_status != NULL);
    *visit_status = IB_OK;
    struct ahead *ahead = malloc(sizeof *ahead);
    if (ahead == NULL) {
        return IB_ERROR_MEMORY;
    }
    ahead->reader = reader;
    ahead->unwanted = false;
    (void)sem_init(&ahead->empty, 0, BATCHES);
    (void)sem_init(&ahead->full, 0, 0);
    int status = start(&thread, ahead);
    if (status == IB_OK) {
        status = visit_batches(ahead, visit, context, visit_status);
        int result = pthread_join(thread, NULL);
        IB_ASSERT(result == 0);
    }
    (void)sem_destroy(&ahead->empty);
    (void)sem_destroy(&ahead->full);
    free(ahead);
    return status;
}
