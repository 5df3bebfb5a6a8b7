/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway_peer.c: who is at the other end of a connection, and how many wrong passwords it has left.
 *
 * Nobody can be shut out by somebody else's wrong passwords: they count against whoever sends them. On this machine
 * that is the user that owns the socket, as the kernel tells it; elsewhere it is the address. A login of one who has
 * spent them waits for its turn, and is checked then: the right password always passes.
 */
#define _GNU_SOURCE
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "gateway_internal.h"

struct diag_request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

struct diag_answer {
    struct nlmsghdr header;
    struct inet_diag_msg body;
    char attributes[1024];
};

/* Fills in one end of a connection; false for an address of another family. */
static bool fill_end(const struct sockaddr_storage *end, __be16 *port, __be32 *address)
{
    IB_ASSERT(end != NULL && port != NULL && address != NULL);
    if (end->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)end;
        *port = in->sin_port;
        memcpy(address, &in->sin_addr, sizeof in->sin_addr);
        return true;
    }
    if (end->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)end;
        *port = in6->sin6_port;
        memcpy(address, &in6->sin6_addr, sizeof in6->sin6_addr);
        return true;
    }
    return false;
}

/* Asks the kernel for the owner of the socket at the other end, where that is on this machine (sock_diag(7)). */
static uint32_t owner_of(int fd, const struct sockaddr_storage *peer)
{
    struct sockaddr_storage own;
    socklen_t own_size = sizeof own;
    struct diag_request request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = (uint8_t)peer->ss_family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u}};
    struct inet_diag_sockid *id = &request.body.id;
    struct diag_answer answer;
    IB_ASSERT(fd >= 0);
    id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (getsockname(fd, (struct sockaddr *)&own, &own_size) != 0 || own.ss_family != peer->ss_family ||
        !fill_end(peer, &id->idiag_sport, id->idiag_src) || !fill_end(&own, &id->idiag_dport, id->idiag_dst)) {
        return IB_UID_UNKNOWN;
    }
    int diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (diag < 0) {
        return IB_UID_UNKNOWN;
    }
    ssize_t size = -1;
    if (send(diag, &request, sizeof request, 0) == (ssize_t)sizeof request) {
        size = recv(diag, &answer, sizeof answer, MSG_DONTWAIT); /* the kernel has answered before send returned */
    }
    close(diag);
    IB_ASSERT(size <= (ssize_t)sizeof answer);
    if (size < (ssize_t)NLMSG_LENGTH(sizeof answer.body) || answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        answer.body.idiag_inode == 0) { /* a socket without inode was closed: it shows uid 0, whoever owned it */
        return IB_UID_UNKNOWN;
    }
    return answer.body.idiag_uid;
}

struct ib_peer ib_peer_of(int fd)
{
    struct ib_peer peer = {.uid = IB_UID_UNKNOWN, .session = IB_SESSION_NONE};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    __be16 port;
    __be32 bytes[4] = {0};
    IB_ASSERT(fd >= 0);
    _Static_assert(sizeof bytes == sizeof peer.address, "an address of either family");
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0) {
        return peer; /* it has left */
    }
    peer.uid = owner_of(fd, &address);
    /* A user may take any address of 127.0.0.0/8: who has a uid has no address. */
    if (peer.uid == IB_UID_UNKNOWN && fill_end(&address, &port, bytes)) {
        bool loopback = address.ss_family == AF_INET && ntohl(bytes[0]) >> 24 == IN_LOOPBACKNET;
        memcpy(peer.address, bytes, loopback ? 1 : sizeof bytes);
    }
    return peer;
}

static bool is_same(const struct ib_peer *a, const struct ib_peer *b)
{
    IB_ASSERT(a != NULL && b != NULL);
    return a->uid == b->uid && a->session == b->session && memcmp(a->address, b->address, sizeof a->address) == 0;
}

/* The account of a peer: its own, or else the one that matters least. */
static struct ib_peer_account *account_of(struct ib_gateway *gateway, struct ib_peer *peer)
{
    int oldest = -1;
    IB_ASSERT(peer->account < IB_PEER_ACCOUNTS);
    for (int i = -1; i < IB_PEER_ACCOUNTS; i++) {
        int place = i < 0 ? peer->account : i; /* most often it is where it was */
        struct ib_peer_account *account = &gateway->accounts[place];
        if (account->used && is_same(&account->peer, peer)) {
            peer->account = (uint16_t)place;
            return account;
        }
        if (!account->checking &&
            (oldest < 0 || account->spent_until_ms < gateway->accounts[oldest].spent_until_ms)) {
            oldest = place;
        }
    }
    IB_ASSERT(oldest >= 0); /* fewer are checked at once than there are accounts */
    gateway->accounts[oldest] = (struct ib_peer_account){.peer = *peer, .used = true};
    peer->account = (uint16_t)oldest;
    return &gateway->accounts[oldest];
}

/* Each wrong password takes this long to be forgotten. */
static uint64_t penalty_ms(const struct ib_gateway *gateway)
{
    IB_ASSERT(gateway->config.login_attempts > 0);
    return gateway->config.login_ms / gateway->config.login_attempts + 1;
}

bool ib_peer_may_ask(struct ib_gateway *gateway, struct ib_peer *peer)
{
    uint32_t places = gateway->config.connections;
    IB_ASSERT(gateway->checking <= places);
    if (gateway->checking >= IB_CHECKS_MAX || (gateway->checking > 0 && gateway->checking >= places / 2)) {
        return false; /* who is checked keeps its place: half of them stay free for those who come */
    }
    struct ib_peer_account *account = account_of(gateway, peer);
    uint64_t now_ms = gateway->loop->now_ms;
    uint64_t allowance_ms = (gateway->config.login_attempts - 1) * penalty_ms(gateway);
    if (account->checking || account->spent_until_ms > now_ms + allowance_ms) {
        return false;
    }
    account->checking = true;
    gateway->checking++;
    return true;
}

void ib_peer_answered(struct ib_gateway *gateway, struct ib_peer *peer, bool granted)
{
    struct ib_peer_account *account = account_of(gateway, peer);
    IB_ASSERT(gateway->checking > 0);
    IB_ASSERT(account->checking); /* its account was kept for it */
    IB_ASSERT(gateway->checking <= IB_CHECKS_MAX);
    gateway->checking--;
    account->checking = false;
    if (!granted) {
        uint64_t now_ms = gateway->loop->now_ms;
        uint64_t from_ms = account->spent_until_ms > now_ms ? account->spent_until_ms : now_ms;
        account->spent_until_ms = from_ms + penalty_ms(gateway);
    }
}
