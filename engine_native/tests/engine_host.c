/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_host.c: an engine's process without Python around it, for tests that build the engine in another way than
 * setup.py does (threads.py). It runs as `ironbook engine run` has it run, over the same functions.
 *
 *   engine_host DIRECTORY NETWORK REPLICA MEMBERS
 *
 * Journal and sockets are in DIRECTORY; it listens on the address NETWORK.REPLICA+1, of the loopback's. MEMBERS 0: the
 * engine runs alone; otherwise it is member REPLICA of as many. Before it opens its journal, it takes a snapshot of it,
 * so that each start but the first one begins with one and makes again, meanwhile, what was before.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ironbook_core.h"
#include "ironbook_engine.h"
#include "ironbook_snapshot.h"

enum { ORDER_ENTRY_PORT = 20001, MEMBER_PORT = 20002, MEMBERS_MAX = 8 };

static struct ib_engine_member members[MEMBERS_MAX];
static char hosts[MEMBERS_MAX][32];
static char journal_directory[256], run_directory[256], secret[128];

static const struct ib_engine_instrument instruments[] = {
    {.symbol = "AAPL", .tick = 1, .lot = 1, .price_scale = 4},
    {.symbol = "MSFT", .tick = 1, .lot = 1, .price_scale = 4},
};
static const struct ib_engine_account accounts[] = {{.name = "MAKR"}, {.name = "TAKR"}};
static const struct ib_engine_session sessions[] = {
    {.username = "MAKER1", .firm = "MAKR", .secret = secret, .account = 0},
    {.username = "TAKER1", .firm = "TAKR", .secret = secret, .account = 1, .cancel_on_disconnect = 1},
};

/* As the defaults of engine.json have them, but for what is small here, so that all of it comes to its end often. */
static struct ib_engine_config configuration(const struct ib_engine_replication *replication, unsigned replica)
{
    return (struct ib_engine_config){
        .replica = replica,
        .epoch = 1,
        .replication = replication,
        .journal_directory = journal_directory,
        .run_directory = run_directory,
        .host = hosts[replica],
        .port = ORDER_ENTRY_PORT,
        .instruments = instruments,
        .instrument_count = sizeof instruments / sizeof instruments[0],
        .accounts = accounts,
        .account_count = sizeof accounts / sizeof accounts[0],
        .sessions = sessions,
        .session_count = sizeof sessions / sizeof sessions[0],
        .fsync_policy = IB_FSYNC_WRITE,
        .segment_bytes = 1 << 16,
        .orders = 4096,
        .events = 1 << 20,
        .connections = 8,
        .bytes_before_login = 128,
        .login_attempts = 4,
        .login_ms = 5000,
        .mass_cancel_percent = 50,
        .heartbeat_ms = 1000,
        .latency_every = 3,
    };
}

/* Until a signal ends it: what the process returns. */
static int serve(const struct ib_engine_config *config)
{
    int status = IB_RESTART;
    while (status == IB_RESTART) { /* a member that had to discard its state */
        struct ib_engine *engine = NULL;
        char error[IB_ERROR_TEXT_SIZE];
        struct ib_snapshot_report report;
        (void)ib_snapshot_take(journal_directory, config->shard, 0, &report); /* there may be no journal yet */
        if (ib_engine_open(&engine, config, error) != IB_OK) {
            fprintf(stderr, "engine_host: %s\n", error);
            return 1;
        }
        status = ib_engine_run(engine);
        if (status != IB_OK) {
            fprintf(stderr, "engine_host: stopped: %s\n", ib_engine_error(engine));
        }
        ib_engine_close(engine);
    }
    return status == IB_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    unsigned replica = argc == 5 ? (unsigned)atoi(argv[3]) : MEMBERS_MAX;
    unsigned count = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
    if (replica >= MEMBERS_MAX || count > MEMBERS_MAX) {
        fprintf(stderr, "usage: engine_host DIRECTORY NETWORK REPLICA MEMBERS\n");
        return 2;
    }
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        (void)snprintf(hosts[i], sizeof hosts[i], "%.20s.%u", argv[2], i + 1);
        members[i] = (struct ib_engine_member){.host = hosts[i], .port = MEMBER_PORT};
    }
    (void)snprintf(journal_directory, sizeof journal_directory, "%.200s/journal", argv[1]);
    (void)snprintf(run_directory, sizeof run_directory, "%.200s/run", argv[1]);
    if (ib_secret_hash("secret", secret, sizeof secret) != IB_OK) {
        fprintf(stderr, "engine_host: crypt(3) makes no hash\n");
        return 1;
    }
    const struct ib_engine_replication replication = {.members = members,
                                                      .member_count = count,
                                                      .key = "the-key-of-a-test-shard",
                                                      .min_in_sync = count > 1 ? 2 : 1,
                                                      .window = 1024,
                                                      .check_every = 64,
                                                      .heartbeat_ms = 50,
                                                      .silence_ms = 800,
                                                      .down_ms = 200,
                                                      .lag_ms = 3000,
                                                      .retry_ms = 50,
                                                      .stagger_ms = 100,
                                                      .store_ms = 1000,
                                                      .drain_ms = 1000};
    const struct ib_engine_config config = configuration(count > 0 ? &replication : NULL, replica);
    return serve(&config);
}
