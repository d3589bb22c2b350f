#include "cmartlet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int cm_address_ip(cm_address *out, const char *host, uint16_t port) {
    memset(out, 0, sizeof *out);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->storage;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        out->length = sizeof *v4;
        return 0;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->storage;
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE];
    if (strlen(host) >= sizeof text) return -EINVAL;
    strcpy(text, host);
    char *link = strchr(text, '%');
    if (link) *link++ = 0;
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return -EINVAL;
    if (link && !(v6->sin6_scope_id = if_nametoindex(link))) return -EINVAL;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out->length = sizeof *v6;
    return 0;
}

int cm_address_unix(cm_address *out, const char *path) {
    memset(out, 0, sizeof *out);
    struct sockaddr_un *local = (struct sockaddr_un *)&out->storage;
    size_t length = strlen(path);
    if (length == 0) return -EINVAL;
    if (length >= sizeof local->sun_path) return -ENAMETOOLONG;
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path, length + 1);
    out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

const struct sockaddr *cm_address_pointer(const cm_address *address) {
    return (const struct sockaddr *)&address->storage;
}

int cm_socket_for(const cm_address *address) {
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (address->storage.ss_family != AF_UNIX) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

int cm_socket_limit_silence(int fd, unsigned milliseconds) {
    if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds) < 0) return -errno;
    /*
     * The limit alone counts while something is unacknowledged: whoever waits for an answer would never learn that the
     * machine has gone. So the kernel asks it every second, and ends the connection at the first question after the
     * limit. No ping of HTTP/2: servers of gRPC take more than a few of these for abuse.
     */
    int is_limited = milliseconds > 0;
    int idle = milliseconds < 2000 ? 1 : (int)(milliseconds / 1000);
    int interval = 1;
    if (is_limited) {
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    }
    return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_limited, sizeof is_limited) < 0 ? -errno : 0;
}

/* Binds; a file that a dead process left is removed first. A live listener sees one connection that ends at once. */
static int bind_to(int socket_fd, const cm_address *address) {
    if (bind(socket_fd, cm_address_pointer(address), address->length) == 0) return 0;
    if (errno != EADDRINUSE || address->storage.ss_family != AF_UNIX) return -errno;
    const char *path = ((const struct sockaddr_un *)&address->storage)->sun_path;
    struct stat info;
    if (lstat(path, &info) < 0 || !S_ISSOCK(info.st_mode)) return -EADDRINUSE;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    bool refused = connect(fd, cm_address_pointer(address), address->length) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!refused) return -EADDRINUSE;
    unlink(path);
    return bind(socket_fd, cm_address_pointer(address), address->length) < 0 ? -errno : 0;
}

int cm_socket_listen(const cm_address *address, int backlog) {
    int fd = cm_socket_for(address);
    if (fd < 0) return fd;
    int on = 1;
    if (address->storage.ss_family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (address->storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    int status = bind_to(fd, address);
    if (status == 0 && listen(fd, backlog) < 0) status = -errno;
    if (status == 0) return fd;
    close(fd);
    return status;
}

int cm_socket_name(int fd, int peer, char *host, size_t host_bytes, uint16_t *port) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    struct sockaddr *address = (struct sockaddr *)&storage;
    if ((peer ? getpeername(fd, address, &length) : getsockname(fd, address, &length)) < 0) return -errno;
    const void *bytes;
    if (storage.ss_family == AF_INET) {
        bytes = &((struct sockaddr_in *)&storage)->sin_addr;
        *port = ntohs(((struct sockaddr_in *)&storage)->sin_port);
    } else if (storage.ss_family == AF_INET6) {
        bytes = &((struct sockaddr_in6 *)&storage)->sin6_addr;
        *port = ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    } else {
        return -EAFNOSUPPORT;
    }
    if (!inet_ntop(storage.ss_family, bytes, host, (socklen_t)host_bytes)) return -errno;
    unsigned link = storage.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&storage)->sin6_scope_id : 0;
    char name[IF_NAMESIZE];
    size_t used = strlen(host);
    if (link && if_indextoname(link, name)) snprintf(host + used, host_bytes - used, "%%%s", name);
    return 0;
}

ssize_t cm_socket_send(int fd, const void *bytes, size_t count) {
    ssize_t sent = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

int cm_socket_shutdown(int fd, int how) { return shutdown(fd, how) < 0 ? -errno : 0; }
