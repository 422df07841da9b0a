/* Plays the static test vectors of cbtspec (conformance/vectors/README.md) on the tracker, with no other program.
 *
 *     ./vectors [--mistake NAME] FILE...
 *
 * Exit code: 0 all that could be played is as it should be; 2 something differs; 1 a file cannot be read; 64 usage.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "json.h"
#include "mistakes.h"
#include "requests.h"
#include "tracker.h"

/* One vector that is being played. */
struct play {
    const struct json *vector;
    struct tracker tracker;
    struct result *ended;           /* all jobs that have ended, for `restores` */
    int step;                       /* from 1; after the last it is one more */
    bool differs;
};

static struct {
    int passed, failed, skipped;
} count;

/* The first difference ends a vector: what comes after it says nothing. */
static void differs(struct play *play, const char *verdict, const char *format, ...)
{
    va_list arguments;
    if (play->differs)
        return;
    play->differs = true;
    printf("%s: %s\n    %s\n", json_string(play->vector, "id"), verdict, json_string(play->vector, "title"));
    printf("    step %d: ", play->step);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    const char *link = json_string(json_member(play->vector, "bug"), "link");
    if (link != NULL && *link != '\0')
        printf("    %s\n", link);
}

/* Sets of bytes */

/* Extents of a vector, [[offset,length],…], as a bitmap. The smallest granule there is will do. */
static struct hbitmap *extents(const struct json *list, uint64_t size)
{
    struct hbitmap *bitmap = hbitmap_create(size, SMALLEST_GRANULE);
    for (const struct json *each = list->first; each != NULL; each = each->next)
        hbitmap_set(bitmap, (uint64_t)each->first->number, (uint64_t)each->first->next->number);
    return bitmap;
}

static bool within(const struct hbitmap *small, const struct hbitmap *large, uint64_t size)
{
    struct extent run = {0, 0}, found;
    while (hbitmap_next(small, run.offset + run.length, size, &run)) {
        uint64_t end = run.offset + run.length;
        if (!hbitmap_next(large, run.offset, end, &found) || found.offset != run.offset || found.length != run.length)
            return false;
    }
    return true;
}

/* At least what must be there, and at most what may be. */
static void check_bounds(struct play *play, const char *where, const struct hbitmap *mine, const struct json *must,
                         const struct json *may, uint64_t size)
{
    struct hbitmap *least = extents(must, size), *most = extents(may, size);
    if (!within(least, mine, size))
        differs(play, "unsafe", "%s: something is missing that must be there", where);
    else if (!within(mine, most, size))
        differs(play, "wasteful", "%s: there is more than may be", where);
    hbitmap_destroy(least);
    hbitmap_destroy(most);
}

/* Whether my bytes are these runs, [[byte,count],…]; the byte -1 is any. */
static bool same(const unsigned char *mine, uint64_t size, const struct json *runs)
{
    uint64_t at = 0;
    for (const struct json *run = runs->first; run != NULL; run = run->next) {
        int64_t byte = run->first->number;
        uint64_t length = (uint64_t)run->first->next->number;
        if (length > size - at)
            return false;
        for (uint64_t end = at + length; at < end; at++)
            if (byte >= 0 && mine[at] != byte)
                return false;
    }
    return at == size;
}

/* Checks of what a step leaves */

static void check_reply(struct play *play, const struct json *step, enum refusal refusal)
{
    const struct json *kinds = json_array(step, "refused");
    const char *mine = refusal_name(refusal);
    if (kinds->first == NULL && refusal == ACCEPTED)
        return;
    for (const struct json *kind = kinds->first; kind != NULL; kind = kind->next)
        if (strcmp(kind->string, mine) == 0)
            return;
    differs(play, "diverges", "expected: %s; seen: %s", kinds->first == NULL ? "accepted" : kinds->first->string,
            refusal == ACCEPTED ? "accepted" : mine);
}

