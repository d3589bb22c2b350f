#ifndef CMARTLET_LOG_INTERNAL_H
#define CMARTLET_LOG_INTERNAL_H

#include "cmartlet_log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* What the two halves of the log share: log_open.c reads and checks, log_write.c writes. */

enum {
    SECTOR = 512,
    SEGMENT_HEADER = SECTOR,
    RECORD_HEADER = 32,
    FORMAT = 2,
    HUGE_PAGE = 2 << 20,
    BATCH_BYTES = 8 << 20,         /* most bytes of one batch, unless one record is larger */
    FIRST_SEGMENT_BYTES = 4 << 20, /* the first segment of a log, so that making one is quick */
    LEAST_SEGMENT_BYTES = 64 << 10, /* the smallest that is made where there is no room for a whole one */
    RECORD_LIMIT = 64 << 20,       /* most bytes of one record, in segments that are large enough */
};

#define LOG_MAGIC "MARTLOG\n"

typedef struct {
    uint8_t magic[8];
    uint32_t version, salt;
    uint64_t identity, next;
    uint32_t sequence, size, chain, crc;
} segment_header;

typedef struct {
    uint32_t crc, length;
    uint64_t index;
    uint32_t chain, batch, kind, salt;
} record_header;

_Static_assert(sizeof(segment_header) == 48, "the segment's header as described");
_Static_assert(sizeof(record_header) == RECORD_HEADER, "the record's header as described");
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the log's numbers are little-endian"
#endif

typedef struct {
    uint64_t sequence, size, next;
    uint32_t salt, chain;
    int fd;
    uint64_t end; /* where the next batch begins */
} segment;

/* The next segment, filled with zeros by a thread of its own. */
typedef struct {
    bool started;
    uint32_t urgent; /* atomic: somebody waits for it */
    pthread_t thread;
    char path[512];
    uint64_t size;
    cm_log_recorder recorder;
    int fd;     /* the file, when the thread has ended well */
    int number; /* its errno, when not */
} preparation;

struct cm_log {
    char directory[400];
    uint64_t identity; /* of all its segments; 0 before the first is made or read */
    int directory_fd, lock_fd;
    uint64_t segment_bytes;
    segment *segments; /* by sequence; the last is written to */
    uint64_t segment_count, segment_capacity;
    uint64_t first, next; /* data, what is staged included */
    uint64_t *places;     /* of record first + i: segment's sequence << 32 | offset in it */
    uint64_t place_count, place_capacity;
    uint32_t chain;
    int direct_fd;        /* the last segment, open for direct writes; -1 where there are none */
    uint8_t *batch;
    uint64_t batch_bytes, batch_capacity;
    uint8_t *scratch;
    uint64_t scratch_capacity;
    preparation preparing;
    cm_log_recorder recorder;
    cm_log_tail torn; /* what was cut when it was opened */
    bool is_sealed;   /* its last record is CM_LOG_SEALED */
};

/* A file to write to. */
typedef struct {
    int fd, direct_fd; /* direct_fd is -1 where writes go through the page cache */
    const char *path;
    const cm_log_recorder *recorder;
} log_file;

static inline uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/* Fill in an error and return its code. */
int log_system(cm_log_error *error, const char *file, const char *operation, int number);
int log_corrupt(cm_log_error *error, const char *file, uint64_t offset, const char *what);

/* As log_system, for a step before anything was written: CM_LOG_REFUSED when what is missing may come back. */
int log_refused(cm_log_error *error, const char *file, const char *operation, int number);

/* The path of a segment. */
void log_segment_path(const cm_log *log, uint64_t sequence, char out[512]);

/* Grows an array of `size`-byte elements to hold `count`. */
int log_reserve(void **array, uint64_t *capacity, uint64_t count, uint64_t size);

/* Takes a record's effect on the data: adds a place, or cuts. False when its index does not follow. */
bool log_account(cm_log *log, uint32_t kind, uint64_t index, uint64_t place, int *status);

/*
 * Makes the next segment and writes to it from now on. Where there is no room for `size` bytes it is smaller, but of
 * at least `least`.
 */
int log_roll(cm_log *log, uint64_t size, uint64_t least, cm_log_error *error);

/* Those below are in log_file.c and return 0 or a negative errno. */

/* Tells the recorder, if there is one. */
void log_note(const cm_log_recorder *recorder, cm_log_event event);

/* Reads exactly `length` bytes; a file that ends before is -EIO. */
int log_read_fully(int fd, void *out, uint64_t length, uint64_t offset);

/* Writes; durable after log_sync_file. For direct writes, memory, length and offset are multiples of a sector. */
int log_write_at(const log_file *file, const void *bytes, uint64_t length, uint64_t offset);
int log_sync_file(const log_file *file);

/* Writes and syncs. */
int log_write_durably(const log_file *file, const void *bytes, uint64_t length, uint64_t offset);

/*
 * Opens the file for direct writes by making one: `sector` at `offset`. Where the file system or the device takes none
 * of that alignment, `direct_fd` is -1 and nothing was written.
 */
int log_open_direct(log_file *file, const void *sector, uint64_t offset);

int log_rename(const cm_log_recorder *recorder, const char *from, const char *to);
int log_remove(const cm_log_recorder *recorder, const char *path);
int log_sync_folder(const cm_log *log);

#endif
