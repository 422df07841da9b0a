/* Backup jobs: copies, copy before write, and what their end does to their bitmaps. */
#include "backup.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bitmaps.h"
#include "mistakes.h"

struct job *find_job(const struct tracker *tracker, const char *id)
{
    struct job *job = tracker->jobs;
    while (job != NULL && strcmp(job->id, id) != 0)
        job = job->next;
    return job;
}

void free_job(struct job *job)
{
    free(job->id);
    free(job->bitmap);
    free(job->target);
    hbitmap_destroy(job->todo);
    hbitmap_destroy(job->copied);
    free(job);
}

/* Start */

static bool usable_id(const char *id)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    return strspn(id, letters) > 0 && id[strspn(id, more)] == '\0';
}

static enum bitmap_mode mode_of(const struct action *action)
{
    return action->sync == SYNC_INCREMENTAL ? MODE_ON_SUCCESS : action->mode;
}

enum refusal check_backup(const struct tracker *tracker, const struct action *action)
{
    const struct disk *disk = find_disk(tracker, action->node);
    enum bitmap_mode mode = mode_of(action);
    if (disk == NULL)
        return NOT_FOUND;
    if (action->sync != SYNC_FULL && action->name == NULL)
        return INVALID;
    if (action->mode != MODE_NONE && action->mode != mode)
        return INVALID;
    const struct bitmap *bitmap = action->name == NULL ? NULL : find_bitmap(disk, action->name);
    if (action->name != NULL && bitmap == NULL)
        return NOT_FOUND;
    if (bitmap != NULL && mode == MODE_NONE)
        return INVALID;
    if (bitmap != NULL && bitmap_busy(bitmap))
        return BUSY;
    if (mode == MODE_NEVER && action->sync != SYNC_BITMAP)
        return INVALID;
    if (bitmap == NULL && mode != MODE_NONE)
        return INVALID;
    if (!usable_id(action->job))
        return INVALID;
    if (find_job(tracker, action->job) != NULL)
        return EXISTS;
    if (action->cluster < SMALLEST_GRANULE || (action->cluster & (action->cluster - 1)) != 0)
        return INVALID;
    return ACCEPTED;
}

void begin_backup(struct tracker *tracker, const struct action *action, uint64_t group)
{
    struct disk *disk = find_disk(tracker, action->node);
    struct bitmap *bitmap = action->name == NULL ? NULL : find_bitmap(disk, action->name);
    struct job *job = allocate(sizeof *job);
    *job = (struct job){
        .next = tracker->jobs,
        .id = copy_of(action->job),
        .disk = disk,
        .bitmap = bitmap == NULL ? NULL : copy_of(bitmap->name),
        .mode = mode_of(action),
        .cluster = (uint64_t)action->cluster,
        .group = group,
        .auto_finalize = action->auto_finalize,
        .on_source_error = action->on_source_error,
        .on_target_error = action->on_target_error,
        .todo = hbitmap_create(disk->size, (uint64_t)action->cluster),
        .copied = hbitmap_create(disk->size, (uint64_t)action->cluster),
        .target = allocate(disk->size),
    };
    memset(job->target, FRESH_TARGET, disk->size);
    if (action->sync == SYNC_FULL)
        hbitmap_set(job->todo, 0, disk->size);
    else
        hbitmap_merge(job->todo, bitmap->dirty);
    if (bitmap != NULL)
        bitmap->successor = hbitmap_create(disk->size, bitmap->granularity);
    tracker->jobs = job;
}

/* Copies */

/* The clusters that a range touches, cut off at the end of the disk. */
static struct extent clusters(const struct job *job, uint64_t offset, uint64_t length)
{
    if (length == 0)
        return (struct extent){offset, 0};
    uint64_t first = offset / job->cluster * job->cluster;
    uint64_t past = ((offset + length - 1) / job->cluster + 1) * job->cluster;
    return (struct extent){first, (past < job->disk->size ? past : job->disk->size) - first};
}

/* Saves what is yet to be copied of these clusters. */
static void copy_clusters(struct job *job, struct extent range)
{
    struct extent run = {range.offset, 0};
    while (hbitmap_next(job->todo, run.offset + run.length, range.offset + range.length, &run)) {
        memcpy(job->target + run.offset, job->disk->data + run.offset, run.length);
        hbitmap_set(job->copied, run.offset, run.length);
        hbitmap_reset(job->todo, run.offset, run.length);
    }
}

static void end_copy_well(struct job *job)
{
    if (job->copying)
        copy_clusters(job, job->flight);
    job->copying = false;
}

