#include "log_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* One segment in memory while it is checked. */
typedef struct {
    const uint8_t *bytes;
    const segment *of;
} image;

static bool all_zero(const uint8_t *bytes, uint64_t length) {
    for (uint64_t i = 0; i < length; i++) {
        if (bytes[i]) return false;
    }
    return true;
}

/* Whether an intact record of this segment stands at `at`, whatever comes before it. */
static bool record_at(image seg, uint64_t at, record_header *out) {
    if (at > seg.of->size || seg.of->size - at < RECORD_HEADER) return false;
    memcpy(out, seg.bytes + at, sizeof *out);
    if (out->salt != seg.of->salt || out->kind < CM_LOG_DATA || out->kind > CM_LOG_SEALED) return false;
    if (out->length > seg.of->size - at - RECORD_HEADER || out->batch > at) return false;
    return out->crc == cm_crc32c(0, seg.bytes + at + 4, RECORD_HEADER - 4 + (uint64_t)out->length);
}

/*
 * Whether something behind `stop`, where the good records end, proves that what stood there was durable: a record of
 * a batch that began later. A batch that begins at the next sector proves it only when bytes stand before it that are
 * no padding, or when its own first record does not continue the chain (else it would have been accepted).
 */
static bool was_durable(image seg, uint64_t stop) {
    uint64_t sector = round_up(stop, SECTOR);
    bool padding = sector > seg.of->size || all_zero(seg.bytes + stop, sector - stop);
    record_header record;
    for (uint64_t at = stop; at + RECORD_HEADER <= seg.of->size; at += 8) {
        if (!record_at(seg, at, &record)) continue;
        if (record.batch > sector) return true;
        if (record.batch == sector && (!padding || at == sector)) return true;
    }
    return false;
}

/* Where the first bad record begins. The good ones end at `stop`; zeros from there to the sector's end are padding. */
static uint64_t bad_record(image seg, uint64_t stop) {
    uint64_t next = round_up(stop, SECTOR);
    return next > seg.of->size || all_zero(seg.bytes + stop, next - stop) ? next : stop;
}

/*
 * Whether a crash may have left the bad record at `at`, in the last batch: one of its sectors is missing. A crash
 * leaves sectors whole or zero, so a record that is bad without that was damaged later.
 */
static bool is_torn(image seg, uint64_t at) {
    uint64_t size = seg.of->size;
    if (at > size || size - at < RECORD_HEADER) return true;
    record_header header;
    memcpy(&header, seg.bytes + at, sizeof header);
    uint64_t room = size - at - RECORD_HEADER;
    uint64_t end = at + RECORD_HEADER + (header.length > room ? 0 : header.length);
    for (uint64_t from = at, next; from < end; from = next) {
        next = round_up(from + 1, SECTOR);
        if (all_zero(seg.bytes + from, (next < end ? next : end) - from)) return true;
    }
    return false;
}

/* Follows the chain of records; sets where it ends. */
static int follow(cm_log *log, image seg, uint64_t *end, const char *file, cm_log_error *error) {
    uint64_t at = SEGMENT_HEADER, batch = 0;
    record_header record;
    for (;;) {
        bool good = record_at(seg, at, &record) && record.chain == log->chain &&
                    record.batch == (at % SECTOR == 0 && record.batch == at ? at : batch);
        if (!good) {
            uint64_t sector = round_up(at, SECTOR);
            good = sector != at && record_at(seg, sector, &record) && record.chain == log->chain &&
                   record.batch == sector;
            if (!good) break;
            at = sector;
        }
        int status = 0;
        if (!log_account(log, record.kind, record.index, seg.of->sequence << 32 | at, &status)) {
            return status ? log_system(error, file, "allocate", -status)
                          : log_corrupt(error, file, at, "a record's index does not follow the one before");
        }
        batch = record.batch;
        log->chain = record.crc;
        log->is_sealed = record.kind == CM_LOG_SEALED;
        at += RECORD_HEADER + round_up(record.length, 8);
    }
    *end = at;
    return 0;
}

/* Puts zeros from `at` to `end` of a segment, and makes that durable. */
static int put_zeros(const log_file *file, uint64_t at, uint64_t end, cm_log_error *error) {
    static const uint8_t zeros[1 << 16];
    for (; at < end; at += sizeof zeros) {
        uint64_t length = end - at < sizeof zeros ? end - at : sizeof zeros;
        int failure = log_write_at(file, zeros, length, at);
        if (failure < 0) return log_system(error, file->path, "write", -failure);
    }
    int failure = log_sync_file(file);
    return failure < 0 ? log_system(error, file->path, "fdatasync", -failure) : 0;
}

/*
 * Clears what a crash has left behind the good records, which end at `stop`, and makes durable what is good. The sector
 * with the first bad record's head comes last: a crash in between leaves a record that lacks a sector, as before, and
 * not its rest alone, which would look like damage. Where that sector has good records, too, they are of the same
 * batch, which nobody was told of.
 */
