/* A small tracker of changed blocks: disks in memory, dirty bitmaps, and backups to fresh targets.
 *
 * A bitmap says which granules of its disk were written. A backup *freezes* its bitmap: from then on a *successor*
 * records. When the backup ends well, the successor takes the bitmap's place; otherwise the two are one again. While a
 * backup runs, a guest write waits until the old content is saved (*copy before write*).
 *
 * Nothing happens by itself: the caller makes every copy, and says how it goes. All sizes are in bytes, at most
 * 2^63 - 1. Names are strings; what is not found, or cannot be done, is an `enum refusal`, and then nothing changed.
 */
#ifndef TRACKER_H
#define TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hbitmap.h"

enum refusal {
    ACCEPTED,
    NOT_FOUND,
    EXISTS,
    BUSY,
    SIZE_MISMATCH,
    INVALID,
    WRONG_PHASE,
    ABORTED,
    COPY_FAILED,
};

enum { SMALLEST_GRANULE = 512, LONGEST_NAME = 1023, FRESH_TARGET = 238 };

struct bitmap {
    struct bitmap *next;
    char *name;
    uint64_t granularity;
    bool enabled;                   /* records guest writes, in the successor if there is one */
    bool leaving;                   /* removed by a transaction that is not committed yet */
    struct hbitmap *dirty;
    struct hbitmap *successor;      /* NULL unless a job has the bitmap frozen */
};

/* A guest write in flight. */
struct write {
    struct write *next;
    char *id;
    uint64_t offset, length;
};

struct disk {
    struct disk *next;
    char *name;
    uint64_t size;
    unsigned char *data;
    struct bitmap *bitmaps;
    struct write *writes;
};

enum sync { SYNC_FULL, SYNC_INCREMENTAL, SYNC_BITMAP };
enum bitmap_mode { MODE_NONE, MODE_ON_SUCCESS, MODE_NEVER, MODE_ALWAYS };
enum policy { POLICY_REPORT, POLICY_IGNORE, POLICY_STOP };
enum phase { PHASE_RUNNING, PHASE_WAITING, PHASE_PENDING };
enum outcome { OUTCOME_COMPLETED, OUTCOME_FAILED, OUTCOME_CANCELLED };
enum copy_result { COPY_OK, COPY_READ_ERROR, COPY_WRITE_ERROR };
enum write_kind { WRITE_DATA, WRITE_ZEROES, WRITE_DISCARD };
enum write_result { WRITE_OK, WRITE_FAILED, WRITE_COPY_FAILED, WRITE_IGNORED };

struct job {
    struct job *next;
    char *id;
    struct disk *disk;
    char *bitmap;                   /* the name of the one that it has frozen, or NULL */
    enum bitmap_mode mode;
    uint64_t cluster;
    uint64_t group;                 /* jobs of the same number end together */
    bool auto_finalize;
    enum policy on_source_error, on_target_error;
    struct hbitmap *todo, *copied;  /* in clusters: left to copy, and on the target */
    bool copying;                   /* a copy is in flight: all of `todo` within `flight` */
    struct extent flight;           /* whole clusters, cut off at the end of the disk */
    unsigned char *target;
    enum phase phase;
    bool paused;
};

/* A job that has ended. */
struct result {
    struct result *next;
    char *id;
    enum outcome outcome;
    uint64_t size;
    unsigned char *target;
    struct hbitmap *copied;
};

struct tracker {
    struct disk *disks;
    struct job *jobs;
    struct result *results;         /* the caller's: take_results() */
    uint64_t groups;                /* numbers of groups that were given out */
};

/* What an operator can do to bitmaps, and the start of a backup: as data, so that a transaction is an array of them. */
enum action_kind { ADD, REMOVE, CLEAR, ENABLE, DISABLE, MERGE, START, ABORT };

struct source {
    const char *node, *name;
};

struct action {
    enum action_kind kind;
    const char *node;
    const char *name;               /* of the bitmap; for MERGE the target, for START it may be NULL */
    int64_t granularity;            /* ADD */
    bool enabled;                   /* ADD */
    struct source *sources;         /* MERGE */
    size_t source_count;
    const char *job;                /* START, and all that follows */
    enum sync sync;
    enum bitmap_mode mode;
    int64_t cluster;
    bool auto_finalize;
    enum policy on_source_error, on_target_error;
};

struct guest_write {
    int64_t offset, length;
    enum write_kind kind;
    enum write_result result;       /* what the environment makes of it */
    unsigned char fill;
};

void tracker_add_disk(struct tracker *tracker, const char *name, uint64_t size);
/* Back to no disks, no jobs, no results. */
void tracker_reset(struct tracker *tracker);
struct disk *find_disk(const struct tracker *tracker, const char *name);
struct job *find_job(const struct tracker *tracker, const char *id);
bool bitmap_busy(const struct bitmap *bitmap);
/* The jobs that have ended since the last call, oldest first; free_results() frees them. */
struct result *take_results(struct tracker *tracker);
void free_results(struct result *results);

/* One action, or several of them, or none. `grouped`: the jobs that a transaction starts end together. */
enum refusal tracker_act(struct tracker *tracker, const struct action *action);
enum refusal tracker_transaction(struct tracker *tracker, const struct action *actions, size_t count, bool grouped);

/* Guest writes: whole ones, and their halves. */
enum refusal tracker_write(struct tracker *tracker, const char *node, const struct guest_write *write);
enum refusal tracker_begin_write(struct tracker *tracker, const char *node, const char *id,
                                 const struct guest_write *write);
enum refusal tracker_end_write(struct tracker *tracker, const char *node, const char *id, enum write_result result);

/* Jobs. */
enum refusal tracker_copy(struct tracker *tracker, const char *job, int64_t offset, int64_t length,
                          enum copy_result result);
enum refusal tracker_begin_copy(struct tracker *tracker, const char *job, int64_t offset, int64_t length);
enum refusal tracker_end_copy(struct tracker *tracker, const char *job, enum copy_result result);
enum refusal tracker_pause(struct tracker *tracker, const char *job);
enum refusal tracker_resume(struct tracker *tracker, const char *job);
enum refusal tracker_finalize(struct tracker *tracker, const char *job);
enum refusal tracker_cancel(struct tracker *tracker, const char *job);

#endif
