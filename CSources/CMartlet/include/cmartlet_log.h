#ifndef CMARTLET_LOG_H
#define CMARTLET_LOG_H

#include <stdint.h>

/*
 * A segmented write-ahead log in a folder. Format 2; all numbers are little-endian.
 *
 *   lock           held by flock(2) while a process has the log open
 *   SEQUENCE.log   a segment; SEQUENCE is 16 hex digits and rises by one from segment to segment
 *   prepare.tmp    the next segment while it is filled with zeros; removed when the log is opened
 *
 * A segment is written with zeros to its whole size and synced before it gets its name, so that a later fdatasync
 * carries no metadata. It begins with a header of one sector (512 bytes):
 *
 *    0  8  "MARTLOG\n"
 *    8  4  format version, 2
 *   12  4  salt: random, the same in each record of this segment
 *   16  8  identity of the log: random, never 0, the same in all its segments and in those of no other log
 *   24  8  index of the next data record when the segment was made
 *   32  4  sequence, as in the name
 *   36  4  size of the segment in bytes
 *   40  4  chain: CRC of the last record of the segment before; 0 in the first ever
 *   44  4  CRC32C of bytes 0 to 43, in every format: a version is believed only when it is right
 *   48     zeros
 *
 * Records follow, each at a multiple of 8 bytes:
 *
 *    0  4  CRC32C of all that follows here, payload included
 *    4  4  length of the payload
 *    8  8  index
 *   16  4  chain: CRC of the record before (for the first record, the header's chain)
 *   20  4  batch: offset in the segment at which the batch of this record begins
 *   24  4  kind: 1 data; 2 forget all data from `index` on; 3 forget all data, `index` is next; 4 all before it was
 *          durable
 *   28  4  salt
 *   32     payload, then zeros up to a multiple of 8
 *
 * A batch is what one fdatasync made durable. It begins at a new sector, so that no write touches a sector with
 * durable records, and it is written only when the batch before is durable. So a record of batch B proves that all
 * before B was on the disk once. Nothing but zeros follows the last batch.
 *
 * What it survives:
 *  - Power loss or kill at any moment: any of the sectors of the last batch may be missing. The log ends before its
 *    first bad record; the rest is zeroed when the log is opened, and cm_log_torn tells of it. Nothing durable is
 *    lost.
 *  - Bits that rot, sectors that vanish or were written elsewhere: a bad record that a later batch or a later segment
 *    proves to have been durable is named as corruption, and the log does not open. A record of kind 4 is such a proof;
 *    its owner writes one when the log has rested for a moment and when it is closed, so that only the last batch of a
 *    log that was killed at work has no proof behind it.
 *  - Rot in that batch: a crash leaves each sector whole or missing, that is zero. So a bad record none of whose
 *    sectors is missing was damaged later, and is named as corruption. What cannot be told from a crash is a sector of
 *    that batch that became zero as a whole, and a record's length that became so large that it reaches into what was
 *    never written. The log is cut there, as after a crash, and cm_log_torn says what was cut.
 *  - A file of another log, a segment that is missing or in the wrong place: named as corruption. An old copy of a
 *    segment of the same log, in a log of one segment, is not noticed.
 *  - A failed write or sync: fatal, never tried again, because the kernel may have dropped the pages.
 *  - No room for a whole new segment: a smaller one is made. None for that, no descriptor or no memory: CM_LOG_REFUSED,
 *    and the log is as before the call.
 *  - Another format: refused. Two processes: the second is refused.
 *
 * How it writes: a batch is one pwritev2 with RWF_DSYNC on a descriptor opened with O_DIRECT, made by the log's own
 * thread. Measured against it (see docs/benchmarks.md): write and fdatasync as linked io_uring operations, which run on
 * a worker of the kernel and cost two more hand-offs; plain pwrite and fdatasync, which copy the bytes once more and
 * walk the page cache. Where direct writes of single sectors are refused (a device with larger blocks, some file
 * systems), it is pwrite and fdatasync. Records are read through the page cache, which direct writes keep coherent.
 *
 * Functions return 0 or CM_LOG_* below and then fill in `error`. A log belongs to one thread at a time.
 */
typedef struct cm_log cm_log;

enum {
    CM_LOG_FULL = 1,  /* commit what is staged, then stage again */
    CM_LOG_SYSTEM,    /* a system call failed */
    CM_LOG_CORRUPT,   /* bytes that no crash leaves */
    CM_LOG_FORMAT,    /* another format */
    CM_LOG_LOCKED,    /* another process has it open */
    CM_LOG_TOO_LARGE, /* the payload is over cm_log_limit */
    CM_LOG_REFUSED,   /* what a new segment takes is missing; nothing has changed, and the call may be made again */
};

