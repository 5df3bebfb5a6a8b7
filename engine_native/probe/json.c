/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * json.c: see json.h.
 */
#include "json.h"

#include <inttypes.h>

static void quoted(struct probe_json *json, const char *text)
{
    (void)fputc('"', json->file);
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char letter = (unsigned char)*at;
        if (letter == '"' || letter == '\\') {
            (void)fputc('\\', json->file);
        }
        (void)fputc(letter < 0x20 || letter > 0x7e ? '?' : letter, json->file);
    }
    (void)fputc('"', json->file);
}

static void begin(struct probe_json *json, const char *key)
{
    if (json->begun) {
        (void)fputs(", ", json->file);
    }
    json->begun = true;
    if (key != NULL) {
        quoted(json, key);
        (void)fputs(": ", json->file);
    }
}

void probe_json_open(struct probe_json *json, const char *key, char bracket)
{
    begin(json, key);
    (void)fputc(bracket, json->file);
    json->begun = false;
}

void probe_json_close(struct probe_json *json, char bracket)
{
    (void)fputc(bracket, json->file);
    json->begun = true;
}

void probe_json_number(struct probe_json *json, const char *key, uint64_t value)
{
    begin(json, key);
    (void)fprintf(json->file, "%" PRIu64, value);
}

void probe_json_real(struct probe_json *json, const char *key, double value)
{
    begin(json, key);
    (void)fprintf(json->file, "%.9g", value);
}

void probe_json_text(struct probe_json *json, const char *key, const char *value)
{
    begin(json, key);
    quoted(json, value);
}

void probe_json_flag(struct probe_json *json, const char *key, bool value)
{
    begin(json, key);
    (void)fputs(value ? "true" : "false", json->file);
}

void probe_json_null(struct probe_json *json, const char *key)
{
    begin(json, key);
    (void)fputs("null", json->file);
}

void probe_json_histogram(struct probe_json *json, const char *key, const struct probe_histogram *histogram)
{
    probe_json_open(json, key, '{');
    probe_json_number(json, "count", histogram->count);
    probe_json_number(json, "sum_ns", histogram->sum_ns);
    probe_json_number(json, "min_ns", histogram->count > 0 ? histogram->min_ns : 0);
    probe_json_number(json, "max_ns", histogram->max_ns);
    probe_json_open(json, "buckets", '[');
    for (uint32_t bucket = 0; bucket < PROBE_BUCKETS; bucket++) {
        if (histogram->buckets[bucket] > 0) {
            probe_json_open(json, NULL, '[');
            probe_json_number(json, NULL, probe_bucket_upper_ns(bucket));
            probe_json_number(json, NULL, histogram->buckets[bucket]);
            probe_json_close(json, ']');
        }
    }
    probe_json_close(json, ']');
    probe_json_close(json, '}');
}
