/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * order_load.c: orders for an engine, or for a peer that answers like one (relay.c), and how long each took until it
 * was acknowledged. bench/durable.py starts it. One JSON object on a line.
 *
 *   order_load PORT PASSWORD SYMBOL FIRST_REF trips ORDERS
 *   order_load PORT PASSWORD SYMBOL FIRST_REF load ORDERS SESSIONS RATE WINDOW GROUP
 *
 * `trips`: one order in flight, session B1; it rests, so that Accepted is the whole answer.
 * `load`: an open loop. Sessions B1 … take turns; each sends GROUP orders by one write, GROUP times a RATEth of a
 * second after the one before, whether or not anything was answered; but for WINDOW, the most that may be unanswered.
 * An order's time begins when it was due, so what had to wait for the window has waited. RATE 0: as fast as the window
 * lets it, and an order's time begins when it is sent. Half of the orders rest and half take them.
 *
 * FIRST_REF is the first UserRefNum that no session has used.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "wire.h"

enum { SESSIONS_MAX = 16, INPUT = 1 << 18, GROUP_MAX = 1024, OUTPUT = 64 * GROUP_MAX * WIRE_ORDER };

struct session {
    int fd;
    uint64_t *due_ns; /* by order of this session */
    uint32_t sent, accepted;
    size_t input_size, output_begin, output_end;
    uint8_t input[INPUT], output[OUTPUT];
};

static struct session sessions[SESSIONS_MAX];
static unsigned session_count = 1;
static uint32_t first_ref;
static const char *symbol;
static uint32_t *times_ns; /* of all orders, as they were answered */
static uint64_t answered, reports, bytes_received;
static uint64_t last_answer_ns, longest_gap_ns; /* without an acknowledgement */

static void fail(const char *what)
{
    wire_fail("order_load", what);
}

