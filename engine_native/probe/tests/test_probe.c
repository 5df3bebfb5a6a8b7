/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_probe.c: the parts of the probe that can be told what to see: histogram, pace, the kernel's tables, the command
 * line.
 */
#include "attribution.h"
#include "clock.h"
#include "options.h"
#include "pace.h"
#include "test.h"

static struct probe_histogram histogram;
static struct probe_times times;
static struct probe_rows rows;
static struct probe_options options;
static char error[PROBE_ERROR];

/* ---- the histogram ---- */

static void every_time_is_in_a_bucket_that_is_at_most_a_64th_wide(void)
{
    uint64_t seen = 88172645463325252u;
    for (int i = 0; i < 1000000; i++) {
        seen ^= seen << 13;
        seen ^= seen >> 7;
        seen ^= seen << 17;
        uint64_t ns = seen >> (seen % 40 + 24);
        uint32_t bucket = probe_bucket(ns);
        uint64_t upper = probe_bucket_upper_ns(bucket);
        EXPECT(upper >= ns && upper - ns <= ns / 64);
        EXPECT(bucket == 0 || probe_bucket_upper_ns(bucket - 1) < ns);
    }
}

static void buckets_follow_each_other_without_a_gap(void)
{
    for (uint32_t bucket = 0; bucket + 1 < PROBE_BUCKETS; bucket++) {
        EXPECT_EQUAL(probe_bucket(probe_bucket_upper_ns(bucket)), bucket);
        EXPECT_EQUAL(probe_bucket(probe_bucket_upper_ns(bucket) + 1), bucket + 1);
    }
    EXPECT_EQUAL(probe_bucket(UINT64_MAX), PROBE_BUCKETS - 1);
}

static void a_histogram_knows_count_sum_and_ends(void)
{
    probe_histogram_clear(&histogram);
    probe_histogram_add(&histogram, 5);
    probe_histogram_add(&histogram, 1000);
    probe_histogram_add(&histogram, 5);
    EXPECT_EQUAL(histogram.count, 3);
    EXPECT_EQUAL(histogram.sum_ns, 1010);
    EXPECT_EQUAL(histogram.min_ns, 5);
    EXPECT_EQUAL(histogram.max_ns, 1000);
    EXPECT_EQUAL(histogram.buckets[5], 2);
    EXPECT_EQUAL(histogram.buckets[probe_bucket(1000)], 1);
}

static void json_of(char *text, size_t size)
{
    struct probe_json json = {.file = fmemopen(text, size, "w")};
    probe_json_open(&json, NULL, '{');
    probe_json_text(&json, "name", "a \"b\"\n\xc3");
    probe_json_histogram(&json, "histogram", &histogram);
    probe_json_null(&json, "none");
    probe_json_close(&json, '}');
    (void)fclose(json.file);
}

static void a_histogram_is_written_as_its_buckets(void)
{
    char text[512] = "";
    a_histogram_knows_count_sum_and_ends();
    json_of(text, sizeof text);
    EXPECT(strcmp(text, "{\"name\": \"a \\\"b\\\"??\", \"histogram\": {\"count\": 3, \"sum_ns\": 1010, \"min_ns\": 5, "
                        "\"max_ns\": 1000, \"buckets\": [[5, 2], [1007, 1]]}, \"none\": null}") == 0);
    probe_histogram_clear(&histogram);
    json_of(text, sizeof text);
    EXPECT(strstr(text, "\"min_ns\": 0, \"max_ns\": 0, \"buckets\": []") != NULL);
}

/* ---- the pace ---- */

static void a_stall_is_in_everything_that_was_due_meanwhile(void)
{
    /* One a millisecond for a second, each takes 10 us; but the hundredth takes 50 ms. */
    struct probe_pace pace = probe_pace_begin(0, 1000000, 0, 1);
    uint64_t now = 0;
    uint64_t due;
    probe_times_clear(&times);
    while (probe_pace_next(&pace, now, &due)) {
        uint64_t sent = now > due ? now : due;
        now = sent + (pace.next == 100 ? 50000000 : 10000);
        probe_times_add(&times, &pace, due, sent, now);
    }
    EXPECT_EQUAL(times.from_due.count, 1000);
    EXPECT_EQUAL(probe_pace_unsent(&pace), 0);
    uint64_t slow_from_due = 0;
    uint64_t slow_from_sent = 0;
    for (uint32_t bucket = probe_bucket(1000000); bucket < PROBE_BUCKETS; bucket++) {
        slow_from_due += times.from_due.buckets[bucket];
        slow_from_sent += times.from_sent.buckets[bucket];
    }
    EXPECT_EQUAL(slow_from_sent, 1);
    EXPECT(slow_from_due >= 48 && slow_from_due <= 52);
}