void end_copies(struct tracker *tracker, const struct disk *disk)
{
    for (struct job *job = tracker->jobs; job != NULL; job = job->next)
        if (job->disk == disk)
            end_copy_well(job);
}

static uint64_t end_of(struct extent range)
{
    return range.offset + range.length;
}

bool must_save(const struct tracker *tracker, const struct disk *disk, uint64_t offset, uint64_t length)
{
    for (const struct job *job = tracker->jobs; job != NULL; job = job->next) {
        if (job->disk != disk)
            continue;
        struct extent hit = clusters(job, offset, length);
        struct extent flight = job->copying ? job->flight : (struct extent){end_of(hit), 0};
        uint64_t before = end_of(hit) < flight.offset ? end_of(hit) : flight.offset;
        uint64_t after = hit.offset > end_of(flight) ? hit.offset : end_of(flight);
        if (hbitmap_any(job->todo, hit.offset, before) || hbitmap_any(job->todo, after, end_of(hit)))
            return true;
    }
    return false;
}

/* Whether a write to these clusters hits what is being copied; then it waits for that. */
static bool hits_flight(const struct job *job, struct extent hit)
{
    uint64_t from = hit.offset > job->flight.offset ? hit.offset : job->flight.offset;
    uint64_t to = end_of(hit) < end_of(job->flight) ? end_of(hit) : end_of(job->flight);
    return job->copying && hbitmap_any(job->todo, from, to);
}

void save_before_write(struct tracker *tracker, const struct disk *disk, uint64_t offset, uint64_t length)
{
    if (mistaken(NO_COPY_BEFORE_WRITE))
        return;
    for (struct job *job = tracker->jobs; job != NULL; job = job->next) {
        if (job->disk != disk)
            continue;
        struct extent hit = clusters(job, offset, length);
        if (hits_flight(job, hit))
            end_copy_well(job);
        copy_clusters(job, hit);
    }
}

enum refusal tracker_begin_copy(struct tracker *tracker, const char *id, int64_t offset, int64_t length)
{
    struct job *job = find_job(tracker, id);
    if (job == NULL)
        return NOT_FOUND;
    if (offset < 0 || length < 0 || (uint64_t)offset + (uint64_t)length > job->disk->size)
        return INVALID;
    if (job->phase != PHASE_RUNNING || job->paused || job->copying)
        return WRONG_PHASE;
    struct extent range = clusters(job, (uint64_t)offset, (uint64_t)length);
    if (!hbitmap_any(job->todo, range.offset, end_of(range)))
        return INVALID;
    job->copying = true;
    job->flight = range;
    return ACCEPTED;
}

static void end_group(struct tracker *tracker, struct job *first, enum outcome outcome, enum outcome of_others);

enum refusal tracker_end_copy(struct tracker *tracker, const char *id, enum copy_result result)
{
    struct job *job = find_job(tracker, id);
    if (job == NULL)
        return NOT_FOUND;
    if (!job->copying)
        return INVALID;
    if (result == COPY_OK || mistaken(ERROR_IGNORED)) {
        if (result != COPY_OK)
            hbitmap_reset(job->todo, job->flight.offset, job->flight.length);
        end_copy_well(job);
        settle(tracker);
        return ACCEPTED;
    }
    job->copying = false;               /* what failed is still to be copied */
    enum policy policy = result == COPY_READ_ERROR ? job->on_source_error : job->on_target_error;
    if (policy == POLICY_REPORT)
        end_group(tracker, job, OUTCOME_FAILED, OUTCOME_CANCELLED);
    else if (policy == POLICY_STOP)
        job->paused = true;
    return ACCEPTED;
}

enum refusal tracker_copy(struct tracker *tracker, const char *id, int64_t offset, int64_t length,
                          enum copy_result result)
{
    enum refusal refusal = tracker_begin_copy(tracker, id, offset, length);
    return refusal != ACCEPTED ? refusal : tracker_end_copy(tracker, id, result);
}

/* Phases */

enum refusal tracker_pause(struct tracker *tracker, const char *id)
{
    struct job *job = find_job(tracker, id);
    if (job == NULL)
        return NOT_FOUND;
    if (job->phase != PHASE_RUNNING || job->paused)
        return WRONG_PHASE;
    job->paused = true;
    return ACCEPTED;
}

enum refusal tracker_resume(struct tracker *tracker, const char *id)
{
    struct job *job = find_job(tracker, id);
    if (job == NULL)
        return NOT_FOUND;
    if (job->phase != PHASE_RUNNING || !job->paused)
        return WRONG_PHASE;
    job->paused = false;
    settle(tracker);
    return ACCEPTED;
}

