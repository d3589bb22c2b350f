#include "cmartletlinux.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Not in the headers of older systems. */
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

enum { protocol = 112, hop_limit = 255, internetwork_control = 0xC0, urgent = 6 };

static int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

static int prepare4(int fd, int link, const uint8_t *group) {
    int status = set(fd, IPPROTO_IP, IP_TTL, hop_limit);
    if (status == 0) status = set(fd, IPPROTO_IP, IP_MULTICAST_TTL, hop_limit);
    if (status == 0) status = set(fd, IPPROTO_IP, IP_TOS, internetwork_control);
    if (status == 0) status = set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (status == 0) status = set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
    if (status == 0) status = set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    if (status != 0 || !group) return status;
    struct ip_mreqn membership = {.imr_ifindex = link};
    memcpy(&membership.imr_multiaddr, group, 4);
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) != 0) return -errno;
    return 0;
}

static int prepare6(int fd, int link, const uint8_t *group) {
    int status = set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hop_limit);
    if (status == 0) status = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hop_limit);
    if (status == 0) status = set(fd, IPPROTO_IPV6, IPV6_TCLASS, internetwork_control);
    if (status == 0) status = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (status == 0) status = set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    if (status == 0) status = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
    if (status == 0) status = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, link);
    (void)set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    if (status != 0 || !group) return status;
    struct ipv6_mreq membership = {.ipv6mr_interface = (unsigned)link};
    memcpy(&membership.ipv6mr_multiaddr, group, 16);
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &membership, sizeof membership) != 0) return -errno;
    return 0;
}

int cml_vrrp_open(int family, const char *device, int link, const uint8_t *group) {
    int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0) return -errno;
    int status = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) != 0) status = -errno;
    if (status == 0) status = set(fd, SOL_SOCKET, SO_PRIORITY, urgent);
    if (status == 0) status = family == AF_INET ? prepare4(fd, link, group) : prepare6(fd, link, group);
    if (status == 0) return fd;
    close(fd);
    return status;
}

/* The parts of a message that the kernel tells beside it. */
static void read_control(struct msghdr *message, cml_vrrp_packet *packet) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            memcpy(packet->destination, &info.ipi_addr, 4);
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            memcpy(packet->destination, &info.ipi6_addr, 16);
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_HOPLIMIT) {
            int limit;
            memcpy(&limit, CMSG_DATA(part), sizeof limit);
            packet->hop_limit = (uint8_t)limit;
        }
    }
}

ssize_t cml_vrrp_receive(int fd, uint8_t *bytes, size_t capacity, cml_vrrp_packet *packet) {
    memset(packet, 0, sizeof *packet);
    struct sockaddr_storage source;
    struct iovec vector = {.iov_base = bytes, .iov_len = capacity};
    _Alignas(struct cmsghdr) uint8_t control[256];
    struct msghdr message = {
        .msg_name = &source, .msg_namelen = sizeof source, .msg_iov = &vector, .msg_iovlen = 1,
        .msg_control = control, .msg_controllen = sizeof control,
    };
    ssize_t count = recvmsg(fd, &message, 0);
    if (count < 0) return -errno;
    read_control(&message, packet);
    if (source.ss_family == AF_INET6) {
        packet->length = 16;
        memcpy(packet->source, &((struct sockaddr_in6 *)&source)->sin6_addr, 16);
        return count;
    }
    packet->length = 4;
    memcpy(packet->source, &((struct sockaddr_in *)&source)->sin_addr, 4);
    /* A raw IPv4 socket gets the header, too, which the kernel has checked. */
    size_t header = count > 0 ? (size_t)(bytes[0] & 15) * 4 : 0;
    if (header < 20 || (size_t)count < header) return 0;
    packet->hop_limit = bytes[8];
    memmove(bytes, bytes + header, (size_t)count - header);
    return count - (ssize_t)header;
}

/* Puts one control message into a message that has room for it. */
static void put_control(struct msghdr *message, int level, int type, const void *data, size_t length) {
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(part), data, length);
    message->msg_controllen = CMSG_SPACE(length);
}

int cml_vrrp_send(int fd, int link, const uint8_t *bytes, size_t count, const cml_vrrp_packet *packet) {
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control,
    };
    struct sockaddr_in to4 = {.sin_family = AF_INET};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)link};
    if (packet->length == 4) {
        struct in_pktinfo info = {.ipi_ifindex = link};
        memcpy(&info.ipi_spec_dst, packet->source, 4);
        memcpy(&to4.sin_addr, packet->destination, 4);
        message.msg_name = &to4;
        message.msg_namelen = sizeof to4;
        put_control(&message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)link};
        memcpy(&info.ipi6_addr, packet->source, 16);
        memcpy(&to6.sin6_addr, packet->destination, 16);
        message.msg_name = &to6;
        message.msg_namelen = sizeof to6;
        put_control(&message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int cml_frames_open(void) {
    /* Of no protocol: it is for sending, and receives nothing. */
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

int cml_frames_send(int fd, int link, const uint8_t *bytes, size_t count) {
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = link, .sll_halen = 6};
    if (count < 14) return -EINVAL;
    memcpy(to.sll_addr, bytes, 6);
    memcpy(&to.sll_protocol, bytes + 12, 2);
    ssize_t sent = sendto(fd, bytes, count, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
    return sent < 0 ? -errno : 0;
}

int cml_bell_open(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void cml_bell_ring(int bell) {
    uint64_t one = 1;
    /* Full is rung. */
    ssize_t ignored = write(bell, &one, sizeof one);
    (void)ignored;
}

int cml_wait(int fd, int bell, int64_t nanoseconds) {
    struct pollfd ends[2] = {{.fd = fd, .events = POLLIN}, {.fd = bell, .events = POLLIN}};
    struct timespec patience = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    if (ppoll(ends, 2, nanoseconds < 0 ? NULL : &patience, NULL) < 0 && errno != EINTR) return -errno;
    uint64_t rings;
    ssize_t ignored = read(bell, &rings, sizeof rings);
    (void)ignored;
    return 0;
}

void cml_thread_urgent(void) {
    struct sched_param parameter = {.sched_priority = 1};
    (void)pthread_setschedparam(pthread_self(), SCHED_RR | SCHED_RESET_ON_FORK, &parameter);
}