typedef struct {
    int number;           /* errno, with CM_LOG_SYSTEM and CM_LOG_REFUSED */
    uint32_t version;     /* with CM_LOG_FORMAT */
    uint64_t offset;      /* with CM_LOG_CORRUPT */
    char file[512];
    char what[96];        /* the operation that failed, or what is corrupt */
} cm_log_error;

enum { CM_LOG_DATA = 1, CM_LOG_CUT = 2, CM_LOG_RESET = 3, CM_LOG_SEALED = 4 };

/*
 * Opens or makes the log. `segment_bytes` is the size of new segments (64 KiB to 1 GiB). The log must have the
 * `identity`, or may have any when that is 0.
 */
int cm_log_open(cm_log **out, const char *directory, uint64_t segment_bytes, uint64_t identity, cm_log_error *error);

/*
 * What the log does to its folder: enough to build, in a test, any folder that a power cut may leave. Writes,
 * creations, renames and removals are noted before they begin, syncs when they have ended. A recorder is called on the
 * log's thread and on the one that prepares segments.
 */
enum { CM_LOG_CREATES = 1, CM_LOG_WRITES, CM_LOG_SYNCS, CM_LOG_RENAMES, CM_LOG_REMOVES, CM_LOG_SYNCS_FOLDER };

typedef struct {
    int kind;
    const char *path, *to; /* `to` with CM_LOG_RENAMES */
    const void *bytes;     /* with CM_LOG_WRITES, as are `length` and `offset` */
    uint64_t length, offset;
} cm_log_event;

typedef struct {
    void (*note)(void *context, const cm_log_event *event); /* NULL: nobody listens */
    void *context;
} cm_log_recorder;

/* As cm_log_open, with a recorder. */
int cm_log_open_recorded(cm_log **out, const char *directory, uint64_t segment_bytes, uint64_t identity,
                         cm_log_recorder recorder, cm_log_error *error);

/* Closes files and the lock; writes nothing. */
void cm_log_close(cm_log *log);

/* The oldest data record and one past the newest, with what is staged. Equal when there is none. */
uint64_t cm_log_first(const cm_log *log);
uint64_t cm_log_next(const cm_log *log);

/* What all segments of this log carry, and those of no other. */
uint64_t cm_log_identity(const cm_log *log);

/* What was cut off the end because it looked like what a crash leaves. */
typedef struct {
    uint64_t offset;  /* where the first bad record begins */
    uint64_t bytes;   /* from there to the last byte that was not zero; 0 when nothing was cut */
    uint64_t records; /* of these, whole ones */
    char file[512];
} cm_log_tail;

/* What was cut when the log was opened. */
const cm_log_tail *cm_log_torn(const cm_log *log);

/* Whether the last record is of CM_LOG_SEALED. */
int cm_log_is_sealed(const cm_log *log);

/* The largest payload in bytes. */
uint64_t cm_log_limit(const cm_log *log);

/* What a record with a payload of `length` takes in a segment. */
uint64_t cm_log_record_bytes(uint64_t length);

/*
 * Begins a new segment when records of `bytes` in all fit into one, but not into the rest of this one: what is staged
 * next, of that size, then needs no other segment and is not refused halfway. May return CM_LOG_FULL as cm_log_stage.
 */
int cm_log_together(cm_log *log, uint64_t bytes, cm_log_error *error);

/*
 * Adds a record to the batch. A data record's index and that of CM_LOG_SEALED must be cm_log_next; CM_LOG_CUT's must
 * not be over it.
 */
int cm_log_stage(cm_log *log, int kind, uint64_t index, const void *payload, uint64_t length, cm_log_error *error);

/* Writes and syncs the batch. Any failure is final. */
int cm_log_commit(cm_log *log, cm_log_error *error);

/*
 * Reads a committed record, from cm_log_first to before cm_log_next, and checks it. `payload` is the log's memory until
 * the next call.
 */
int cm_log_read(cm_log *log, uint64_t index, const void **payload, uint64_t *length, cm_log_error *error);

/* Removes the segments that hold no data from `index` on. */
int cm_log_drop_before(cm_log *log, uint64_t index, cm_log_error *error);

/* A bell, 0 at first: one thread sleeps until it is rung, any thread rings it. */
void cm_bell_wait(uint32_t *bell);
/* As cm_bell_wait, for some time at most. False when it was not rung. */
int cm_bell_wait_for(uint32_t *bell, uint32_t milliseconds);
void cm_bell_ring(uint32_t *bell);

/* CRC-32C (Castagnoli) of bytes, continuing from `crc` (0 to begin). */
uint32_t cm_crc32c(uint32_t crc, const void *bytes, uint64_t length);

#endif
