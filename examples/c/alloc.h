/* Memory. A tracker that has no memory for a bitmap cannot keep its promise, so it ends here, loudly: to go on without
 * the bitmap would lose writes. Everything is freed with free(). */
#ifndef ALLOC_H
#define ALLOC_H

#include <stddef.h>

/* `size` bytes, all zero. */
void *allocate(size_t size);
/* The same memory with room for `size` bytes; what is new of it is not set. */
void *allocate_again(void *memory, size_t size);
char *copy_of(const char *text);

#endif
