#include "requests.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *refusal_name(enum refusal refusal)
{
    static const char *const names[] = {
        [ACCEPTED] = "",
        [NOT_FOUND] = "not found",
        [EXISTS] = "exists",
        [BUSY] = "busy",
        [SIZE_MISMATCH] = "size mismatch",
        [INVALID] = "invalid",
        [WRONG_PHASE] = "wrong phase",
        [ABORTED] = "aborted",
        [COPY_FAILED] = "copy failed",
    };
    return names[refusal];
}

const char *phase_name(const struct job *job)
{
    static const char *const names[] = {"running", "waiting", "pending"};
    return job->paused ? "paused" : names[job->phase];
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = {"completed", "failed", "cancelled"};
    return names[outcome];
}

/* Reading members. Each is false if there is none, or it is something else; `*found` is as it was then. */

static bool get_string(const struct json *object, const char *key, const char **found)
{
    const char *string = json_string(object, key);
    if (string != NULL)
        *found = string;
    return string != NULL;
}

/* One of some words, as its number. NULL among the words stands for null. */
static bool get_word(const struct json *object, const char *key, const char *const *words, size_t count, int *found)
{
    const struct json *member = json_member(object, key);
    for (size_t i = 0; member != NULL && i < count; i++) {
        bool is_null = words[i] == NULL && member->type == JSON_NULL;
        if (is_null || (words[i] != NULL && member->type == JSON_STRING && strcmp(words[i], member->string) == 0)) {
            *found = (int)i;
            return true;
        }
    }
    return false;
}

static bool get_policy(const struct json *object, const char *key, enum policy *found)
{
    static const char *const words[] = {"report", "ignore", "stop"};
    int number;
    bool there = get_word(object, key, words, COUNT(words), &number);
    if (there)
        *found = (enum policy)number;
    return there;
}

static bool get_copy_result(const struct json *object, enum copy_result *found)
{
    static const char *const words[] = {"ok", "read error", "write error"};
    int number;
    bool there = get_word(object, "result", words, COUNT(words), &number);
    if (there)
        *found = (enum copy_result)number;
    return there;
}

static bool get_write_result(const struct json *object, enum write_result *found)
{
    static const char *const words[] = {"ok", "failed", "copy failed", "ignored"};
    int number;
    bool there = get_word(object, "result", words, COUNT(words), &number);
    if (there)
        *found = (enum write_result)number;
    return there;
}

static bool get_range(const struct json *object, int64_t *offset, int64_t *length)
{
    return json_number(object, "offset", offset) && json_number(object, "length", length);
}

static bool get_write(const struct json *request, struct guest_write *write)
{
    static const char *const kinds[] = {"write", "zeroes", "discard"};
    int kind;
    int64_t fill;
    if (!get_range(request, &write->offset, &write->length) || !get_word(request, "kind", kinds, COUNT(kinds), &kind)
        || !get_write_result(request, &write->result) || !json_number(request, "fill", &fill) || fill < 0 || fill > 255)
        return false;
    write->kind = (enum write_kind)kind;
    write->fill = (unsigned char)fill;
    return true;
}

/* Actions */

static bool get_sources(const struct json *request, struct action *action)
{
    const struct json *sources = json_array(request, "sources");
    if (sources == NULL)
        return false;
    action->sources = allocate(json_count(sources) * sizeof *action->sources);
    for (const struct json *each = sources->first; each != NULL; each = each->next) {
        struct source *source = &action->sources[action->source_count++];
        if (!get_string(each, "node", &source->node) || !get_string(each, "name", &source->name))
            return false;
    }
    return true;
}

static bool get_backup(const struct json *request, struct action *action)
{
    static const char *const syncs[] = {"full", "incremental", "bitmap"};
    static const char *const modes[] = {NULL, "on-success", "never", "always"};
    int sync, mode;
    const struct json *bitmap = json_member(request, "bitmap");
    if (bitmap == NULL || (bitmap->type != JSON_NULL && bitmap->type != JSON_STRING))
        return false;
    if (!get_string(request, "job", &action->job) || !get_word(request, "sync", syncs, COUNT(syncs), &sync)
        || !get_word(request, "bitmap_mode", modes, COUNT(modes), &mode)
        || !json_number(request, "cluster", &action->cluster)
        || !json_bool(request, "auto_finalize", &action->auto_finalize)
        || !get_policy(request, "on_source_error", &action->on_source_error)
        || !get_policy(request, "on_target_error", &action->on_target_error))
        return false;
    action->name = bitmap->string;
    action->sync = (enum sync)sync;
    action->mode = (enum bitmap_mode)mode;
    return true;
}

static const char *const actions[] = {
    [ADD] = "add-bitmap",
    [REMOVE] = "remove-bitmap",
    [CLEAR] = "clear-bitmap",
    [ENABLE] = "enable-bitmap",
    [DISABLE] = "disable-bitmap",
    [MERGE] = "merge-bitmaps",
    [START] = "start-backup",
    [ABORT] = "abort",
};

