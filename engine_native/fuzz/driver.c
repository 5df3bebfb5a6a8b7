/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * driver.c: runs a libFuzzer target without libFuzzer, where there is no clang: random inputs, some of them small
 * changes of each other, for a number of seconds.
 *
 *   fuzz_X SECONDS [SEED [RUN]]     RUN repeats one input, as a failure prints it
 *   fuzz_X -runs=0 DIRECTORY        the files of a directory, once each, as libFuzzer has it
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

static unsigned long long seed = 1;
static unsigned long long run_number;

/* So that a finding ends in the handler below, which says how to repeat it. */
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}

static void on_abort(int signal_number)
{
    char text[128];
    int size =
        snprintf(text, sizeof text, "fuzz: FAILED: repeat it with the arguments: 1 %llu %llu\n", seed, run_number);
    if (size > 0 && write(2, text, (size_t)size) < 0) {
        _exit(2);
    }
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fill(uint8_t *data, size_t size, uint64_t state)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(next_random(&state) >> 32);
    }
}

/* The input of a run: a pure function of seed and run. Sixteen runs in a row are changes of one input. */
static size_t make_input(uint8_t data[INPUT_MAX], unsigned long long run)
{
    uint64_t family = (seed * 0x9e3779b97f4a7c15u + run / 16 + 1) * 0xc90fdaa22168c235u | 1;
    uint64_t state = family;
    size_t size = next_random(&state) % (next_random(&state) % 4 == 0 ? INPUT_MAX : 512);
    fill(data, size, family);
    state = family ^ (run * 0x243f6a8885a308d3u) ^ 1;
    for (unsigned changes = 0; size > 0 && changes < run % 16; changes++) {
        size_t at = next_random(&state) % size;
        switch (next_random(&state) % 4) {
        case 0: data[at] = 0; break;
        case 1: data[at] = 0xff; break;
        case 2: data[at] ^= (uint8_t)(1u << next_random(&state) % 8); break;
        default: memset(data + at, 0, size - at < 16 ? size - at : 16); break;
        }
    }
    return size;
}

static int run_files(const char *directory)
{
    static uint8_t data[INPUT_MAX];
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    unsigned count = 0;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (file != NULL) {
            fprintf(stderr, "%s\n", path); /* the last one of them is the one that failed */
            (void)LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof data, file));
            (void)fclose(file);
            count++;
        }
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
    return count == 0;
}

int main(int argc, char **argv)
{
    static uint8_t data[INPUT_MAX];
    if (argc == 3 && strcmp(argv[1], "-runs=0") == 0) {
        return run_files(argv[2]);
    }
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    (void)signal(SIGABRT, on_abort);
    if (argc > 3) {
        run_number = strtoull(argv[3], NULL, 10);
        return LLVMFuzzerTestOneInput(data, make_input(data, run_number));
    }
    struct timespec begin;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        for (int i = 0; i < 64; i++) {
            run_number++;
            (void)LLVMFuzzerTestOneInput(data, make_input(data, run_number));
        }
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - begin.tv_sec) + 1e-9 * (double)(now.tv_nsec - begin.tv_nsec) < seconds);
    printf("%s: %llu inputs\n", argv[0], run_number);
    return 0;
}
