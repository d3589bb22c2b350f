#ifndef CMARTLETLINUX_H
#define CMARTLETLINUX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes and what else only C can say to Linux. Functions that return int return a negative errno on failure. */

/* What a child process is made of. */
typedef struct {
    const char *program;            /* path of the file to run */
    char *const *arguments;         /* with the program's name, ends with NULL */
    char *const *environment;       /* ends with NULL; NULL: the parent's */
    const char *directory;          /* NULL: the parent's */
    int input, output, errors;      /* descriptors to become 0, 1 and 2 */
    bool ends_with_parent;          /* SIGKILL when this process dies */
} cml_child;

/*
 * Starts a child in a process group of its own, with default signal handlers, no blocked signal, and no descriptor but
 * the three. The memory is shared until the child runs the program, so the cost does not grow with the parent. The
 * fork is done by a thread that lives as long as the process: the kernel's "parent has died" means the thread that
 * forked. Returns the pid and sets `pidfd` (close on exec), or the negative errno of the step that failed, exec
 * included.
 */
int cml_spawn(const cml_child *child, int *pidfd);

/*
 * Raises the soft limit of descriptors to the hard one, and returns it. Children of cml_spawn get the old one. Call it
 * before the first.
 */
int64_t cml_raise_descriptors(void);

/* Gives free memory of malloc back to the kernel. */
void cml_trim(void);
/* Bytes that malloc has given out and not got back. */
size_t cml_allocated(void);

/*
 * Takes the end of the process behind a pidfd. Returns 1 and sets `status` (exit code, or 128 + signal), 0 when it
 * still runs.
 */
int cml_reap(int pidfd, int *status);

/* Sends a signal to the process behind a pidfd. */
int cml_signal(int pidfd, int number);

/* An anonymous file in memory (close on exec). Returns its descriptor. */
int cml_memory_file(const char *name);

/* A pipe (close on exec): `ends[0]` is read from. */
int cml_pipe(int ends[2]);

/* Names the calling thread; what is over 15 bytes is cut. */
void cml_thread_name(const char *name);

/* The parent's environment, as environ(7). */
char **cml_environment(void);

/*
 * From now on the signal is not fatal but its number is written as one byte to a pipe of the process.
 * Returns the pipe's reading end, the same for all signals.
 */
int cml_signal_catch(int number);

/* Unmounts what is mounted at `path`, at once for new users, and does not follow a link. */
int cml_unmount(const char *path);

/*
 * Makes the folders of `relative` that are absent below the folder `root`, with the permissions of `root`, and follows
 * no link on the way: others may write there. The last name may be that of a file that is there. `relative` has names
 * with one slash between them, and no "..". On failure (ELOOP: a link, ENOTDIR: a file on the way) `reached` is the
 * length of `relative` up to the end of the name that failed.
 */
int cml_make_below(const char *root, const char *relative, size_t *reached);

/* The address family, IPv4 address (host order) and name of one interface address. */
typedef struct {
    char name[16];
    uint32_t address;
    bool up, loopback;
} cml_ipv4;

/*
 * Opens a netlink socket (close on exec) of a protocol: 0 is rtnetlink, 12 nfnetlink. The kernel explains its errors,
 * checks questions strictly, and a receive waits for `timeout_ms` at most. The socket belongs to the network namespace
 * of the calling thread. Where we may, its buffers are as large as asked for, whatever the machine's limits.
 */
int cml_netlink_open(int protocol, int buffer_bytes, int timeout_ms);

/* Moves the calling thread alone into the network namespace behind a path such as /run/netns/NAME. */
int cml_enter_network(const char *path);

/* What the IP header of a VRRP message says: addresses of 4 or 16 bytes, in the order of the network. */
typedef struct {
    uint8_t source[16], destination[16];
    uint8_t length;                 /* of an address */
    uint8_t hop_limit;
} cml_vrrp_packet;

/*
 * Opens a raw socket (close on exec, does not block) for IP protocol 112 on one device: `family` is AF_INET or
 * AF_INET6. With a `group` it joins that multicast group. What it sends has TTL or hop limit 255, and does not come
 * back.
 */
int cml_vrrp_open(int family, const char *device, int link, const uint8_t *group);

/* Takes one message, without its IP header. Returns its length, or -EAGAIN when there is none. */
ssize_t cml_vrrp_receive(int fd, uint8_t *bytes, size_t capacity, cml_vrrp_packet *packet);

/* Sends one message from the packet's source, which must be an address of this machine, to its destination. */
int cml_vrrp_send(int fd, int link, const uint8_t *bytes, size_t count, const cml_vrrp_packet *packet);

/* Opens a socket that sends whole Ethernet frames (close on exec). */
int cml_frames_open(void);

/* Sends one frame by a device. */
int cml_frames_send(int fd, int link, const uint8_t *bytes, size_t count);

/* A bell for one thread, which others ring (close on exec). Returns its descriptor. */
int cml_bell_open(void);
void cml_bell_ring(int bell);

/*
 * Returns when there is something to read, the bell has rung, a signal came, or `nanoseconds` have passed (below 0:
 * never). The bell is silent again.
 */
int cml_wait(int fd, int bell, int64_t nanoseconds);

/* Asks that the calling thread runs before all usual ones, where we may. Its children do not. */
void cml_thread_urgent(void);

/* Lists at most `capacity` IPv4 addresses of this machine. Returns their number. */
int cml_ipv4_addresses(cml_ipv4 *out, int capacity);

#endif
