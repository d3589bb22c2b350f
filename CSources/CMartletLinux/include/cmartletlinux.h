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

/* Lists at most `capacity` IPv4 addresses of this machine. Returns their number. */
int cml_ipv4_addresses(cml_ipv4 *out, int capacity);

#endif
