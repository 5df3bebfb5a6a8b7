/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * check.h: assertions. They stay in release builds: a venue that has lost its footing must stop, not trade on.
 * IB_ASSERT states what the code around it relies on; a caller's mistake is a status instead.
 */
#ifndef IB_CHECK_H
#define IB_CHECK_H

#define IB_ASSERT(condition) \
    (__builtin_expect(!!(condition), 1) ? (void)0 : ib_assert_failed(#condition, __FILE__, __LINE__))

__attribute__((noreturn, cold)) void ib_assert_failed(const char *condition, const char *file, int line);

#endif
