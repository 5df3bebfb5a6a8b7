/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * check.h: assertions. IB_ASSERT stays in release builds: a venue that has lost its footing must stop, not trade on. It
 * states what the code around it relies on; a caller's mistake is a status instead. IB_EXPECT states the same of data
 * that the code would not look at otherwise, on the path of every order: it is there in IB_CHECK builds, which the
 * tests, the simulation and the fuzzers are, and where the whole state is checked after each command.
 */
#ifndef IB_CHECK_H
#define IB_CHECK_H

#include <stdint.h>

#define IB_LIKELY(condition) __builtin_expect(!!(condition), 1)

/* For the few functions that every order passes through, and that a compiler finds too large to guess so. */
#define IB_INLINE static inline __attribute__((always_inline))

/* Keeps a value in its register: the compiler would compute a pointer anew at each use, out of an index and a sum, or
 * branch on a bit that is to be counted. */
#define IB_KEEP(value) __asm__("" : "+r"(value))

#define IB_ASSERT(condition) \
    (IB_LIKELY(condition) ? (void)0 : ib_assert_failed(#condition, __FILE__, __LINE__))

#ifdef IB_CHECK
#define IB_EXPECT(condition) IB_ASSERT(condition)
#else
#define IB_EXPECT(condition) ((void)sizeof(condition))
#endif

__attribute__((noreturn, cold)) void ib_assert_failed(const char *condition, const char *file, int line);

#endif
