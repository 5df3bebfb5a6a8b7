/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * json.h: writes one JSON document. Keys are given in order; a null key is a value of an array.
 */
#ifndef PROBE_JSON_H
#define PROBE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "histogram.h"

struct probe_json {
    FILE *file;
    bool begun; /* something stands before in the object or array that is open */
};

void probe_json_open(struct probe_json *json, const char *key, char bracket); /* '{' or '[' */
void probe_json_close(struct probe_json *json, char bracket);                 /* '}' or ']' */
void probe_json_number(struct probe_json *json, const char *key, uint64_t value);
void probe_json_real(struct probe_json *json, const char *key, double value);
void probe_json_text(struct probe_json *json, const char *key, const char *value); /* what is not ASCII becomes '?' */
void probe_json_flag(struct probe_json *json, const char *key, bool value);
void probe_json_null(struct probe_json *json, const char *key);
/* {"count", "sum_ns", "min_ns", "max_ns", "buckets": [[highest time, count], ...]}, of buckets that hold any. */
void probe_json_histogram(struct probe_json *json, const char *key, const struct probe_histogram *histogram);

#endif
