/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * latency.c: see latency.h.
 */
#define _GNU_SOURCE
#include "latency.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"

enum {
    /* Commands that can be between their sequencing and their release, with room to spare: the ring holds 32,768, and
     * the I/O thread refills it while it reads. More are counted as missed. */
    IN_FLIGHT = 1 << 17,
    SLOTS_MIN = 64,
    STAMPS = 5,
    CLOCK_READINGS = 256,
    SUB = 1 << IB_LATENCY_SUB_BITS,
};

static const char stage_names[IB_LATENCY_STAGES][IB_LATENCY_NAME_SIZE] = {"decode",  "queue",   "match",
                                                                          "journal", "release", "total"};

_Static_assert(sizeof(struct ib_latency_header) <= IB_LATENCY_HEADER_SIZE, "the header has its page");
_Static_assert(sizeof(struct ib_latency_header) == 80 + IB_LATENCY_STAGES * IB_LATENCY_NAME_SIZE, "layout");
_Static_assert(offsetof(struct ib_latency_header, released_ns) == 64, "layout");
_Static_assert(sizeof(struct ib_latency_histogram) == 8 * (2 + IB_LATENCY_BUCKETS), "layout");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "another process reads while this one writes: no lock may hide in it");
_Static_assert(((40 - 1 - IB_LATENCY_SUB_BITS) << IB_LATENCY_SUB_BITS) + 2 * SUB == IB_LATENCY_BUCKETS, "up to 2^40");

static size_t file_size(void)
{
    return IB_LATENCY_HEADER_SIZE + IB_LATENCY_STAGES * sizeof(struct ib_latency_histogram);
}

uint64_t ib_latency_clock_ns(void)
{
    return ib_clock_ns(CLOCK_MONOTONIC);
}

uint32_t ib_latency_bucket(uint64_t ns)
{
    if (ns < 2 * SUB) {
        return (uint32_t)ns;
    }
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(ns) - IB_LATENCY_SUB_BITS;
    uint64_t bucket = ((uint64_t)shift << IB_LATENCY_SUB_BITS) + (ns >> shift);
    IB_ASSERT(ns >> shift >= SUB && ns >> shift < 2 * SUB);
    return bucket < IB_LATENCY_BUCKETS ? (uint32_t)bucket : IB_LATENCY_BUCKETS - 1;
}

uint64_t ib_latency_bucket_ceiling(uint32_t bucket)
{
    IB_ASSERT(bucket < IB_LATENCY_BUCKETS);
    if (bucket < 2 * SUB) {
        return bucket;
    }
    uint32_t shift = (bucket >> IB_LATENCY_SUB_BITS) - 1;
    uint64_t mantissa = bucket - ((uint64_t)shift << IB_LATENCY_SUB_BITS);
    IB_ASSERT(mantissa >= SUB && mantissa < 2 * SUB);
    return ((mantissa + 1) << shift) - 1;
}

/* One writer: a load and a store, and no locked addition. */
static void add(_Atomic uint64_t *counter, uint64_t value)
{
    IB_ASSERT(counter != NULL);
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + value, memory_order_relaxed);
}

static void count(struct ib_latency *latency, enum ib_latency_stage stage, uint64_t from_ns, uint64_t to_ns)
{
    struct ib_latency_histogram *histogram = &latency->histograms[stage];
    IB_ASSERT(stage < IB_LATENCY_STAGES);
    IB_ASSERT(to_ns >= from_ns); /* the clock is the kernel's monotonic one, on every core */
    uint64_t ns = to_ns - from_ns;
    add(&histogram->buckets[ib_latency_bucket(ns)], 1);
    add(&histogram->sum_ns, ns);
    if (ns > atomic_load_explicit(&histogram->max_ns, memory_order_relaxed)) {
        atomic_store_explicit(&histogram->max_ns, ns, memory_order_relaxed);
    }
}

/* ---- the way of a command ---- */

static uint64_t slot(const struct ib_latency *latency, const struct ib_latency_cursor *cursor)
{
    IB_ASSERT((latency->slots & (latency->slots - 1)) == 0);
    IB_ASSERT(cursor != NULL);
    return cursor->count & (latency->slots - 1);
}

static void step(const struct ib_latency *latency, struct ib_latency_cursor *cursor)
{
    IB_ASSERT(latency->every >= 1);
    IB_ASSERT(cursor->next > 0);
    cursor->next += latency->every;
    cursor->count++;
}

void ib_latency_note_input(struct ib_latency *latency, uint64_t now_ns)
{
    IB_ASSERT(latency != NULL);
    ib_latency_input(latency, now_ns);
}

