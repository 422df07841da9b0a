/* Bitmaps: what they record, and what an operator does to them. Every command checks first, and then acts. */
#include "bitmaps.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "mistakes.h"

bool bitmap_busy(const struct bitmap *bitmap)
{
    return bitmap->successor != NULL || bitmap->leaving;
}

struct bitmap *find_bitmap(const struct disk *disk, const char *name)
{
    struct bitmap *bitmap = disk->bitmaps;
    while (bitmap != NULL && strcmp(bitmap->name, name) != 0)
        bitmap = bitmap->next;
    return bitmap;
}

static void free_bitmap(struct bitmap *bitmap)
{
    free(bitmap->name);
    hbitmap_destroy(bitmap->dirty);
    hbitmap_destroy(bitmap->successor);
    free(bitmap);
}

void free_bitmaps(struct bitmap *bitmaps)
{
    for (struct bitmap *bitmap = bitmaps, *next; bitmap != NULL; bitmap = next) {
        next = bitmap->next;
        free_bitmap(bitmap);
    }
}

struct bitmap *copy_bitmaps(const struct bitmap *bitmaps)
{
    struct bitmap *copies = NULL, **end = &copies;
    for (; bitmaps != NULL; bitmaps = bitmaps->next) {
        struct bitmap *copy = allocate(sizeof *copy);
        *copy = *bitmaps;
        copy->next = NULL;
        copy->name = copy_of(bitmaps->name);
        copy->dirty = hbitmap_copy(bitmaps->dirty);
        if (bitmaps->successor != NULL)
            copy->successor = hbitmap_copy(bitmaps->successor);
        *end = copy;
        end = &copy->next;
    }
    return copies;
}

static void drop(struct bitmap **place)
{
    struct bitmap *bitmap = *place;
    *place = bitmap->next;
    free_bitmap(bitmap);
}

void drop_leaving(struct disk *disk)
{
    struct bitmap **place = &disk->bitmaps;
    while (*place != NULL) {
        if ((*place)->leaving)
            drop(place);
        else
            place = &(*place)->next;
    }
}

/* The range as it would be without the first and last granule if the write does not fill them: a mistake. */
static struct extent without_parts(uint64_t granularity, uint64_t offset, uint64_t length)
{
    uint64_t first = (offset + granularity - 1) / granularity * granularity;
    uint64_t past = (offset + length) / granularity * granularity;
    return (struct extent){first, past > first ? past - first : 0};
}

/* The range without the granule that goes beyond the end of the disk: a mistake. */
static struct extent without_tail(uint64_t size, uint64_t granularity, uint64_t offset, uint64_t length)
{
    uint64_t whole = size / granularity * granularity;
    if (offset >= whole)
        return (struct extent){offset, 0};
    return (struct extent){offset, offset + length > whole ? whole - offset : length};
}

void record(struct bitmap *bitmaps, uint64_t size, uint64_t offset, uint64_t length)
{
    for (struct bitmap *bitmap = bitmaps; bitmap != NULL; bitmap = bitmap->next) {
        if (!bitmap->enabled)
            continue;
        struct extent range = {offset, length};
        if (mistaken(ROUNDS_INWARDS))
            range = without_parts(bitmap->granularity, offset, length);
        if (mistaken(TAIL_FORGOTTEN))
            range = without_tail(size, bitmap->granularity, offset, length);
        bool in_successor = bitmap->successor != NULL && !mistaken(FROZEN_RECORDS);
        hbitmap_set(in_successor ? bitmap->successor : bitmap->dirty, range.offset, range.length);
    }
}

static bool usable_granularity(int64_t granularity)
{
    return granularity >= SMALLEST_GRANULE && granularity <= INT64_C(1) << 31 && (granularity & (granularity - 1)) == 0;
}

static enum refusal add(struct tracker *tracker, const struct action *action)
{
    if (action->name[0] == '\0')
        return INVALID;
    struct disk *disk = find_disk(tracker, action->node);
    if (disk == NULL)
        return NOT_FOUND;
    if (!usable_granularity(action->granularity))
        return INVALID;
    if (find_bitmap(disk, action->name) != NULL)
        return EXISTS;
    if (strlen(action->name) > LONGEST_NAME)
        return INVALID;

