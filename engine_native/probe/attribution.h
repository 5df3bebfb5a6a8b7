/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * attribution.h: what the kernel says that a CPU did, as counters that only grow. The difference of two looks is what
 * happened between them. What cannot be read is said to be so, and never 0.
 */
#ifndef PROBE_ATTRIBUTION_H
#define PROBE_ATTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"

enum { PROBE_NAME = 40, PROBE_ROWS = 512 };

struct probe_row {
    char name[PROBE_NAME];
    uint64_t value;
};

struct probe_rows {
    bool known;
    uint32_t count;
    struct probe_row rows[PROBE_ROWS];
};

struct probe_value {
    bool known;
    uint64_t value;
};

/* Of one CPU. */
struct probe_look {
    struct probe_rows interrupts;   /* /proc/interrupts */
    struct probe_rows softirqs;     /* /proc/softirqs */
    struct probe_value steal_ticks; /* /proc/stat, in USER_HZ */
    struct probe_value switches;    /* /proc/schedstat: how often a task was given the CPU */
    struct probe_value smi;         /* MSR 0x34 of Intel's processors */
};

/* Of the thread that looks: one that only spins has no reason for any of it. */
struct probe_thread_look {
    struct probe_value voluntary;   /* it slept, or was stopped */
    struct probe_value involuntary; /* another one was given its CPU */
    struct probe_value wait_ns;     /* it could have run, and did not */
};

/* The text of a file of /proc, to be freed; null where it cannot be read. */
char *probe_file_text(const char *path);

/* The column of a CPU in a table as of /proc/interrupts: names on the left, one column for each CPU that is online.
 * A row is named by its label and, for a numbered interrupt, by the last word of its line. */
void probe_parse_table(const char *text, unsigned cpu, struct probe_rows *rows);
/* The number in a field of the line that begins with a word; the word itself is field 0. */
struct probe_value probe_parse_field(const char *text, const char *word, unsigned field);

void probe_look(unsigned cpu, struct probe_look *look);
void probe_thread_look(struct probe_thread_look *look);
/* The members of an object that is open: what has grown, and null for what is not known. */
void probe_look_write(struct probe_json *json, const struct probe_look *before, const struct probe_look *after);
void probe_thread_look_write(struct probe_json *json, const struct probe_thread_look *before,
                             const struct probe_thread_look *after);

#endif
