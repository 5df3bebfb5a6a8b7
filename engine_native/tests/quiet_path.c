/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * quiet_path.c: an order takes no memory, makes no system call and takes no lock, on its way from the bytes of a packet
 * to the bytes of its reports: SoupBinTCP, OUCH, ring, matcher, OUCH. Linked with --wrap for whatever allocates or
 * locks, which is counted; and run under seccomp in strict mode, where any system call but read, write and exit kills.
 *
 *   quiet_path COMMANDS     a file of commands of every type, after which a plain flow goes on
 *
 * Not part of it: sockets, the journal's write(2), one a group, the sequencer's clock, which the kernel answers without
 * a system call on most machines, and the wake-up of a thread that sleeps. quiet_path.py asks the linker the same.
 */
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "take_events.h"
#include "ouch50.h"
#include "ring.h"
#include "soupbintcp.h"

enum { ORDERS = 5000, STEPS = 200000, RING = 64, GROUP = 16, FILE_MAX = 4096, PLAIN_SESSION = 0 };
enum fault { NO_FAULT, ALLOCATES, LOCKS, CALLS, FAULTS };

static volatile unsigned taken; /* calls of what is wrapped below, since the path began */
static enum fault fault;        /* what the negative control does once, in the middle */
static uint64_t report_bytes;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- what the linker puts in the place of whatever allocates or locks ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
int __real_pthread_mutex_lock(pthread_mutex_t *lock);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *memory);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t size);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);

void *__wrap_malloc(size_t size)
{
    taken++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    taken++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    taken++;
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    taken++;
    return __real_aligned_alloc(alignment, size);
}

void __wrap_free(void *memory)
{
    taken++;
    __real_free(memory);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    taken++;
    return __real_mmap(address, size, protection, flags, fd, offset);
}

int __wrap_munmap(void *address, size_t size)
{
    taken++;
    return __real_munmap(address, size);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
    taken++;
    return __real_pthread_mutex_lock(lock);
}

/* ---- the path ---- */

static void commit_fault(void)
{
    switch (fault) {
    case ALLOCATES: free(*(void *volatile *)&(void *){malloc(1)}); break; /* or the compiler leaves both out */
    case LOCKS:
        (void)pthread_mutex_lock(&mutex);
        (void)pthread_mutex_unlock(&mutex);
        break;
    case CALLS: (void)syscall(SYS_getppid); break;
    default: break;
    }
    fault = NO_FAULT;
}

/* `context`: null where some reports have no message of OUCH's. */
static void report(void *context, const struct ib_event *event)
{
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    if (context != NULL && event->session_seq != 0) {
        report_bytes += ib_ouch_encode(out, event, "AAPL    ");
    }
}

/* The producer's end and the matcher's, in turns; the journal's is passed on at once. */
static void through_the_ring(struct ib_ring *ring, struct ib_matcher *matcher, const struct ib_command *commands,
                             size_t count, int by_ouch)
{
    for (size_t i = 0; i < count; i++) {
        struct ib_command *slot = ib_ring_claim(ring);
        IB_ASSERT(slot != NULL);
        *slot = commands[i];
    }
    ib_ring_publish(ring);
    struct ib_command *first;
    uint64_t ready;
    while ((ready = ib_ring_peek(ring, IB_RING_MATCHER, &first)) > 0) {
        size_t applied;
        int status = take_group(matcher, first, ready, &applied, by_ouch ? ring : NULL, report);
        IB_ASSERT(status == IB_OK && applied == ready);
        ib_ring_advance(ring, IB_RING_MATCHER, ready);
        ib_ring_advance(ring, IB_RING_JOURNAL, ready);
    }
}

