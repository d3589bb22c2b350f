#include "cmartletlinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <malloc.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;
static int signal_pipe[2] = {-1, -1};

static void note(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    /* A full pipe holds enough of them. */
    ssize_t written = write(signal_pipe[1], &byte, 1);
    (void)written;
    errno = saved;
}

int cml_signal_catch(int number) {
    int status = 0;
    pthread_mutex_lock(&signal_lock);
    if (signal_pipe[0] < 0 && pipe2(signal_pipe, O_CLOEXEC) < 0) status = -errno;
    if (status == 0) fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK);
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    if (status == 0 && sigaction(number, &action, NULL) < 0) status = -errno;
    pthread_mutex_unlock(&signal_lock);
    return status < 0 ? status : signal_pipe[0];
}

int cml_unmount(const char *path) { return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0; }

/* Opens a name in a folder, as nothing but a place; a folder is made where nothing is. */
static int enter(int folder, const char *name, mode_t mode) {
    int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(folder, name, flags);
    if (fd >= 0 || errno != ENOENT) return fd;
    if (mkdirat(folder, name, 0700) < 0) return errno == EEXIST ? openat(folder, name, flags) : -1;
    /* The mode goes to what is open: a name could be swapped for a link. */
    int made = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (made >= 0 && fchmod(made, mode) < 0) {
        int saved = errno;
        close(made);
        errno = saved;
        return -1;
    }
    return made;
}

int cml_make_below(const char *root, const char *relative, size_t *reached) {
    struct stat info;
    *reached = 0;
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -errno;
    int status = fstat(folder, &info) < 0 ? -errno : 0;
    mode_t mode = info.st_mode & 0777;
    const char *at = relative;
    while (status == 0 && *at) {
        char name[NAME_MAX + 1];
        size_t length = strcspn(at, "/");
        *reached = (size_t)(at - relative) + length;
        if (length > NAME_MAX) {
            status = -ENAMETOOLONG;
            break;
        }
        memcpy(name, at, length);
        name[length] = 0;
        at += length;
        bool is_last = *at == 0;
        if (!is_last) at++;
        int next = enter(folder, name, mode);
        if (next < 0 || fstat(next, &info) < 0) {
            status = -errno;
        } else if (S_ISLNK(info.st_mode)) {
            status = -ELOOP;
        } else if (!is_last && !S_ISDIR(info.st_mode)) {
            status = -ENOTDIR;
        }
        close(folder);
        folder = next;
    }
    if (folder >= 0) close(folder);
    return status;
}

int cml_ipv4_addresses(cml_ipv4 *out, int capacity) {
    struct ifaddrs *list;
    if (getifaddrs(&list) < 0) return -errno;
    int count = 0;
    for (struct ifaddrs *at = list; at && count < capacity; at = at->ifa_next) {
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET) continue;
        cml_ipv4 *entry = &out[count++];
        memset(entry, 0, sizeof *entry);
        strncpy(entry->name, at->ifa_name, sizeof entry->name - 1);
        entry->address = ntohl(((struct sockaddr_in *)at->ifa_addr)->sin_addr.s_addr);
        entry->up = at->ifa_flags & IFF_UP;
        entry->loopback = at->ifa_flags & IFF_LOOPBACK;
    }
    freeifaddrs(list);
    return count;
}

void cml_trim(void) { malloc_trim(0); }

size_t cml_allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