void ib_latency_note_sequenced(struct ib_latency *latency, uint64_t seq, uint64_t now_ns)
{
    IB_ASSERT(latency != NULL && seq == latency->sequencer.next);
    IB_ASSERT(latency->input_ns <= now_ns);
    uint64_t at = slot(latency, &latency->sequencer);
    latency->received[at] = latency->input_ns;
    latency->sequenced[at] = now_ns;
    step(latency, &latency->sequencer);
}

void ib_latency_note_begun(struct ib_latency *latency, uint64_t seq, uint64_t now_ns)
{
    IB_ASSERT(latency != NULL);
    IB_ASSERT(seq == latency->matcher.next);
    IB_ASSERT(latency->sequenced[slot(latency, &latency->matcher)] <= now_ns);
    latency->begun[slot(latency, &latency->matcher)] = now_ns;
}

void ib_latency_note_matched(struct ib_latency *latency, uint64_t seq, uint64_t now_ns)
{
    IB_ASSERT(latency != NULL);
    IB_ASSERT(seq == latency->matcher.next);
    IB_ASSERT(latency->begun[slot(latency, &latency->matcher)] <= now_ns);
    latency->matched[slot(latency, &latency->matcher)] = now_ns;
    step(latency, &latency->matcher);
}

void ib_latency_note_journaled(struct ib_latency *latency, uint64_t seq, uint64_t now_ns)
{
    IB_ASSERT(latency != NULL);
    for (; latency->journal.next <= seq; step(latency, &latency->journal)) {
        latency->journaled[slot(latency, &latency->journal)] = now_ns;
    }
    IB_ASSERT(latency->journal.next > seq);
}

void ib_latency_note_released(struct ib_latency *latency, uint64_t seq, uint64_t now_ns)
{
    IB_ASSERT(latency != NULL);
    for (; latency->release.next <= seq; step(latency, &latency->release)) {
        IB_ASSERT(latency->sequencer.count > latency->release.count);
        if (latency->sequencer.count - latency->release.count > latency->slots) {
            add(&latency->header->missed, 1); /* a later command has its slot */
            continue;
        }
        uint64_t at = slot(latency, &latency->release);
        uint64_t sequenced = latency->sequenced[at], matched = latency->matched[at], journaled = latency->journaled[at];
        count(latency, IB_LATENCY_QUEUE, sequenced, latency->begun[at]);
        count(latency, IB_LATENCY_MATCH, latency->begun[at], matched);
        count(latency, IB_LATENCY_JOURNAL, sequenced, journaled);
        count(latency, IB_LATENCY_RELEASE, matched > journaled ? matched : journaled, now_ns);
        if (latency->received[at] != 0) {
            count(latency, IB_LATENCY_DECODE, latency->received[at], sequenced);
            count(latency, IB_LATENCY_TOTAL, latency->received[at], now_ns);
        }
    }
    atomic_store_explicit(&latency->header->released_ns, now_ns, memory_order_relaxed);
}

/* ---- life ---- */

static int refuse(char *error, const char *path, const char *what)
{
    IB_ASSERT(error != NULL && path != NULL && what != NULL);
    snprintf(error, IB_ERROR_TEXT_SIZE,
             "cannot %s %.200s: %s: see to run_directory, its permissions and the room on its disk, or set "
             "latency.every to 0",
             what, path, strerror(errno));
    return IB_ERROR_IO;
}

/* Of one reading, in the quietest of a few rounds. */
static uint64_t clock_cost_ns(void)
{
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 5; round++) {
        uint64_t start = ib_latency_clock_ns();
        for (int i = 1; i < CLOCK_READINGS; i++) {
            (void)ib_latency_clock_ns();
        }
        uint64_t ns = (ib_latency_clock_ns() - start) / CLOCK_READINGS;
        best = ns < best ? ns : best;
    }
    IB_ASSERT(best < UINT64_MAX);
    return best;
}

/* The file is made beside its place and then moved there: whoever has mapped an older one keeps it whole. All of its
 * blocks are taken now: a full disk is a status here, and would be a signal later. */
static int map_file(struct ib_latency *latency, const char *directory, char *error)
{
    char made[512], path[512];
    IB_ASSERT(directory != NULL && latency->header == NULL);
    int length = snprintf(made, sizeof made, "%s/latency.new", directory);
    snprintf(path, sizeof path, "%s/latency", directory);
    if (length < 0 || (size_t)length >= sizeof made) {
        errno = ENAMETOOLONG;
        return refuse(error, directory, "make a file in");
    }
    (void)unlink(made);
    int fd = open(made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return refuse(error, made, "make");
    }
    errno = posix_fallocate(fd, 0, (off_t)file_size());
    void *mapped = errno == 0 ? mmap(NULL, file_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0)
                              : MAP_FAILED;
    if (mapped == MAP_FAILED || rename(made, path) != 0) {
        int status = refuse(error, made, "map");
        close(fd);
        (void)unlink(made);
        if (mapped != MAP_FAILED) {
            (void)munmap(mapped, file_size());
        }
        return status;
    }
    close(fd);
    latency->header = mapped;
    latency->histograms = (struct ib_latency_histogram *)((char *)mapped + IB_LATENCY_HEADER_SIZE);
    latency->path = strdup(path);
    return latency->path == NULL ? IB_ERROR_MEMORY : IB_OK;
}