/* An Enter Order as it comes off the wire. */
static struct ib_command from_the_wire(uint32_t user_ref, uint64_t draw)
{
    uint8_t bytes[IB_SOUP_HEADER_SIZE + IB_OUCH_ENTER_SIZE];
    uint32_t quantity = (uint32_t)(draw >> 8) % 100 + 1;
    uint64_t price = 1000 + (draw >> 16) % 40;
    struct ib_soup_packet packet;
    struct ib_ouch_message message;
    memset(bytes, ' ', sizeof bytes);
    bytes[0] = 0;
    bytes[1] = IB_OUCH_ENTER_SIZE + 1;
    bytes[2] = 'U';
    uint8_t *body = bytes + IB_SOUP_HEADER_SIZE;
    body[0] = 'O';
    for (int i = 0; i < 4; i++) {
        body[1 + i] = (uint8_t)(user_ref >> (24 - 8 * i));
        body[6 + i] = (uint8_t)(quantity >> (24 - 8 * i));
    }
    body[5] = draw & 1 ? 'B' : 'S';
    for (int i = 0; i < 8; i++) {
        body[18 + i] = (uint8_t)(price >> (56 - 8 * i));
    }
    memcpy(body + 26, "0YPYN", 5); /* day, displayed, principal, sweep, continuous */
    body[IB_OUCH_ENTER_SIZE - 2] = 0; /* no appendage */
    body[IB_OUCH_ENTER_SIZE - 1] = 0;
    int size = ib_soup_decode(bytes, sizeof bytes, IB_OUCH_INBOUND_SIZE_MAX, &packet);
    IB_ASSERT(size == sizeof bytes);
    enum ib_ouch_kind kind = ib_ouch_decode(packet.payload, packet.payload_size, "FIRM", &message);
    IB_ASSERT(kind == IB_OUCH_COMMAND && message.command.reason == IB_REASON_NONE);
    return message.command;
}

static void plain_flow(struct ib_ring *ring, struct ib_matcher *matcher, uint64_t seq, uint64_t time_ns)
{
    struct ib_command group[GROUP];
    uint64_t random = 88172645463325252u;
    uint32_t user_ref = 1;
    for (int step = 0; step < STEPS; step += GROUP) {
        for (int i = 0; i < GROUP; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            group[i] = from_the_wire(user_ref, random);
            if (random % 3 == 0) {
                group[i] = cancel(PLAIN_SESSION, user_ref - (uint32_t)(random >> 32) % 200 % user_ref, 0);
            } else {
                user_ref++;
            }
            group[i].seq = ++seq;
            group[i].time_ns = time_ns;
        }
        through_the_ring(ring, matcher, group, GROUP, 1);
        if (step == STEPS / 2) {
            commit_fault();
        }
    }
}

/* All types of commands through a first matcher, the plain flow through a second. Ends the process. */
static _Noreturn void walk_the_path(const struct ib_command *commands, size_t count)
{
    struct ib_ring ring;
    struct ib_matcher *every;
    struct ib_matcher *plain;
    if (ib_ring_open(&ring, RING) != IB_OK || ib_matcher_open(&every, 12) != IB_OK ||
        ib_matcher_open(&plain, ORDERS) != IB_OK) {
        _exit(3);
    }
    struct ib_command definitions[2] = {instrument_add(0, "AAPL    ", 1), session_add(0, "USER1 FIRM")};
    definitions[0].seq = 1;
    definitions[1].seq = 2;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0) {
        _exit(4);
    }
    taken = 0;
    for (size_t i = 0; i < count; i++) {
        through_the_ring(&ring, every, &commands[i], 1, 0);
    }
    through_the_ring(&ring, plain, definitions, 2, 1);
    plain_flow(&ring, plain, 2, 1);
    struct ib_totals totals;
    ib_matcher_totals(plain, &totals);
    int did_something = ib_matcher_seq(every) == count && totals.trades > STEPS / 10 && report_bytes > STEPS;
    (void)syscall(SYS_exit, taken != 0 ? 1 : did_something ? 0 : 2); /* exit_group would kill, too */
    __builtin_unreachable();
}

/* How a run of its own ends: an exit code, or minus the signal. */
static int run(enum fault with, const struct ib_command *commands, size_t count)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        fault = with;
        walk_the_path(commands, count);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("quiet_path");
        exit(2);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int count, char **arguments)
{
    static struct ib_command commands[FILE_MAX];
    static const int expected[FAULTS] = {[NO_FAULT] = 0, [ALLOCATES] = 1, [LOCKS] = 1, [CALLS] = -SIGKILL};
    static const char *const names[FAULTS] = {"the path", "one malloc", "one lock", "one system call"};
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: quiet_path COMMANDS\n");
        return 2;
    }
    size_t command_count = fread(commands, sizeof commands[0], FILE_MAX, file);
    (void)fclose(file);
    for (enum fault with = NO_FAULT; with < FAULTS; with++) {
        int got = run(with, commands, command_count);
        if (got != expected[with]) {
            printf("quiet_path: FAILED: %s: ended with %d, expected %d\n", names[with], got, expected[with]);
            return 1;
        }
    }
    printf("quiet_path: %zu commands of every type and %d plain ones: no allocation, no system call, no lock\n",
           command_count, STEPS);
    return 0;
}
