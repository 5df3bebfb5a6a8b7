/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * attribution.c: see attribution.h.
 */
#include "attribution.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MSR_SMI_COUNT 0x34
#define CHUNK 65536u

char *probe_file_text(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t size = 0;
    ssize_t got = file < 0 ? -1 : 1;
    while (got > 0) { /* a file of /proc does not say its size */
        char *longer = realloc(text, size + CHUNK + 1);
        if (longer == NULL) {
            got = -1;
            break;
        }
        text = longer;
        got = read(file, text + size, CHUNK);
        size += got > 0 ? (size_t)got : 0;
    }
    if (file >= 0) {
        (void)close(file);
    }
    if (got < 0) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

static const char *line_end(const char *at)
{
    const char *end = strchr(at, '\n');
    return end != NULL ? end : at + strlen(at);
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && isspace((unsigned char)*at)) {
        at++;
    }
    return at;
}

static const char *skip_word(const char *at, const char *end)
{
    while (at < end && !isspace((unsigned char)*at)) {
        at++;
    }
    return at;
}

/* Which of the columns of a table's first line is that of a CPU; -1: none. */
static int column_of(const char *line, unsigned cpu)
{
    const char *end = line_end(line);
    int column = 0;
    for (const char *at = skip_blanks(line, end); at < end; at = skip_blanks(skip_word(at, end), end)) {
        unsigned number = 0;
        if (sscanf(at, "CPU%u", &number) == 1 && number == cpu) {
            return column;
        }
        column++;
    }
    return -1;
}

/* One line of a table; false where it has no such column, as the counts of errors of /proc/interrupts. */
static bool parse_row(const char *line, int column, struct probe_row *row)
{
    const char *end = line_end(line);
    const char *label = skip_blanks(line, end);
    const char *colon = memchr(label, ':', (size_t)(end - label));
    if (colon == NULL || colon == label) {
        return false;
    }
    const char *at = skip_blanks(colon + 1, end);
    for (int i = 0; i < column; i++) {
        at = skip_blanks(skip_word(at, end), end);
    }
    if (at >= end || !isdigit((unsigned char)*at)) {
        return false;
    }
    row->value = strtoull(at, NULL, 10);
    const char *last_end = end;
    while (last_end > at && isspace((unsigned char)last_end[-1])) {
        last_end--;
    }
    const char *last = last_end;
    while (last > at && !isspace((unsigned char)last[-1])) {
        last--;
    }
    bool numbered = isdigit((unsigned char)*label) && last > at;
    (void)snprintf(row->name, sizeof row->name, numbered ? "%.*s %.*s" : "%.*s", (int)(colon - label), label,
                   (int)(last_end - last), last);
    return true;
}

void probe_parse_table(const char *text, unsigned cpu, struct probe_rows *rows)
{
    rows->count = 0;
    int column = text == NULL ? -1 : column_of(text, cpu);
    rows->known = column >= 0;
    const char *at = text;
    while (rows->known && *(at = line_end(at)) != '\0' && rows->count < PROBE_ROWS) {
        at++;
        rows->count += parse_row(at, column, &rows->rows[rows->count]);
    }
}

struct probe_value probe_parse_field(const char *text, const char *word, unsigned field)
{
    struct probe_value found = {.known = false};
    size_t size = strlen(word);
    for (const char *at = text; at != NULL && *at != '\0';) {
        const char *end = line_end(at);
        if (strncmp(at, word, size) == 0 && isspace((unsigned char)at[size])) {
            for (unsigned i = 0; i < field; i++) {
                at = skip_blanks(skip_word(at, end), end);
            }
            found.known = at < end && isdigit((unsigned char)*at);
            found.value = found.known ? strtoull(at, NULL, 10) : 0;
            return found;
        }
        at = *end == '\0' ? end : end + 1;
    }
    return found;
}

static struct probe_value smi_count(unsigned cpu)
{
    struct probe_value found = {.known = false};
    char path[64];
    (void)snprintf(path, sizeof path, "/dev/cpu/%u/msr", cpu);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t value = 0;
    if (file >= 0) {
        found.known = pread(file, &value, sizeof value, MSR_SMI_COUNT) == (ssize_t)sizeof value;
        found.value = value & UINT32_MAX;
        (void)close(file);
    }
    return found;
}

static void table_of(const char *path, unsigned cpu, struct probe_rows *rows)
{
    char *text = probe_file_text(path);
    probe_parse_table(text, cpu, rows);
    free(text);
}

static struct probe_value field_of(const char *path, const char *word, unsigned field)
{
    char *text = probe_file_text(path);
    struct probe_value found = probe_parse_field(text, word, field);
    free(text);
    return found;
}

void probe_look(unsigned cpu, struct probe_look *look)
{
    char word[16];
    (void)snprintf(word, sizeof word, "cpu%u", cpu);
    table_of("/proc/interrupts", cpu, &look->interrupts);
    table_of("/proc/softirqs", cpu, &look->softirqs);
    look->steal_ticks = field_of("/proc/stat", word, 8);
    look->switches = field_of("/proc/schedstat", word, 9);
    look->smi = smi_count(cpu);
}

void probe_thread_look(struct probe_thread_look *look)
{
    char *status = probe_file_text("/proc/thread-self/status");
    look->voluntary = probe_parse_field(status, "voluntary_ctxt_switches:", 1);
    look->involuntary = probe_parse_field(status, "nonvoluntary_ctxt_switches:", 1);
    free(status);
    char *times = probe_file_text("/proc/thread-self/schedstat"); /* ran, waited, number of slices */
    unsigned long long waited = 0;
    look->wait_ns.known = times != NULL && sscanf(times, "%*u %llu", &waited) == 1;
    look->wait_ns.value = waited;
    free(times);
}

static void write_value(struct probe_json *json, const char *key, struct probe_value before, struct probe_value after)
{
    if (before.known && after.known) {
        probe_json_number(json, key, after.value - before.value);
    } else {
        probe_json_null(json, key);
    }
}

static void write_rows(struct probe_json *json, const char *key, const struct probe_rows *before,
                       const struct probe_rows *after)
{
    if (!before->known || !after->known) {
        probe_json_null(json, key);
        return;
    }
    probe_json_open(json, key, '{');
    for (uint32_t i = 0; i < after->count; i++) {
        uint64_t was = 0; /* an interrupt that was not there yet */
        for (uint32_t j = 0; j < before->count; j++) {
            was = strcmp(before->rows[j].name, after->rows[i].name) == 0 ? before->rows[j].value : was;
        }
        if (after->rows[i].value != was) {
            probe_json_number(json, after->rows[i].name, after->rows[i].value - was);
        }
    }
    probe_json_close(json, '}');
}

void probe_look_write(struct probe_json *json, const struct probe_look *before, const struct probe_look *after)
{
    write_rows(json, "interrupts", &before->interrupts, &after->interrupts);
    write_rows(json, "softirqs", &before->softirqs, &after->softirqs);
    write_value(json, "steal_ticks", before->steal_ticks, after->steal_ticks);
    write_value(json, "cpu_switches", before->switches, after->switches);
    write_value(json, "smi", before->smi, after->smi);
}

void probe_thread_look_write(struct probe_json *json, const struct probe_thread_look *before,
                             const struct probe_thread_look *after)
{
    write_value(json, "voluntary_switches", before->voluntary, after->voluntary);
    write_value(json, "involuntary_switches", before->involuntary, after->involuntary);
    write_value(json, "wait_ns", before->wait_ns, after->wait_ns);
}
