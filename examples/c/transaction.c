/* Actions by themselves, and transactions: all of their actions, or none.
 *
 * A transaction works on copies of the bitmaps. If an action is refused, the copies and the jobs that it has started
 * are dropped, and nothing has happened: not even what was in flight has ended. Otherwise they replace the originals.
 * (This copies bits that need not change; a tracker of huge disks would keep an undo record for each action instead.)
 */
#include <stdlib.h>

#include "alloc.h"
#include "backup.h"
#include "bitmaps.h"
#include "mistakes.h"
#include "tracker.h"

/* What is wrong with an action by itself, whatever there is. Of a transaction this is looked at before all else. */
static bool malformed(const struct action *action)
{
    const int64_t most = UINT32_MAX;
    if (action->kind == ADD)
        return action->granularity < 0 || action->granularity > most;
    return action->kind == START && (action->cluster < 0 || action->cluster > most);
}

enum refusal tracker_act(struct tracker *tracker, const struct action *action)
{
    if (malformed(action))
        return INVALID;
    if (action->kind != START) {
        enum refusal refusal = act_on_bitmaps(tracker, action);
        if (refusal == ACCEPTED && action->kind == REMOVE)
            drop_leaving(find_disk(tracker, action->node));
        return refusal;
    }
    enum refusal refusal = check_backup(tracker, action);
    if (refusal != ACCEPTED)
        return refusal;
    struct disk *disk = find_disk(tracker, action->node);
    if (!mistaken(START_WITHOUT_DRAIN)) {
        end_writes(disk);
        end_copies(tracker, disk);
    }
    begin_backup(tracker, action, ++tracker->groups);
    settle(tracker);
    return ACCEPTED;
}

static enum refusal prepare(struct tracker *tracker, const struct action *action, uint64_t group)
{
    if (action->kind != START)
        return act_on_bitmaps(tracker, action);
    enum refusal refusal = check_backup(tracker, action);
    if (refusal == ACCEPTED)
        begin_backup(tracker, action, group > 0 ? group : ++tracker->groups);
    return refusal;
}

/* Every disk gets copies of its bitmaps, in which the writes in flight have ended. The originals, disk by disk. */
static struct bitmap **begin_transaction(struct tracker *tracker)
{
    size_t count = 0;
    for (const struct disk *disk = tracker->disks; disk != NULL; disk = disk->next)
        count++;
    struct bitmap **originals = allocate(count * sizeof *originals);
    count = 0;
    for (struct disk *disk = tracker->disks; disk != NULL; disk = disk->next) {
        originals[count++] = disk->bitmaps;
        disk->bitmaps = copy_bitmaps(disk->bitmaps);
        for (const struct write *write = disk->writes; write != NULL; write = write->next)
            record(disk->bitmaps, disk->size, write->offset, write->length);
    }
    return originals;
}

/* New jobs are before the older ones in the list: `older` is the first of those. */
static void roll_back(struct tracker *tracker, struct bitmap **originals, struct job *older)
{
    while (tracker->jobs != older) {
        struct job *job = tracker->jobs;
        tracker->jobs = job->next;
        free_job(job);
    }
    for (struct disk *disk = tracker->disks; disk != NULL; disk = disk->next) {
        free_bitmaps(disk->bitmaps);
        disk->bitmaps = *originals++;
    }
}

static void commit(struct tracker *tracker, struct bitmap **originals)
{
    for (struct disk *disk = tracker->disks; disk != NULL; disk = disk->next) {
        struct bitmap *changed = disk->bitmaps;
        disk->bitmaps = *originals++;   /* the writes in flight end in the originals, which nobody needs any more */
        end_writes(disk);
        free_bitmaps(disk->bitmaps);
        disk->bitmaps = changed;
        drop_leaving(disk);
        end_copies(tracker, disk);
    }
    settle(tracker);
}

enum refusal tracker_transaction(struct tracker *tracker, const struct action *actions, size_t count, bool grouped)
{
    for (size_t i = 0; i < count; i++)
        if (malformed(&actions[i]))
            return INVALID;
    for (size_t i = 0; i < count; i++)
        if (grouped && actions[i].kind != START)
            return INVALID;

    struct job *older = tracker->jobs;
    struct bitmap **originals = begin_transaction(tracker);
    uint64_t group = grouped ? ++tracker->groups : 0;
    enum refusal refusal = ACCEPTED;
    for (size_t i = 0; i < count && refusal == ACCEPTED; i++)
        refusal = prepare(tracker, &actions[i], group);
    if (refusal == ACCEPTED || mistaken(TRANSACTION_HALF_DONE))
        commit(tracker, originals);
    else
        roll_back(tracker, originals, older);
    free(originals);
    return refusal;
}
