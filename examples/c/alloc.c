#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "out of memory: %zu bytes\n", size);
        exit(1);
    }
    return memory;
}

void *allocate(size_t size)
{
    return checked(calloc(size > 0 ? size : 1, 1), size);
}

void *allocate_again(void *memory, size_t size)
{
    return checked(realloc(memory, size > 0 ? size : 1), size);
}

char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(allocate(size), text, size);
}
