/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_reader_open.c: where the reading of a journal begins: with its first record, or behind a place that a
 * snapshot names. Then the segments before that place need not be there; its own is read from its header on, so that
 * the chain is computed up to the place, and compared.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "journal_reader.h"
#include "journal_record.h"

enum { SKIP_BATCH = 1024 };

static int list_directory(struct ib_journal_reader *reader, const char *directory)
{
    IB_ASSERT(directory != NULL);
    IB_ASSERT(reader->directory_fd < 0);
    char *error = reader->report.error;
    reader->directory = strdup(directory);
    if (reader->directory == NULL) {
        return IB_ERROR_MEMORY;
    }
    reader->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reader->directory_fd < 0) {
        ib_journal_say(error, directory, "cannot open the journal's directory: %s", strerror(errno));
        return IB_ERROR_IO;
    }
    int status = ib_segment_list(reader->directory_fd, &reader->first_seqs, &reader->segment_count);
    if (status != IB_OK) {
        ib_journal_say(error, directory, "cannot list the journal's directory: %s", strerror(errno));
        return status;
    }
    if (reader->segment_count == 0) {
        ib_journal_say(error, directory, "no journal here: no file is called like 00000000000000000001.journal");
        return IB_ERROR_IO;
    }
    return IB_OK;
}

/* Null without memory. */
static struct ib_journal_reader *new_reader(int64_t shard)
{
    struct ib_journal_reader *reader = calloc(1, sizeof *reader);
    if (reader != NULL) {
        IB_ASSERT(reader->status == IB_OK && reader->segment == 0);
        reader->directory_fd = reader->fd = -1;
        reader->shard = shard;
    }
    return reader;
}

int ib_journal_reader_open(struct ib_journal_reader **reader, const char *directory, int64_t shard)
{
    if (reader == NULL || directory == NULL) {
        return IB_ERROR_ARGUMENT;
    }
    *reader = new_reader(shard);
    if (*reader == NULL) {
        return IB_ERROR_MEMORY;
    }
    (*reader)->status = list_directory(*reader, directory);
    if ((*reader)->status == IB_OK) {
        IB_ASSERT((*reader)->segment_count > 0);
        (void)ib_journal_reader_open_segment(*reader);
    }
    return (*reader)->status; /* the reader stays, for its report; it must be closed */
}

/* Reads up to the place. What of it is handed to nobody is not counted. */
static int skip_to(struct ib_journal_reader *reader, const struct ib_journal_place *place)
{
    struct ib_command *skipped = malloc(SKIP_BATCH * sizeof *skipped);
    size_t count = 1;
    int status = skipped == NULL ? IB_ERROR_MEMORY : IB_OK;
    IB_ASSERT(reader->report.seq <= place->seq);
    while (status == IB_OK && count > 0 && reader->report.seq < place->seq) {
        uint64_t left = place->seq - reader->report.seq;
        status = ib_journal_reader_next(reader, skipped, left < SKIP_BATCH ? (size_t)left : SKIP_BATCH, &count);
    }
    free(skipped);
    reader->report.records = 0;
    IB_ASSERT(reader->report.seq <= place->seq);
    return status;
}

static int refuse(struct ib_journal_reader *reader, const struct ib_journal_place *place, const char *what)
{
    IB_ASSERT(reader->status == IB_OK);
    IB_ASSERT(what != NULL);
    ib_journal_say(reader->report.error, reader->directory, "sequence %" PRIu64 " %s", place->seq, what);
    reader->status = IB_ERROR_CONFIGURATION;
    return reader->status;
}

static int open_behind(struct ib_journal_reader *reader, const struct ib_journal_place *place)
{
    IB_ASSERT(reader->segment_count > 0 && reader->segment == 0);
    IB_ASSERT(place->seq < IB_SEQ_MAX);
    while (reader->segment + 1 < reader->segment_count && reader->first_seqs[reader->segment + 1] <= place->seq + 1) {
        reader->segment++;
    }
    uint64_t first_seq = reader->first_seqs[reader->segment];
    if (first_seq > place->seq + 1) {
        return refuse(reader, place, "is not in the journal, which begins behind it");
    }
    reader->report.seq = first_seq - 1;
    int status = ib_journal_reader_open_segment(reader);
    if (status == IB_OK) {
        status = skip_to(reader, place);
    }
    if (status != IB_OK) {
        return status;
    }
    if (reader->report.seq < place->seq) {
        return refuse(reader, place, "is not in the journal, which ends before it");
    }
    if (reader->report.seq_chain != place->chain || reader->report.time_ns != place->time_ns) {
        return refuse(reader, place, "has another hash chain in the journal");
    }
    return IB_OK;
}

int ib_journal_reader_open_behind(struct ib_journal_reader **reader, const char *directory, int64_t shard,
                                  const struct ib_journal_place *place)
{
    IB_ASSERT(reader != NULL && directory != NULL && place != NULL);
    IB_ASSERT(place->seq > 0);
    *reader = new_reader(shard);
    if (*reader == NULL) {
        return IB_ERROR_MEMORY;
    }
    int status = list_directory(*reader, directory);
    if (status == IB_OK) {
        status = open_behind(*reader, place);
    }
    (*reader)->status = status;
    return status;
}

const struct ib_journal_report *ib_journal_reader_report(const struct ib_journal_reader *reader)
{
    IB_ASSERT(reader != NULL);
    IB_ASSERT(memchr(reader->report.error, '\0', sizeof reader->report.error) != NULL);
    return &reader->report;
}

void ib_journal_reader_close(struct ib_journal_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->fd >= 0) {
        IB_ASSERT(reader->directory_fd >= 0); /* a segment is opened in it */
        close(reader->fd);
    }
    if (reader->directory_fd >= 0) {
        close(reader->directory_fd);
    }
    free(reader->first_seqs);
    free(reader->directory);
    free(reader);
}
