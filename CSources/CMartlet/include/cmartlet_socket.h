#ifndef CMARTLET_SOCKET_H
#define CMARTLET_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* An address as the kernel takes it. */
typedef struct {
    struct sockaddr_storage storage;
    socklen_t length;
} cm_address;

/* From the text of an IPv4 or IPv6 address (`fe80::1%eth0` names a link). -EINVAL: not an address. */
int cm_address_ip(cm_address *out, const char *host, uint16_t port);

/* From the path of a UNIX socket. -ENAMETOOLONG above 107 bytes. */
int cm_address_unix(cm_address *out, const char *path);

/* The socket address as a pointer, for cm_ring_connect. */
const struct sockaddr *cm_address_pointer(const cm_address *address);

/* A new stream socket for that address (close on exec, TCP_NODELAY). Returns the descriptor or a negative errno. */
int cm_socket_for(const cm_address *address);

/*
 * Ends a TCP connection whose peer acknowledges nothing for so long, also when nothing is sent: its machine is asked
 * then, and a second more may pass. With 0 there is no such limit. 0 or a negative errno.
 */
int cm_socket_limit_silence(int fd, unsigned milliseconds);

/*
 * Listens. IP: SO_REUSEADDR, and IPv6 does not take IPv4. UNIX: a socket file that nobody listens on is removed
 * first; other files are not touched (-EADDRINUSE). Returns the descriptor or a negative errno.
 */
int cm_socket_listen(const cm_address *address, int backlog);

/*
 * Our (peer = 0) or the peer's (peer = 1) IP address as text into `host` (at least 64 bytes) and its port.
 * -EAFNOSUPPORT for a socket that is not IP.
 */
int cm_socket_name(int fd, int peer, char *host, size_t host_bytes, uint16_t *port);

/* Datagrams taken from a socket, and given to it, in one call each. */
enum { CM_DATAGRAMS = 64, CM_DATAGRAM_BYTES = 2048 };
typedef struct cm_datagrams cm_datagrams;

/* A peer as the kernel has it, for an answer later. */
typedef struct {
    uint64_t words[4];
} cm_peer;

/* A socket that takes datagrams on that address (IP only). Returns the descriptor or a negative errno. */
int cm_datagram_bind(const cm_address *address);

/* A socket that talks to that peer only, from that port of ours. Returns the descriptor or a negative errno. */
int cm_datagram_connect(const cm_address *peer, uint16_t port);

/* Room for datagrams, and its end. NULL: no memory. */
cm_datagrams *cm_datagrams_make(void);
void cm_datagrams_free(cm_datagrams *batch);

/* Takes what is there, without waiting. Returns the number taken, 0 when there is none, or a negative errno. */
int cm_datagrams_receive(cm_datagrams *batch, int fd);

/* A datagram that was taken: its bytes (those above CM_DATAGRAM_BYTES are lost) and where it came from. */
const uint8_t *cm_datagram_bytes(const cm_datagrams *batch, int index, size_t *count);
cm_peer cm_datagram_peer(const cm_datagrams *batch, int index);

/* Puts an answer to datagram `index` in line, at most CM_DATAGRAM_BYTES of it. */
void cm_datagram_answer(cm_datagrams *batch, int index, const uint8_t *bytes, size_t count);

/* Sends the answers in line. What the kernel does not take is lost, as datagrams may be. */
void cm_datagrams_send(cm_datagrams *batch, int fd);

/* Sends one datagram. 0 or a negative errno. */
int cm_datagram_send(int fd, const cm_peer *peer, const uint8_t *bytes, size_t count);

/* Sends what the kernel takes without waiting. Returns how many bytes, or a negative errno (-EAGAIN: none). */
ssize_t cm_socket_send(int fd, const void *bytes, size_t count);

/* Ends one or both directions: SHUT_RD, SHUT_WR, SHUT_RDWR. */
int cm_socket_shutdown(int fd, int how);

#endif
