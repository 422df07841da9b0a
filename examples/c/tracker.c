/* Disks, their bitmaps, and guest writes. */
#include "tracker.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "backup.h"
#include "bitmaps.h"
#include "mistakes.h"

void tracker_add_disk(struct tracker *tracker, const char *name, uint64_t size)
{
    struct disk *disk = allocate(sizeof *disk);
    *disk = (struct disk){.name = copy_of(name), .size = size, .data = allocate(size)};
    struct disk **end = &tracker->disks;
    while (*end != NULL)
        end = &(*end)->next;
    *end = disk;
}

static void free_disk(struct disk *disk)
{
    free_bitmaps(disk->bitmaps);
    for (struct write *write = disk->writes, *next; write != NULL; write = next) {
        next = write->next;
        free(write->id);
        free(write);
    }
    free(disk->name);
    free(disk->data);
    free(disk);
}

void tracker_reset(struct tracker *tracker)
{
    for (struct job *job = tracker->jobs, *next; job != NULL; job = next) {
        next = job->next;
        free_job(job);
    }
    for (struct disk *disk = tracker->disks, *next; disk != NULL; disk = next) {
        next = disk->next;
        free_disk(disk);
    }
    free_results(tracker->results);
    *tracker = (struct tracker){0};
}

struct disk *find_disk(const struct tracker *tracker, const char *name)
{
    struct disk *disk = tracker->disks;
    while (disk != NULL && strcmp(disk->name, name) != 0)
        disk = disk->next;
    return disk;
}

static struct write **find_write(struct disk *disk, const char *id)
{
    struct write **place = &disk->writes;
    while (*place != NULL && strcmp((*place)->id, id) != 0)
        place = &(*place)->next;
    return place;
}

/* Why a guest write, whole or not, cannot begin: there is no such disk, or it goes beyond its end. */
static enum refusal check_range(const struct disk *disk, const struct guest_write *write)
{
    if (disk == NULL)
        return NOT_FOUND;
    if (write->offset < 0 || write->length < 0 || (uint64_t)write->offset + (uint64_t)write->length > disk->size)
        return INVALID;
    return ACCEPTED;
}

/* The same: what must be copied before it cannot be. */
static enum refusal check_copy(const struct tracker *tracker, const struct disk *disk, const struct guest_write *write)
{
    if (write->result != WRITE_COPY_FAILED)
        return ACCEPTED;
    bool needed = must_save(tracker, disk, (uint64_t)write->offset, (uint64_t)write->length);
    return needed ? COPY_FAILED : ACCEPTED;
}

static void change(struct disk *disk, const struct guest_write *write)
{
    memset(disk->data + write->offset, write->kind == WRITE_DATA ? write->fill : 0, (size_t)write->length);
}

enum refusal tracker_write(struct tracker *tracker, const char *node, const struct guest_write *write)
{
    struct disk *disk = find_disk(tracker, node);
    enum refusal refusal = check_range(disk, write);
    if (refusal != ACCEPTED)
        return refusal;
    if (write->result == WRITE_IGNORED)
        return write->kind == WRITE_DISCARD ? ACCEPTED : INVALID;
    refusal = check_copy(tracker, disk, write);
    if (refusal != ACCEPTED)
        return refusal;

    uint64_t offset = (uint64_t)write->offset, length = (uint64_t)write->length;
    save_before_write(tracker, disk, offset, length);
    if (write->result != WRITE_FAILED)
        change(disk, write);
    /* A write that failed may have changed anything: it is recorded all the same. */
    bool forgotten = (write->result == WRITE_FAILED && mistaken(FAILED_WRITE_FORGOTTEN))
                     || (write->kind == WRITE_DISCARD && mistaken(DISCARD_FORGOTTEN));
    if (!forgotten)
        record(disk->bitmaps, disk->size, offset, length);
    settle(tracker);
    return ACCEPTED;
}

/* The content changes here, at the beginning, and is recorded at the end: a backup that starts in between must wait. */
enum refusal tracker_begin_write(struct tracker *tracker, const char *node, const char *id,
                                 const struct guest_write *write)
{
    struct disk *disk = find_disk(tracker, node);
    enum refusal refusal = check_range(disk, write);
    if (refusal != ACCEPTED)
        return refusal;
    if (*find_write(disk, id) != NULL)
        return EXISTS;
    refusal = check_copy(tracker, disk, write);
    if (refusal != ACCEPTED)
        return refusal;

    uint64_t offset = (uint64_t)write->offset, length = (uint64_t)write->length;
    save_before_write(tracker, disk, offset, length);
    change(disk, write);
    struct write *flying = allocate(sizeof *flying);
    *flying = (struct write){.id = copy_of(id), .offset = offset, .length = length};
    *find_write(disk, id) = flying;
    settle(tracker);
    return ACCEPTED;
}

static void land(struct disk *disk, struct write **place, enum write_result result)
{
    struct write *write = *place;
    if (result != WRITE_FAILED || !mistaken(FAILED_WRITE_FORGOTTEN))
        record(disk->bitmaps, disk->size, write->offset, write->length);
    *place = write->next;
    free(write->id);
    free(write);
}

enum refusal tracker_end_write(struct tracker *tracker, const char *node, const char *id, enum write_result result)
{
    struct disk *disk = find_disk(tracker, node);
    if (disk == NULL)
        return NOT_FOUND;
    struct write **place = find_write(disk, id);
    if (*place == NULL)
        return NOT_FOUND;
    land(disk, place, result);
    return ACCEPTED;
}

void end_writes(struct disk *disk)
{
    while (disk->writes != NULL)
        land(disk, &disk->writes, WRITE_OK);
}
