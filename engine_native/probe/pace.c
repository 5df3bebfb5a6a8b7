/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pace.c: see pace.h.
 */
#include "pace.h"

struct probe_pace probe_pace_begin(uint64_t now_ns, uint64_t interval_ns, uint64_t warm_up_ns, uint64_t seconds)
{
    struct probe_pace pace = {.first_ns = now_ns + interval_ns, .interval_ns = interval_ns};
    pace.measured_ns = pace.first_ns + warm_up_ns;
    pace.end_ns = pace.measured_ns + seconds * 1000000000u;
    return pace;
}

bool probe_pace_next(struct probe_pace *pace, uint64_t now_ns, uint64_t *due_ns)
{
    uint64_t due = pace->first_ns + pace->next * pace->interval_ns;
    if (due >= pace->end_ns || now_ns >= pace->end_ns + PROBE_GRACE_NS) {
        return false;
    }
    pace->next++;
    *due_ns = due;
    return true;
}

uint64_t probe_pace_unsent(const struct probe_pace *pace)
{
    uint64_t due = pace->first_ns + pace->next * pace->interval_ns;
    due = due < pace->measured_ns ? pace->measured_ns : due;
    return due >= pace->end_ns ? 0 : (pace->end_ns - due + pace->interval_ns - 1) / pace->interval_ns;
}

void probe_times_clear(struct probe_times *times)
{
    probe_histogram_clear(&times->cold);
    probe_histogram_clear(&times->from_due);
    probe_histogram_clear(&times->from_sent);
    times->lost = 0;
    times->unsent = 0;
}

void probe_times_add(struct probe_times *times, const struct probe_pace *pace, uint64_t due_ns, uint64_t sent_ns,
                     uint64_t done_ns)
{
    if (due_ns < pace->measured_ns) {
        probe_histogram_add(&times->cold, done_ns - due_ns);
    } else {
        probe_histogram_add(&times->from_due, done_ns - due_ns);
        probe_histogram_add(&times->from_sent, done_ns - sent_ns);
    }
}

void probe_times_lost(struct probe_times *times, const struct probe_pace *pace, uint64_t due_ns)
{
    times->lost += due_ns >= pace->measured_ns;
}

void probe_times_write(struct probe_json *json, const struct probe_times *times)
{
    probe_json_number(json, "lost", times->lost);
    probe_json_number(json, "unsent", times->unsent);
    probe_json_histogram(json, "histogram", &times->from_due);
    probe_json_histogram(json, "from_sent", &times->from_sent);
    probe_json_histogram(json, "cold", &times->cold);
}
