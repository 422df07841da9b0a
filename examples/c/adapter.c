/* Connects the tracker to cbtspec: a request a line on standard input, a reply a line on standard output.
 *
 *     cbtspec check exec -- ./adapter [--mistake NAME]
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "json.h"
#include "mistakes.h"
#include "requests.h"
#include "tracker.h"

/* The jobs that have ended, for as long as somebody may ask for their targets. */
static struct result *ended;

/* Replies */

static void write_extents(const struct hbitmap *bitmap, uint64_t size)
{
    struct extent run = {0, 0};
    const char *comma = "";
    putchar('[');
    while (hbitmap_next(bitmap, run.offset + run.length, size, &run)) {
        printf("%s[%" PRIu64 ",%" PRIu64 "]", comma, run.offset, run.length);
        comma = ",";
    }
    putchar(']');
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void write_bitmap(const struct disk *disk, const struct bitmap *bitmap)
{
    printf("{\"node\":");
    json_write_string(stdout, disk->name);
    printf(",\"name\":");
    json_write_string(stdout, bitmap->name);
    printf(",\"granularity\":%" PRIu64 ",\"recording\":%s,\"busy\":%s,\"dirty\":", bitmap->granularity,
           truth(bitmap->enabled), truth(bitmap_busy(bitmap)));
    write_extents(bitmap->dirty, disk->size);
    putchar('}');
}

static void write_successor(const struct disk *disk, const struct bitmap *bitmap)
{
    printf("{\"node\":");
    json_write_string(stdout, disk->name);
    printf(",\"granularity\":%" PRIu64 ",\"recording\":%s,\"dirty\":", bitmap->granularity, truth(bitmap->enabled));
    write_extents(bitmap->successor, disk->size);
    putchar('}');
}

static void write_job(const struct job *job)
{
    printf("{\"job\":");
    json_write_string(stdout, job->id);
    printf(",\"phase\":\"%s\",\"copied\":", phase_name(job));
    write_extents(job->copied, job->disk->size);
    putchar('}');
}

static void write_write(const struct disk *disk, const struct write *write)
{
    printf("{\"node\":");
    json_write_string(stdout, disk->name);
    printf(",\"write\":");
    json_write_string(stdout, write->id);
    putchar('}');
}

static void write_state(const struct tracker *tracker)
{
    const char *comma = "";
    printf(",\"bitmaps\":[");
    for (const struct disk *disk = tracker->disks; disk != NULL; disk = disk->next) {
        for (const struct bitmap *bitmap = disk->bitmaps; bitmap != NULL; bitmap = bitmap->next, comma = ",") {
            fputs(comma, stdout);
            write_bitmap(disk, bitmap);
        }
    }
    printf("],\"jobs\":[");
    comma = "";
    for (const struct job *job = tracker->jobs; job != NULL; job = job->next, comma = ",") {
        fputs(comma, stdout);
        write_job(job);
    }
    printf("],\"writes\":[");
    comma = "";
    for (const struct disk *disk = tracker->disks; disk != NULL; disk = disk->next) {
        for (const struct write *write = disk->writes; write != NULL; write = write->next, comma = ",") {
            fputs(comma, stdout);
            write_write(disk, write);
        }
    }
    printf("],\"successors\":[");
    comma = "";
    for (const struct disk *disk = tracker->disks; disk != NULL; disk = disk->next) {
        for (const struct bitmap *bitmap = disk->bitmaps; bitmap != NULL; bitmap = bitmap->next) {
            if (bitmap->successor == NULL)
                continue;
            fputs(comma, stdout);
            write_successor(disk, bitmap);
            comma = ",";
        }
    }
    putchar(']');
}

/* Runs of equal bytes: [[byte, how many],…] */
static void write_content(const unsigned char *data, uint64_t size)
{
    printf(",\"content\":[");
    for (uint64_t at = 0, run; at < size; at += run) {
        for (run = 1; at + run < size && data[at + run] == data[at]; run++)
            ;
        printf("%s[%d,%" PRIu64 "]", at > 0 ? "," : "", data[at], run);
    }
    putchar(']');
}

static void write_ended(const struct result *results)
{
    const char *comma = "";
    if (results == NULL)
        return;
    printf(",\"ended\":[");
    for (; results != NULL; results = results->next, comma = ",") {
        printf("%s{\"job\":", comma);
        json_write_string(stdout, results->id);
        printf(",\"outcome\":\"%s\"}", outcome_name(results->outcome));
    }
    putchar(']');
}

/* Requests */

/* An older job of the same id is forgotten: each id has at most one result. */
static void keep(struct result *results)
{
    for (struct result *each = results; each != NULL; each = each->next) {
        for (struct result **place = &ended; *place != NULL;) {
            struct result *old = *place;
            if (strcmp(old->id, each->id) == 0) {
                *place = old->next;
                old->next = NULL;
                free_results(old);
            } else {
                place = &old->next;
            }
        }
    }
    while (results != NULL) {
        struct result *each = results;
        results = each->next;
        each->next = ended;
        ended = each;
    }
}

static void forget_ended(void)
{
    free_results(ended);
    ended = NULL;
}

static void hello(void)
{
    printf(",\"protocol\":1,\"name\":\"c\",\"version\":\"1\",\"language\":\"C\",\"capabilities\":[\"full\"],"
           "\"copies\":\"adapter\",\"granularities\":[4096,512,65536],\"clusters\":[4096,512,65536],\"batch\":true,"
           "\"largest_disk\":67108864");
}

static enum refusal observe(const struct tracker *tracker, const struct json *request)
{
    const char *what = json_string(request, "what"), *name = json_string(request, "name");
    if (what != NULL && strcmp(what, "state") == 0) {
        write_state(tracker);
        return ACCEPTED;
    }
    if (what != NULL && strcmp(what, "disk") == 0 && name != NULL) {
        const struct disk *disk = find_disk(tracker, name);
        if (disk == NULL)
            return NOT_FOUND;
        write_content(disk->data, disk->size);
        return ACCEPTED;
    }
    if (what != NULL && strcmp(what, "target") == 0 && name != NULL) {
        for (const struct result *each = ended; each != NULL; each = each->next) {
            if (strcmp(each->id, name) == 0) {
                write_content(each->target, each->size);
                return ACCEPTED;
            }
        }
        return NOT_FOUND;
    }
    return INVALID;
}

/* One request and its reply. False after `bye`. */
static bool answer(struct tracker *tracker, const struct json *request, int64_t seq)
{
    const char *name = json_string(request, "do");
    enum refusal refusal = ACCEPTED;
    printf("{\"seq\":%" PRId64, seq);
    if (name != NULL && strcmp(name, "hello") == 0) {
        hello();
    } else if (name != NULL && strcmp(name, "reset") == 0) {
        forget_ended();
        refusal = reset(tracker, json_array(request, "disks"));
    } else if (name != NULL && strcmp(name, "observe") == 0) {
        refusal = observe(tracker, request);
    } else if (name == NULL || strcmp(name, "bye") != 0) {
        refusal = perform(tracker, request);
        struct result *results = take_results(tracker);
        write_ended(results);
        keep(results);
    }
    if (refusal != ACCEPTED)
        printf(",\"error\":\"%s\"", refusal_name(refusal));
    printf("}\n");
    return name == NULL || strcmp(name, "bye") != 0;
}

/* Reads a line; before it waits for one, all replies are out. A buffer of our own is needed to know that. */
static char *next_line(size_t *length)
{
    static char *buffer;
    static size_t room, begin, end;
    for (size_t searched = begin;;) {
        char *newline = end > searched ? memchr(buffer + searched, '\n', end - searched) : NULL;
        if (newline != NULL) {
            char *line = buffer + begin;
            *length = (size_t)(newline - line);
            begin += *length + 1;
            return line;
        }
        if (begin > 0)
            memmove(buffer, buffer + begin, end - begin);
        end -= begin;
        begin = 0;
        searched = end;
        if (room - end < 4096) {
            room = 2 * room + 65536;
            buffer = allocate_again(buffer, room);
        }
        fflush(stdout);
        ssize_t got = read(STDIN_FILENO, buffer + end, room - end);
        if (got <= 0) {
            free(buffer);
            return NULL;
        }
        end += (size_t)got;
    }
}

int main(int argc, char **argv)
{
    bool known = argc == 1 || (argc == 3 && strcmp(argv[1], "--mistake") == 0 && make_mistake(argv[2]));
    if (!known) {
        fprintf(stderr, "usage: adapter [--mistake NAME], NAME is one of:");
        for (enum mistake each = NO_MISTAKE + 1; each < MISTAKES; each++)
            fprintf(stderr, " %s", mistake_name(each));
        fprintf(stderr, "\n");
        return 64;
    }
    struct tracker tracker = {0};
    size_t length;
    int status = 0;
    bool more = true;
    for (char *line; more && (line = next_line(&length)) != NULL;) {
        const char *error = "no seq";
        size_t at = 0;
        struct json_document *document = json_parse(line, length, &error, &at);
        int64_t seq;
        if (document == NULL || !json_number(json_root(document), "seq", &seq)) {
            fprintf(stderr, "adapter: byte %zu of the request: %s\n", at, error);
            status = 1;
            more = false;
        } else {
            more = answer(&tracker, json_root(document), seq);
        }
        if (document != NULL)
            json_free(document);
    }
    forget_ended();
    tracker_reset(&tracker);
    return fflush(stdout) == 0 ? status : 1;
}