    struct bitmap *bitmap = allocate(sizeof *bitmap);
    *bitmap = (struct bitmap){
        .next = disk->bitmaps,
        .name = copy_of(action->name),
        .granularity = (uint64_t)action->granularity,
        .enabled = action->enabled,
        .dirty = hbitmap_create(disk->size, (uint64_t)action->granularity),
    };
    disk->bitmaps = bitmap;
    return ACCEPTED;
}

/* The bitmap of an action, if nobody uses it. */
static enum refusal find_free(const struct tracker *tracker, const char *node, const char *name, struct bitmap **found)
{
    struct disk *disk = find_disk(tracker, node);
    *found = disk == NULL ? NULL : find_bitmap(disk, name);
    if (*found == NULL)
        return NOT_FOUND;
    if (!bitmap_busy(*found) || mistaken(BUSY_UNCHECKED))
        return ACCEPTED;
    return mistaken(WRONG_KIND) ? INVALID : BUSY;
}

static enum refusal check_merge(const struct tracker *tracker, const struct action *action, struct bitmap **target)
{
    struct bitmap *source;
    enum refusal target_state = find_free(tracker, action->node, action->name, target);
    if (target_state == NOT_FOUND)
        return NOT_FOUND;
    uint64_t size = find_disk(tracker, action->node)->size;
    for (size_t i = 0; i < action->source_count; i++) {
        const struct source *each = &action->sources[i];
        enum refusal source_state = find_free(tracker, each->node, each->name, &source);
        if (source_state == NOT_FOUND)
            return NOT_FOUND;
        if (target_state != ACCEPTED || source_state != ACCEPTED)
            return target_state != ACCEPTED ? target_state : source_state;
        if (find_disk(tracker, each->node)->size != size)
            return SIZE_MISMATCH;
    }
    return ACCEPTED;
}

/* Granules by their numbers, as if both bitmaps had granules of the same size: a mistake. */
static void merge_by_number(struct bitmap *target, const struct bitmap *source, uint64_t size)
{
    struct extent run = {0, 0};
    while (hbitmap_next(source->dirty, run.offset + run.length, size, &run)) {
        uint64_t offset = run.offset / source->granularity * target->granularity;
        uint64_t length = (run.length + source->granularity - 1) / source->granularity * target->granularity;
        if (offset < size)
            hbitmap_set(target->dirty, offset, offset + length > size ? size - offset : length);
    }
}

static enum refusal merge(struct tracker *tracker, const struct action *action)
{
    struct bitmap *target;
    enum refusal refusal = check_merge(tracker, action, &target);
    if (refusal != ACCEPTED)
        return refusal;
    for (size_t i = 0; i < action->source_count; i++) {
        const struct disk *disk = find_disk(tracker, action->sources[i].node);
        const struct bitmap *source = find_bitmap(disk, action->sources[i].name);
        if (source == target)
            continue;
        if (mistaken(MERGE_REPLACES))
            hbitmap_clear(target->dirty);
        if (mistaken(MERGE_BY_NUMBER))
            merge_by_number(target, source, disk->size);
        else
            hbitmap_merge(target->dirty, source->dirty);
    }
    return ACCEPTED;
}

static enum refusal remove_bitmap(struct tracker *tracker, const struct action *action)
{
    struct bitmap *bitmap;
    enum refusal refusal = find_free(tracker, action->node, action->name, &bitmap);
    if (refusal == ACCEPTED)
        bitmap->leaving = true;         /* whoever is at the end of a command or transaction drops it */
    return refusal;
}

enum refusal act_on_bitmaps(struct tracker *tracker, const struct action *action)
{
    if (action->kind == ABORT)
        return ABORTED;
    if (action->kind == ADD)
        return add(tracker, action);
    if (action->kind == REMOVE)
        return remove_bitmap(tracker, action);
    if (action->kind == MERGE)
        return merge(tracker, action);

    struct bitmap *bitmap;
    enum refusal refusal = find_free(tracker, action->node, action->name, &bitmap);
    if (refusal != ACCEPTED)
        return refusal;
    if (action->kind == CLEAR)
        hbitmap_clear(bitmap->dirty);
    else
        bitmap->enabled = action->kind == ENABLE;
    return ACCEPTED;
}
