/* A hierarchical bitmap: which granules of a disk are dirty.
 *
 * Level 0 has one bit for each granule, in words of 64 bits. Every level above has one bit for each word of the level
 * below: set if that word is not zero. The highest level is a single word. So the next dirty granule of a huge, almost
 * clean disk is found in a few steps, as in QEMU's util/hbitmap.c, which has its levels the other way round.
 *
 * All offsets and lengths are in bytes. Ranges must lie on the disk, and are rounded outwards to whole granules.
 */
#ifndef HBITMAP_H
#define HBITMAP_H

#include <stdbool.h>
#include <stdint.h>

struct hbitmap;

/* A range of bytes. */
struct extent {
    uint64_t offset, length;
};

/* A clean bitmap for a disk of `size` bytes, 0 to 2^63 - 1. `granularity` is in bytes, a power of two, at least 512. */
struct hbitmap *hbitmap_create(uint64_t size, uint64_t granularity);
struct hbitmap *hbitmap_copy(const struct hbitmap *bitmap);
/* NULL is fine. */
void hbitmap_destroy(struct hbitmap *bitmap);

/* Every granule that the range touches is dirty, or clean. A range of no length touches nothing. */
void hbitmap_set(struct hbitmap *bitmap, uint64_t offset, uint64_t length);
void hbitmap_reset(struct hbitmap *bitmap, uint64_t offset, uint64_t length);
void hbitmap_clear(struct hbitmap *bitmap);

/* All that is dirty in `source` is in `target`, too, rounded outwards to its granularity. Both are of one size. */
void hbitmap_merge(struct hbitmap *target, const struct hbitmap *source);

/* The next run of dirty granules within the bytes from `from` to `to` (exclusive), cut off at both, and at the end of
 * the disk. False if there is none. To visit all: begin with offset 0, go on at found->offset + found->length. */
bool hbitmap_next(const struct hbitmap *bitmap, uint64_t from, uint64_t to, struct extent *found);

/* Whether anything within these bytes is dirty; whether nothing is at all. */
bool hbitmap_any(const struct hbitmap *bitmap, uint64_t from, uint64_t to);
bool hbitmap_empty(const struct hbitmap *bitmap);

#endif
