/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flash1_single.c: an adapter of flash1-dev/matching-engine-benchmark on one thread, its reports thrown away:
 *
 *   gcc -O2 -I$FLASH1/api -o flash1_single bench/flash1_single.c -ldl
 *   flash1_single ADAPTER.so $FLASH1/orders_normal_s23_n1000000.bin [PASSES]
 *
 * Prints one JSON object on a line: thread-CPU nanoseconds a message, median and best of the passes, and how many
 * reports there were. Each pass is a process of its own: adapters keep their book in globals. That the reports are
 * right is what the benchmark's own harness says, not this.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "matching_engine_api.h"

enum { PASSES_MAX = 99 };

/* A record of their workload file, behind a header of 16 bytes: magic, version, count. */
struct record {
    uint8_t type, side, ioc, pad;
    uint32_t quantity;
    uint64_t sequence_number, order_id;
    int64_t price_ticks, reserved;
};

struct engine {
    void (*init)(uint64_t, const me_transport_t *, void *);
    void (*on_new_order)(const new_order_t *);
    void (*on_cancel)(const cancel_t *);
    void (*on_modify)(const modify_t *);
    void (*on_batch)(const me_msg_t *, uint32_t);
    void (*flush)(void);
};

static uint64_t report_count;

static void fail(const char *what)
{
    fprintf(stderr, "flash1_single: %s\n", what);
    exit(1);
}

static void *create(uint32_t capacity)
{
    (void)capacity;
    return &report_count;
}

static int push(void *handle, const me_report_t *report)
{
    *(uint64_t *)handle += report->type < 6;
    return 1;
}

static uint32_t drain(void *handle, me_report_t *out, uint32_t max)
{
    (void)handle, (void)out, (void)max;
    return 0;
}

static void ignore(void *handle)
{
    (void)handle;
}

static me_msg_t *load(const char *path, uint32_t *count)
{
    FILE *file = fopen(path, "rb");
    uint32_t header[4];
    if (file == NULL || fread(header, sizeof header, 1, file) != 1) {
        fail("no workload file");
    }
    *count = header[3];
    me_msg_t *messages = calloc(*count, sizeof *messages);
    for (uint32_t i = 0; i < *count; i++) {
        struct record record;
        me_msg_t *message = &messages[i];
        if (fread(&record, sizeof record, 1, file) != 1 || record.type > 2) {
            fail("the workload file is cut short, or is none");
        }
        message->type = record.type;
        if (record.type == 0) {
            message->no = (new_order_t){record.order_id, record.sequence_number, record.price_ticks, record.quantity,
                                        record.side, record.ioc, {0}};
        } else if (record.type == 1) {
            message->c = (cancel_t){record.order_id, record.sequence_number};
        } else {
            message->md = (modify_t){record.order_id, record.sequence_number, record.price_ticks, record.quantity,
                                     record.side, {0}};
        }
    }
    (void)fclose(file);
    return messages;
}

static void *symbol(void *library, const char *name, int required)
{
    void *found = dlsym(library, name);
    if (found == NULL && required) {
        fail("the adapter lacks a function of the interface");
    }
    return found;
}

static struct engine open_engine(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    struct engine engine;
    if (library == NULL) {
        fail(dlerror());
    }
    *(void **)&engine.init = symbol(library, "engine_init", 1);
    *(void **)&engine.on_new_order = symbol(library, "engine_on_new_order", 1);
    *(void **)&engine.on_cancel = symbol(library, "engine_on_cancel", 1);
    *(void **)&engine.on_modify = symbol(library, "engine_on_modify", 1);
    *(void **)&engine.on_batch = symbol(library, "engine_on_batch", 0);
    *(void **)&engine.flush = symbol(library, "engine_flush", 1);
    return engine;
}

static void dispatch(const struct engine *engine, const me_msg_t *messages, uint32_t count)
{
    if (engine->on_batch != NULL) {
        engine->on_batch(messages, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        switch (messages[i].type) {
        case 0: engine->on_new_order(&messages[i].no); break;
        case 1: engine->on_cancel(&messages[i].c); break;
        default: engine->on_modify(&messages[i].md); break;
        }
    }
}

static uint64_t thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Reads all messages once. A page that a fork has passed on is looked at for the first time, which took a microsecond
 * on a virtual machine: eleven nanoseconds a message that were no engine's. */
static uint64_t touch(const me_msg_t *messages, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += messages[i].type;
    }
    return sum;
}

/* One pass in this process: {ns, reports} into the pipe. */
static void run(const char *path, const me_msg_t *messages, uint32_t count, int pipe_end)
{
    static const me_transport_t discard = {create, push, drain, ignore, ignore};
    struct engine engine = open_engine(path);
    engine.init(1, &discard, &report_count);
    if (touch(messages, count) > 2 * (uint64_t)count) {
        fail("a message of no type");
    }
    uint64_t begin = thread_ns();
    dispatch(&engine, messages, count);
    engine.flush();
    uint64_t result[2] = {thread_ns() - begin, report_count};
    if (write(pipe_end, result, sizeof result) != sizeof result) {
        fail("no pipe");
    }
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    uint64_t ns[PASSES_MAX];
    uint64_t result[2] = {0, 0};
    uint32_t count;
    int ends[2];
    int passes = argc > 3 ? atoi(argv[3]) : 9;
    if (argc < 3 || passes < 1 || passes > PASSES_MAX || pipe(ends) != 0) {
        fail("usage: flash1_single ADAPTER.so ORDERS.bin [PASSES]");
    }
    const me_msg_t *messages = load(argv[2], &count);
    for (int pass = 0; pass < passes; pass++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            run(argv[1], messages, count, ends[1]);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0 ||
            read(ends[0], result, sizeof result) != sizeof result) {
            fail("the adapter did not come to its end");
        }
        ns[pass] = result[0];
    }
    qsort(ns, (size_t)passes, sizeof ns[0], compare);
    printf("{\"messages\": %u, \"reports\": %llu, \"ns_per_op\": %.2f, \"ns_per_op_best\": %.2f, \"passes\": %d}\n",
           count, (unsigned long long)result[1], (double)ns[passes / 2] / count, (double)ns[0] / count, passes);
    return 0;
}
