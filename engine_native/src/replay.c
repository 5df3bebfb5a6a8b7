/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replay.c: a journal through a fresh matcher, or behind a snapshot, offline: the events, the totals and the state hash
 * that the journal stands for. It runs beside a live engine, which it neither locks nor disturbs, and it may allocate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "snapshot.h"

enum { BATCH = 1024 };

struct ib_replay {
    struct ib_journal_reader *reader;
    struct ib_matcher *matcher;
    uint64_t from_seq;  /* of the snapshot that it began with; 0 = none */
    uint64_t until_seq; /* 0 = to the end */
    int status;         /* the first failure is kept */
    size_t command_next; /* commands read, not yet applied: [command_next, command_count) */
    size_t command_count;
    size_t event_next; /* events that did not surely fit where they were asked for, not yet handed out */
    size_t event_count;
    size_t event_capacity;
    struct ib_event *events;
    char note[IB_ERROR_TEXT_SIZE];
    char error[IB_ERROR_TEXT_SIZE]; /* of a snapshot, before there is a reader */
    struct ib_command commands[BATCH];
};

/* Room in the replay's own memory for all events of the next command. */
static int make_room(struct ib_replay *replay)
{
    IB_ASSERT(replay->matcher != NULL);
    IB_ASSERT(replay->event_next == replay->event_count);
    size_t needed = (size_t)ib_matcher_events_max(replay->matcher);
    if (needed <= replay->event_capacity) {
        return IB_OK;
    }
    free(replay->events);
    replay->event_capacity = 0;
    replay->events = malloc(2 * needed * sizeof *replay->events);
    if (replay->events == NULL) {
        return IB_ERROR_MEMORY;
    }
    replay->event_capacity = 2 * needed;
    return IB_OK;
}

/* The commands that come next, at most BATCH; `*count` 0: the end, of the journal or by until_seq. */
static int peek(struct ib_replay *replay, size_t *count)
{
    IB_ASSERT(replay->command_next <= replay->command_count);
    IB_ASSERT(replay->status == IB_OK);
    uint64_t seq = ib_matcher_seq(replay->matcher);
    *count = 0;
    if (replay->until_seq != 0 && seq >= replay->until_seq) {
        return IB_OK;
    }
    if (replay->command_next == replay->command_count) {
        replay->command_next = replay->command_count = 0;
        int status = ib_journal_reader_next(replay->reader, replay->commands, BATCH, &replay->command_count);
        if (status != IB_OK) {
            return status;
        }
    }
    *count = replay->command_count - replay->command_next;
    if (replay->until_seq != 0 && *count > replay->until_seq - seq) {
        *count = (size_t)(replay->until_seq - seq);
    }
    return IB_OK;
}

/* Writes events of the next commands to `events`, `*count` of them; at most `capacity` in all. Where those of the next
 * command might not fit, it goes through the replay's own memory. `*more` 0: there is no next command. */
static int step(struct ib_replay *replay, struct ib_event *events, size_t capacity, size_t *count, int *more)
{
    IB_ASSERT(replay->event_next == replay->event_count);
    IB_ASSERT(events != NULL && capacity > 0);
    size_t commands;
    size_t consumed;
    *count = 0;
    int status = peek(replay, &commands);
    *more = commands > 0;
    if (status != IB_OK || commands == 0) {
        return status;
    }
    const struct ib_command *next = &replay->commands[replay->command_next];
    status = ib_matcher_apply_batch(replay->matcher, next, commands, events, capacity, &consumed, count);
    if (status == IB_OK && consumed == 0) {
        status = make_room(replay);
        if (status == IB_OK) {
            status = ib_matcher_apply_batch(replay->matcher, next, 1, replay->events, replay->event_capacity, &consumed,
                                            &replay->event_count);
            replay->event_next = 0;
        }
    }
    replay->command_next += consumed;
    IB_ASSERT(replay->command_next <= replay->command_count);
    IB_ASSERT(*count <= capacity);
    return status;
}

/* Whole: from the first command on. */
static int begin(struct ib_replay *replay, const struct ib_snapshot_wanted *wanted, int whole)
{
    struct ib_snapshot *snapshot = NULL;
    IB_ASSERT(replay->reader == NULL && replay->matcher == NULL);
    IB_ASSERT(wanted->directory != NULL && wanted->until_seq == replay->until_seq);
    int status = whole ? IB_OK : ib_snapshot_newest(&snapshot, wanted, replay->note, replay->error);
    if (status == IB_OK) {
        status = ib_snapshot_follow(snapshot, wanted, replay->note, &replay->reader, replay->error);
    }
    if (status == IB_OK && snapshot != NULL) {
        replay->from_seq = snapshot->report.seq;
        replay->matcher = snapshot->matcher;
        snapshot->matcher = NULL;
    } else if (status == IB_OK) {
        status = ib_matcher_open(&replay->matcher, ib_journal_reader_report(replay->reader)->orders);
    }
    IB_ASSERT(status != IB_OK || ib_matcher_seq(replay->matcher) == replay->from_seq);
    ib_snapshot_close(snapshot);
    return status;
}