/* What a killed engine left would pass for this one's. */
static void forget(const char *directory)
{
    char path[512];
    IB_ASSERT(directory != NULL);
    int length = snprintf(path, sizeof path, "%s/latency", directory);
    if (length > 0 && (size_t)length < sizeof path) {
        (void)unlink(path);
    }
}

static int take_memory(struct ib_latency *latency)
{
    IB_ASSERT(latency->every >= 1);
    latency->slots = SLOTS_MIN;
    while (latency->slots * latency->every < IN_FLIGHT) {
        latency->slots *= 2;
    }
    size_t bytes = STAMPS * latency->slots * sizeof(uint64_t);
    uint64_t *stamps = aligned_alloc(IB_LATENCY_LINE, bytes);
    if (stamps == NULL) {
        return IB_ERROR_MEMORY;
    }
    memset(stamps, 0, bytes); /* touch every page now, not on the path */
    IB_ASSERT(bytes % IB_LATENCY_LINE == 0); /* no two threads' arrays share a line */
    latency->received = stamps;
    latency->sequenced = stamps + latency->slots;
    latency->begun = stamps + 2 * latency->slots;
    latency->matched = stamps + 3 * latency->slots;
    latency->journaled = stamps + 4 * latency->slots;
    return IB_OK;
}

static void write_header(struct ib_latency *latency, uint32_t shard, uint32_t replica)
{
    struct ib_latency_header *header = latency->header;
    IB_ASSERT(atomic_load_explicit(&header->magic, memory_order_relaxed) == 0); /* fresh pages are zero */
    IB_ASSERT(latency->every >= 1 && latency->every <= IB_LATENCY_EVERY_MAX);
    header->version = IB_LATENCY_VERSION;
    header->header_bytes = IB_LATENCY_HEADER_SIZE;
    header->stages = IB_LATENCY_STAGES;
    header->buckets = IB_LATENCY_BUCKETS;
    header->sub_bits = IB_LATENCY_SUB_BITS;
    header->every = (uint32_t)latency->every;
    header->shard = shard;
    header->replica = replica;
    header->process = (uint64_t)getpid();
    header->clock_ns = clock_cost_ns();
    header->started_ns = ib_latency_clock_ns();
    memcpy(header->names, stage_names, sizeof stage_names);
    atomic_store_explicit(&header->magic, IB_LATENCY_MAGIC, memory_order_release);
    IB_ASSERT(header->names[IB_LATENCY_TOTAL][0] == 't');
}

int ib_latency_open(struct ib_latency **latency, const char *directory, uint32_t every, uint64_t base_seq,
                    uint32_t shard, uint32_t replica, char *error)
{
    if (latency == NULL || directory == NULL || error == NULL || every > IB_LATENCY_EVERY_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    error[0] = '\0';
    *latency = NULL;
    if (every == 0) {
        forget(directory);
        return IB_OK;
    }
    struct ib_latency *opened = aligned_alloc(IB_LATENCY_LINE, sizeof *opened);
    if (opened == NULL) {
        return IB_ERROR_MEMORY;
    }
    memset(opened, 0, sizeof *opened);
    opened->every = every;
    int status = take_memory(opened);
    if (status == IB_OK) {
        status = map_file(opened, directory, error);
    }
    if (status != IB_OK) {
        ib_latency_close(opened);
        return status;
    }
    write_header(opened, shard, replica);
    uint64_t first = (base_seq / every + 1) * every; /* by sequence number: a restart follows the same ones */
    IB_ASSERT(first > base_seq && first <= base_seq + every);
    opened->sequencer.next = opened->matcher.next = opened->journal.next = opened->release.next = first;
    *latency = opened;
    return IB_OK;
}

void ib_latency_close(struct ib_latency *latency)
{
    if (latency == NULL) {
        return;
    }
    IB_ASSERT(latency->every >= 1);
    IB_ASSERT((latency->header == NULL) == (latency->histograms == NULL));
    if (latency->header != NULL) {
        (void)munmap(latency->header, file_size());
    }
    if (latency->path != NULL) {
        (void)unlink(latency->path);
    }
    free(latency->path);
    free(latency->received); /* and the others, which lie behind it */
    free(latency);
}
