/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test.h: what every test program shares: EXPECT, a table of cases, the closing line "N passed, M failed".
 * A failed EXPECT ends its case, not the program.
 */
#ifndef IB_TEST_H
#define IB_TEST_H

#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPECT(condition)                                                            \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
            test_failed = 1;                                                         \
            return;                                                                  \
        }                                                                            \
    } while (0)

#define EXPECT_EQUAL(left, right)                                                                         \
    do {                                                                                                  \
        long long test_left = (long long)(left);                                                          \
        long long test_right = (long long)(right);                                                        \
        if (test_left != test_right) {                                                                    \
            fprintf(stderr, "%s:%d: expected %s == %s, got %lld and %lld\n", __FILE__, __LINE__, #left,   \
                    #right, test_left, test_right);                                                       \
            test_failed = 1;                                                                              \
            return;                                                                                       \
        }                                                                                                 \
    } while (0)

/* Ends the calling case when one that it called has failed. */
#define EXPECT_SOUND()    \
    do {                  \
        if (test_failed) { \
            return;       \
        }                 \
    } while (0)

struct test_case {
    const char *name;
    void (*run)(void);
};

static int test_failed; /* the running case */

#define CASE(function) {#function, function}

static inline int test_run(const char *program, const struct test_case *cases, size_t count)
{
    unsigned failed = 0;
    for (size_t i = 0; i < count; i++) {
        test_failed = 0;
        cases[i].run();
        if (test_failed) {
            fprintf(stderr, "%s: %s FAILED\n", program, cases[i].name);
            failed++;
        }
    }
    printf("%s: %zu passed, %u failed\n", program, count - failed, failed);
    return failed > 0;
}

#define TEST_MAIN(program, cases)                                              \
    int main(void)                                                             \
    {                                                                          \
        return test_run(program, cases, sizeof(cases) / sizeof((cases)[0])); \
    }

/* An empty directory of its own, under TMPDIR or in memory, where fsync costs nothing; test_remove_directory takes it
 * away with the files in it. */
static inline void test_make_directory(char path[256])
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL) {
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    }
    (void)snprintf(path, 256, "%s/ironbook-test-XXXXXX", parent);
    if (mkdtemp(path) == NULL) {
        perror(path);
        exit(2);
    }
}

static inline void test_remove_directory(const char *path)
{
    DIR *stream = opendir(path);
    const struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        char name[600];
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            (void)unlink(name);
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
    (void)rmdir(path);
}

#endif
