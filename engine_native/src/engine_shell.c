/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_shell.c: what stands between the state machine and the world: the wake-up of the I/O thread, the timer and the
 * admin socket, opened once the state is there; and the venue, which clients and consumers connect to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "check.h"
#include "engine_internal.h"

enum { TICK_MS_MIN = 10, TICK_MS_MAX = 100 };

_Static_assert(TICK_MS_MIN > 0 && TICK_MS_MAX < 1000, "the timer's nanoseconds stay below a second");

static void wake_ready(void *owner, uint32_t events)
{
    struct ib_engine *engine = owner;
    uint64_t count;
    (void)events;
    IB_ASSERT(engine->wake.fd == engine->sequencer.ring.producer_event);
    ssize_t size = read(engine->wake.fd, &count, sizeof count);
    IB_ASSERT(size == (ssize_t)sizeof count || errno == EAGAIN);
    IB_ASSERT(size < 0 || count > 0); /* eventfd(2): it would not have been ready */
}

static void ticks_ready(void *owner, uint32_t events)
{
    struct ib_engine *engine = owner;
    uint64_t count;
    (void)events;
    IB_ASSERT(engine->admin != NULL); /* the loop turns once all is open */
    ssize_t size = read(engine->ticks.fd, &count, sizeof count);
    IB_ASSERT(size == (ssize_t)sizeof count || errno == EAGAIN);
    if (engine->replication != NULL) {
        ib_replication_tick(engine->replication);
    }
    if (ib_engine_has_venue(engine)) {
        ib_gateway_tick(engine->gateway);
        ib_engine_timed_tick(engine);
    }
}

static int open_timer(struct ib_engine *engine)
{
    IB_ASSERT(engine->ticks.fd < 0);
    uint32_t tick_ms = engine->config.heartbeat_ms / 10;
    if (engine->replication != NULL && engine->config.replication->heartbeat_ms / 5 < tick_ms) {
        tick_ms = engine->config.replication->heartbeat_ms / 5;
    }
    tick_ms = tick_ms < TICK_MS_MIN ? TICK_MS_MIN : tick_ms > TICK_MS_MAX ? TICK_MS_MAX : tick_ms;
    const struct itimerspec tick = {.it_interval = {.tv_nsec = (long)tick_ms * 1000000},
                                    .it_value = {.tv_nsec = (long)tick_ms * 1000000}};
    engine->ticks = (struct ib_io_handler){.fd = -1, .owner = engine, .ready = ticks_ready};
    engine->ticks.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (engine->ticks.fd < 0 || timerfd_settime(engine->ticks.fd, 0, &tick, NULL) != 0) {
        return IB_ERROR_IO;
    }
    return ib_io_add(&engine->loop, &engine->ticks, EPOLLIN);
}

int ib_engine_open_shell(struct ib_engine *engine, char *error)
{
    IB_ASSERT(engine->gateway == NULL && engine->admin == NULL);
    IB_ASSERT(engine->sequencer.log == engine->log);
    engine->wake = (struct ib_io_handler){
        .fd = engine->sequencer.ring.producer_event, .owner = engine, .ready = wake_ready};
    int status = ib_io_add(&engine->loop, &engine->wake, EPOLLIN);
    if (status == IB_OK) {
        status = open_timer(engine);
    }
    if (status == IB_OK) {
        status = ib_admin_open(&engine->admin, engine->config.run_directory, &engine->loop,
                               ib_engine_admin_hooks(engine), error);
    }
    return status;
}

/* Those of the configuration may log in. */
static void allow_sessions(struct ib_engine *engine)
{
    IB_ASSERT(engine->gateway != NULL);
    for (size_t i = 0; i < engine->config.session_count; i++) {
        const struct ib_engine_session *session = &engine->config.sessions[i];
        char username[IB_USERNAME_SIZE + 1];
        snprintf(username, sizeof username, "%-6s", session->username);
        ib_gateway_allow(engine->gateway, ib_matcher_find_session(engine->matcher, username), session->secret,
                         session->cancel_on_disconnect != 0);
    }
    IB_ASSERT(ib_gateway_session_count(engine->gateway) >= engine->config.session_count);
}

static int open_gateway(struct ib_engine *engine, char *error)
{
    const struct ib_engine_config *config = &engine->config;
    const struct ib_gateway_config gateway = {.host = config->host,
                                              .port = config->port,
                                              .connections = config->connections,
                                              .bytes_before_login = config->bytes_before_login,
                                              .login_attempts = config->login_attempts,
                                              .login_ms = config->login_ms,
                                              .heartbeat_ms = config->heartbeat_ms,
                                              .shard = config->shard,
                                              .rules = engine->rules,
                                              .disabled = engine->past.disabled,
                                              .journal_time_ns = engine->past.first_time_ns};
    IB_ASSERT(engine->gateway == NULL && engine->directory != NULL);
    IB_ASSERT(engine->rules >= IB_RULES_1 && engine->rules <= IB_RULES_NEWEST);
    int status = ib_gateway_open(&engine->gateway, &gateway, &engine->loop, &engine->sequencer, engine->log,
                                 engine->matcher, engine->directory, error);
    if (status == IB_OK) {
        allow_sessions(engine);
    }
    return status;
}

int ib_engine_open_venue(struct ib_engine *engine, char *error)
{
    const struct ib_engine_config *config = &engine->config;
    IB_ASSERT(engine->directory == NULL && engine->feed == NULL && engine->commands == NULL);
    (void)ib_sequencer_release(&engine->sequencer);
    IB_ASSERT(engine->sequencer.released_seq == engine->sequencer.seq);
    engine->rules = ib_matcher_rules(engine->matcher);
    engine->sequencer.sessions = ib_matcher_session_count(engine->matcher);
    engine->timed = (struct ib_timed){0};
    int status = ib_directory_open(&engine->directory, engine->matcher, engine->past.since_ns);
    if (status == IB_OK) {
        status = open_gateway(engine, error);
    }
    if (status == IB_OK) {
        status = ib_event_feed_open(&engine->feed, config->run_directory, config->shard, ib_engine_epoch(engine),
                                    &engine->loop, &engine->sequencer, engine->log, error);
    }
    if (status == IB_OK) {
        const struct ib_command_feed_config commands = {
            .run_directory = config->run_directory, .shard = config->shard, .rules = engine->rules};
        status = ib_command_feed_open(&engine->commands, &commands, &engine->loop, engine->gateway, &engine->sequencer,
                                      engine->log, error);
    }
    if (status == IB_OK) { /* last: who can connect is served */
        status = ib_gateway_listen(engine->gateway, error);
    }
    if (status == IB_OK && engine->ended) {
        ib_gateway_end_of_day(engine->gateway);
    }
    IB_ASSERT(status != IB_OK || ib_engine_has_venue(engine));
    return status;
}

void ib_engine_close_venue(struct ib_engine *engine)
{
    IB_ASSERT(engine != NULL);
    ib_command_feed_close(engine->commands);
    ib_event_feed_close(engine->feed);
    ib_gateway_close(engine->gateway);
    ib_directory_close(engine->directory);
    engine->commands = NULL;
    engine->feed = NULL;
    engine->gateway = NULL;
    engine->directory = NULL;
    IB_ASSERT(!ib_engine_has_venue(engine));
}
