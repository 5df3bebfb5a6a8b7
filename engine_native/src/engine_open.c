/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_open.c: how an engine comes to its state. Everything that it knows of trading comes from the journal, or from
 * a snapshot of it and the journal behind that; what the configuration changes of it (engine_configure.c) is itself a
 * sequenced command.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "engine_internal.h"
#include "snapshot.h"

/* Who may write to it could put a file or a socket of their own in the place of ours. */
static bool is_our_own(const char *directory)
{
    struct stat about;
    IB_ASSERT(directory != NULL);
    return stat(directory, &about) != 0 || (about.st_uid == geteuid() && (about.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

/* One engine to a run directory: a second one would empty the first one's event log under its feet. */
static int lock_run_directory(struct ib_engine *engine, char *error)
{
    char path[512];
    const char *directory = engine->config.run_directory;
    IB_ASSERT(directory != NULL && error != NULL);
    IB_ASSERT(engine->run_lock < 0);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "run_directory %.200s cannot be made: %s", directory, strerror(errno));
        return IB_ERROR_IO;
    }
    if (!is_our_own(directory)) {
        snprintf(error, IB_ERROR_TEXT_SIZE,
                 "run_directory %.200s can be written to by others: make it the engine's own user's, with mode 0700",
                 directory);
        return IB_ERROR_IO;
    }
    int length = snprintf(path, sizeof path, "%s/engine.lock", directory);
    engine->run_lock =
        length > 0 && (size_t)length < sizeof path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (engine->run_lock < 0) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "run_directory %.200s cannot be used: %s", directory, strerror(errno));
        return IB_ERROR_IO;
    }
    if (flock(engine->run_lock, LOCK_EX | LOCK_NB) != 0) {
        snprintf(error, IB_ERROR_TEXT_SIZE,
                 "another engine runs in run_directory %.200s: stop it, or give this one another run_directory",
                 directory);
        return IB_ERROR_ADDRESS;
    }
    return IB_OK;
}

static int apply(struct ib_engine *engine, const struct ib_command *command)
{
    IB_ASSERT(engine->log != NULL && engine->matcher != NULL);
    ib_past_command(&engine->past, command);
    int status = ib_matcher_apply(engine->matcher, command, ib_event_log_sink(engine->log));
    if (status == IB_OK) {
        IB_ASSERT(ib_matcher_seq(engine->matcher) == command->seq);
        status = ib_event_log_status(engine->log);
    }
    size_t count;
    const struct ib_event *events = ib_event_log_unpublished(engine->log, &count);
    ib_past_events(&engine->past, engine->matcher, events, count);
    ib_event_log_publish(engine->log);
    return status;
}

/* Commands of the journal, some at a time. Their events come to `see` when they are written, and are published when all
 * of it is there. */
static int visit(void *context, const struct ib_command *commands, size_t count)
{
    struct ib_engine *engine = context;
    struct ib_entry_source *entries = engine->replication != NULL ? &engine->replication->entries : NULL;
    size_t applied;
    int status = IB_OK;
    IB_ASSERT(commands != NULL && count > 0);
    for (size_t i = 0; i < count && status == IB_OK; i++) {
        ib_past_command(&engine->past, &commands[i]);
        if (entries != NULL) {
            status = ib_entry_source_note(entries, commands[i].seq, ib_entry_source_follow(entries, &commands[i]));
        }
    }
    if (status == IB_OK) {
        status = ib_matcher_apply_group(engine->matcher, commands, count, ib_event_log_sink(engine->log), &applied);
    }
    IB_ASSERT(status != IB_OK || ib_matcher_seq(engine->matcher) == commands[count - 1].seq);
    return status == IB_OK ? ib_event_log_status(engine->log) : status;
}

static void see(void *context, const struct ib_event *events, size_t count)
{
    struct ib_engine *engine = context;
    IB_ASSERT(engine->matcher != NULL);
    ib_past_events(&engine->past, engine->matcher, events, count);
}

void ib_engine_journal_error(int status, const char *cause, char *error)
{
    const char *remedy = ""; /* damage and configuration name theirs in the cause */
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(cause != NULL && error != NULL);
    if (status == IB_ERROR_JOURNAL_FOREIGN) {
        remedy = ": give this shard a journal_directory of its own";
    } else if (status == IB_ERROR_IO && strstr(cause, "another engine") != NULL) {
        remedy = ": stop it, or give this one another journal_directory";
    } else if (status == IB_ERROR_IO || status == IB_ERROR_CAPACITY) {
        remedy = ": see to journal_directory, its permissions and the room on its disk, and start the engine again. "
                 "Nothing that was acknowledged is lost";
    }
    int room = IB_ERROR_TEXT_SIZE - 1 - (int)strlen(remedy);
    snprintf(error, IB_ERROR_TEXT_SIZE, "%.*s%s", room, cause, remedy);
}

