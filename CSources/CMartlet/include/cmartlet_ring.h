#ifndef CMARTLET_RING_H
#define CMARTLET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * A queue of operations to the kernel and of their completions, owned by one thread.
 *
 * `ring_uring.c` makes it on io_uring. Nothing in this header says so: an epoll make would be one more .c file. The
 * caller gives each operation a token (not 0) and finds it again in the completion. Memory handed over with an
 * operation must stay until the completion without CM_MORE has come, also after a cancel.
 *
 * Functions that return int return 0 or a negative errno. All but cm_ring_wake belong to the owning thread.
 */
typedef struct cm_ring cm_ring;

/* One answer of the kernel. */
typedef struct {
    uint64_t token;  /* the operation's */
    int32_t result;  /* count, descriptor or negative errno, as the system call would return */
    uint16_t flags;  /* CM_MORE, CM_BUFFER */
    uint16_t buffer; /* number of the ring's buffer that holds the data, with CM_BUFFER */
} cm_completion;

enum {
    CM_MORE = 1,   /* the operation goes on; more completions follow */
    CM_BUFFER = 2, /* the data is in a buffer of the ring; hand it back by cm_ring_buffer_return */
};

enum {
    CM_HAS_SINGLE_ISSUER = 1, /* the kernel knows that one thread submits */
    CM_HAS_DEFER = 2,         /* completions are made only while we wait for them */
    CM_HAS_COOP = 4,          /* completions do not interrupt the thread */
    CM_HAS_BUFFERS = 8,       /* receives take their memory from the ring when the data is there */
};

/*
 * Makes a ring. `entries` bounds what is handed over at once (the rest waits for the next turn); `buffers` buffers of
 * `buffer_bytes` are lent to receives (count: a power of two). The ring sleeps until cm_ring_adopt.
 */
int cm_ring_open(cm_ring **out, unsigned entries, unsigned buffers, unsigned buffer_bytes);

/* Makes the calling thread the owner. */
int cm_ring_adopt(cm_ring *ring);

/* Frees the ring. No operation may be in flight. */
void cm_ring_close(cm_ring *ring);

/* Which of CM_HAS_* the kernel gave. */
unsigned cm_ring_features(const cm_ring *ring);

/* Whether the calling thread owns the ring. */
bool cm_ring_is_mine(const cm_ring *ring);

/* Ends the owner's wait in cm_ring_turn. Any thread. */
void cm_ring_wake(cm_ring *ring);

/*
 * Hands over what was queued, waits at most `wait_ns` for a completion (0: not at all, negative: without end), and
 * takes up to `capacity` completions. Returns their number, which may be 0, or a negative errno.
 */
int cm_ring_turn(cm_ring *ring, int64_t wait_ns, cm_completion *out, unsigned capacity);

/* Accepts one connection, or with `many` one after the other; the result is the new descriptor (close on exec). */
int cm_ring_accept(cm_ring *ring, uint64_t token, int fd, bool many);

/* Connects a socket. */
int cm_ring_connect(cm_ring *ring, uint64_t token, int fd, const struct sockaddr *address, socklen_t length);

/* Receives at most `length` bytes into `memory`, or, where that is NULL, into a buffer of the ring. */
int cm_ring_recv(cm_ring *ring, uint64_t token, int fd, void *memory, size_t length);

/*
 * Receives one piece after the other, each into a buffer of the ring, until the peer's end, an error or a cancel. Needs
 * CM_HAS_BUFFERS; ends with -ENOBUFS when none is left, and with -EINVAL where the kernel cannot do so.
 */
int cm_ring_recv_many(cm_ring *ring, uint64_t token, int fd);

/* Sends; may send less than asked. Never raises SIGPIPE. */
int cm_ring_send(cm_ring *ring, uint64_t token, int fd, const void *memory, size_t length);

/* Reads at `offset`; -1 for a pipe or the file's own position. */
int cm_ring_read(cm_ring *ring, uint64_t token, int fd, void *memory, size_t length, int64_t offset);

/* Waits once for poll(2) events. */
int cm_ring_poll(cm_ring *ring, uint64_t token, int fd, unsigned events);

/* Asks the operation `token` to end with -ECANCELED. It may still end otherwise. No completion of its own. */
int cm_ring_cancel(cm_ring *ring, uint64_t token);

/* The memory and the size of a buffer of the ring. */
const uint8_t *cm_ring_buffer(const cm_ring *ring, uint16_t buffer);
size_t cm_ring_buffer_bytes(const cm_ring *ring);

/* Lends a buffer to the kernel again. */
void cm_ring_buffer_return(cm_ring *ring, uint16_t buffer);

#endif
