/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal_crash.c: a real process appends, as fast as it can, and is killed with SIGKILL, again and again, on one
 * and the same journal. After each kill everything that it had acknowledged must be there, unchanged, and nothing
 * that it had not been given; replaying twice must give one state.
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "commands.h"
#include "test.h"

enum { ORDERS = 256, KILLS = 40, SESSIONS = 4 };

static char directory[256];

/* The command of a sequence number: a pure function, so that any process can tell what must be in the journal. */
static struct ib_command command_at(uint64_t seq)
{
    struct ib_command command;
    uint64_t noise = seq * 0x9e3779b97f4a7c15u;
    uint16_t session = (uint16_t)(noise >> 40) % SESSIONS;
    if (seq == 1) {
        command = instrument_add(0, "AAPL    ", 1);
    } else if (seq <= 1 + SESSIONS) {
        char name[11];
        (void)snprintf(name, sizeof name, "SESS%02uFIRM", (unsigned)(seq - 2) % 100);
        command = session_add((uint16_t)(seq - 2), name);
    } else if (noise >> 62 == 0) {
        command = cancel(session, (uint32_t)(seq - (noise >> 50) % 64), 0);
    } else {
        command = enter(session, (uint32_t)seq, (uint8_t)(1 + (noise >> 61 & 1)), 1 + (noise >> 33) % 100,
                        (int64_t)(1000 + (noise >> 20) % 40));
    }
    command.seq = seq;
    command.time_ns = seq;
    return command;
}

static struct ib_journal_config config(void)
{
    return (struct ib_journal_config){
        .directory = directory, .orders = ORDERS, .epoch = 1, .segment_bytes = 8 << 20};
}

/* The victim: appends groups of all sizes and reports, after each, the last sequence that the journal has taken. */
static void append_for_ever(int pipe_fd)
{
    static struct ib_command group[IB_JOURNAL_GROUP_MAX];
    struct ib_journal_config settings = config();
    struct ib_journal_report report;
    struct ib_journal *journal;
    if (ib_journal_open(&journal, &settings, NULL, NULL, &report) != IB_OK) {
        fprintf(stderr, "%s\n", report.error);
        _exit(3);
    }
    for (uint64_t round = 0;; round++) {
        uint64_t seq = ib_journal_seq(journal);
        size_t count = 1 + (size_t)((seq * 2654435761u + round) % IB_JOURNAL_GROUP_MAX);
        for (size_t i = 0; i < count; i++) {
            group[i] = command_at(seq + 1 + i);
        }
        if (ib_journal_append(journal, group, count) != IB_OK) {
            _exit(4);
        }
        seq = ib_journal_seq(journal);
        if (write(pipe_fd, &seq, sizeof seq) != sizeof seq) {
            _exit(5);
        }
    }
}

/* Lets a child append for a while, kills it, and returns the last sequence that it acknowledged; 0 = none. */
static uint64_t run_and_kill(unsigned round)
{
    int ends[2];
    if (pipe(ends) != 0) {
        exit(2);
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        append_for_ever(ends[1]);
    }
    close(ends[1]);
    uint64_t acknowledged = 0;
    uint64_t seq;
    /* Wait for the first acknowledgement, so that the kill falls into the appending, then a little longer. */
    if (read(ends[0], &seq, sizeof seq) == sizeof seq) {
        acknowledged = seq;
    }
    struct timespec pause = {.tv_nsec = 200000 + (long)(round * 7919 % 40) * 97000};
    (void)nanosleep(&pause, NULL);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    while (read(ends[0], &seq, sizeof seq) == sizeof seq) {
        acknowledged = seq;
    }
    close(ends[0]);
    return acknowledged;
}

struct oracle {
    struct ib_matcher *matcher;
    uint64_t seq;
    int sound;
};

static int compare(void *context, const struct ib_command *commands, size_t count)
{
    struct oracle *oracle = context;
    for (size_t i = 0; i < count; i++) {
        struct ib_command written = command_at(++oracle->seq);
        oracle->sound = oracle->sound && memcmp(&commands[i], &written, sizeof written) == 0;
    }
    return IB_OK;
}

/* What a matcher that was never killed would say after `seq` commands. */
static void feed(struct ib_matcher *matcher, uint64_t from, uint64_t to)
{
    static struct ib_event events[8192];
    size_t consumed;
    size_t count;
    for (uint64_t seq = from; seq <= to; seq++) {
        struct ib_command command = command_at(seq);
        (void)ib_matcher_apply_batch(matcher, &command, 1, events, 8192, &consumed, &count);
    }
}

static void killed_processes_lose_nothing_acknowledged(void)
{
    test_make_directory(directory);
    unsigned torn = 0;
    uint64_t last_seq = 0;
    for (unsigned round = 0; round < KILLS; round++) {
        uint64_t acknowledged = run_and_kill(round);
        EXPECT(acknowledged > 0);
        struct ib_journal_config settings = config();
        struct ib_journal_report report;
        struct ib_journal *journal;
        struct oracle oracle = {.sound = 1};
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, compare, &oracle, &report), IB_OK);
        ib_journal_close(journal);
        torn += report.torn_bytes > 0;
        EXPECT(oracle.sound);
        EXPECT(oracle.seq >= acknowledged);
        EXPECT(oracle.seq >= last_seq);
        last_seq = oracle.seq;
        if (last_seq > 400000) { /* enough; begin a new journal */
            test_remove_directory(directory);
            test_make_directory(directory);
            last_seq = 0;
        }
    }
    printf("test_journal_crash: %d kills, %u left a torn tail\n", KILLS, torn);
    test_remove_directory(directory);
}

/* The state itself, not only the commands: the recovered hash is that of a matcher that was never killed. */
static void the_recovered_state_is_exact(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    struct ib_journal_report report;
    struct ib_journal *journal;
    struct ib_matcher *matcher;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(ib_matcher_open(&matcher, ORDERS), IB_OK);
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        struct ib_command command = command_at(seq);
        EXPECT_EQUAL(ib_journal_append(journal, &command, 1), IB_OK);
        feed(matcher, seq, seq);
        if (seq % 500 == 0) {
            struct ib_totals live;
            struct ib_totals replayed;
            struct ib_replay *replay;
            ib_matcher_totals(matcher, &live);
            EXPECT_EQUAL(ib_replay_open(&replay, directory, seq), IB_OK);
            EXPECT_EQUAL(ib_replay_run(replay), IB_OK);
            ib_replay_totals(replay, &replayed);
            ib_replay_close(replay);
            EXPECT_EQUAL(memcmp(&live, &replayed, sizeof live), 0);
            EXPECT(live.trades > 0 && live.orders_open > 0);
        }
    }
    ib_matcher_close(matcher);
    ib_journal_close(journal);
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(killed_processes_lose_nothing_acknowledged),
    CASE(the_recovered_state_is_exact),
};

TEST_MAIN("test_journal_crash", cases)
