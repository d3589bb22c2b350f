#include "cmartletlinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Not in the headers of older systems. */
#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

static void set(int fd, int level, int option, int value) {
    /* Kernels without an option do as well. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

int cml_netlink_open(int protocol, int buffer_bytes, int timeout_ms) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) return -errno;
    set(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    set(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    set(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    set(fd, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
    set(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, buffer_bytes);
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes);
    struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0) return fd;
    int status = -errno;
    close(fd);
    return status;
}

int cml_enter_network(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int status = setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
    close(fd);
    return status;
}