enum refusal tracker_finalize(struct tracker *tracker, const char *id)
{
    struct job *job = find_job(tracker, id);
    if (job == NULL)
        return NOT_FOUND;
    if (job->phase != PHASE_PENDING)
        return WRONG_PHASE;
    end_group(tracker, job, OUTCOME_COMPLETED, OUTCOME_COMPLETED);
    return ACCEPTED;
}

enum refusal tracker_cancel(struct tracker *tracker, const char *id)
{
    struct job *job = find_job(tracker, id);
    if (job == NULL)
        return NOT_FOUND;
    enum outcome outcome = mistaken(CANCEL_COMPLETES) ? OUTCOME_COMPLETED : OUTCOME_CANCELLED;
    end_group(tracker, job, outcome, outcome);
    return ACCEPTED;
}

/* Whether every job of the group is in this phase; `automatic`: and finalizes by itself. */
static bool whole_group(const struct tracker *tracker, uint64_t group, enum phase phase, bool automatic)
{
    for (const struct job *job = tracker->jobs; job != NULL; job = job->next)
        if (job->group == group && (job->phase != phase || (automatic && !job->auto_finalize)))
            return false;
    return true;
}

void settle(struct tracker *tracker)
{
    for (struct job *job = tracker->jobs; job != NULL; job = job->next)
        if (job->phase == PHASE_RUNNING && !job->paused && !job->copying && hbitmap_empty(job->todo))
            job->phase = PHASE_WAITING;
    struct job *job = tracker->jobs;
    while (job != NULL) {
        struct job *next = job->next;
        uint64_t group = job->group;
        if (whole_group(tracker, group, PHASE_WAITING, false)) {
            for (struct job *member = tracker->jobs; member != NULL; member = member->next)
                if (member->group == group)
                    member->phase = PHASE_PENDING;
            if (whole_group(tracker, group, PHASE_PENDING, true)) {
                end_group(tracker, job, OUTCOME_COMPLETED, OUTCOME_COMPLETED);
                next = tracker->jobs;   /* others of the list may be gone, too */
            }
        }
        job = next;
    }
}

/* Ends */

static void release_bitmap(struct job *job, enum outcome outcome)
{
    struct bitmap *bitmap = job->bitmap == NULL ? NULL : find_bitmap(job->disk, job->bitmap);
    if (bitmap == NULL || bitmap->successor == NULL)
        return;
    bool well = outcome == OUTCOME_COMPLETED || mistaken(FAILURE_DROPS);
    if (job->mode == MODE_NEVER || (job->mode == MODE_ON_SUCCESS && !well)) {
        hbitmap_merge(bitmap->dirty, bitmap->successor);
        hbitmap_destroy(bitmap->successor);
    } else {                            /* the successor takes its place */
        hbitmap_destroy(bitmap->dirty);
        bitmap->dirty = bitmap->successor;
        if (!well)
            hbitmap_merge(bitmap->dirty, job->todo);
    }
    bitmap->successor = NULL;
}

/* The job is gone from the list, and its result is there. */
static void end_job(struct tracker *tracker, struct job **place, enum outcome outcome)
{
    struct job *job = *place;
    end_copy_well(job);
    release_bitmap(job, outcome);
    struct result *result = allocate(sizeof *result), **end = &tracker->results;
    *result = (struct result){
        .id = copy_of(job->id),
        .outcome = outcome,
        .size = job->disk->size,
        .target = job->target,
        .copied = job->copied,
    };
    job->target = NULL;
    job->copied = NULL;
    while (*end != NULL)
        end = &(*end)->next;
    *end = result;
    *place = job->next;
    free_job(job);
}

/* Ends a job and the others of its group. */
static void end_group(struct tracker *tracker, struct job *first, enum outcome outcome, enum outcome of_others)
{
    uint64_t group = first->group;
    bool alone = outcome == OUTCOME_FAILED && mistaken(GROUP_ALONE);
    struct job **place = &tracker->jobs;
    while (*place != NULL) {
        struct job *job = *place;
        if (job == first) {
            first = NULL;               /* soon it is freed */
            end_job(tracker, place, outcome);
        } else if (job->group == group && !alone) {
            end_job(tracker, place, of_others);
        } else {
            place = &job->next;
        }
    }
}

struct result *take_results(struct tracker *tracker)
{
    struct result *results = tracker->results;
    tracker->results = NULL;
    return results;
}

void free_results(struct result *results)
{
    for (struct result *result = results, *next; result != NULL; result = next) {
        next = result->next;
        free(result->id);
        free(result->target);
        hbitmap_destroy(result->copied);
        free(result);
    }
}