static void the_warm_up_is_counted_apart(void)
{
    struct probe_pace pace = probe_pace_begin(0, 1000000, 100000000, 1);
    uint64_t due;
    probe_times_clear(&times);
    while (probe_pace_next(&pace, 0, &due)) {
        probe_times_add(&times, &pace, due, due, due + 7);
        probe_times_lost(&times, &pace, due);
    }
    EXPECT_EQUAL(times.cold.count, 100);
    EXPECT_EQUAL(times.from_due.count, 1000);
    EXPECT_EQUAL(times.lost, 1000);
}

static void it_ends_whatever_the_peer_does(void)
{
    struct probe_pace pace = probe_pace_begin(0, 1000000, 0, 1);
    uint64_t due;
    EXPECT(probe_pace_next(&pace, 1500000000, &due));
    EXPECT(!probe_pace_next(&pace, 2100000000, &due)); /* a second after the end */
    EXPECT_EQUAL(probe_pace_unsent(&pace), 999);
    pace = probe_pace_begin(0, 1000000, 100000000, 1);
    EXPECT_EQUAL(probe_pace_unsent(&pace), 1000); /* those of the warm-up are none */
}

/* ---- what the kernel says ---- */

static const char interrupts[] = "           CPU0       CPU2       CPU10\n"
                                 " 24:          1          2          3  PCI-MSI 5-edge      ena-mgmnt@pci:0000\n"
                                 " 25:          4          5          6  IO-APIC   6-edge\n"
                                 "LOC:         70         80         90   Local timer interrupts\n"
                                 "ERR:          3\n"
                                 "MIS:          0\n";

static uint64_t value_of(const char *name)
{
    for (uint32_t i = 0; i < rows.count; i++) {
        if (strcmp(rows.rows[i].name, name) == 0) {
            return rows.rows[i].value;
        }
    }
    return UINT64_MAX;
}

static void a_cpu_is_found_by_its_name_and_not_by_its_place(void)
{
    probe_parse_table(interrupts, 2, &rows);
    EXPECT(rows.known);
    EXPECT_EQUAL(value_of("24 ena-mgmnt@pci:0000"), 2);
    EXPECT_EQUAL(value_of("25 6-edge"), 5);
    EXPECT_EQUAL(value_of("LOC"), 80);
    EXPECT_EQUAL(rows.count, 3); /* errors are counted for no CPU */
    probe_parse_table(interrupts, 10, &rows);
    EXPECT_EQUAL(value_of("LOC"), 90);
    probe_parse_table(interrupts, 0, &rows);
    EXPECT_EQUAL(value_of("LOC"), 70);
}

static void a_cpu_that_is_not_there_is_unknown_and_not_quiet(void)
{
    probe_parse_table(interrupts, 1, &rows);
    EXPECT(!rows.known);
    probe_parse_table(NULL, 0, &rows);
    EXPECT(!rows.known);
    probe_parse_table("", 0, &rows);
    EXPECT(!rows.known);
}

static void a_table_that_was_cut_anywhere_is_read_as_far_as_it_goes(void)
{
    for (size_t size = 0; size < sizeof interrupts; size++) {
        char *text = strndup(interrupts, size);
        probe_parse_table(text, 10, &rows);
        EXPECT(rows.count <= 3);
        free(text);
    }
}

static void a_field_is_that_of_its_line(void)
{
    static const char stat[] = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu1 11 12 13 14 15 16 17 18 19 20\n"
                               "cpu11 0 0 0 0 0 0 0 99 0 0\n";
    EXPECT_EQUAL(probe_parse_field(stat, "cpu1", 8).value, 18);
    EXPECT_EQUAL(probe_parse_field(stat, "cpu11", 8).value, 99);
    EXPECT(!probe_parse_field(stat, "cpu2", 8).known);
    EXPECT(!probe_parse_field(stat, "cpu1", 11).known);
    EXPECT(!probe_parse_field(NULL, "cpu1", 8).known);
    static const char status[] = "voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t34\n";
    EXPECT_EQUAL(probe_parse_field(status, "voluntary_ctxt_switches:", 1).value, 12);
    EXPECT_EQUAL(probe_parse_field(status, "nonvoluntary_ctxt_switches:", 1).value, 34);
}

static void what_cannot_be_read_is_null_and_what_did_not_move_is_left_out(void)
{
    static struct probe_look before;
    static struct probe_look after;
    char text[512] = "";
    probe_parse_table(interrupts, 0, &before.interrupts);
    probe_parse_table(interrupts, 0, &after.interrupts);
    after.interrupts.rows[2].value += 250;
    before.steal_ticks = after.steal_ticks = (struct probe_value){.known = true, .value = 4};
    struct probe_json json = {.file = fmemopen(text, sizeof text, "w")};
    probe_json_open(&json, NULL, '{');
    probe_look_write(&json, &before, &after);
    probe_json_close(&json, '}');
    (void)fclose(json.file);
    EXPECT(strcmp(text, "{\"interrupts\": {\"LOC\": 250}, \"softirqs\": null, \"steal_ticks\": 0, "
                        "\"cpu_switches\": null, \"smi\": null}") == 0);
}