static enum refusal get_action(const struct json *request, struct action *action)
{
    int kind;
    *action = (struct action){0};
    if (!get_word(request, "do", actions, COUNT(actions), &kind))
        return INVALID;
    action->kind = (enum action_kind)kind;
    if (action->kind == ABORT)
        return ACCEPTED;
    if (!get_string(request, "node", &action->node))
        return INVALID;
    if (action->kind == START)
        return get_backup(request, action) ? ACCEPTED : INVALID;
    if (!get_string(request, action->kind == MERGE ? "target" : "name", &action->name))
        return INVALID;
    if (action->kind == MERGE)
        return get_sources(request, action) ? ACCEPTED : INVALID;
    if (action->kind == ADD && (!json_number(request, "granularity", &action->granularity)
                                || !json_bool(request, "enabled", &action->enabled)))
        return INVALID;
    return ACCEPTED;
}

static enum refusal act(struct tracker *tracker, const struct json *request)
{
    struct action action;
    enum refusal refusal = get_action(request, &action);
    if (refusal == ACCEPTED && action.kind == ABORT)
        refusal = INVALID;              /* only in a transaction */
    if (refusal == ACCEPTED)
        refusal = tracker_act(tracker, &action);
    free(action.sources);
    return refusal;
}

static enum refusal transaction(struct tracker *tracker, const struct json *request)
{
    const struct json *list = json_array(request, "actions");
    bool grouped;
    if (list == NULL || !json_bool(request, "grouped", &grouped))
        return INVALID;
    struct action *all = allocate(json_count(list) * sizeof *all);
    size_t count = 0;
    enum refusal refusal = ACCEPTED;
    for (const struct json *each = list->first; each != NULL && refusal == ACCEPTED; each = each->next)
        refusal = get_action(each, &all[count++]);
    if (refusal == ACCEPTED)
        refusal = tracker_transaction(tracker, all, count, grouped);
    while (count > 0)
        free(all[--count].sources);
    free(all);
    return refusal;
}

/* Everything else */

static enum refusal whole_write(struct tracker *tracker, const struct json *request)
{
    const char *node;
    struct guest_write write;
    if (!get_string(request, "node", &node) || !get_write(request, &write))
        return INVALID;
    return tracker_write(tracker, node, &write);
}

static enum refusal begin_write(struct tracker *tracker, const struct json *request)
{
    const char *node, *id;
    struct guest_write write;
    if (!get_string(request, "node", &node) || !get_string(request, "write", &id) || !get_write(request, &write)
        || (write.result != WRITE_OK && write.result != WRITE_COPY_FAILED))
        return INVALID;
    return tracker_begin_write(tracker, node, id, &write);
}

static enum refusal end_write(struct tracker *tracker, const struct json *request)
{
    const char *node, *id;
    enum write_result result;
    if (!get_string(request, "node", &node) || !get_string(request, "write", &id)
        || !get_write_result(request, &result) || (result != WRITE_OK && result != WRITE_FAILED))
        return INVALID;
    return tracker_end_write(tracker, node, id, result);
}

static enum refusal copy(struct tracker *tracker, const struct json *request)
{
    const char *job;
    int64_t offset, length;
    enum copy_result result;
    if (!get_string(request, "job", &job) || !get_range(request, &offset, &length)
        || !get_copy_result(request, &result))
        return INVALID;
    return tracker_copy(tracker, job, offset, length, result);
}

static enum refusal begin_copy(struct tracker *tracker, const struct json *request)
{
    const char *job;
    int64_t offset, length;
    if (!get_string(request, "job", &job) || !get_range(request, &offset, &length))
        return INVALID;
    return tracker_begin_copy(tracker, job, offset, length);
}

static enum refusal end_copy(struct tracker *tracker, const struct json *request)
{
    const char *job;
    enum copy_result result;
    if (!get_string(request, "job", &job) || !get_copy_result(request, &result))
        return INVALID;
    return tracker_end_copy(tracker, job, result);
}

/* What needs nothing but a job. */
static enum refusal control(struct tracker *tracker, const struct json *request)
{
    static const struct {
        const char *name;
        enum refusal (*act)(struct tracker *, const char *);
    } commands[] = {
        {"pause-job", tracker_pause},
        {"resume-job", tracker_resume},
        {"finalize-job", tracker_finalize},
        {"cancel-job", tracker_cancel},
    };
    const char *name = json_string(request, "do"), *job = json_string(request, "job");
    if (job == NULL)
        return INVALID;
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].act(tracker, job);
    return INVALID;
}

enum refusal perform(struct tracker *tracker, const struct json *request)
{
    static const struct {
        const char *name;
        enum refusal (*act)(struct tracker *, const struct json *);
    } commands[] = {
        {"write", whole_write},
        {"begin-write", begin_write},
        {"end-write", end_write},
        {"copy", copy},
        {"begin-copy", begin_copy},
        {"end-copy", end_copy},
        {"transaction", transaction},
        {"pause-job", control},
        {"resume-job", control},
        {"finalize-job", control},
        {"cancel-job", control},
    };
    const char *name = json_string(request, "do");
    if (name == NULL)
        return INVALID;
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].act(tracker, request);
    return act(tracker, request);
}

enum refusal reset(struct tracker *tracker, const struct json *disks)
{
    tracker_reset(tracker);
    if (disks == NULL)
        return INVALID;
    for (const struct json *each = disks->first; each != NULL; each = each->next) {
        const char *name = json_string(each, "name");
        int64_t size;
        if (name == NULL || !json_number(each, "size", &size) || size < 0)
            return INVALID;
        tracker_add_disk(tracker, name, (uint64_t)size);
    }
    return ACCEPTED;
}