static void say_events(const struct ib_engine *engine, char *error)
{
    IB_ASSERT(engine->config.events > 0);
    IB_ASSERT(error != NULL);
    snprintf(error, IB_ERROR_TEXT_SIZE, "the journal has more than limits.events = %llu events: raise limits.events",
             (unsigned long long)engine->config.events);
}

/* The engine begins with a snapshot: the state, what the shell knows of the past, and the place of the next event. */
static int begin_with(struct ib_engine *engine, struct ib_snapshot *snapshot, char *error)
{
    struct ib_event_log_history history = {.count = snapshot->report.event_count,
                                           .seq = snapshot->past.event_seq,
                                           .index = snapshot->past.event_index};
    IB_ASSERT(engine->matcher == NULL && snapshot->matcher != NULL);
    engine->matcher = snapshot->matcher;
    snapshot->matcher = NULL;
    engine->past = snapshot->past;
    engine->snapshot_seq = snapshot->report.seq;
    engine->snapshot_hash = snapshot->report.state_hash;
    for (uint16_t i = 0; i < ib_matcher_session_count(engine->matcher); i++) {
        history.session_seqs[i] = ib_matcher_session(engine->matcher, i)->session_seq;
    }
    int status = ib_event_log_begin_behind(engine->log, &history);
    if (status == IB_ERROR_CAPACITY) {
        say_events(engine, error);
    }
    if (status == IB_OK && engine->replication != NULL) {
        const struct ib_entry_mark mark = {.epoch = snapshot->report.entry_epoch,
                                           .chain = snapshot->report.entry_chain};
        status = ib_entry_source_begin_behind(&engine->replication->entries, engine->snapshot_seq, mark);
    }
    IB_ASSERT(ib_matcher_seq(engine->matcher) == engine->snapshot_seq);
    return status;
}

static int open_matcher(struct ib_engine *engine, char *error)
{
    int status = ib_matcher_open(&engine->matcher, engine->config.orders);
    if (status != IB_OK) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "no memory for limits.orders = %u: lower it", engine->config.orders);
    }
    IB_ASSERT((status == IB_OK) == (engine->matcher != NULL));
    return status;
}

/* The newest sound snapshot beside the journal, if there is one; `*place` is where it stands. `note` gets a line about
 * those that were passed over: of a member each that does not fit, since its journal is whole, and compared. */
static int open_snapshot(struct ib_engine *engine, struct ib_journal_place *place, char *note, char *error)
{
    struct ib_snapshot *snapshot = NULL;
    struct ib_journal_reader *reader = NULL;
    const struct ib_snapshot_wanted wanted = {.directory = engine->config.journal_directory,
                                              .shard = engine->config.shard,
                                              .orders = engine->config.orders,
                                              .marked = engine->replication != NULL,
                                              .fitting = engine->replication != NULL};
    IB_ASSERT(engine->matcher == NULL && engine->snapshot_seq == 0);
    char cause[IB_ERROR_TEXT_SIZE] = "";
    int status = ib_snapshot_newest(&snapshot, &wanted, note, cause);
    if (status == IB_OK && snapshot != NULL) {
        *place = ib_snapshot_place(snapshot);
        status = ib_snapshot_follow(snapshot, &wanted, note, &reader, cause); /* does the journal fit? */
        ib_journal_reader_close(reader);
    }
    if (status != IB_OK) {
        ib_engine_journal_error(status, cause, error);
    }
    if (status == IB_OK && snapshot != NULL) {
        status = begin_with(engine, snapshot, error);
    } else if (status == IB_OK) {
        status = open_matcher(engine, error);
    }
    ib_snapshot_close(snapshot);
    IB_ASSERT((status == IB_OK) <= (engine->matcher != NULL));
    return status;
}

/* The journal into the matcher and the event log. */
static int load(struct ib_engine *engine, const struct ib_journal_config *config, struct ib_journal_report *report)
{
    IB_ASSERT(engine->matcher != NULL && engine->log != NULL);
    IB_ASSERT(engine->journal == NULL);
    int status = ib_event_log_load(engine->log, see, engine);
    if (status != IB_OK) {
        return status;
    }
    status = ib_journal_open(&engine->journal, config, visit, engine, report);
    ib_event_log_loaded(engine->log);
    return status == IB_OK ? ib_event_log_status(engine->log) : status;
}

