/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * main.c: ironbook-probe. Exit status 0 with one JSON document, 1 where it could not measure, 2 where it was not asked
 * properly; then one line on standard error says why.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>

#include "probe.h"

bool probe_pin(const struct probe_cpus *cpus, char *error)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < cpus->count; i++) {
        CPU_SET(cpus->cpu[i], &set);
    }
    int failed = cpus->count > 0 ? pthread_setaffinity_np(pthread_self(), sizeof set, &set) : 0;
    if (failed != 0) {
        (void)snprintf(error, PROBE_ERROR, "--cpus: CPU %u cannot be used (%s)", cpus->cpu[0], strerror(failed));
    }
    return failed == 0;
}

void probe_usable_cpus(struct probe_cpus *cpus)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof set, &set);
    cpus->count = 0;
    for (uint16_t cpu = 0; cpu < PROBE_CPUS && cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            cpus->cpu[cpus->count++] = cpu;
        }
    }
}

/* All that were asked for can be used, or none is. */
static bool cpus_are_usable(const struct probe_cpus *wanted, char *error)
{
    struct probe_cpus usable;
    probe_usable_cpus(&usable);
    for (uint32_t i = 0, j = 0; i < wanted->count; i++) {
        while (j < usable.count && usable.cpu[j] < wanted->cpu[i]) {
            j++;
        }
        if (j == usable.count || usable.cpu[j] != wanted->cpu[i]) {
            (void)snprintf(error, PROBE_ERROR, "--cpus: this process may not use CPU %u, or there is none",
                           wanted->cpu[i]);
            return false;
        }
    }
    return true;
}

int main(int count, char **words)
{
    static struct probe_options options;
    char error[PROBE_ERROR] = "";
    if (count == 2 && strcmp(words[1], "--help") == 0) {
        (void)puts(probe_usage);
        return 0;
    }
    if (!probe_options_parse(count, words, &options, error) || !cpus_are_usable(&options.cpus, error)) {
        (void)fprintf(stderr, "ironbook-probe: %s\n", error);
        return 2;
    }
    char *text = NULL;
    size_t size = 0;
    struct probe_json json = {.file = open_memstream(&text, &size)};
    if (json.file == NULL) {
        (void)fprintf(stderr, "ironbook-probe: %s\n", strerror(errno));
        return 1;
    }
    struct utsname kernel;
    (void)uname(&kernel);
    probe_json_open(&json, NULL, '{');
    probe_json_text(&json, "schema", "ironbook.latency_probe");
    probe_json_number(&json, "schema_version", PROBE_SCHEMA_VERSION);
    probe_json_text(&json, "mode", words[1]);
    probe_json_number(&json, "seconds", options.seconds);
    probe_json_text(&json, "kernel", kernel.release);
    probe_json_text(&json, "machine", kernel.machine);
    bool measured = options.mode == PROBE_NOISE      ? probe_noise(&options, &json, error)
                    : options.mode == PROBE_WAKE     ? probe_wake(&options, &json, error)
                    : options.mode == PROBE_PINGPONG ? probe_pingpong(&options, &json, error)
                                                     : probe_serve(&options, &json, error);
    probe_json_close(&json, '}');
    bool written = fclose(json.file) == 0;
    if (!measured || !written) {
        (void)fprintf(stderr, "ironbook-probe: %s\n", measured ? "no memory" : error);
        return 1;
    }
    return puts(text) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}
