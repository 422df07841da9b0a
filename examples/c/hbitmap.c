#include "hbitmap.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

/* 64^9 granules are 2^54: as many as 2^63 bytes have of 512 bytes. */
#define LEVELS 9
#define WORD 64

struct hbitmap {
    uint64_t size, granules;
    unsigned shift;                     /* a granule has 1 << shift bytes */
    unsigned height;                    /* how many levels there are; the highest has one word */
    uint64_t *level[LEVELS];
    uint64_t words[LEVELS];
};

static unsigned trailing_zeroes(uint64_t word)
{
    unsigned count = 0;
    if (word == 0)
        return WORD;
    for (unsigned half = WORD / 2; half > 0; half /= 2) {
        if (word << (WORD - half) == 0) {
            word >>= half;
            count += half;
        }
    }
    return count;
}

/* Bits `first` to `last` of a word, both included. */
static uint64_t mask(unsigned first, unsigned last)
{
    return (UINT64_MAX << first) & (UINT64_MAX >> (WORD - 1 - last));
}

struct hbitmap *hbitmap_create(uint64_t size, uint64_t granularity)
{
    struct hbitmap *bitmap = allocate(sizeof *bitmap);
    bitmap->size = size;
    bitmap->shift = trailing_zeroes(granularity);
    bitmap->granules = size / granularity + (size % granularity != 0);
    uint64_t bits = bitmap->granules;
    do {
        uint64_t words = bits / WORD + (bits % WORD != 0);
        words += words == 0;            /* a disk without a granule has a word, too: it is always zero */
        bitmap->words[bitmap->height] = words;
        bitmap->level[bitmap->height] = allocate(words * sizeof(uint64_t));
        bitmap->height++;
        bits = words;
    } while (bits > 1);
    return bitmap;
}

struct hbitmap *hbitmap_copy(const struct hbitmap *bitmap)
{
    struct hbitmap *copy = hbitmap_create(bitmap->size, UINT64_C(1) << bitmap->shift);
    for (unsigned i = 0; i < bitmap->height; i++)
        memcpy(copy->level[i], bitmap->level[i], bitmap->words[i] * sizeof(uint64_t));
    return copy;
}

void hbitmap_destroy(struct hbitmap *bitmap)
{
    if (bitmap == NULL)
        return;
    for (unsigned i = 0; i < bitmap->height; i++)
        free(bitmap->level[i]);
    free(bitmap);
}

/* The part of bits first..last that lies in a word of their level. */
static uint64_t part(uint64_t word, uint64_t first, uint64_t last)
{
    unsigned from = word == first / WORD ? first % WORD : 0;
    unsigned to = word == last / WORD ? last % WORD : WORD - 1;
    return mask(from, to);
}

void hbitmap_set(struct hbitmap *bitmap, uint64_t offset, uint64_t length)
{
    if (length == 0)
        return;
    uint64_t first = offset >> bitmap->shift;
    uint64_t last = (offset + length - 1) >> bitmap->shift;
    for (unsigned i = 0; i < bitmap->height; i++) {
        for (uint64_t word = first / WORD; word <= last / WORD; word++)
            bitmap->level[i][word] |= part(word, first, last);
        first /= WORD;                  /* none of these words is zero now */
        last /= WORD;
    }
}

void hbitmap_reset(struct hbitmap *bitmap, uint64_t offset, uint64_t length)
{
    if (length == 0)
        return;
    uint64_t first = offset >> bitmap->shift;
    uint64_t past = ((offset + length - 1) >> bitmap->shift) + 1;
    for (unsigned i = 0; i < bitmap->height && first < past; i++) {
        const uint64_t *level = bitmap->level[i];
        uint64_t last = past - 1;
        for (uint64_t word = first / WORD; word <= last / WORD; word++)
            bitmap->level[i][word] &= ~part(word, first, last);
        /* Words in between are zero now; of the first and the last one it has to be seen. */
        first = first / WORD + (level[first / WORD] != 0);
        past = last / WORD + (level[last / WORD] == 0);
    }
}

void hbitmap_clear(struct hbitmap *bitmap)
{
    hbitmap_reset(bitmap, 0, bitmap->size);
}

void hbitmap_merge(struct hbitmap *target, const struct hbitmap *source)
{
    struct extent run = {0, 0};
    while (hbitmap_next(source, run.offset + run.length, source->size, &run))
        hbitmap_set(target, run.offset, run.length);
}

/* The first dirty granule from `granule` on; `granules` if there is none. */
static uint64_t next_dirty(const struct hbitmap *bitmap, uint64_t granule)
{
    uint64_t bit = granule;
    for (unsigned i = 0; i < bitmap->height; i++) {
        uint64_t word = bit / WORD;
        if (word >= bitmap->words[i])
            break;
        uint64_t rest = bitmap->level[i][word] & mask(bit % WORD, WORD - 1);
        if (rest != 0) {                /* down again: each bit leads to a word that is not zero */
            bit = word * WORD + trailing_zeroes(rest);
            while (i-- > 0)
                bit = bit * WORD + trailing_zeroes(bitmap->level[i][bit]);
            return bit;
        }
        bit = word + 1;                 /* up: the words after this one */
    }
    return bitmap->granules;
}

/* The first clean granule from `granule` on; `granules` if there is none. */
static uint64_t next_clean(const struct hbitmap *bitmap, uint64_t granule)
{
    while (granule < bitmap->granules) {
        uint64_t rest = ~bitmap->level[0][granule / WORD] & mask(granule % WORD, WORD - 1);
        if (rest != 0) {
            granule = granule / WORD * WORD + trailing_zeroes(rest);
            break;
        }
        granule = (granule / WORD + 1) * WORD;
    }
    return granule < bitmap->granules ? granule : bitmap->granules;
}

bool hbitmap_next(const struct hbitmap *bitmap, uint64_t from, uint64_t to, struct extent *found)
{
    if (to > bitmap->size)
        to = bitmap->size;
    if (from >= to)
        return false;
    uint64_t dirty = next_dirty(bitmap, from >> bitmap->shift);
    if (dirty == bitmap->granules)
        return false;
    uint64_t begin = dirty << bitmap->shift;
    uint64_t clean = next_clean(bitmap, dirty);
    uint64_t end = clean == bitmap->granules ? bitmap->size : clean << bitmap->shift;
    if (begin < from)
        begin = from;
    if (end > to)
        end = to;
    if (begin >= end)
        return false;
    *found = (struct extent){begin, end - begin};
    return true;
}

bool hbitmap_any(const struct hbitmap *bitmap, uint64_t from, uint64_t to)
{
    struct extent run;
    return hbitmap_next(bitmap, from, to, &run);
}

bool hbitmap_empty(const struct hbitmap *bitmap)
{
    return bitmap->level[bitmap->height - 1][0] == 0;
}