static int recover_journal(struct ib_engine *engine, char *error)
{
    struct ib_journal_report report = {0};
    struct ib_journal_place place = {0};
    char note[IB_ERROR_TEXT_SIZE] = "";
    IB_ASSERT(engine->journal == NULL && engine->matcher == NULL);
    int status = open_snapshot(engine, &place, note, error);
    if (status != IB_OK) {
        return status;
    }
    const struct ib_journal_config config = {.directory = engine->config.journal_directory,
                                             .shard = engine->config.shard,
                                             .orders = engine->config.orders,
                                             .epoch = engine->replication != NULL ? 0 : engine->config.epoch,
                                             .segment_bytes = engine->config.segment_bytes,
                                             .fsync_policy = engine->config.fsync_policy,
                                             .behind = place.seq > 0 ? &place : NULL};
    status = load(engine, &config, &report);
    if (status == IB_OK) {
        IB_ASSERT(ib_journal_seq(engine->journal) == ib_matcher_seq(engine->matcher));
        engine->torn_bytes = report.torn_bytes;
        if (note[0] != '\0') {
            fprintf(stderr, "ironbook: engine: %s\n", note);
        }
        if (place.seq > 0) {
            fprintf(stderr, "ironbook: engine: shard %u replica %u begins with the snapshot of sequence %llu, and the "
                    "%llu commands behind it\n", engine->config.shard, engine->config.replica,
                    (unsigned long long)place.seq, (unsigned long long)report.records);
        }
        return IB_OK;
    }
    int log_status = ib_event_log_status(engine->log);
    if (log_status == IB_ERROR_CAPACITY) {
        say_events(engine, error);
    } else if (log_status != IB_OK) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "the event log in run_directory cannot be written: is its disk full?");
    } else if (report.error[0] != '\0') {
        size_t length = strlen(report.error);
        if (note[0] != '\0') { /* a snapshot that was passed over may be why it was needed */
            snprintf(report.error + length, sizeof report.error - length, "; %.250s", note);
        }
        ib_engine_journal_error(status, report.error, error);
    } else {
        snprintf(error, IB_ERROR_TEXT_SIZE, "the journal in %.300s cannot be opened: %s", config.directory,
                 ib_status_text(status));
    }
    return status;
}

int ib_engine_sequence(struct ib_engine *engine, struct ib_command *command, char *error)
{
    IB_ASSERT(command->seq == 0 && command->type != 0);
    if (engine->replication != NULL) {
        return ib_engine_sequence_as_primary(engine, command, error);
    }
    IB_ASSERT(ib_journal_seq(engine->journal) == ib_matcher_seq(engine->matcher));
    uint64_t now_ns = ib_clock_ns(CLOCK_REALTIME);
    uint64_t last_ns = ib_journal_time_ns(engine->journal);
    command->seq = ib_journal_seq(engine->journal) + 1;
    command->time_ns = now_ns > last_ns ? now_ns : last_ns;
    int status = ib_journal_append(engine->journal, command, 1);
    if (status != IB_OK) {
        ib_engine_journal_error(status, ib_journal_error(engine->journal), error);
        return status;
    }
    status = apply(engine, command);
    if (status != IB_OK) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "limits.events = %llu is too low for the journal: raise it",
                 (unsigned long long)engine->config.events);
    }
    return status;
}

int ib_engine_recover(struct ib_engine *engine, char *error)
{
    char path[512];
    IB_ASSERT(engine->journal == NULL && engine->matcher == NULL && engine->log == NULL);
    IB_ASSERT(error != NULL);
    int status = lock_run_directory(engine, error);
    if (status != IB_OK) {
        return status;
    }
    snprintf(path, sizeof path, "%s/events.log", engine->config.run_directory);
    status = ib_event_log_open(&engine->log, path, engine->config.events, error);
    if (status != IB_OK) {
        size_t length = strlen(error);
        snprintf(error + length, IB_ERROR_TEXT_SIZE - length, ": see to run_directory, its permissions and the room on "
                                                              "its disk, or lower limits.events");
        return status;
    }
    if (engine->config.replication != NULL) {
        status = ib_replication_prepare(&engine->replication, &engine->config, error);
    }
    if (status == IB_OK) {
        status = recover_journal(engine, error);
    }
    if (status != IB_OK) {
        return status;
    }
    engine->recovered_seq = ib_journal_seq(engine->journal);
    engine->is_new = engine->recovered_seq == 0;
    /* What a member's configuration adds is sequenced when it is primary. */
    return engine->replication != NULL ? IB_OK : ib_engine_configure(engine, error);
}