/* ---- clocks ---- */

static void both_clocks_say_how_long_something_took(void)
{
    for (int kernel_only = 0; kernel_only < 2; kernel_only++) {
        struct probe_clock clock = probe_clock_open(kernel_only != 0);
        EXPECT(kernel_only == 0 || strcmp(clock.source, "clock_gettime") == 0);
        uint64_t begin_ns = probe_now_ns();
        uint64_t begin = probe_ticks(clock.counter);
        while (probe_now_ns() - begin_ns < 50000000) {
        }
        uint64_t ns = probe_ticks_to_ns(&clock, probe_ticks(clock.counter) - begin);
        uint64_t true_ns = probe_now_ns() - begin_ns;
        EXPECT(ns >= 49000000 && ns <= true_ns + true_ns / 50);
        EXPECT(probe_clock_step_ticks(&clock, 10000) >= 1);
    }
}

/* ---- the command line ---- */

static bool parse(const char *line)
{
    static char copy[256];
    char *words[32];
    int count = 0;
    (void)snprintf(copy, sizeof copy, "ironbook-probe %s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    error[0] = '\0';
    return probe_options_parse(count, words, &options, error);
}

static void a_cpu_list_is_a_set(void)
{
    EXPECT(parse("noise --seconds 5 --cpus 8,2-4,3"));
    EXPECT_EQUAL(options.cpus.count, 4);
    EXPECT(options.cpus.cpu[0] == 2 && options.cpus.cpu[3] == 8);
    static const char *const wrong[] = {"", ",", "2-", "-2", "4-2", "1024", "0-5000", "two", "1,,2", "1 2", "1;2",
                                        "0x2"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct probe_cpus cpus;
        EXPECT(!probe_parse_cpus(wrong[i], &cpus, error));
    }
}

static void what_is_not_asked_properly_is_refused_with_a_line(void)
{
    static const char *const wrong[] = {
        "", "measure --seconds 1", "noise", "noise --seconds", "noise --seconds 0", "noise --seconds 3601",
        "noise --seconds 1e3", "noise --seconds -1", "noise --seconds 1 --port 7", "wake --seconds 1 --cpus 1,2,3",
        "serve --seconds 1", "serve --seconds 1 --port 7", "serve --seconds 1 --port 7 --bind 0.0.0.0",
        "serve --seconds 1 --port 7 --bind 239.1.1.1", "serve --seconds 1 --port 7 --bind localhost",
        "pingpong --seconds 1 --peer 10.0.0.1", "pingpong --seconds 1 --port 7", "pingpong --seconds 1 --bind 10.0.0.1",
        "pingpong --seconds 1 --protocol sctp", "noise --seconds 1 --clock tsc"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (parse(wrong[i]) || error[0] == '\0' || strchr(error, '\n') != NULL) {
            fprintf(stderr, "taken: %s\n", wrong[i]);
            test_failed = 1;
        }
    }
}

static void what_is_asked_is_what_is_done(void)
{
    EXPECT(parse("pingpong --seconds 5 --peer 10.0.0.1 --port 99 --protocol tcp --busy-poll-us 50 --interval-us 200"));
    EXPECT(options.tcp && options.has_peer && options.port == 99);
    EXPECT_EQUAL(options.busy_poll_us, 50);
    EXPECT_EQUAL(options.interval_us, 200);
    EXPECT(parse("serve --seconds 5 --bind 127.0.0.1 --port 99") && options.idle_seconds == 3);
    EXPECT(parse("noise --seconds 5 --clock kernel") && options.kernel_clock && options.cpus.count == 0);
}

static const struct test_case cases[] = {
    CASE(every_time_is_in_a_bucket_that_is_at_most_a_64th_wide),
    CASE(buckets_follow_each_other_without_a_gap),
    CASE(a_histogram_knows_count_sum_and_ends),
    CASE(a_histogram_is_written_as_its_buckets),
    CASE(a_stall_is_in_everything_that_was_due_meanwhile),
    CASE(the_warm_up_is_counted_apart),
    CASE(it_ends_whatever_the_peer_does),
    CASE(a_cpu_is_found_by_its_name_and_not_by_its_place),
    CASE(a_cpu_that_is_not_there_is_unknown_and_not_quiet),
    CASE(a_table_that_was_cut_anywhere_is_read_as_far_as_it_goes),
    CASE(a_field_is_that_of_its_line),
    CASE(what_cannot_be_read_is_null_and_what_did_not_move_is_left_out),
    CASE(both_clocks_say_how_long_something_took),
    CASE(a_cpu_list_is_a_set),
    CASE(what_is_not_asked_properly_is_refused_with_a_line),
    CASE(what_is_asked_is_what_is_done),
};

TEST_MAIN("test_probe", cases)
