#include "cmartletlinux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A child's stack until it runs its program; the parent's thread waits meanwhile. */
enum { STACK_BYTES = 64 * 1024 };

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* One start, handed from the caller to the forking thread and back. */
typedef struct {
    const cml_child *child;
    pid_t parent;
    int pidfd;
    volatile int failure; /* written by the child, in the shared memory */
    int result;
} start;

static void reset_signals(void) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The soft limit of descriptors before it was raised; 0 when it was not. */
static _Atomic uint64_t unraised_descriptors;

int64_t cml_raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    if (limit.rlim_cur < limit.rlim_max) {
        uint64_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
        unraised_descriptors = before;
    }
    return (int64_t)limit.rlim_cur;
}

/* Programs may use select(2), or walk through all descriptors that they could have. */
static int lower_descriptors(void) {
    uint64_t before = unraised_descriptors;
    struct rlimit limit;
    if (before == 0) return 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    limit.rlim_cur = before;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

/* Runs in the child, in the parent's memory: system calls only. Returns an errno, or does not return. */
static int become(start *order) {
    const cml_child *child = order->child;
    reset_signals();
    if (setpgid(0, 0) < 0) return errno;
    if (child->ends_with_parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return errno;
        if (getppid() != order->parent) return ESRCH;
    }
    /* Out of the way first: one of the three may have the number that another is to get. */
    int streams[3] = {child->input, child->output, child->errors};
    for (int i = 0; i < 3; i++) {
        streams[i] = fcntl(streams[i], F_DUPFD, 3);
        if (streams[i] < 0) return errno;
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(streams[i], i) < 0) return errno;
    }
    if (syscall(SYS_close_range, 3u, ~0u, 0u) < 0) return errno;
    /* Only now: the copies made above may have numbers over the limit. */
    if (lower_descriptors() < 0) return errno;
    if (child->directory && chdir(child->directory) < 0) return errno;
    execve(child->program, child->arguments, child->environment ? child->environment : environ);
    return errno;
}

static int child_main(void *argument) {
    start *order = argument;
    order->failure = become(order);
    _exit(127);
}

static void fork_one(start *order) {
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        order->result = -errno;
        return;
    }
    order->parent = getpid();
    order->failure = 0;
    pid_t pid = clone(child_main, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, order,
                      &order->pidfd);
    order->result = pid < 0 ? -errno : pid;
    munmap(stack, STACK_BYTES);
    if (pid > 0 && order->failure) {
        siginfo_t info;
        waitid(P_PID, (id_t)pid, &info, WEXITED);
        close(order->pidfd);
        order->result = -order->failure;
    }
}

/* The forking thread and its one place for an order. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running;
    start *order; /* wanted */
    start *done;
} forker = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *forker_main(void *unused) {
    (void)unused;
    cml_thread_name("martlet-fork");
    /* No handler of ours may run in a child that shares our memory. */
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_mutex_lock(&forker.lock);
    for (;;) {
        while (!forker.order || forker.done) pthread_cond_wait(&forker.changed, &forker.lock);
        start *order = forker.order;
        pthread_mutex_unlock(&forker.lock);
        fork_one(order);
        pthread_mutex_lock(&forker.lock);
        forker.done = order;
        pthread_cond_broadcast(&forker.changed);
    }
    return NULL;
}

int cml_spawn(const cml_child *child, int *pidfd) {
    start order = {.child = child, .pidfd = -1};
    pthread_mutex_lock(&forker.lock);
    if (!forker.running) {
        pthread_t thread;
        int status = pthread_create(&thread, NULL, forker_main, NULL);
        if (status) {
            pthread_mutex_unlock(&forker.lock);
            return -status;
        }
        pthread_detach(thread);
        forker.running = true;
    }
    while (forker.order) pthread_cond_wait(&forker.changed, &forker.lock);
    forker.order = &order;
    pthread_cond_broadcast(&forker.changed);
    while (forker.done != &order) pthread_cond_wait(&forker.changed, &forker.lock);
    forker.order = forker.done = NULL;
    pthread_cond_broadcast(&forker.changed);
    pthread_mutex_unlock(&forker.lock);
    *pidfd = order.pidfd;
    return order.result;
}

int cml_reap(int pidfd, int *status) {
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0) return -errno;
    if (info.si_pid == 0) return 0;
    *status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
    return 1;
}

int cml_signal(int pidfd, int number) {
    return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

int cml_memory_file(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cml_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

void cml_thread_name(const char *name) { prctl(PR_SET_NAME, name); }

char **cml_environment(void) { return environ; }
