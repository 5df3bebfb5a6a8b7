/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_status.c: every status and reason has a name of its own; a failed assertion ends the process.
 */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "ironbook.h"
#include "test.h"

static void every_status_has_its_own_name(void)
{
    for (int a = IB_OK; a <= IB_RESTART; a++) {
        EXPECT(strcmp(ib_status_text(a), ib_status_text(-1)) != 0);
        for (int b = IB_OK; b < a; b++) {
            EXPECT(strcmp(ib_status_text(a), ib_status_text(b)) != 0);
        }
    }
}

static void every_reason_has_a_name(void)
{
    static const int reasons[] = {IB_REASON_NONE, IB_REASON_USER, IB_REASON_IMMEDIATE_OR_CANCEL};
    for (size_t i = 0; i < 3; i++) {
        EXPECT(strcmp(ib_reason_text(reasons[i]), ib_reason_text(-1)) != 0);
    }
    for (int reason = IB_REASON_HALTED; reason <= IB_REASON_UNSUPPORTED; reason++) {
        EXPECT(strcmp(ib_reason_text(reason), ib_reason_text(-1)) != 0);
    }
}

static void a_failed_assertion_aborts(void)
{
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        (void)signal(SIGABRT, SIG_DFL);
        IB_ASSERT(child != 0);
        _exit(0);
    }
    int status = 0;
    EXPECT_EQUAL(waitpid(child, &status, 0), child);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static const struct test_case cases[] = {
    CASE(every_status_has_its_own_name),
    CASE(every_reason_has_a_name),
    CASE(a_failed_assertion_aborts),
};

TEST_MAIN("test_status", cases)
