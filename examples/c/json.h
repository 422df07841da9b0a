/* A small reader of JSON (RFC 8259), as a tree. Numbers that are not whole, or not from -2^63 to 2^63 - 1, are read, but
 * they are of a type of their own, and have no value.
 *
 * Strings are UTF-8 with a 0 at their end. What C strings and UTF-8 have no place for is written as Java does: U+0000 as
 * C0 80, and half a surrogate pair as three bytes. json_write_string() turns both back into escapes.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_OTHER_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json {
    enum json_type type;
    int64_t number;
    const char *string;
    const char *key;                /* of a member of an object */
    struct json *first;             /* the first element or member */
    struct json *next;              /* the next one of the same array or object */
};

struct json_document;

/* Reads one value, all of the text. NULL if it is none: `*error` then says why, and `*at` where, in bytes. */
struct json_document *json_parse(const char *text, size_t length, const char **error, size_t *at);
const struct json *json_root(const struct json_document *document);
void json_free(struct json_document *document);

/* A member of an object: NULL if there is none, or it is of another type, or `object` is NULL. */
const struct json *json_member(const struct json *object, const char *key);
const char *json_string(const struct json *object, const char *key);
const struct json *json_array(const struct json *object, const char *key);
/* False if there is none; `*found` is as it was then. */
bool json_number(const struct json *object, const char *key, int64_t *found);
bool json_bool(const struct json *object, const char *key, bool *found);

/* How many elements or members there are. */
size_t json_count(const struct json *parent);

void json_write_string(FILE *file, const char *string);

#endif