static void check_ended(struct play *play, const struct json *step, const struct result *mine)
{
    const struct json *theirs = json_array(step, "ended");
    for (const struct result *each = mine; each != NULL; each = each->next) {
        const struct json *end = theirs->first;
        while (end != NULL && strcmp(json_string(end, "job"), each->id) != 0)
            end = end->next;
        const char *outcome = outcome_name(each->outcome);
        if (end == NULL || strcmp(json_string(end, "outcome"), outcome) != 0) {
            bool false_success = each->outcome == OUTCOME_COMPLETED;
            differs(play, false_success ? "unsafe" : "diverges", "job %s has ended: %s", each->id, outcome);
        } else if (!same(each->target, each->size, json_array(end, "target"))) {
            differs(play, "unsafe", "the target of job %s is not the disk at its start", each->id);
        } else {
            const struct json *copied = json_array(end, "copied");
            check_bounds(play, "what the job has copied", each->copied, copied, copied, each->size);
        }
    }
    for (const struct json *end = theirs->first; end != NULL; end = end->next) {
        const char *id = json_string(end, "job");
        const struct result *each = mine;
        while (each != NULL && strcmp(each->id, id) != 0)
            each = each->next;
        if (each == NULL)
            differs(play, "diverges", "job %s has not ended: expected %s", id, json_string(end, "outcome"));
    }
}

static void check_bitmap(struct play *play, const struct json *expected)
{
    const char *node = json_string(expected, "node"), *name = json_string(expected, "name");
    const struct disk *disk = find_disk(&play->tracker, node);
    const struct bitmap *mine = disk->bitmaps;
    while (mine != NULL && strcmp(mine->name, name) != 0)
        mine = mine->next;
    if (mine == NULL) {
        differs(play, "unsafe", "bitmap %s of %s is gone", name, node);
        return;
    }
    int64_t granularity;
    bool recording = false, busy = false;
    if (!json_number(expected, "granularity", &granularity) || (uint64_t)granularity != mine->granularity)
        differs(play, "diverges", "bitmap %s of %s: granularity %" PRIu64, name, node, mine->granularity);
    if (!json_bool(expected, "recording", &recording) || recording != mine->enabled)
        differs(play, recording ? "unsafe" : "diverges", "bitmap %s of %s: recording is wrong", name, node);
    if (!json_bool(expected, "busy", &busy) || busy != bitmap_busy(mine))
        differs(play, "diverges", "bitmap %s of %s: expected %s", name, node, busy ? "busy" : "free");
    check_bounds(play, name, mine->dirty, json_array(expected, "must"), json_array(expected, "may"), disk->size);
    const struct json *successor = json_member(expected, "successor");
    if ((successor->type == JSON_OBJECT) != (mine->successor != NULL))
        differs(play, "diverges", "bitmap %s of %s: whether it has a successor", name, node);
    else if (mine->successor != NULL)
        check_bounds(play, "successor", mine->successor, json_array(successor, "must"), json_array(successor, "may"),
                     disk->size);
}

static void check_job(struct play *play, const struct json *expected)
{
    const char *id = json_string(expected, "job"), *phase = json_string(expected, "phase");
    const struct job *mine = find_job(&play->tracker, id);
    if (mine == NULL) {
        differs(play, "diverges", "job %s is gone", id);
        return;
    }
    if (strcmp(phase_name(mine), phase) != 0)
        differs(play, "diverges", "job %s: expected %s; seen: %s", id, phase, phase_name(mine));
    uint64_t size = mine->disk->size;
    const struct json *copied = json_array(expected, "copied");
    struct hbitmap *most = extents(copied, size), *flying = extents(json_array(expected, "copying"), size);
    struct hbitmap *least = hbitmap_copy(most);
    hbitmap_merge(most, flying);
    if (!within(least, mine->copied, size))
        differs(play, "unsafe", "job %s has not copied what it should have", id);
    else if (!within(mine->copied, most, size))
        differs(play, "wasteful", "job %s has copied more than it should have", id);
    hbitmap_destroy(most);
    hbitmap_destroy(flying);
    hbitmap_destroy(least);
}

