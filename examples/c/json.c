#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

enum { DEEPEST = 64, CHUNK = 16 * 1024 };

/* All nodes and strings of a document are in a few chunks of memory, freed together. */
struct chunk {
    struct chunk *next;
    size_t used, room;
    max_align_t memory[];
};

struct json_document {
    struct chunk *chunks;
    struct json *root;
};

struct reader {
    const char *start, *at, *end;
    const char *error;
    struct json_document *document;
    unsigned depth;
};

static void *take(struct json_document *document, size_t size)
{
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct chunk *chunk = document->chunks;
    if (chunk == NULL || chunk->room - chunk->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        chunk = allocate(sizeof *chunk + room);
        *chunk = (struct chunk){.next = document->chunks, .room = room};
        document->chunks = chunk;
    }
    void *taken = (char *)chunk->memory + chunk->used;
    chunk->used += size;
    return taken;
}

static bool fail(struct reader *reader, const char *error)
{
    if (reader->error == NULL)
        reader->error = error;
    return false;
}

static void skip_spaces(struct reader *reader)
{
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0')
        reader->at++;
}

static bool next_is(struct reader *reader, char character)
{
    if (reader->at == reader->end || *reader->at != character)
        return false;
    reader->at++;
    return true;
}

static bool read_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
        return fail(reader, "no value");
    reader->at += length;
    return true;
}

static size_t read_digits(struct reader *reader)
{
    const char *first = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return (size_t)(reader->at - first);
}

/* A fraction and an exponent, if they are there; `*whole` is false then. */
static bool read_more(struct reader *reader, bool *whole)
{
    if (next_is(reader, '.')) {
        *whole = false;
        if (read_digits(reader) == 0)
            return fail(reader, "no digit after the point");
    }
    if (next_is(reader, 'e') || next_is(reader, 'E')) {
        *whole = false;
        if (!next_is(reader, '+'))
            next_is(reader, '-');
        if (read_digits(reader) == 0)
            return fail(reader, "no digit in the exponent");
    }
    return true;
}

static bool read_number(struct reader *reader, struct json *value)
{
    bool negative = next_is(reader, '-');
    const char *digits = reader->at;
    size_t length = read_digits(reader);
    bool fits = true;
    if (length == 0)
        return fail(reader, "no value");
    if (*digits == '0' && length > 1)
        return fail(reader, "a number begins with 0");
    uint64_t most = negative ? UINT64_C(1) << 63 : INT64_MAX, number = 0;
    for (size_t i = 0; i < length && fits; i++) {
        uint64_t digit = (uint64_t)(digits[i] - '0');
        fits = number <= (most - digit) / 10;
        number = number * 10 + digit;
    }
    if (!read_more(reader, &fits))
        return false;
    value->type = fits ? JSON_NUMBER : JSON_OTHER_NUMBER;
    if (fits)                           /* -2^63 has no positive counterpart */
        value->number = negative && number > 0 ? -(int64_t)(number - 1) - 1 : (int64_t)number;
    return true;
}

