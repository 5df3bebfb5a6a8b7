/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * authenticator.c: see authenticator.h.
 */
#define _GNU_SOURCE
#include "authenticator.h"

#include <crypt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "ironbook_engine.h"
#include "soupbintcp.h"

struct question {
    uint32_t ticket;
    bool granted;
    const char *hash;
    char password[IB_SOUP_PASSWORD_SIZE + 1];
};

struct ib_authenticator {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t asked_more;
    int event_fd;
    bool closing;
    /* A circle of questions: answered <= checked <= asked, counts since open. */
    uint64_t asked, checked, answered;
    uint32_t capacity;
    struct question *questions;
};

bool ib_secret_fits(const char *password, const char *hash)
{
    struct crypt_data *data = calloc(1, sizeof *data); /* 32 KiB: too much for a thread's stack */
    unsigned char difference = 1;
    IB_ASSERT(password != NULL && hash != NULL);
    if (data == NULL) {
        return false;
    }
    const char *computed = crypt_r(password, hash, data);
    if (computed != NULL && computed[0] != '*' && strlen(computed) == strlen(hash)) {
        difference = 0;
        for (size_t i = 0; hash[i] != '\0'; i++) { /* as long for a near miss as for a far one */
            difference |= (unsigned char)(computed[i] ^ hash[i]);
        }
    }
    explicit_bzero(data, sizeof *data);
    free(data);
    return difference == 0;
}

int ib_secret_hash(const char *password, char *hash, uint64_t size)
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    IB_ASSERT(password != NULL && hash != NULL);
    IB_ASSERT(size > 0);
    if (crypt_gensalt_rn("$6$", 0, NULL, 0, salt, sizeof salt) == NULL) {
        return IB_ERROR_IO;
    }
    struct crypt_data *data = calloc(1, sizeof *data);
    if (data == NULL) {
        return IB_ERROR_MEMORY;
    }
    const char *computed = crypt_r(password, salt, data);
    int status = IB_ERROR_ARGUMENT;
    if (computed != NULL && computed[0] == '$' && strlen(computed) < size) {
        memcpy(hash, computed, strlen(computed) + 1);
        status = IB_OK;
    }
    explicit_bzero(data, sizeof *data);
    free(data);
    return status;
}

static void *check_questions(void *context)
{
    struct ib_authenticator *self = context;
    IB_ASSERT(self != NULL && self->capacity > 0);
    uint64_t one = 1;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        while (self->checked == self->asked && !self->closing) {
            pthread_cond_wait(&self->asked_more, &self->mutex);
        }
        if (self->closing) {
            break;
        }
        IB_ASSERT(self->checked < self->asked);
        struct question *question = &self->questions[self->checked % self->capacity];
        IB_ASSERT(question->hash != NULL && !question->granted);
        pthread_mutex_unlock(&self->mutex);
        question->granted = ib_secret_fits(question->password, question->hash);
        explicit_bzero(question->password, sizeof question->password);
        pthread_mutex_lock(&self->mutex);
        self->checked++;
        ssize_t written = write(self->event_fd, &one, sizeof one);
        (void)written; /* a full counter is a pending wake-up already */
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

int ib_authenticator_open(struct ib_authenticator **authenticator, uint32_t capacity)
{
    sigset_t all, before;
    IB_ASSERT(authenticator != NULL && capacity > 0);
    *authenticator = NULL;
    struct ib_authenticator *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return IB_ERROR_MEMORY;
    }
    self->capacity = capacity;
    self->questions = calloc(capacity, sizeof *self->questions);
    self->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->asked_more, NULL);
    sigfillset(&all); /* signals belong to the I/O thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = self->questions != NULL && self->event_fd >= 0 &&
                   pthread_create(&self->thread, NULL, check_questions, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started) {
        if (self->event_fd >= 0) {
            close(self->event_fd);
        }
        free(self->questions);
        free(self);
        return IB_ERROR_MEMORY;
    }
    *authenticator = self;
    return IB_OK;
}

void ib_authenticator_close(struct ib_authenticator *self)
{
    if (self == NULL) {
        return;
    }
    IB_ASSERT(self->capacity > 0);
    IB_ASSERT(!self->closing);
    pthread_mutex_lock(&self->mutex);
    self->closing = true;
    pthread_cond_signal(&self->asked_more);
    pthread_mutex_unlock(&self->mutex);
    pthread_join(self->thread, NULL);
    close(self->event_fd);
    pthread_cond_destroy(&self->asked_more);
    pthread_mutex_destroy(&self->mutex);
    explicit_bzero(self->questions, self->capacity * sizeof *self->questions);
    free(self->questions);
    free(self);
}

int ib_authenticator_event_fd(const struct ib_authenticator *self)
{
    IB_ASSERT(self != NULL);
    IB_ASSERT(self->event_fd >= 0);
    return self->event_fd;
}

bool ib_authenticator_ask(struct ib_authenticator *self, uint32_t ticket, const char *password, const char *hash)
{
    IB_ASSERT(self != NULL && password != NULL && hash != NULL);
    IB_ASSERT(strlen(password) <= IB_SOUP_PASSWORD_SIZE);
    pthread_mutex_lock(&self->mutex);
    IB_ASSERT(self->answered <= self->checked && self->checked <= self->asked);
    IB_ASSERT(self->asked - self->answered <= self->capacity);
    bool room = self->asked - self->answered < self->capacity;
    if (room) {
        struct question *question = &self->questions[self->asked % self->capacity];
        question->ticket = ticket;
        question->granted = false;
        question->hash = hash;
        memcpy(question->password, password, strlen(password) + 1);
        self->asked++;
        pthread_cond_signal(&self->asked_more);
    }
    pthread_mutex_unlock(&self->mutex);
    return room;
}

bool ib_authenticator_next(struct ib_authenticator *self, struct ib_authentication *answer)
{
    IB_ASSERT(self != NULL && answer != NULL);
    pthread_mutex_lock(&self->mutex);
    IB_ASSERT(self->answered <= self->checked && self->checked <= self->asked);
    bool there = self->answered < self->checked;
    if (there) {
        const struct question *question = &self->questions[self->answered % self->capacity];
        IB_ASSERT(question->password[0] == '\0'); /* wiped as soon as it was checked */
        answer->ticket = question->ticket;
        answer->granted = question->granted;
        self->answered++;
    } else { /* drained: the eventfd sleeps until the next answer */
        uint64_t count;
        ssize_t size = read(self->event_fd, &count, sizeof count);
        (void)size;
    }
    pthread_mutex_unlock(&self->mutex);
    return there;
}
