#include "cmartlet_ring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUFFER_GROUP = 1 };

/* Tokens of our own; the caller's are never 0 and never this. */
static const uint64_t IGNORED = 0;
static const uint64_t WOKEN = UINT64_MAX;

struct cm_ring {
    struct io_uring uring;
    unsigned features;
    int wake_fd;
    uint64_t wake_count; /* where the kernel puts what it read from wake_fd */
    bool wake_armed;
    struct io_uring_buf_ring *buffer_ring; /* NULL where the kernel has none */
    uint8_t *buffer_memory;
    unsigned buffers;
    unsigned buffer_bytes;
};

static _Thread_local const cm_ring *mine;

static int setup(cm_ring *ring, unsigned entries) {
    static const struct {
        unsigned flags, features;
    } makes[] = {
        {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, CM_HAS_SINGLE_ISSUER | CM_HAS_DEFER},
        {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, CM_HAS_SINGLE_ISSUER | CM_HAS_COOP},
        {IORING_SETUP_COOP_TASKRUN, CM_HAS_COOP},
        {0, 0},
    };
    int status = -EINVAL;
    for (size_t i = 0; i < sizeof makes / sizeof *makes && status == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = makes[i].flags | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = entries * 4,
        };
        status = io_uring_queue_init_params(entries, &ring->uring, &params);
        ring->features = makes[i].features;
    }
    return status;
}

/* Lends memory to the kernel. Its refusal is no error: receives then bring their own. */
static void setup_buffers(cm_ring *ring, unsigned buffers, unsigned buffer_bytes) {
    ring->buffers = buffers;
    ring->buffer_bytes = buffer_bytes;
    size_t head = buffers * sizeof(struct io_uring_buf);
    void *shared = mmap(NULL, head, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return;
    ring->buffer_memory = malloc((size_t)buffers * buffer_bytes);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)shared, .ring_entries = buffers, .bgid = BUFFER_GROUP};
    if (!ring->buffer_memory || io_uring_register_buf_ring(&ring->uring, &reg, 0) < 0) {
        munmap(shared, head);
        free(ring->buffer_memory);
        ring->buffer_memory = NULL;
        return;
    }
    ring->buffer_ring = shared;
    io_uring_buf_ring_init(ring->buffer_ring);
    for (unsigned i = 0; i < buffers; i++) cm_ring_buffer_return(ring, (uint16_t)i);
    ring->features |= CM_HAS_BUFFERS;
}

int cm_ring_open(cm_ring **out, unsigned entries, unsigned buffers, unsigned buffer_bytes) {
    cm_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return -ENOMEM;
    ring->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (ring->wake_fd < 0) {
        int status = -errno;
        free(ring);
        return status;
    }
    int status = setup(ring, entries);
    if (status < 0) {
        close(ring->wake_fd);
        free(ring);
        return status;
    }
    if (buffers > 0) setup_buffers(ring, buffers, buffer_bytes);
    *out = ring;
    return 0;
}

int cm_ring_adopt(cm_ring *ring) {
    /* Debian 12's liburing declares io_uring_enable_rings but does not export it. */
    long status = syscall(SYS_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (status < 0) return -errno;
    mine = ring;
    return 0;
}

void cm_ring_close(cm_ring *ring) {
    if (mine == ring) mine = NULL;
    io_uring_queue_exit(&ring->uring);
    if (ring->buffer_ring) munmap(ring->buffer_ring, ring->buffers * sizeof(struct io_uring_buf));
    free(ring->buffer_memory);
    close(ring->wake_fd);
    free(ring);
}

unsigned cm_ring_features(const cm_ring *ring) { return ring->features; }

bool cm_ring_is_mine(const cm_ring *ring) { return mine == ring; }

void cm_ring_wake(cm_ring *ring) {
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the owner is awake already. */
    ssize_t written = write(ring->wake_fd, &one, sizeof one);
    (void)written;
}

/* A free entry of the submission queue; hands over the full queue first where needed. */
static struct io_uring_sqe *entry(cm_ring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (!sqe) {
        io_uring_submit(&ring->uring);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    return sqe;
}

/* Newer liburing clears the token while preparing, so it is set last. */
#define QUEUE(ring, token, prepare)                      \
    do {                                                 \
        struct io_uring_sqe *sqe = entry(ring);   \
        if (!sqe) return -EAGAIN;                        \
        prepare;                                         \
        io_uring_sqe_set_data64(sqe, token);             \
        return 0;                                        \
    } while (0)

static int arm_wake(cm_ring *ring) {
    QUEUE(ring, WOKEN, io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_count, sizeof ring->wake_count, 0));
}

int cm_ring_accept(cm_ring *ring, uint64_t token, int fd, bool many) {
    QUEUE(ring, token, many ? io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC)
                            : io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC));
}

