#ifndef CMARTLET_SOCKET_H
#define CMARTLET_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

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
 * Listens. IP: SO_REUSEADDR, and IPv6 does not take IPv4. UNIX: a socket file that nobody listens on is removed
 * first; other files are not touched (-EADDRINUSE). Returns the descriptor or a negative errno.
 */
int cm_socket_listen(const cm_address *address, int backlog);

/*
 * Our (peer = 0) or the peer's (peer = 1) IP address as text into `host` (at least 64 bytes) and its port.
 * -EAFNOSUPPORT for a socket that is not IP.
 */
int cm_socket_name(int fd, int peer, char *host, size_t host_bytes, uint16_t *port);

/* Ends one or both directions: SHUT_RD, SHUT_WR, SHUT_RDWR. */
int cm_socket_shutdown(int fd, int how);

#endif
