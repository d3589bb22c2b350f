#include "cmartlet_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cm_datagrams {
    struct mmsghdr in[CM_DATAGRAMS], out[CM_DATAGRAMS];
    struct iovec in_bytes[CM_DATAGRAMS], out_bytes[CM_DATAGRAMS];
    struct sockaddr_in6 peers[CM_DATAGRAMS]; /* the larger of the two families */
    unsigned answers;
    uint8_t received[CM_DATAGRAMS][CM_DATAGRAM_BYTES], answer[CM_DATAGRAMS][CM_DATAGRAM_BYTES];
};

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(cm_peer), "a peer holds either family");

static int datagram_socket(int family) {
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int on = 1;
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return fd;
}

int cm_datagram_bind(const cm_address *address) {
    if (address->storage.ss_family == AF_UNIX) return -EAFNOSUPPORT;
    int fd = datagram_socket(address->storage.ss_family);
    if (fd < 0) return fd;
    /* A burst of questions waits here; the kernel may allow less. */
    int bytes = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (bind(fd, cm_address_pointer(address), address->length) == 0) return fd;
    int status = -errno;
    close(fd);
    return status;
}

int cm_datagram_connect(const cm_address *peer, uint16_t port) {
    if (peer->storage.ss_family == AF_UNIX) return -EAFNOSUPPORT;
    int fd = datagram_socket(peer->storage.ss_family);
    if (fd < 0) return fd;
    struct sockaddr_in6 own = {.sin6_family = peer->storage.ss_family};
    /* Both families have the port in the same place. */
    own.sin6_port = htons(port);
    if (bind(fd, (struct sockaddr *)&own, peer->length) == 0 &&
        connect(fd, cm_address_pointer(peer), peer->length) == 0)
        return fd;
    int status = -errno;
    close(fd);
    return status;
}

cm_datagrams *cm_datagrams_make(void) {
    cm_datagrams *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    for (unsigned i = 0; i < CM_DATAGRAMS; i++) {
        batch->in_bytes[i] = (struct iovec){batch->received[i], CM_DATAGRAM_BYTES};
        batch->in[i].msg_hdr = (struct msghdr){.msg_name = &batch->peers[i],
                                               .msg_namelen = sizeof batch->peers[i],
                                               .msg_iov = &batch->in_bytes[i],
                                               .msg_iovlen = 1};
        batch->out[i].msg_hdr = (struct msghdr){.msg_iov = &batch->out_bytes[i], .msg_iovlen = 1};
    }
    return batch;
}

void cm_datagrams_free(cm_datagrams *batch) { free(batch); }

int cm_datagrams_receive(cm_datagrams *batch, int fd) {
    batch->answers = 0;
    int count = recvmmsg(fd, batch->in, CM_DATAGRAMS, MSG_DONTWAIT, NULL);
    if (count >= 0) return count;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

const uint8_t *cm_datagram_bytes(const cm_datagrams *batch, int index, size_t *count) {
    *count = batch->in[index].msg_len;
    return batch->received[index];
}

cm_peer cm_datagram_peer(const cm_datagrams *batch, int index) {
    cm_peer peer = {0};
    memcpy(&peer, &batch->peers[index], sizeof batch->peers[index]);
    return peer;
}

void cm_datagram_answer(cm_datagrams *batch, int index, const uint8_t *bytes, size_t count) {
    if (count > CM_DATAGRAM_BYTES || batch->answers == CM_DATAGRAMS) return;
    unsigned at = batch->answers++;
    memcpy(batch->answer[at], bytes, count);
    batch->out_bytes[at] = (struct iovec){batch->answer[at], count};
    batch->out[at].msg_hdr.msg_name = &batch->peers[index];
    batch->out[at].msg_hdr.msg_namelen = batch->in[index].msg_hdr.msg_namelen;
}

void cm_datagrams_send(cm_datagrams *batch, int fd) {
    unsigned sent = 0;
    while (sent < batch->answers) {
        int count = sendmmsg(fd, batch->out + sent, batch->answers - sent, MSG_NOSIGNAL);
        /* One that cannot be sent must not keep back those behind it. */
        sent += count > 0 ? (unsigned)count : 1;
    }
    batch->answers = 0;
    /* The kernel shortened it to the family's length. */
    for (unsigned i = 0; i < CM_DATAGRAMS; i++) batch->in[i].msg_hdr.msg_namelen = sizeof batch->peers[i];
}

int cm_datagram_send(int fd, const cm_peer *peer, const uint8_t *bytes, size_t count) {
    const struct sockaddr *address = (const struct sockaddr *)peer;
    socklen_t length = address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    return sendto(fd, bytes, count, MSG_NOSIGNAL, address, length) < 0 ? -errno : 0;
}
