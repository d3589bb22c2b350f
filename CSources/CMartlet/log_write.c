#include "log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

int log_system(cm_log_error *error, const char *file, const char *operation, int number) {
    snprintf(error->file, sizeof error->file, "%s", file);
    snprintf(error->what, sizeof error->what, "%s", operation);
    error->number = number;
    return CM_LOG_SYSTEM;
}

int log_refused(cm_log_error *error, const char *file, const char *operation, int number) {
    int status = log_system(error, file, operation, number);
    bool passes = number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOSPC || number == EDQUOT;
    return passes ? CM_LOG_REFUSED : status;
}

int log_corrupt(cm_log_error *error, const char *file, uint64_t offset, const char *what) {
    snprintf(error->file, sizeof error->file, "%s", file);
    snprintf(error->what, sizeof error->what, "%s", what);
    error->offset = offset;
    return CM_LOG_CORRUPT;
}

void log_segment_path(const cm_log *log, uint64_t sequence, char out[512]) {
    snprintf(out, 512, "%s/%016" PRIx64 ".log", log->directory, sequence);
}

int log_reserve(void **array, uint64_t *capacity, uint64_t count, uint64_t size) {
    if (count <= *capacity) return 0;
    uint64_t wanted = *capacity * 2 > count ? *capacity * 2 : count + 16;
    void *grown = realloc(*array, wanted * size);
    if (!grown) return -ENOMEM;
    *array = grown;
    *capacity = wanted;
    return 0;
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

bool log_account(cm_log *log, uint32_t kind, uint64_t index, uint64_t place, int *status) {
    switch (kind) {
    case CM_LOG_DATA:
        if (index != log->next) return false;
        *status = log_reserve((void **)&log->places, &log->place_capacity, log->place_count + 1, sizeof *log->places);
        if (*status) return false;
        log->places[log->place_count++] = place;
        log->next++;
        return true;
    case CM_LOG_CUT:
        if (index > log->next) return false;
        log->next = index;
        if (index < log->first) log->first = index;
        log->place_count = log->next - log->first;
        return true;
    case CM_LOG_RESET:
        log->first = log->next = index;
        log->place_count = 0;
        return true;
    default: return index == log->next;
    }
}

/* Makes a file of zeros, synced. Sets `fd`, or `number` and leaves no file. */
static void *prepare(void *argument) {
    preparation *work = argument;
    static const uint8_t zeros[1 << 20];
    work->number = 0;
    work->fd = open(work->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (work->fd < 0) {
        work->number = errno;
        return NULL;
    }
    /* A full disk says so here, and not after all that was free is filled; where this is not known, it is left out. */
    if (fallocate(work->fd, 0, 0, (off_t)work->size) < 0 && errno == ENOSPC) work->number = ENOSPC;
    for (uint64_t at = 0; at < work->size && !work->number;) {
        uint64_t length = work->size - at < sizeof zeros ? work->size - at : sizeof zeros;
        ssize_t written = pwrite(work->fd, zeros, length, (off_t)at);
        if (written >= 0) at += (uint64_t)written;
        else if (errno != EINTR) work->number = errno;
    }
    if (!work->number && fsync(work->fd) < 0) work->number = errno;
    if (work->number) {
        close(work->fd);
        unlink(work->path);
        work->fd = -1;
    }
    return NULL;
}

static void begin_preparing(cm_log *log, uint64_t size) {
    preparation *work = &log->preparing;
    work->size = size;
    snprintf(work->path, sizeof work->path, "%s/prepare.tmp", log->directory);
    work->started = pthread_create(&work->thread, NULL, prepare, work) == 0;
}

/* Takes the prepared file; prepares it here and now when nobody has, or it was made too small. */
static int take_prepared(cm_log *log, uint64_t size, cm_log_error *error) {
    preparation *work = &log->preparing;
    if (work->started) pthread_join(work->thread, NULL);
    if (!work->started || work->fd < 0) {
        work->size = size;
        snprintf(work->path, sizeof work->path, "%s/prepare.tmp", log->directory);
        prepare(work);
    }
    work->started = false;
    if (work->fd < 0) return log_refused(error, work->path, "prepare a segment", work->number);
    return 0;
}

int log_roll(cm_log *log, uint64_t size, cm_log_error *error) {
    int status = take_prepared(log, size, error);
    if (status) return status;
    int fd = log->preparing.fd;
    log->preparing.fd = -1;
    segment_header header = {
        .version = FORMAT,
        .sequence = log->segment_count ? log->segments[log->segment_count - 1].sequence + 1 : 1,
        .size = log->preparing.size, .next = log->next, .chain = log->chain};
    memcpy(header.magic, LOG_MAGIC, sizeof header.magic);
    char file[512];
    log_segment_path(log, header.sequence, file);
    int failure = log_reserve((void **)&log->segments, &log->segment_capacity, log->segment_count + 1,
                              sizeof *log->segments);
    if (failure) errno = -failure;
    bool named = false;
    /* The name comes last: a segment that has one is whole. Until then a failure costs a file that nobody reads. */
    if (failure || getrandom(&header.salt, sizeof header.salt, 0) != sizeof header.salt) {
        status = log_refused(error, file, "prepare a segment", errno);
    } else {
        header.crc = cm_crc32c(0, &header, offsetof(segment_header, crc));
        named = pwrite(fd, &header, sizeof header, 0) == sizeof header && fdatasync(fd) == 0 &&
                rename(log->preparing.path, file) == 0;
        if (!named) status = log_refused(error, file, "make a segment", errno);
        else if (fsync(log->directory_fd) < 0) status = log_system(error, file, "make a segment", errno);
    }
    if (status) {
        close(fd);
        if (!named) unlink(log->preparing.path);
        return status;
    }
    log->segments[log->segment_count++] = (segment){
        .sequence = header.sequence, .size = header.size, .next = header.next, .salt = header.salt,
        .chain = header.chain, .fd = fd, .end = SEGMENT_HEADER};
    return 0;
}

int cm_log_adopt(cm_log *log, cm_log_error *error) {
    int status = cm_ring_adopt(log->ring);
    return status < 0 ? log_system(error, log->directory, "io_uring_register", -status) : 0;
}

int cm_log_wait(cm_log *log, cm_log_error *error) {
    cm_completion none;
    int status = cm_ring_turn(log->ring, -1, &none, 1);
    return status < 0 ? log_system(error, log->directory, "io_uring_enter", -status) : 0;
}

void cm_log_wake(cm_log *log) { cm_ring_wake(log->ring); }

void cm_log_close(cm_log *log) {
    if (log->preparing.started) pthread_join(log->preparing.thread, NULL);
    if (log->preparing.fd >= 0) {
        close(log->preparing.fd);
        unlink(log->preparing.path);
    }
    if (log->ring) cm_ring_close(log->ring);
    for (uint64_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i].fd >= 0) close(log->segments[i].fd);
    }
    if (log->lock_fd >= 0) {
        /* A child that was just forked may hold a copy until its exec; unlocking works for all copies. */
        flock(log->lock_fd, LOCK_UN);
        close(log->lock_fd);
    }
    if (log->directory_fd >= 0) close(log->directory_fd);
    free(log->segments);
    free(log->places);
    /* After a turn that failed, the kernel may write from it still, also when the ring is closed. */
    if (!log->batch_lent) free(log->batch);
    free(log->scratch);
    free(log);
}