static int open_replay(struct ib_replay **replay, const char *directory, uint64_t until_seq, int whole)
{
    if (replay == NULL || directory == NULL || until_seq > IB_SEQ_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    *replay = calloc(1, sizeof **replay);
    if (*replay == NULL) {
        return IB_ERROR_MEMORY;
    }
    const struct ib_snapshot_wanted wanted = {
        .directory = directory, .shard = IB_JOURNAL_SHARD_ANY, .until_seq = until_seq};
    (*replay)->until_seq = until_seq;
    (*replay)->status = begin(*replay, &wanted, whole);
    IB_ASSERT((*replay)->status != IB_OK || (*replay)->matcher != NULL);
    return (*replay)->status; /* the replay stays, for its error; it must be closed */
}

int ib_replay_open(struct ib_replay **replay, const char *directory, uint64_t until_seq)
{
    return open_replay(replay, directory, until_seq, 1);
}

int ib_replay_open_behind(struct ib_replay **replay, const char *directory, uint64_t until_seq)
{
    return open_replay(replay, directory, until_seq, 0);
}

uint64_t ib_replay_from_seq(const struct ib_replay *replay)
{
    IB_ASSERT(replay != NULL);
    IB_ASSERT(replay->until_seq == 0 || replay->from_seq <= replay->until_seq); /* no snapshot from behind the end */
    return replay->from_seq;
}

const char *ib_replay_note(const struct ib_replay *replay)
{
    IB_ASSERT(replay != NULL);
    IB_ASSERT(memchr(replay->note, '\0', sizeof replay->note) != NULL);
    return replay->note;
}

const char *ib_replay_error(const struct ib_replay *replay)
{
    IB_ASSERT(replay != NULL);
    const char *journal = replay->reader != NULL ? ib_journal_reader_report(replay->reader)->error : "";
    return replay->error[0] != '\0' ? replay->error : journal;
}

int ib_replay_events(struct ib_replay *replay, struct ib_event *events, size_t capacity, size_t *count)
{
    if (replay == NULL || count == NULL || (events == NULL && capacity > 0)) {
        return IB_ERROR_ARGUMENT;
    }
    *count = 0;
    int more = 1;
    IB_ASSERT(replay->event_next <= replay->event_count && replay->event_count <= replay->event_capacity);
    while (replay->status == IB_OK && more && *count < capacity) {
        size_t waiting = replay->event_count - replay->event_next;
        size_t taken = waiting < capacity - *count ? waiting : capacity - *count;
        if (taken > 0) {
            memcpy(events + *count, replay->events + replay->event_next, taken * sizeof *events);
            replay->event_next += taken;
        } else {
            replay->status = step(replay, events + *count, capacity - *count, &taken, &more);
        }
        *count += taken;
    }
    IB_ASSERT(*count <= capacity);
    /* What came before a failure is handed out first; the next call repeats the failure. */
    return *count > 0 ? IB_OK : replay->status;
}

int ib_replay_run(struct ib_replay *replay)
{
    if (replay == NULL) {
        return IB_ERROR_ARGUMENT;
    }
    size_t count = 1;
    replay->event_next = replay->event_count = 0;
    while (replay->status == IB_OK && count > 0) {
        replay->status = peek(replay, &count);
        if (count > 0) {
            size_t applied;
            replay->status = ib_matcher_apply_group(replay->matcher, &replay->commands[replay->command_next], count,
                                                    NULL, &applied);
            IB_ASSERT(applied <= count && (applied == count || replay->status != IB_OK));
            replay->command_next += applied;
        }
    }
    return replay->status;
}

void ib_replay_totals(const struct ib_replay *replay, struct ib_totals *totals)
{
    IB_ASSERT(replay != NULL && totals != NULL);
    *totals = (struct ib_totals){0};
    if (replay->matcher != NULL) {
        ib_matcher_totals(replay->matcher, totals);
    }
}

int ib_replay_check(const struct ib_replay *replay, char *text, size_t text_size)
{
    IB_ASSERT(replay != NULL && text != NULL);
    if (replay->matcher == NULL) {
        (void)snprintf(text, text_size, "the replay never began");
        return IB_ERROR_ARGUMENT;
    }
    return ib_matcher_check(replay->matcher, text, text_size);
}

void ib_replay_close(struct ib_replay *replay)
{
    if (replay == NULL) {
        return;
    }
    ib_journal_reader_close(replay->reader);
    ib_matcher_close(replay->matcher);
    free(replay->events);
    free(replay);
}
