/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * order_entry_client.c: measures an engine from outside, over its TCP port, as a client sees it. bench/order_entry.py
 * starts the engine and this. Its SoupBinTCP and OUCH 5.0 are a few lines (wire.h), so that it costs little itself.
 *
 *   order_entry_client PORT USERNAME PASSWORD SYMBOL ROUND_TRIPS ORDERS WINDOW
 *
 * First ROUND_TRIPS orders one after the other: send, wait for Accepted, note the time. Then ORDERS flat out with at
 * most WINDOW unanswered: half of them rest, half take what rests, so that books and reports are those of trading.
 */
#define _GNU_SOURCE
#include "wire.h"

enum { PACKET = WIRE_ORDER, BATCH = 256, BUFFER = 1 << 20 };

static int fd;
static uint8_t input[BUFFER];
static size_t input_size;
static uint64_t accepted, reports;

static void fail(const char *what)
{
    wire_fail("order_entry_client", what);
}

/* Reads what is there; counts. */
static void take(int wait)
{
    ssize_t size = recv(fd, input + input_size, sizeof input - input_size, wait ? 0 : MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN)) {
        fail("the engine closed the connection");
    }
    if (size < 0) {
        return;
    }
    input_size += (size_t)size;
    size_t used = 0;
    size_t length;
    while ((length = wire_packet(input + used, input_size - used)) > 0) {
        reports += input[used + 2] == 'S';
        accepted += input[used + 2] == 'S' && input[used + 3] == 'A';
        if (input[used + 2] == 'S' && input[used + 3] == 'J') {
            errno = EPROTO;
            fail("an order was rejected");
        }
        used += length;
    }
    input_size -= used;
    memmove(input, input + used, input_size);
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void round_trips(uint32_t count, const char *symbol)
{
    uint8_t order[PACKET];
    uint64_t *times_ns = calloc(count, sizeof *times_ns);
    for (uint32_t i = 0; i < count && times_ns != NULL; i++) {
        wire_put_order(order, i + 1, 'B', (uint64_t)(1 + i % 100) * 100, symbol);
        uint64_t start_ns = wire_now_ns();
        if (write(fd, order, sizeof order) != sizeof order) {
            fail("write");
        }
        while (accepted == i) {
            take(1);
        }
        times_ns[i] = wire_now_ns() - start_ns;
    }
    qsort(times_ns, count, sizeof *times_ns, by_value);
    printf("\"round_trips\": %u, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f", count,
           (double)times_ns[count / 2] / 1e3, (double)times_ns[count * 99ull / 100] / 1e3,
           (double)times_ns[count * 999ull / 1000] / 1e3, (double)times_ns[count - 1] / 1e3);
    printf(",\n"); /* bench/order_entry.py reads the engine's CPU time here */
    fflush(stdout);
    free(times_ns);
}

static void flat_out(uint32_t first, uint32_t count, uint64_t window, const char *symbol)
{
    static uint8_t batch[BATCH * PACKET];
    uint64_t before = accepted, reports_before = reports;
    uint32_t sent = 0;
    uint64_t start_ns = wire_now_ns();
    while (accepted - before < count) {
        if (sent < count && sent + BATCH - (accepted - before) <= window) {
            uint32_t n = count - sent < BATCH ? count - sent : BATCH;
            for (uint32_t i = 0; i < n; i++) {
                uint32_t number = sent + i;
                wire_put_order(batch + (size_t)i * PACKET, first + number, number % 2 == 0 ? 'S' : 'B',
                          1000000 + number / 2 % 50 * 100, symbol);
            }
            for (size_t done = 0; done < (size_t)n * PACKET;) {
                ssize_t size = write(fd, batch + done, (size_t)n * PACKET - done);
                if (size < 0) {
                    fail("write");
                }
                done += (size_t)size;
            }
            sent += n;
            take(0);
        } else {
            take(1);
        }
    }
    double seconds = (double)(wire_now_ns() - start_ns) / 1e9;
    printf("\"orders\": %u, \"window\": %llu, \"seconds\": %.3f, \"orders_a_second\": %.0f, \"reports\": %llu", count,
           (unsigned long long)window, seconds, count / seconds, (unsigned long long)(reports - reports_before));
}

int main(int count, char **arguments)
{
    if (count != 8) {
        fprintf(stderr, "order_entry_client PORT USERNAME PASSWORD SYMBOL ROUND_TRIPS ORDERS WINDOW\n");
        return 2;
    }
    uint32_t trips = (uint32_t)atoi(arguments[5]);
    fd = wire_log_in("order_entry_client", arguments[1], arguments[2], arguments[3]);
    printf("{");
    round_trips(trips, arguments[4]);
    flat_out(trips + 1, (uint32_t)atoi(arguments[6]), (uint64_t)atoll(arguments[7]), arguments[4]);
    printf("}\n");
    return 0;
}