int cm_ring_connect(cm_ring *ring, uint64_t token, int fd, const struct sockaddr *address, socklen_t length) {
    QUEUE(ring, token, io_uring_prep_connect(sqe, fd, address, length));
}

int cm_ring_recv(cm_ring *ring, uint64_t token, int fd, void *memory, size_t length) {
    QUEUE(ring, token, {
        io_uring_prep_recv(sqe, fd, memory, length, 0);
        if (!memory) {
            sqe->flags |= IOSQE_BUFFER_SELECT;
            sqe->buf_group = BUFFER_GROUP;
        }
    });
}

int cm_ring_recv_many(cm_ring *ring, uint64_t token, int fd) {
    QUEUE(ring, token, {
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
        /* Mostly nothing is there yet: looking first would be in vain. */
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUFFER_GROUP;
    });
}

int cm_ring_send(cm_ring *ring, uint64_t token, int fd, const void *memory, size_t length) {
    QUEUE(ring, token, io_uring_prep_send(sqe, fd, memory, length, MSG_NOSIGNAL));
}

int cm_ring_read(cm_ring *ring, uint64_t token, int fd, void *memory, size_t length, int64_t offset) {
    QUEUE(ring, token, io_uring_prep_read(sqe, fd, memory, (unsigned)length, (uint64_t)offset));
}

int cm_ring_poll(cm_ring *ring, uint64_t token, int fd, unsigned events) {
    QUEUE(ring, token, io_uring_prep_poll_add(sqe, fd, events));
}

int cm_ring_cancel(cm_ring *ring, uint64_t token) {
    QUEUE(ring, IGNORED, io_uring_prep_cancel64(sqe, token, 0));
}

static int enter(cm_ring *ring, int64_t wait_ns) {
    if (wait_ns == 0) return io_uring_submit_and_get_events(&ring->uring);
    if (wait_ns < 0) return io_uring_submit_and_wait(&ring->uring, 1);
    struct __kernel_timespec limit = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    struct io_uring_cqe *first;
    return io_uring_submit_and_wait_timeout(&ring->uring, &first, 1, &limit, NULL);
}

int cm_ring_turn(cm_ring *ring, int64_t wait_ns, cm_completion *out, unsigned capacity) {
    if (!ring->wake_armed) ring->wake_armed = arm_wake(ring) == 0;
    int status = enter(ring, wait_ns);
    /* Time passed, a signal came, or completions must be taken first: no reason to give up. */
    if (status < 0 && status != -ETIME && status != -EINTR && status != -EBUSY && status != -EAGAIN) return status;

    unsigned head, seen = 0, taken = 0;
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(&ring->uring, head, cqe) {
        if (taken == capacity) break;
        seen++;
        if (cqe->user_data == WOKEN) ring->wake_armed = false;
        if (cqe->user_data == WOKEN || cqe->user_data == IGNORED) continue;
        out[taken++] = (cm_completion){
            .token = cqe->user_data,
            .result = cqe->res,
            .flags = (uint16_t)((cqe->flags & IORING_CQE_F_MORE ? CM_MORE : 0) |
                                (cqe->flags & IORING_CQE_F_BUFFER ? CM_BUFFER : 0)),
            .buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
        };
    }
    io_uring_cq_advance(&ring->uring, seen);
    return (int)taken;
}

const uint8_t *cm_ring_buffer(const cm_ring *ring, uint16_t buffer) {
    return ring->buffer_memory + (size_t)buffer * ring->buffer_bytes;
}

size_t cm_ring_buffer_bytes(const cm_ring *ring) { return ring->buffer_bytes; }

void cm_ring_buffer_return(cm_ring *ring, uint16_t buffer) {
    io_uring_buf_ring_add(ring->buffer_ring, ring->buffer_memory + (size_t)buffer * ring->buffer_bytes,
                          ring->buffer_bytes, buffer, io_uring_buf_ring_mask(ring->buffers), 0);
    io_uring_buf_ring_advance(ring->buffer_ring, 1);
}
