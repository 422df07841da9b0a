/* The least that an adapter can do: it says "done" to everything. What is measured with it is the suite's own cost.
 * It answers as soon as it has nothing more to read, so that a batch is answered in few writes. Its argument is who
 * makes the copies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char in[1 << 20], out[1 << 21];

int main(int count, char **words)
{
    const char *copies = count > 1 ? words[1] : "adapter";
    size_t have = 0;
    for (ssize_t got; (got = read(0, in + have, sizeof in - have)) > 0;) {
        have += (size_t)got;
        size_t wrote = 0;
        char *line = in, *end;
        while ((end = memchr(line, '\n', (size_t)(in + have - line)))) {
            *end = '\0';
            unsigned long seq = strtoul(line + strlen("{\"seq\":"), NULL, 10);
            wrote += (size_t)sprintf(out + wrote, "{\"seq\":%lu", seq);
            if (strstr(line, "\"do\":\"hello\""))
                wrote += (size_t)sprintf(out + wrote, ",\"protocol\":1,\"name\":\"nothing\",\"version\":\"1\","
                    "\"capabilities\":[\"core\"],\"copies\":\"%s\",\"granularities\":[4096],\"clusters\":[4096],"
                    "\"batch\":true", copies);
            else if (strstr(line, "\"do\":\"observe\""))
                wrote += (size_t)sprintf(out + wrote, ",\"bitmaps\":[]");
            wrote += (size_t)sprintf(out + wrote, "}\n");
            line = end + 1;
        }
        have -= (size_t)(line - in);
        memmove(in, line, have);
        for (size_t at = 0; at < wrote;) {
            ssize_t some = write(1, out + at, wrote - at);
            if (some <= 0) return 1;
            at += (size_t)some;
        }
    }
    return 0;
}