static int clear_tail(cm_log *log, segment *seg, uint64_t stop, const uint8_t *bytes, const char *path,
                      cm_log_error *error) {
    uint64_t last = seg->size, bad = stop;
    while (last > stop && bytes[last - 1] == 0) last--;
    if (last > stop) {
        image view = {.bytes = bytes, .of = seg};
        bad = bad_record(view, stop);
        log->torn = (cm_log_tail){.offset = bad, .bytes = last - bad};
        snprintf(log->torn.file, sizeof log->torn.file, "%s", path);
        record_header record;
        for (uint64_t at = bad; at < last; at += 8) log->torn.records += record_at(view, at, &record);
    }
    log_file file = {.fd = seg->fd, .direct_fd = -1, .path = path, .recorder = &log->recorder};
    uint64_t head = round_up(bad + 1, SECTOR);
    if (last > head) {
        int status = put_zeros(&file, head, last, error);
        if (status != 0) return status;
    }
    return put_zeros(&file, bad, last < head ? last : head, error);
}

/* Tries direct writes on the last segment, with zeros where there are zeros. */
static int begin_direct(cm_log *log, cm_log_error *error) {
    const segment *seg = &log->segments[log->segment_count - 1];
    if (seg->size % SECTOR || seg->size - seg->end < SECTOR) return 0;
    static const _Alignas(SECTOR) uint8_t zeros[SECTOR];
    char path[512];
    log_segment_path(log, seg->sequence, path);
    log_file file = {.fd = seg->fd, .path = path, .recorder = &log->recorder};
    int failure = log_open_direct(&file, zeros, seg->end);
    if (failure < 0) return log_system(error, path, "write directly", -failure);
    log->direct_fd = file.direct_fd;
    return 0;
}

static int check_records(cm_log *log, segment *seg, bool last, const char *file, cm_log_error *error) {
    uint8_t *bytes = malloc(seg->size);
    if (!bytes) return log_system(error, file, "allocate", ENOMEM);
    /* What the last process wrote and never synced is on the disk now, or it is read as it is there. */
    int status = fdatasync(seg->fd) < 0 ? log_system(error, file, "fdatasync", errno) : 0;
    posix_fadvise(seg->fd, 0, 0, POSIX_FADV_DONTNEED);
    int failure = status ? 0 : log_read_fully(seg->fd, bytes, seg->size, 0);
    if (failure < 0) status = log_system(error, file, "read", -failure);
    image view = {.bytes = bytes, .of = seg};
    uint64_t stop = 0;
    if (!status) status = follow(log, view, &stop, file, error);
    if (!status && last) {
        uint64_t bad = bad_record(view, stop);
        if (was_durable(view, stop)) {
            status = log_corrupt(error, file, bad, "a record was durable and is damaged");
        } else if (!is_torn(view, bad)) {
            status = log_corrupt(error, file, bad, "a record was written whole and is damaged");
        }
    }
    if (!status) {
        seg->end = round_up(stop, SECTOR);
        if (seg->end > seg->size) seg->end = seg->size;
        if (last) status = clear_tail(log, seg, stop, bytes, file, error);
    }
    free(bytes);
    return status;
}

