/* The smallest adapter in C: a tracker of changed blocks, and what connects it to cbtspec; it needs nothing but libc.
 * It claims `core` and leaves the copying to the suite. Requests have a fixed order of members and no spaces, so they
 * are read from left to right; names are kept as they are spelled in JSON, with quotes and escapes. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct bitmap {
    struct bitmap *next;
    char *node, *name, *job;              /* job: who has frozen it; NULL if nobody has */
    uint64_t size, granularity;           /* in bytes, of the disk and of a granule */
    unsigned char *dirty, *successor;     /* a byte for each granule, then a 0; successor: only while it is frozen */
};
static struct bitmap *bitmaps;            /* a disk is here, too: a bitmap named DISK of one granule, never shown */
static const char DISK[] = "";            /* every other name has quotes */
static char *rest;                        /* what has not been read of the request */

static void *must(void *found, const char *what)
{
    if (!found) fprintf(stderr, "adapter: no %s: %.80s\n", what, rest), exit(1);
    return found;
}

/* The value of the next member of this name: a string in its quotes, a number, true, false or null. What is looked
 * for, `"name":`, is never a part of a string: there every quote has a backslash before it. */
#define VALUE(name) value("\"" name "\":")
#define NUMBER(name) strtoull(VALUE(name), NULL, 10)
static char *value(const char *member)
{
    char *start = (char *)must(strstr(rest, member), member) + strlen(member), *end = start;
    if (*end != '"') end += strcspn(end, ",}]\n");
    else for (end++; *end && *end++ != '"';) end += end[-1] == '\\' && *end;
    rest = *end ? end + 1 : end;
    *end = '\0';
    return start;
}

static char *copy(const char *text) { return must(strdup(text), "memory"); }
static void *clean(uint64_t size, uint64_t granularity) { return must(calloc(size / granularity + 2, 1), "memory"); }

static struct bitmap *find(const char *node, const char *name)
{
    struct bitmap *b = bitmaps;
    while (b && (strcmp(b->node, node) || strcmp(b->name, name))) b = b->next;
    return b;
}

static const char *add(const char *node, const char *name, uint64_t size, uint64_t granularity)
{
    struct bitmap *b = must(malloc(sizeof *b), "memory");
    *b = (struct bitmap){bitmaps, copy(node), copy(name), NULL, size, granularity, clean(size, granularity), NULL};
    bitmaps = b;
    return NULL;
}

/* The commands. Each returns how it is refused, or NULL when it is done. */
static const char *reset(void)
{
    for (struct bitmap *b; (b = bitmaps); free(b)) {
        bitmaps = b->next;
        free(b->node), free(b->name), free(b->job), free(b->dirty), free(b->successor);
    }
    for (char *name; strstr(rest, "{\"name\":"); add(name, DISK, NUMBER("size"), UINT64_MAX)) name = VALUE("name");
    return NULL;
}

static const char *add_bitmap(void)
{
    char *node = VALUE("node"), *name = VALUE("name");
    uint64_t granularity = NUMBER("granularity");
    struct bitmap *disk = find(node, DISK);
    if (!disk) return "not found";
    if (granularity < 512 || granularity & (granularity - 1)) return "invalid";
    return find(node, name) ? "exists" : add(node, name, disk->size, granularity);
}

static const char *guest_write(void)
{
    char *node = VALUE("node");
    uint64_t offset = NUMBER("offset"), length = NUMBER("length");
    struct bitmap *disk = find(node, DISK);
    if (!disk) return "not found";
    if (length > disk->size || offset > disk->size - length) return "invalid";
    for (struct bitmap *b = bitmaps; b && length; b = b->next) {
        uint64_t first = offset / b->granularity, last = (offset + length - 1) / b->granularity;
        if (!strcmp(b->node, node)) memset((b->successor ? b->successor : b->dirty) + first, 1, last - first + 1);
    }
    return NULL;
}

static const char *start_backup(void)
{
    char *job = VALUE("job"), *node = VALUE("node"), *name = VALUE("bitmap");
    struct bitmap *b = find(node, name);
    if (!find(node, DISK) || (!b && strcmp(name, "null"))) return "not found";
    if (b && b->successor) return "busy";
    if (b) b->job = copy(job), b->successor = clean(b->size, b->granularity);
    return NULL;
}

static const char *end_backup(void)       /* the successor takes the bitmap's place; after a failure it has both */
{
    char *job = VALUE("job"), *success = VALUE("success");
    for (struct bitmap *b = bitmaps; b; b = b->next) {
        if (!b->job || strcmp(b->job, job)) continue;
        for (uint64_t i = 0; b->size / b->granularity >= i; i++) b->successor[i] |= *success == 'f' && b->dirty[i];
        free(b->dirty), free(b->job);
        b->dirty = b->successor, b->successor = NULL, b->job = NULL;
    }
    return NULL;
}

static const char *observe(void)          /* adds to the reply: every bitmap, and runs of its dirty granules */
{
    const char *comma = "";
    printf(",\"bitmaps\":[");
    for (struct bitmap *b = bitmaps; b; b = b->next, comma = ",") {
        if (!strcmp(b->name, DISK)) break;                                   /* the disks were here first */
        printf("%s{\"node\":%s,\"name\":%s,\"granularity\":%" PRIu64 ",\"recording\":true,\"busy\":%s,\"dirty\":[",
               comma, b->node, b->name, b->granularity, b->successor ? "true" : "false");
        for (uint64_t i = 0, n, some = 0; b->size / b->granularity >= i; i += n + 1) {
            for (n = 0; b->dirty[i + n];) n++;
            if (n) printf("%s[%" PRIu64 ",%" PRIu64 "]", some++ ? "," : "", i * b->granularity, n * b->granularity);
        }
        printf("]}");
    }
    printf("]");
    return NULL;
}

#define IS(name) (!strcmp(what, "\"" name "\""))
int main(void)
{
    size_t room = 0;
    for (char *line = NULL; getline(&line, &room, stdin) > 0; fflush(stdout)) {
        printf("{\"seq\":%s", (rest = line, VALUE("seq")));
        const char *what = VALUE("do");
        const char *error = IS("reset") ? reset() : IS("observe") ? observe() : IS("add-bitmap") ? add_bitmap()
            : IS("write") ? guest_write() : IS("start-backup") ? start_backup() : IS("end-backup") ? end_backup()
            : IS("hello") || IS("bye") ? NULL : "unsupported";
        if (IS("hello"))
            printf(",\"protocol\":1,\"name\":\"c-minimal\",\"version\":\"1\",\"language\":\"C\",\"copies\":\"suite\","
                "\"capabilities\":[\"core\"],\"granularities\":[4096,512,65536],\"clusters\":[4096],\"batch\":true,"
                "\"largest_disk\":1125899906842624,\"max_granules\":4194304,\"max_dirty\":4194304");
        printf(error ? ",\"error\":\"%s\"}\n" : "}\n", error);
        if (IS("bye")) break;
    }
    return 0;
}
