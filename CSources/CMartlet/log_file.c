#include "log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

/* All that the log does to files, each step told to the recorder. Functions return 0 or a negative errno. */

void log_note(const cm_log_recorder *recorder, cm_log_event event) {
    if (recorder->note) recorder->note(recorder->context, &event);
}

int log_read_fully(int fd, void *out, uint64_t length, uint64_t offset) {
    for (uint64_t done = 0; done < length;) {
        ssize_t count = pread(fd, (uint8_t *)out + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return count < 0 ? -errno : -EIO;
        done += (uint64_t)count;
    }
    return 0;
}

/* A write is noted before it begins, since a part of it may be on the disk at any moment from then on. */
static void note_write(const log_file *file, const void *bytes, uint64_t length, uint64_t offset) {
    log_note(file->recorder, (cm_log_event){.kind = CM_LOG_WRITES, .path = file->path, .bytes = bytes,
                                            .length = length, .offset = offset});
}

/* A sync is noted when it has ended. */
static int synced(const log_file *file) {
    log_note(file->recorder, (cm_log_event){.kind = CM_LOG_SYNCS, .path = file->path});
    return 0;
}

/* Direct writes, one, or several where the kernel takes less at once. */
static int write_direct(const log_file *file, const void *bytes, uint64_t length, uint64_t offset, int flags) {
    for (uint64_t done = 0; done < length;) {
        struct iovec piece = {.iov_base = (uint8_t *)bytes + done, .iov_len = length - done};
        ssize_t count = pwritev2(file->direct_fd, &piece, 1, (off_t)(offset + done), flags);
        if (count < 0 && errno == EINTR) continue;
        if (count < SECTOR) return count < 0 ? -errno : -EIO;
        done += (uint64_t)count / SECTOR * SECTOR;
    }
    return 0;
}

int log_write_at(const log_file *file, const void *bytes, uint64_t length, uint64_t offset) {
    note_write(file, bytes, length, offset);
    if (file->direct_fd >= 0) return write_direct(file, bytes, length, offset, 0);
    for (uint64_t done = 0; done < length;) {
        ssize_t count = pwrite(file->fd, (const uint8_t *)bytes + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return count < 0 ? -errno : -EIO;
        done += (uint64_t)count;
    }
    return 0;
}

int log_sync_file(const log_file *file) { return fdatasync(file->fd) < 0 ? -errno : synced(file); }

int log_write_durably(const log_file *file, const void *bytes, uint64_t length, uint64_t offset) {
    if (file->direct_fd < 0) {
        int status = log_write_at(file, bytes, length, offset);
        return status < 0 ? status : log_sync_file(file);
    }
    note_write(file, bytes, length, offset);
    int status = write_direct(file, bytes, length, offset, RWF_DSYNC);
    return status < 0 ? status : synced(file);
}

int log_open_direct(log_file *file, const void *sector, uint64_t offset) {
    file->direct_fd = open(file->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (file->direct_fd < 0) return errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
    int status = log_write_durably(file, sector, SECTOR, offset);
    if (status == 0) return 0;
    close(file->direct_fd);
    file->direct_fd = -1;
    return status == -EINVAL || status == -EOPNOTSUPP ? 0 : status;
}

int log_rename(const cm_log_recorder *recorder, const char *from, const char *to) {
    log_note(recorder, (cm_log_event){.kind = CM_LOG_RENAMES, .path = from, .to = to});
    return rename(from, to) < 0 ? -errno : 0;
}

int log_remove(const cm_log_recorder *recorder, const char *path) {
    log_note(recorder, (cm_log_event){.kind = CM_LOG_REMOVES, .path = path});
    return unlink(path) < 0 ? -errno : 0;
}

int log_sync_folder(const cm_log *log) {
    if (fsync(log->directory_fd) < 0) return -errno;
    log_note(&log->recorder, (cm_log_event){.kind = CM_LOG_SYNCS_FOLDER, .path = log->directory});
    return 0;
}