static int open_segment(cm_log *log, uint64_t sequence, segment *out, cm_log_error *error) {
    char file[512];
    log_segment_path(log, sequence, file);
    out->fd = open(file, O_RDWR | O_CLOEXEC);
    if (out->fd < 0) return log_system(error, file, "open", errno);
    struct stat info;
    if (fstat(out->fd, &info) < 0) return log_system(error, file, "stat", errno);
    segment_header header;
    if (info.st_size < SEGMENT_HEADER) return log_corrupt(error, file, 0, "shorter than its header");
    int failure = log_read_fully(out->fd, &header, sizeof header, 0);
    if (failure < 0) return log_system(error, file, "read", -failure);
    if (memcmp(header.magic, LOG_MAGIC, sizeof header.magic)) return log_corrupt(error, file, 0, "not a log's segment");
    if (header.crc != cm_crc32c(0, &header, offsetof(segment_header, crc))) {
        return log_corrupt(error, file, 0, "the header is damaged");
    }
    if (header.version != FORMAT) {
        snprintf(error->file, sizeof error->file, "%s", file);
        error->version = header.version;
        return CM_LOG_FORMAT;
    }
    if (!log->identity) log->identity = header.identity;
    if (header.identity != log->identity) return log_corrupt(error, file, 16, "the segment is of another log");
    if (header.sequence != sequence) return log_corrupt(error, file, 32, "the segment has another's name");
    if (header.size != (uint64_t)info.st_size) return log_corrupt(error, file, 36, "the segment has another size");
    *out = (segment){.sequence = sequence, .size = header.size, .next = header.next, .salt = header.salt,
                     .chain = header.chain, .fd = out->fd};
    return 0;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Lists the sequences of the segments in the folder, in order. */
static int list_segments(const cm_log *log, uint64_t **out, uint64_t *count, cm_log_error *error) {
    DIR *folder = opendir(log->directory);
    if (!folder) return log_system(error, log->directory, "open", errno);
    uint64_t capacity = 0;
    int failure = 0;
    for (struct dirent *entry; !failure && (entry = readdir(folder));) {
        uint64_t sequence;
        int used = 0;
        if (sscanf(entry->d_name, "%16" SCNx64 ".log%n", &sequence, &used) != 1 || used != 20) continue;
        if (entry->d_name[used]) continue;
        failure = log_reserve((void **)out, &capacity, *count + 1, sizeof **out);
        if (!failure) (*out)[(*count)++] = sequence;
    }
    closedir(folder);
    if (failure) return log_system(error, log->directory, "allocate", -failure);
    if (*count) qsort(*out, *count, sizeof **out, compare);
    return 0;
}

/* Checks that a segment continues the one before, and its records. */
static int check_segment(cm_log *log, uint64_t number, bool last, cm_log_error *error) {
    segment *seg = &log->segments[number];
    char file[512];
    log_segment_path(log, seg->sequence, file);
    if (number == 0) {
        log->first = log->next = seg->next;
        log->chain = seg->chain;
    } else {
        const segment *before = seg - 1;
        if (before->sequence + 1 != seg->sequence) return log_corrupt(error, file, 0, "the segment before is missing");
        if (seg->chain != log->chain || seg->next != log->next) {
            log_segment_path(log, before->sequence, file);
            return log_corrupt(error, file, before->end, "records that the next segment continues are missing");
        }
    }
    return check_records(log, seg, last, file, error);
}

static int load(cm_log *log, cm_log_error *error) {
    uint64_t *sequences = NULL, count = 0;
    int status = list_segments(log, &sequences, &count, error);
    for (uint64_t i = 0; !status && i < count; i++) {
        int failure = log_reserve((void **)&log->segments, &log->segment_capacity, i + 1, sizeof *log->segments);
        if (failure) {
            status = log_system(error, log->directory, "allocate", -failure);
            break;
        }
        log->segments[i] = (segment){.fd = -1};
        log->segment_count = i + 1;
        status = open_segment(log, sequences[i], &log->segments[i], error);
        if (!status && sequences[i] >> 32) status = log_corrupt(error, log->directory, 0, "too many segments");
    }
    for (uint64_t i = 0; !status && i < count; i++) status = check_segment(log, i, i + 1 == count, error);
    free(sequences);
    return status;
}

static int lock_directory(cm_log *log, cm_log_error *error) {
    log->directory_fd = open(log->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (log->directory_fd < 0) return log_system(error, log->directory, "open", errno);
    log->lock_fd = openat(log->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (log->lock_fd < 0) return log_system(error, log->directory, "open the lock", errno);
    if (flock(log->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK) return log_system(error, log->directory, "lock", errno);
    snprintf(error->file, sizeof error->file, "%s", log->directory);
    return CM_LOG_LOCKED;
}

int cm_log_open(cm_log **out, const char *directory, uint64_t segment_bytes, uint64_t identity, cm_log_error *error) {
    return cm_log_open_recorded(out, directory, segment_bytes, identity, (cm_log_recorder){0}, error);
}

int cm_log_open_recorded(cm_log **out, const char *directory, uint64_t segment_bytes, uint64_t identity,
                         cm_log_recorder recorder, cm_log_error *error) {
    memset(error, 0, sizeof *error);
    if (strlen(directory) >= sizeof ((cm_log *)0)->directory) {
        return log_system(error, directory, "open", ENAMETOOLONG);
    }
    cm_log *log = calloc(1, sizeof *log);
    if (!log) return log_system(error, directory, "allocate", ENOMEM);
    strcpy(log->directory, directory);
    log->directory_fd = log->lock_fd = log->direct_fd = log->preparing.fd = -1;
    log->recorder = recorder;
    log->identity = identity;
    log->is_sealed = true; /* there is nothing yet to prove */
    segment_bytes = round_up(segment_bytes, SECTOR);
    log->segment_bytes = segment_bytes < 1 << 16 ? 1 << 16 : segment_bytes > 1 << 30 ? 1 << 30 : segment_bytes;
    log->first = log->next = 1;
    int status = lock_directory(log, error);
    if (!status) {
        unlinkat(log->directory_fd, "prepare.tmp", 0);
        status = load(log, error);
    }
    if (!status && log->segment_count) {
        status = begin_direct(log, error);
    } else if (!status) {
        uint64_t size = log->segment_bytes < FIRST_SEGMENT_BYTES ? log->segment_bytes : FIRST_SEGMENT_BYTES;
        status = log_roll(log, size, size, error);
        if (status == CM_LOG_REFUSED) status = CM_LOG_SYSTEM;
    }
    if (status) {
        cm_log_close(log);
    } else {
        *out = log;
    }
    return status;
}
