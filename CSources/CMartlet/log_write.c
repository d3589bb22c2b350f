#include "log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
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

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * Writes zeros in small pieces, directly where that is possible, and rests as long as each took unless somebody waits:
 * in one go they would hold up batches for as long as the device needs for a whole segment. Returns a negative errno.
 */
static int fill_with_zeros(preparation *work) {
    enum { PIECE = 256 << 10 };
    static const _Alignas(4096) uint8_t zeros[PIECE];
    log_file file = {.fd = work->fd, .path = work->path, .recorder = &work->recorder};
    file.direct_fd = open(work->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    int status = 0;
    for (uint64_t at = 0; at < work->size && !status;) {
        uint64_t length = work->size - at < PIECE ? work->size - at : PIECE, began = nanoseconds();
        status = log_write_at(&file, zeros, length, at);
        if (status && file.direct_fd >= 0 && (status == -EINVAL || status == -EOPNOTSUPP)) {
            close(file.direct_fd);
            file.direct_fd = -1;
            status = 0;
            continue;
        }
        at += length;
        uint64_t took = nanoseconds() - began;
        struct timespec rest = {.tv_sec = (time_t)(took / 1000000000), .tv_nsec = (long)(took % 1000000000)};
        if (!__atomic_load_n(&work->urgent, __ATOMIC_RELAXED)) nanosleep(&rest, NULL);
    }
    if (file.direct_fd >= 0) close(file.direct_fd);
    if (!status) status = log_sync_file(&file);
    /* Direct writes would have to drop these pages one by one. */
    posix_fadvise(work->fd, 0, 0, POSIX_FADV_DONTNEED);
    return status;
}

/* Makes a file of zeros, synced. Sets `fd`, or `number` and leaves no file. */
static void *prepare(void *argument) {
    preparation *work = argument;
    work->number = 0;
    log_note(&work->recorder, (cm_log_event){.kind = CM_LOG_CREATES, .path = work->path});
    work->fd = open(work->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (work->fd < 0) {
        work->number = errno;
        return NULL;
    }
    /* A full disk says so here, and not after all that was free is filled; where this is not known, it is left out. */
    if (fallocate(work->fd, 0, 0, (off_t)work->size) < 0 && errno == ENOSPC) work->number = ENOSPC;
    if (!work->number) work->number = -fill_with_zeros(work);
    if (work->number) {
        close(work->fd);
        log_remove(&work->recorder, work->path);
        work->fd = -1;
    }
    return NULL;
}

static void describe(cm_log *log, uint64_t size, bool urgent) {
    preparation *work = &log->preparing;
    work->size = size;
    work->recorder = log->recorder;
    work->urgent = urgent;
    snprintf(work->path, sizeof work->path, "%s/prepare.tmp", log->directory);
}

static void begin_preparing(cm_log *log, uint64_t size) {
    describe(log, size, false);
    preparation *work = &log->preparing;
    work->started = pthread_create(&work->thread, NULL, prepare, work) == 0;
}

/*
 * Takes the prepared file; prepares it here and now when nobody has. Where a whole segment has no room, a quarter of it
 * may have: writes go on until the disk is as good as full.
 */
static int take_prepared(cm_log *log, uint64_t size, uint64_t least, cm_log_error *error) {
    preparation *work = &log->preparing;
    __atomic_store_n(&work->urgent, 1, __ATOMIC_RELAXED);
    if (work->started) pthread_join(work->thread, NULL);
    bool is_made = work->started && work->fd >= 0;
    work->started = false;
    if (is_made) return 0;
    least = round_up(least < LEAST_SEGMENT_BYTES ? LEAST_SEGMENT_BYTES : least, SECTOR);
    for (;;) {
        describe(log, size, true);
        prepare(work);
        if (work->fd >= 0) return 0;
        if ((work->number != ENOSPC && work->number != EDQUOT) || size <= least) break;
        size = round_up(size / 4 < least ? least : size / 4, SECTOR);
    }
    char what[64];
    snprintf(what, sizeof what, "make a segment of %" PRIu64 " KiB", (size + 1023) / 1024);
    return log_refused(error, work->path, what, work->number);
}

/* Writes the header, for good, in the way in which batches will be written. */
static int write_header(cm_log *log, const segment_header *header, int fd) {
    _Alignas(SECTOR) uint8_t sector[SECTOR] = {0};
    memcpy(sector, header, sizeof *header);
    log_file file = {.fd = fd, .path = log->preparing.path, .recorder = &log->recorder};
    int status = log_open_direct(&file, sector, 0);
    if (status == 0 && file.direct_fd < 0) status = log_write_durably(&file, sector, sizeof sector, 0);
    log->direct_fd = file.direct_fd;
    return status;
}

int log_roll(cm_log *log, uint64_t size, uint64_t least, cm_log_error *error) {
    int status = take_prepared(log, size, least, error);
    if (status) return status;
    int fd = log->preparing.fd;
    log->preparing.fd = -1;
    segment_header header = {
        .version = FORMAT, .identity = log->identity,
        .sequence = log->segment_count ? (uint32_t)log->segments[log->segment_count - 1].sequence + 1 : 1,
        .size = (uint32_t)log->preparing.size, .next = log->next, .chain = log->chain};
    memcpy(header.magic, LOG_MAGIC, sizeof header.magic);
    char file[512];
    log_segment_path(log, header.sequence, file);
    int failure = log_reserve((void **)&log->segments, &log->segment_capacity, log->segment_count + 1,
                              sizeof *log->segments);
    if (!failure && getrandom(&header.salt, sizeof header.salt, 0) != sizeof header.salt) failure = -errno;
    while (!failure && !header.identity) {
        if (getrandom(&header.identity, sizeof header.identity, 0) != sizeof header.identity) failure = -errno;
    }
    header.crc = cm_crc32c(0, &header, offsetof(segment_header, crc));
    /* The name comes last: a segment that has one is whole. Until then a failure costs a file that nobody reads. */
    int previous = log->direct_fd;
    log->direct_fd = -1;
    if (!failure) failure = write_header(log, &header, fd);
    if (!failure) failure = log_rename(&log->recorder, log->preparing.path, file);
    if (failure) {
        if (log->direct_fd >= 0) close(log->direct_fd);
        log->direct_fd = previous;
        close(fd);
        log_remove(&log->recorder, log->preparing.path);
        return log_refused(error, file, "make a segment", -failure);
    }
    if (previous >= 0) close(previous);
    failure = log_sync_folder(log);
    if (failure) {
        close(fd);
        return log_system(error, file, "make a segment", -failure);
    }
    log->identity = header.identity;
    log->segments[log->segment_count++] = (segment){
        .sequence = header.sequence, .size = header.size, .next = header.next, .salt = header.salt,
        .chain = header.chain, .fd = fd, .end = SEGMENT_HEADER};
    return 0;
}

void cm_log_close(cm_log *log) {
    __atomic_store_n(&log->preparing.urgent, 1, __ATOMIC_RELAXED);
    if (log->preparing.started) pthread_join(log->preparing.thread, NULL);
    if (log->preparing.fd >= 0) {
        close(log->preparing.fd);
        log_remove(&log->recorder, log->preparing.path);
    }
    if (log->direct_fd >= 0) close(log->direct_fd);
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
    if (log->batch) munmap(log->batch, log->batch_capacity);
    free(log->scratch);
    free(log);
}

uint64_t cm_log_first(const cm_log *log) { return log->first; }
uint64_t cm_log_next(const cm_log *log) { return log->next; }
uint64_t cm_log_identity(const cm_log *log) { return log->identity; }
const cm_log_tail *cm_log_torn(const cm_log *log) { return &log->torn; }
int cm_log_is_sealed(const cm_log *log) { return log->is_sealed; }

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
    return log->batch_bytes ? CM_LOG_FULL : log_roll(log, log->segment_bytes, SEGMENT_HEADER + most, error);
}

/*
 * Grows the batch. It lies in huge pages where there are some: a direct write of 256 KiB from them takes the device
 * little more than half the time of one from small pages, each of which is a piece of its own.
 */
static int reserve_batch(cm_log *log, uint64_t bytes) {
    if (bytes <= log->batch_capacity) return 0;
    uint64_t capacity = round_up(bytes > 2 * log->batch_capacity ? bytes : 2 * log->batch_capacity, HUGE_PAGE);
    uint8_t *memory = mmap(NULL, capacity + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -errno;
    uint8_t *aligned = (uint8_t *)round_up((uintptr_t)memory, HUGE_PAGE);
    if (aligned > memory) munmap(memory, (size_t)(aligned - memory));
    uint64_t rest = HUGE_PAGE - (uint64_t)(aligned - memory);
    if (rest) munmap(aligned + capacity, rest);
    madvise(aligned, capacity, MADV_HUGEPAGE);
    if (log->batch) {
        memcpy(aligned, log->batch, log->batch_bytes);
        munmap(log->batch, log->batch_capacity);
    }
    log->batch = aligned;
    log->batch_capacity = capacity;
    return 0;
}

int cm_log_stage(cm_log *log, int kind, uint64_t index, const void *payload, uint64_t length, cm_log_error *error) {
    if (length > cm_log_limit(log)) return CM_LOG_TOO_LARGE;
    uint64_t bytes = cm_log_record_bytes(length);
    segment *seg = &log->segments[log->segment_count - 1];
    if (log->batch_bytes && log->batch_bytes + bytes > BATCH_BYTES) return CM_LOG_FULL;
    if (seg->end + log->batch_bytes + bytes > seg->size) {
        if (log->batch_bytes) return CM_LOG_FULL;
        int status = log_roll(log, log->segment_bytes, SEGMENT_HEADER + bytes, error);
        if (status) return status;
        seg = &log->segments[log->segment_count - 1];
    }
    int failure = reserve_batch(log, round_up(log->batch_bytes + bytes, SECTOR));
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
    log->is_sealed = kind == CM_LOG_SEALED;
    log->batch_bytes += bytes;
    return 0;
}

int cm_log_commit(cm_log *log, cm_log_error *error) {
    if (!log->batch_bytes) return 0;
    segment *seg = &log->segments[log->segment_count - 1];
    char path[512];
    log_segment_path(log, seg->sequence, path);
    uint64_t bytes = log->batch_bytes;
    if (log->direct_fd >= 0) {
        bytes = round_up(bytes, SECTOR);
        memset(log->batch + log->batch_bytes, 0, bytes - log->batch_bytes);
    }
    log_file file = {.fd = seg->fd, .direct_fd = log->direct_fd, .path = path, .recorder = &log->recorder};
    int status = log_write_durably(&file, log->batch, bytes, seg->end);
    if (status < 0) return log_system(error, path, "write and sync", -status);
    seg->end = round_up(seg->end + bytes, SECTOR);
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
        int failure = log_remove(&log->recorder, file);
        if (!failure) failure = log_sync_folder(log);
        if (failure) return log_system(error, file, "remove", -failure);
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