uint64_t cm_log_first(const cm_log *log) { return log->first; }
uint64_t cm_log_next(const cm_log *log) { return log->next; }

uint64_t cm_log_limit(const cm_log *log) {
    uint64_t room = log->segment_bytes - SEGMENT_HEADER - RECORD_HEADER;
    return room < RECORD_LIMIT ? room : RECORD_LIMIT;
}

uint64_t cm_log_record_bytes(uint64_t length) { return RECORD_HEADER + round_up(length, 8); }

int cm_log_together(cm_log *log, uint64_t bytes, cm_log_error *error) {
    const segment *seg = &log->segments[log->segment_count - 1];
    /* Batches begin at sectors, and of two in a row at least one is over half of BATCH_BYTES. */
    uint64_t most = bytes + (2 * bytes / BATCH_BYTES + 4) * SECTOR;
    if (seg->end + log->batch_bytes + most <= seg->size || SEGMENT_HEADER + most > log->segment_bytes) return 0;
    return log->batch_bytes ? CM_LOG_FULL : log_roll(log, log->segment_bytes, error);
}

int cm_log_stage(cm_log *log, int kind, uint64_t index, const void *payload, uint64_t length, cm_log_error *error) {
    if (length > cm_log_limit(log)) return CM_LOG_TOO_LARGE;
    uint64_t bytes = cm_log_record_bytes(length);
    segment *seg = &log->segments[log->segment_count - 1];
    if (log->batch_bytes && log->batch_bytes + bytes > BATCH_BYTES) return CM_LOG_FULL;
    if (seg->end + log->batch_bytes + bytes > seg->size) {
        if (log->batch_bytes) return CM_LOG_FULL;
        int status = log_roll(log, log->segment_bytes, error);
        if (status) return status;
        seg = &log->segments[log->segment_count - 1];
    }
    int failure = log_reserve((void **)&log->batch, &log->batch_capacity, log->batch_bytes + bytes, 1);
    if (failure) return log_refused(error, log->directory, "allocate", -failure);
    record_header header = {
        .length = (uint32_t)length, .index = index, .chain = log->chain, .batch = (uint32_t)seg->end,
        .kind = (uint32_t)kind, .salt = seg->salt};
    uint8_t *at = log->batch + log->batch_bytes;
    memset(at + bytes - 8, 0, 8);
    memcpy(at, &header, sizeof header);
    if (length) memcpy(at + RECORD_HEADER, payload, length);
    header.crc = cm_crc32c(0, at + 4, RECORD_HEADER - 4 + length);
    memcpy(at, &header.crc, sizeof header.crc);
    int status = 0;
    uint64_t place = seg->sequence << 32 | (seg->end + log->batch_bytes);
    if (!log_account(log, header.kind, index, place, &status)) {
        return log_refused(error, log->directory, "stage", status ? -status : EINVAL);
    }
    log->chain = header.crc;
    log->batch_bytes += bytes;
    return 0;
}