static bool read_hex(struct reader *reader, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = reader->at < reader->end && *reader->at != '\0' ? strchr(digits, *reader->at) : NULL;
        if (digit == NULL)
            return fail(reader, "\\u needs four hexadecimal digits");
        *unit = *unit * 16 + (unsigned)(digit - digits) % 16;
    }
    return true;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code > 0 && code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {          /* and 0 */
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

static bool read_escape(struct reader *reader, char **out)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (reader->at == reader->end)
        return fail(reader, "the string does not end");
    char name = *reader->at++;
    const char *found = name != '\0' ? strchr(names, name) : NULL;
    if (found != NULL) {
        *(*out)++ = meant[found - names];
        return true;
    }
    unsigned high, low;
    if (name != 'u')
        return fail(reader, "no such escape");
    if (!read_hex(reader, &high))
        return false;
    bool pair = high >= 0xd800 && high < 0xdc00 && reader->end - reader->at >= 6 && memcmp(reader->at, "\\u", 2) == 0;
    if (pair) {
        const char *second = reader->at;
        reader->at += 2;
        if (!read_hex(reader, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        else
            reader->at = second;        /* a half by itself, and then something else */
    }
    *out = put_utf8(*out, high);
    return true;
}

/* A string, after its first quote. An escape is never shorter than what it stands for. */
static const char *read_string(struct reader *reader)
{
    const char *end = reader->at;
    while (end < reader->end && *end != '"')
        end += *end == '\\' && end + 1 < reader->end ? 2 : 1;
    char *string = take(reader->document, (size_t)(end - reader->at) + 1), *out = string;
    while (reader->at < reader->end && *reader->at != '"') {
        char character = *reader->at++;
        if ((unsigned char)character < 0x20) {
            fail(reader, "a control character in a string");
            return NULL;
        }
        if (character != '\\')
            *out++ = character;
        else if (!read_escape(reader, &out))
            return NULL;
    }
    *out = '\0';
    if (!next_is(reader, '"')) {
        fail(reader, "the string does not end");
        return NULL;
    }
    return string;
}

static struct json *read_value(struct reader *reader);

/* The rest of an array or object, after its first bracket. */
static bool read_children(struct reader *reader, struct json *parent)
{
    char closing = parent->type == JSON_ARRAY ? ']' : '}';
    struct json **end = &parent->first;
    skip_spaces(reader);
    if (next_is(reader, closing))
        return true;
    do {
        const char *key = NULL;
        skip_spaces(reader);
        if (parent->type == JSON_OBJECT) {
            if (!next_is(reader, '"'))
                return fail(reader, "no name of a member");
            key = read_string(reader);
            skip_spaces(reader);
            if (key == NULL || !next_is(reader, ':'))
                return fail(reader, "no colon");
        }
        *end = read_value(reader);
        if (*end == NULL)
            return false;
        (*end)->key = key;
        end = &(*end)->next;
        skip_spaces(reader);
    } while (next_is(reader, ','));
    return next_is(reader, closing) || fail(reader, "no comma or closing bracket");
}

static bool read_into(struct reader *reader, struct json *value)
{
    if (reader->at == reader->end)
        return fail(reader, "no value");
    switch (*reader->at) {
    case '{':
    case '[':
        value->type = *reader->at++ == '{' ? JSON_OBJECT : JSON_ARRAY;
        return read_children(reader, value);
    case '"':
        reader->at++;
        value->type = JSON_STRING;
        value->string = read_string(reader);
        return value->string != NULL;
    case 'n':
        value->type = JSON_NULL;
        return read_word(reader, "null");
    case 't':
        value->type = JSON_TRUE;
        return read_word(reader, "true");
    case 'f':
        value->type = JSON_FALSE;
        return read_word(reader, "false");
    default:
        return read_number(reader, value);
    }
}

static struct json *read_value(struct reader *reader)
{
    if (++reader->depth > DEEPEST) {
        fail(reader, "too deep");
        return NULL;
    }
    skip_spaces(reader);
    struct json *value = take(reader->document, sizeof *value);
    *value = (struct json){0};
    bool read = read_into(reader, value);
    reader->depth--;
    return read ? value : NULL;
}

struct json_document *json_parse(const char *text, size_t length, const char **error, size_t *at)
{
    struct json_document *document = allocate(sizeof *document);
    struct reader reader = {text, text, text + length, NULL, document, 0};
    document->root = read_value(&reader);
    skip_spaces(&reader);
    if (document->root != NULL && reader.at < reader.end)
        fail(&reader, "something after the value");
    if (reader.error == NULL)
        return document;
    *error = reader.error;
    *at = (size_t)(reader.at - text);
    json_free(document);
    return NULL;
}

const struct json *json_root(const struct json_document *document)
{
    return document->root;
}

void json_free(struct json_document *document)
{
    for (struct chunk *chunk = document->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(document);
}

const struct json *json_member(const struct json *object, const char *key)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    const struct json *member = object->first;
    while (member != NULL && strcmp(member->key, key) != 0)
        member = member->next;
    return member;
}

const char *json_string(const struct json *object, const char *key)
{
    const struct json *member = json_member(object, key);
    return member != NULL && member->type == JSON_STRING ? member->string : NULL;
}

const struct json *json_array(const struct json *object, const char *key)
{
    const struct json *member = json_member(object, key);
    return member != NULL && member->type == JSON_ARRAY ? member : NULL;
}

bool json_number(const struct json *object, const char *key, int64_t *found)
{
    const struct json *member = json_member(object, key);
    if (member == NULL || member->type != JSON_NUMBER)
        return false;
    *found = member->number;
    return true;
}

bool json_bool(const struct json *object, const char *key, bool *found)
{
    const struct json *member = json_member(object, key);
    if (member == NULL || (member->type != JSON_TRUE && member->type != JSON_FALSE))
        return false;
    *found = member->type == JSON_TRUE;
    return true;
}

size_t json_count(const struct json *parent)
{
    size_t count = 0;
    for (const struct json *each = parent->first; each != NULL; each = each->next)
        count++;
    return count;
}

void json_write_string(FILE *file, const char *string)
{
    putc('"', file);
    for (const unsigned char *at = (const unsigned char *)string; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            fprintf(file, "\\%c", *at);
        } else if (*at < 0x20) {
            fprintf(file, "\\u%04x", *at);
        } else if (at[0] == 0xc0 && at[1] == 0x80) {
            fputs("\\u0000", file);
            at++;
        } else if (at[0] == 0xed && at[1] >= 0xa0 && at[2] != '\0') {
            fprintf(file, "\\u%04x", 0xd000U | (at[1] & 0x3fU) << 6 | (at[2] & 0x3fU));
            at += 2;
        } else {
            putc(*at, file);
        }
    }
    putc('"', file);
}