static size_t count_bitmaps(const struct tracker *tracker)
{
    size_t found = 0;
    for (const struct disk *disk = tracker->disks; disk != NULL; disk = disk->next)
        for (const struct bitmap *bitmap = disk->bitmaps; bitmap != NULL; bitmap = bitmap->next)
            found++;
    return found;
}

static size_t count_jobs(const struct tracker *tracker)
{
    size_t found = 0;
    for (const struct job *job = tracker->jobs; job != NULL; job = job->next)
        found++;
    return found;
}

/* The number of writes in flight, and whether one of them is this. */
static size_t count_writes(const struct tracker *tracker, const char *node, const char *id, bool *there)
{
    size_t found = 0;
    for (const struct disk *disk = tracker->disks; disk != NULL; disk = disk->next) {
        for (const struct write *write = disk->writes; write != NULL; write = write->next) {
            found++;
            if (node != NULL && strcmp(disk->name, node) == 0 && strcmp(write->id, id) == 0)
                *there = true;
        }
    }
    return found;
}

static void check_after(struct play *play, const struct json *after)
{
    const struct json *bitmaps = json_array(after, "bitmaps"), *jobs = json_array(after, "jobs");
    const struct json *writes = json_array(after, "writes"), *disks = json_array(after, "disks");
    for (const struct json *each = bitmaps->first; each != NULL; each = each->next)
        check_bitmap(play, each);
    if (json_count(bitmaps) != count_bitmaps(&play->tracker))
        differs(play, "diverges", "there are %zu bitmaps", count_bitmaps(&play->tracker));
    for (const struct json *each = jobs->first; each != NULL; each = each->next)
        check_job(play, each);
    if (json_count(jobs) != count_jobs(&play->tracker))
        differs(play, "diverges", "there are %zu jobs", count_jobs(&play->tracker));
    for (const struct json *each = writes->first; each != NULL; each = each->next) {
        bool there = false;
        count_writes(&play->tracker, json_string(each, "node"), json_string(each, "write"), &there);
        if (!there)
            differs(play, "diverges", "write %s is not in flight", json_string(each, "write"));
    }
    if (json_count(writes) != count_writes(&play->tracker, NULL, NULL, NULL))
        differs(play, "diverges", "there are other writes in flight");
    for (const struct json *each = disks->first; each != NULL; each = each->next) {
        const struct disk *mine = find_disk(&play->tracker, json_string(each, "node"));
        if (mine == NULL || !same(mine->data, mine->size, json_array(each, "content")))
            differs(play, "diverges", "the content of %s differs", json_string(each, "node"));
    }
}

/* Targets laid over zeroes, oldest first, give this content. */
static void check_restore(struct play *play, const struct json *restore)
{
    unsigned char *image = NULL;
    uint64_t size = 0;
    for (const struct json *job = json_array(restore, "jobs")->first; job != NULL; job = job->next) {
        const struct result *found = NULL;
        for (const struct result *each = play->ended; each != NULL; each = each->next)
            if (strcmp(each->id, job->string) == 0)
                found = each;
        if (found == NULL) {
            differs(play, "diverges", "restore: job %s has not ended", job->string);
            break;
        }
        if (image == NULL)
            image = allocate(size = found->size);
        struct extent run = {0, 0};
        while (hbitmap_next(found->copied, run.offset + run.length, size, &run))
            memcpy(image + run.offset, found->target + run.offset, run.length);
    }
    if (image != NULL && !same(image, size, json_array(restore, "content")))
        differs(play, "unsafe", "what is restored is not the disk at the start of the last job");
    free(image);
}

/* Playing */

