#include "cmartlet_log.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void cm_bell_wait(uint32_t *bell) {
    while (!__atomic_exchange_n(bell, 0, __ATOMIC_SEQ_CST)) {
        syscall(SYS_futex, bell, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

int cm_bell_wait_for(uint32_t *bell, uint32_t milliseconds) {
    struct timespec limit = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    if (__atomic_exchange_n(bell, 0, __ATOMIC_SEQ_CST)) return 1;
    syscall(SYS_futex, bell, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
    return __atomic_exchange_n(bell, 0, __ATOMIC_SEQ_CST) != 0;
}

void cm_bell_ring(uint32_t *bell) {
    if (__atomic_exchange_n(bell, 1, __ATOMIC_SEQ_CST)) return;
    syscall(SYS_futex, bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