static void take_packet(struct session *session, const uint8_t *packet, size_t size, uint64_t now_ns)
{
    if (packet[2] != 'S') {
        return; /* a heartbeat */
    }
    reports++;
    bytes_received += size;
    if (packet[3] == 'J') {
        errno = EPROTO;
        fail("an order was rejected");
    }
    if (packet[3] != 'A') {
        return;
    }
    uint32_t place = wire_ref(packet + WIRE_REF) - first_ref;
    if (place != session->accepted || place >= session->sent) {
        errno = EPROTO;
        fail("an acknowledgement of another order than was sent next");
    }
    session->accepted++;
    uint64_t ns = now_ns - session->due_ns[place];
    times_ns[answered++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
    if (last_answer_ns != 0 && now_ns - last_answer_ns > longest_gap_ns) {
        longest_gap_ns = now_ns - last_answer_ns;
    }
    last_answer_ns = now_ns;
}

static void take(struct session *session, int wait)
{
    ssize_t got = recv(session->fd, session->input + session->input_size, INPUT - session->input_size,
                       wait ? 0 : MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        fail("the other side closed the connection");
    }
    if (got < 0) {
        return;
    }
    uint64_t now_ns = wire_now_ns();
    size_t used = 0, size;
    session->input_size += (size_t)got;
    while ((size = wire_packet(session->input + used, session->input_size - used)) > 0) {
        take_packet(session, session->input + used, size, now_ns);
        used += size;
    }
    session->input_size -= used;
    memmove(session->input, session->input + used, session->input_size);
}

static void flush(struct session *session)
{
    while (session->output_begin < session->output_end) {
        ssize_t size = send(session->fd, session->output + session->output_begin,
                            session->output_end - session->output_begin, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (size < 0) {
            fail("send");
        }
        session->output_begin += (size_t)size;
    }
    session->output_begin = session->output_end = 0;
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void print_times(void)
{
    qsort(times_ns, answered, sizeof *times_ns, by_value);
    printf("\"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f, ",
           (double)times_ns[answered / 2] / 1e3, (double)times_ns[answered * 9 / 10] / 1e3,
           (double)times_ns[answered * 99 / 100] / 1e3, (double)times_ns[answered * 999 / 1000] / 1e3,
           (double)times_ns[answered - 1] / 1e3);
    printf("\"longest_gap_us\": %.2f, ", (double)longest_gap_ns / 1e3);
    printf("\"reports\": %llu, \"report_bytes\": %llu}\n", (unsigned long long)reports,
           (unsigned long long)bytes_received);
}

static void trips(uint32_t count)
{
    struct session *session = &sessions[0];
    for (uint32_t i = 0; i < count; i++) {
        wire_put_order(session->output, first_ref + i, 'B', (uint64_t)(1 + i % 100) * 100, symbol);
        session->sent = i + 1;
        session->due_ns[i] = wire_now_ns();
        if (write(session->fd, session->output, WIRE_ORDER) != WIRE_ORDER) {
            fail("write");
        }
        while (session->accepted == i) {
            take(session, 1);
        }
    }
    printf("{\"orders\": %u, ", count);
    print_times();
}

/* ---- the open loop ---- */

struct plan {
    uint64_t orders, rate, window, group;
    uint64_t begin_ns;
    uint64_t sent;
    unsigned turn; /* whose it is */
};

static uint64_t due_at(const struct plan *plan, uint64_t number)
{
    return plan->begin_ns + (uint64_t)((double)number * 1e9 / (double)plan->rate);
}

/* Whether the next group goes now; if only time is lacking, until when. */
static int may_send(const struct plan *plan, uint64_t now_ns, uint64_t *until_ns)
{
    *until_ns = UINT64_MAX;
    const struct session *session = &sessions[plan->turn];
    if (plan->sent >= plan->orders || plan->sent - answered + plan->group > plan->window ||
        session->output_end + plan->group * WIRE_ORDER > OUTPUT) {
        return 0;
    }
    if (plan->rate == 0) {
        return 1;
    }
    *until_ns = due_at(plan, plan->sent);
    return *until_ns <= now_ns;
}

static void send_group(struct plan *plan, uint64_t now_ns)
{
    struct session *session = &sessions[plan->turn];
    uint64_t due_ns = plan->rate == 0 ? now_ns : due_at(plan, plan->sent);
    for (uint64_t i = 0; i < plan->group && plan->sent < plan->orders; i++, plan->sent++) {
        uint64_t pair = plan->sent / 2;
        wire_put_order(session->output + session->output_end, first_ref + session->sent,
                       plan->sent % 2 == 0 ? 'S' : 'B', 1000000 + pair % 50 * 100, symbol);
        session->output_end += WIRE_ORDER;
        session->due_ns[session->sent++] = due_ns;
    }
    flush(session);
    plan->turn = (plan->turn + 1) % session_count;
}

static void wait_for_something(uint64_t until_ns)
{
    struct pollfd polled[SESSIONS_MAX];
    for (unsigned i = 0; i < session_count; i++) {
        int writes = sessions[i].output_begin < sessions[i].output_end;
        polled[i] = (struct pollfd){.fd = sessions[i].fd, .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
    }
    uint64_t now_ns = wire_now_ns();
    uint64_t left_ns = until_ns == UINT64_MAX ? 1000000000u : until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000u), .tv_nsec = (long)(left_ns % 1000000000u)};
    if (ppoll(polled, session_count, &left, NULL) < 0 && errno != EINTR) {
        fail("ppoll");
    }
    for (unsigned i = 0; i < session_count; i++) {
        if (polled[i].revents & POLLOUT) {
            flush(&sessions[i]);
        }
        if (polled[i].revents & ~POLLOUT) {
            take(&sessions[i], 0);
        }
    }
}

static void load(struct plan *plan)
{
    plan->begin_ns = wire_now_ns();
    while (answered < plan->orders) {
        uint64_t until_ns;
        uint64_t now_ns = wire_now_ns();
        while (may_send(plan, now_ns, &until_ns)) {
            send_group(plan, now_ns);
        }
        wait_for_something(until_ns);
    }
    double seconds = (double)(wire_now_ns() - plan->begin_ns) / 1e9;
    printf("{\"orders\": %llu, \"sessions\": %u, \"rate\": %llu, \"window\": %llu, \"group\": %llu, \"seconds\": %.3f, "
           "\"acknowledged_per_s\": %.0f, ",
           (unsigned long long)plan->orders, session_count, (unsigned long long)plan->rate,
           (unsigned long long)plan->window, (unsigned long long)plan->group, seconds,
           (double)plan->orders / seconds);
    print_times();
}

int main(int count, char **arguments)
{
    int is_load = count == 11 && strcmp(arguments[5], "load") == 0;
    if (!is_load && (count != 7 || strcmp(arguments[5], "trips") != 0)) {
        fprintf(stderr, "order_load PORT PASSWORD SYMBOL FIRST_REF trips ORDERS\n"
                        "order_load PORT PASSWORD SYMBOL FIRST_REF load ORDERS SESSIONS RATE WINDOW GROUP\n");
        return 2;
    }
    struct plan plan = {.orders = strtoull(arguments[6], NULL, 10)};
    symbol = arguments[3];
    first_ref = (uint32_t)strtoul(arguments[4], NULL, 10);
    if (is_load) {
        session_count = (unsigned)atoi(arguments[7]);
        plan.rate = strtoull(arguments[8], NULL, 10);
        plan.window = strtoull(arguments[9], NULL, 10);
        plan.group = strtoull(arguments[10], NULL, 10);
    }
    if (plan.orders == 0 || session_count < 1 || session_count > SESSIONS_MAX || plan.group > GROUP_MAX ||
        plan.group > plan.window || (is_load && plan.group == 0)) {
        fprintf(stderr, "order_load: a number is out of range\n");
        return 2;
    }
    times_ns = calloc(plan.orders, sizeof *times_ns);
    for (unsigned i = 0; i < session_count; i++) {
        char username[16];
        (void)snprintf(username, sizeof username, "B%u", i + 1);
        sessions[i].fd = wire_log_in("order_load", arguments[1], username, arguments[2]);
        sessions[i].due_ns = calloc(plan.orders + GROUP_MAX, sizeof *sessions[i].due_ns);
        if (times_ns == NULL || sessions[i].due_ns == NULL) {
            fail("memory");
        }
    }
    if (is_load) {
        load(&plan);
    } else {
        trips((uint32_t)plan.orders);
    }
    return 0;
}