/* `granularity:N` and the like are words for every N. */
static bool have(const char *word)
{
    static const char *const words[] = {
        "add-bitmap", "remove-bitmap", "clear-bitmap", "enable-bitmap", "disable-bitmap", "merge-bitmaps", "write",
        "begin-write", "end-write", "start-backup", "copy", "begin-copy", "end-copy", "pause-job", "resume-job",
        "finalize-job", "cancel-job", "transaction", "grouped", "tails", "refusals", "malformed", "disabled", "zeroes",
        "discard", "ignored-discard", "failed-write", "failed-copy", "never", "always", "error-policies",
        "manual-finalize",
    };
    static const char *const prefixes[] = {"disks:", "jobs:", "granularity:", "cluster:"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(word, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void play_step(struct play *play, const struct json *step)
{
    enum refusal refusal = perform(&play->tracker, json_member(step, "command"));
    struct result *results = take_results(&play->tracker), **end = &play->ended;
    check_reply(play, step, refusal);
    check_ended(play, step, results);
    check_after(play, json_member(step, "after"));
    while (*end != NULL)
        end = &(*end)->next;
    *end = results;
}

static void play_vector(const struct json *vector)
{
    struct play play = {.vector = vector};
    for (const struct json *word = json_array(vector, "needs")->first; word != NULL; word = word->next) {
        if (!have(word->string)) {
            count.skipped++;
            return;
        }
    }
    reset(&play.tracker, json_array(vector, "disks"));
    const struct json *step = json_array(vector, "steps")->first;
    for (play.step = 1; step != NULL && !play.differs; step = step->next, play.step++)
        play_step(&play, step);
    const struct json *restore = json_array(vector, "restores")->first;
    for (; restore != NULL && !play.differs; restore = restore->next)
        check_restore(&play, restore);
    if (play.differs)
        count.failed++;
    else
        count.passed++;
    free_results(play.ended);
    tracker_reset(&play.tracker);
}

static char *read_file(const char *name, size_t *length)
{
    FILE *file = fopen(name, "rb");
    if (file == NULL)
        return NULL;
    char *text = NULL;
    size_t got = 0;
    *length = 0;
    do {
        text = allocate_again(text, *length + 65536);
        got = fread(text + *length, 1, 65536, file);
        *length += got;
    } while (got > 0);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        free(text);
        return NULL;
    }
    return text;
}

static bool play_file(const char *name)
{
    const char *error = NULL;
    size_t length, at;
    char *text = read_file(name, &length);
    if (text == NULL) {
        perror(name);
        return false;
    }
    struct json_document *document = json_parse(text, length, &error, &at);
    free(text);
    if (document == NULL) {
        fprintf(stderr, "%s: byte %zu: %s\n", name, at, error);
        return false;
    }
    const struct json *root = json_root(document), *vectors = json_array(root, "vectors");
    const char *format = json_string(root, "format");
    int64_t version = 0;
    bool known = format != NULL && strcmp(format, "cbtspec-vectors") == 0 && json_number(root, "version", &version)
                 && version == 1 && vectors != NULL;
    if (!known)
        fprintf(stderr, "%s: no test vectors of version 1\n", name);
    for (const struct json *each = known ? vectors->first : NULL; each != NULL; each = each->next)
        play_vector(each);
    json_free(document);
    return known;
}

int main(int argc, char **argv)
{
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "--mistake") == 0) {
        if (!make_mistake(argv[2])) {
            fprintf(stderr, "there is no mistake %s\n", argv[2]);
            return 64;
        }
        first = 3;
    }
    if (first >= argc) {
        fprintf(stderr, "usage: vectors [--mistake NAME] FILE...\n");
        return 64;
    }
    bool read = true;
    for (int i = first; i < argc; i++)
        read = play_file(argv[i]) && read;
    printf("%d vectors played: %d as they should be, %d not; %d skipped\n", count.passed + count.failed, count.passed,
           count.failed, count.skipped);
    if (!read)
        return 1;
    return count.failed > 0 ? 2 : 0;
}
