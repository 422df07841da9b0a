/* What the parts of the tracker need of its bitmaps (bitmaps.c) and of its writes in flight; not for its users. */
#ifndef BITMAPS_H
#define BITMAPS_H

#include "tracker.h"

struct bitmap *find_bitmap(const struct disk *disk, const char *name);
/* Every action that is no backup: all or nothing. */
enum refusal act_on_bitmaps(struct tracker *tracker, const struct action *action);
/* A guest write of this range has ended: all of these bitmaps of one disk that record have it. */
void record(struct bitmap *bitmaps, uint64_t size, uint64_t offset, uint64_t length);

/* The bitmaps of a disk, once more; and without those that a transaction removes. */
struct bitmap *copy_bitmaps(const struct bitmap *bitmaps);
void drop_leaving(struct disk *disk);
void free_bitmaps(struct bitmap *bitmaps);

/* All guest writes in flight on the disk end well (tracker.c). */
void end_writes(struct disk *disk);

#endif
