/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * authenticator.h: checks passwords against crypt(3) hashes on a thread of its own.
 *
 * A hash that is worth anything takes milliseconds; on the I/O thread each login, and each attempt to
 * guess one, would stop the orders of everybody else for that long. So the I/O thread hands a question
 * over and is told through an eventfd.
 *
 * A password is in memory from its packet to the end of its check, is wiped then, and is never written
 * anywhere.
 */
#ifndef IB_AUTHENTICATOR_H
#define IB_AUTHENTICATOR_H

#include <stdbool.h>
#include <stdint.h>

struct ib_authenticator;

struct ib_authentication {
    uint32_t ticket; /* the asker's own number */
    bool granted;
};

/* At most `capacity` questions at once. The eventfd becomes readable when an answer is there. */
int ib_authenticator_open(struct ib_authenticator **authenticator, uint32_t capacity);
void ib_authenticator_close(struct ib_authenticator *authenticator);
int ib_authenticator_event_fd(const struct ib_authenticator *authenticator);

/* Asks whether `password` (at most 10 characters) belongs to `hash` (borrowed until the answer). An unknown
 * user is asked with a hash that fits nothing, so that the time of the answer does not tell. False: busy. */
bool ib_authenticator_ask(struct ib_authenticator *authenticator, uint32_t ticket, const char *password,
                          const char *hash);
/* The next answer, in order of asking; false when there is none yet. */
bool ib_authenticator_next(struct ib_authenticator *authenticator, struct ib_authentication *answer);

/* What the thread does for each question. A hash of an unknown kind fits no password. */
bool ib_secret_fits(const char *password, const char *hash);

#endif