/* Writes and syncs once; returns how much was written, or a negative errno and which step failed. */
static int64_t write_and_sync(cm_log *log, int fd, uint64_t done, uint64_t offset, const char **step) {
    enum { WRITE = 1, SYNC = 2 };
    *step = "write";
    log->batch_lent = true;
    int status = cm_ring_write(log->ring, WRITE, fd, log->batch + done, log->batch_bytes - done,
                               (int64_t)(offset + done), true);
    if (status == 0) status = cm_ring_datasync(log->ring, SYNC, fd);
    if (status < 0) return status;
    int64_t written = 0, synced = 0;
    for (int seen = 0; seen < 2;) {
        cm_completion answers[2];
        int count = cm_ring_turn(log->ring, -1, answers, 2);
        if (count < 0) return count;
        for (int i = 0; i < count; i++) *(answers[i].token == WRITE ? &written : &synced) = answers[i].result;
        seen += count;
    }
    log->batch_lent = false;
    if (written < 0) return written;
    /* After a write that was cut short the kernel leaves out the sync; the rest is written with one. */
    if ((uint64_t)written < log->batch_bytes - done) return written > 0 ? written : -EIO;
    *step = "fdatasync";
    return synced < 0 ? synced : written;
}

int cm_log_commit(cm_log *log, cm_log_error *error) {
    segment *seg = &log->segments[log->segment_count - 1];
    for (uint64_t done = 0; done < log->batch_bytes;) {
        const char *step;
        int64_t written = write_and_sync(log, seg->fd, done, seg->end, &step);
        if (written < 0) {
            char file[512];
            log_segment_path(log, seg->sequence, file);
            return log_system(error, file, step, (int)-written);
        }
        done += (uint64_t)written;
    }
    seg->end = round_up(seg->end + log->batch_bytes, SECTOR);
    if (seg->end > seg->size) seg->end = seg->size;
    log->batch_bytes = 0;
    if (seg->end > seg->size / 2 && !log->preparing.started) begin_preparing(log, log->segment_bytes);
    return 0;
}

int cm_log_read(cm_log *log, uint64_t index, const void **payload, uint64_t *length, cm_log_error *error) {
    uint64_t place = log->places[index - log->first];
    const segment *seg = &log->segments[(place >> 32) - log->segments[0].sequence];
    uint64_t offset = (uint32_t)place;
    char file[512];
    log_segment_path(log, seg->sequence, file);
    record_header header;
    int failure = log_read_fully(seg->fd, &header, sizeof header, offset);
    if (failure < 0) return log_system(error, file, "read", -failure);
    if (header.index != index || header.salt != seg->salt ||
        header.length > seg->size - offset - RECORD_HEADER) {
        return log_corrupt(error, file, offset, "a record is damaged");
    }
    failure = log_reserve((void **)&log->scratch, &log->scratch_capacity, header.length + 1, 1);
    if (!failure) failure = log_read_fully(seg->fd, log->scratch, header.length, offset + RECORD_HEADER);
    if (failure < 0) return log_system(error, file, "read", -failure);
    uint32_t crc = cm_crc32c(0, (uint8_t *)&header + 4, RECORD_HEADER - 4);
    if (cm_crc32c(crc, log->scratch, header.length) != header.crc) {
        return log_corrupt(error, file, offset, "a record is damaged");
    }
    *payload = log->scratch;
    *length = header.length;
    return 0;
}

int cm_log_drop_before(cm_log *log, uint64_t index, cm_log_error *error) {
    if (index > log->next) index = log->next;
    if (index < log->first) return 0;
    uint64_t keep = index < log->next ? log->places[index - log->first] >> 32
                                      : log->segments[log->segment_count - 1].sequence;
    uint64_t dropped = 0;
    while (log->segments[dropped].sequence < keep) {
        char file[512];
        log_segment_path(log, log->segments[dropped].sequence, file);
        /* Oldest first, each for good before the next: a gap would read as corruption. */
        if (unlink(file) < 0 || fsync(log->directory_fd) < 0) return log_system(error, file, "remove", errno);
        close(log->segments[dropped].fd);
        dropped++;
    }
    if (!dropped) return 0;
    log->segment_count -= dropped;
    memmove(log->segments, log->segments + dropped, log->segment_count * sizeof *log->segments);
    uint64_t gone = 0;
    while (gone < log->place_count && log->places[gone] >> 32 < keep) gone++;
    log->place_count -= gone;
    log->first += gone;
    memmove(log->places, log->places + gone, log->place_count * sizeof *log->places);
    return 0;
}
