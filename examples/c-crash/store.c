/* Bitmaps that survive crashes, as small as they can be: an example for `cbtspec crash exec`.
 *
 * The device is an NBD export; its Unix socket is named by CBTSPEC_NBD. Two superblocks (bytes 0 and 512) are written in
 * turns; the one with the higher generation counts. It says in which of two areas (4096, 8192) the bitmaps are, and
 * whether they are in use, that is, in somebody's memory only. The guest's data begin at 16384.
 *
 *   open for writing:  superblock (in use), flush           before the first write is admitted
 *   store:             other area, flush, superblock, flush  nothing refers to what is not stable
 *
 * `--mistake NAME` makes one of three mistakes: no-in-use, no-flush, superblock-first.
 */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SLOT = 512, AREA = 4096, DATA = 16384, BITMAPS = 8, NAME = 32, BYTES = 64 };

struct bitmap {
    char name[NAME];
    uint64_t granularity, enabled;
    uint8_t bits[BYTES];
};

struct superblock {
    char magic[8];
    uint64_t generation, area, in_use, count;
};

static const char *mistake = "";
static int device = -1, writable, inconsistent;
static uint64_t disk_size;
static struct superblock super;
static struct bitmap bitmaps[BITMAPS];

/* NBD: a client with one request at a time */

static int whole(int (*move)(int, void *, size_t), void *data, size_t length)
{
    char *at = data;
    while (length) {
        int moved = move(device, at, length);
        if (moved <= 0)
            exit(1); /* the other side has gone, and so do we */
        at += moved;
        length -= moved;
    }
    return 0;
}

static int get(int from, void *data, size_t length) { return read(from, data, length); }
static int put(int to, void *data, size_t length) { return write(to, data, length); }

static void connect_device(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char greeting[18], reply[10];
    struct __attribute__((packed)) { uint32_t flags; char magic[8]; uint32_t option, length; char name[6]; } hello = {
        htobe32(3), {'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T'}, htobe32(1), htobe32(6), {'d', 'e', 'v', 'i', 'c', 'e'}};

    snprintf(address.sun_path, sizeof address.sun_path, "%s", getenv("CBTSPEC_NBD") ? getenv("CBTSPEC_NBD") : "");
    device = socket(AF_UNIX, SOCK_STREAM, 0);
    if (device < 0 || connect(device, (struct sockaddr *)&address, sizeof address)) {
        perror("CBTSPEC_NBD");
        exit(1);
    }
    whole(get, greeting, sizeof greeting);
    whole(put, &hello, sizeof hello);
    whole(get, reply, sizeof reply);
}

/* A request: 0 reads, 1 writes, 3 flushes. Returns the error number, 0 for success. */
static int request(int command, uint64_t offset, uint32_t length, void *data)
{
    struct __attribute__((packed)) { uint32_t magic; uint16_t flags, command; uint64_t cookie, offset; uint32_t length; }
        ask = {htobe32(0x25609513), 0, htobe16(command), 0, htobe64(offset), htobe32(length)};
    struct __attribute__((packed)) { uint32_t magic, error; uint64_t cookie; } answer;

    whole(put, &ask, sizeof ask);
    if (command == 1)
        whole(put, data, length);
    whole(get, &answer, sizeof answer);
    if (command == 0 && !answer.error)
        whole(get, data, length);
    return be32toh(answer.error);
}

static int flush(void) { return request(3, 0, 0, NULL); }

/* What is stored */

static int write_super(uint64_t area, int in_use, uint64_t count)
{
    struct superblock next = {{'c', 'b', 't', 's', 't', 'o', 'r', 'e'}, super.generation + 1, area, in_use, count};
    char sector[SLOT] = {0};
    int error;

    memcpy(sector, &next, sizeof next);
    error = request(1, next.generation % 2 * SLOT, SLOT, sector);
    super.generation = next.generation; /* also if it failed: the next one goes to the other slot, or over this one */
    if (!error)
        super = next;
    return error;
}

static int load(void)
{
    struct superblock found[2];
    char sector[SLOT];
    int error;

    memset(&super, 0, sizeof super);
    memset(bitmaps, 0, sizeof bitmaps);
    for (int slot = 0; slot < 2; slot++) {
        if ((error = request(0, slot * SLOT, SLOT, sector)))
            return error;
        memcpy(&found[slot], sector, sizeof found[slot]);
        if (!memcmp(found[slot].magic, "cbtstore", 8) && found[slot].generation > super.generation)
            super = found[slot];
    }
    inconsistent = super.in_use;
    return super.count ? request(0, AREA * (1 + super.area), sizeof bitmaps, bitmaps) : 0;
}

static uint64_t counted(void)
{
    uint64_t count = 0;
    for (int each = 0; each < BITMAPS; each++)
        count += bitmaps[each].name[0] != 0;
    return count;
}

static int store(void)
{
    uint64_t area = 1 - super.area;
    int error, in_use = inconsistent;

    if (!strcmp(mistake, "superblock-first") && ((error = write_super(area, in_use, counted())) || (error = flush())))
        return error;
    if ((error = request(1, AREA * (1 + area), sizeof bitmaps, bitmaps)))
        return error;
    if (strcmp(mistake, "no-flush") && (error = flush()))
        return error;
    if (strcmp(mistake, "superblock-first") && (error = write_super(area, in_use, counted())))
        return error;
    return flush();
}

static int mark(void)
{
    int error;
    if (!super.count || super.in_use || !strcmp(mistake, "no-in-use"))
        return 0;
    return (error = write_super(super.area, 1, super.count)) ? error : flush();
}

/* In memory */

static struct bitmap *find(const char *name)
{
    for (int each = 0; each < BITMAPS; each++)
        if (!strcmp(bitmaps[each].name, name))
            return &bitmaps[each];
    return NULL;
}

static void record(uint64_t offset, uint64_t length)
{
    for (int each = 0; each < BITMAPS && !inconsistent; each++) {
        struct bitmap *b = &bitmaps[each];
        if (b->name[0] && b->enabled)
            for (uint64_t g = offset / b->granularity; g <= (offset + length - 1) / b->granularity; g++)
                b->bits[g / 8] |= 1 << g % 8;
    }
}

static void answer(int error)
{
    printf(error ? "failed: error %d\n" : "ok\n", error);
}

static void refuse(const char *why) { printf("refused: %s\n", why); }

static void guest_write(uint64_t offset, uint64_t length, uint64_t number)
{
    uint64_t *data = malloc(length);
    for (uint64_t each = 0; each < length / 8; each++)
        data[each] = htole64(number);
    record(offset, length); /* first, and whether it succeeds or not */
    answer(request(1, DATA + offset, length, data));
    free(data);
}

static void show_bitmaps(void)
{
    for (int each = 0; each < BITMAPS; each++) {
        struct bitmap *b = &bitmaps[each];
        if (!b->name[0])
            continue;
        printf("bitmap %s %s %s %llu ", b->name, inconsistent ? "inconsistent" : "valid",
               b->enabled ? "enabled" : "disabled", (unsigned long long)b->granularity);
        for (int byte = BYTES - 1; byte >= 0; byte--)
            printf("%02x", b->bits[byte]);
        printf("\n");
    }
    printf("ok\n");
}

static void show_data(void)
{
    unsigned char *data = malloc(disk_size);
    int error = request(0, DATA, disk_size, data);
    if (!error) {
        printf("data ");
        for (uint64_t each = 0; each < disk_size; each++)
            printf("%02x", data[each]);
        printf("\n");
    }
    answer(error);
    free(data);
}

static void on_bitmap(const char *verb, const char *name, const char *source, uint64_t granularity, const char *how)
{
    struct bitmap *b = find(name), *from = *source ? find(source) : NULL;

    if (!strcmp(verb, "add")) {
        struct bitmap *room = find("");
        if (b || !room || inconsistent) {
            refuse(b ? "it exists" : inconsistent ? "what is there is inconsistent: remove it" : "no room");
            return;
        }
        snprintf(room->name, NAME, "%s", name);
        room->granularity = granularity;
        room->enabled = !strcmp(how, "enabled");
    } else if (!b || (*source && !from)) {
        refuse("not found");
        return;
    } else if (!strcmp(verb, "remove")) {
        memset(b, 0, sizeof *b);
        inconsistent = inconsistent && counted(); /* in the file it stays in use until the next store */
    } else if (inconsistent) {
        refuse("inconsistent");
        return;
    } else if (!strcmp(verb, "clear")) {
        memset(b->bits, 0, BYTES);
    } else if (from) {
        if (from->granularity != b->granularity) {
            refuse("another granularity");
            return;
        }
        for (int byte = 0; byte < BYTES; byte++)
            b->bits[byte] |= from->bits[byte];
    } else {
        b->enabled = !strcmp(verb, "enable");
    }
    printf("ok\n");
}

int main(int count, char **words)
{
    char line[256];

    if (count == 3 && !strcmp(words[1], "--mistake"))
        mistake = words[2];
    setvbuf(stdout, NULL, _IOFBF, 1 << 18);
    while (fgets(line, sizeof line, stdin)) {
        char verb[16] = "", a[NAME] = "", b[NAME] = "", c[NAME] = "";
        sscanf(line, "%15s %31s %31s %31s", verb, a, b, c);
        if (!strcmp(verb, "open")) {
            connect_device();
            writable = !strcmp(a, "rw");
            disk_size = strtoull(b, NULL, 10);
            int error = load();
            if (!error && writable)
                error = mark();
            if (error)
                close(device);
            answer(error);
        } else if (!strcmp(verb, "close")) {
            answer(writable ? store() : 0);
            close(device);
        } else if (!strcmp(verb, "write")) {
            guest_write(strtoull(a, NULL, 10), strtoull(b, NULL, 10), strtoull(c, NULL, 10));
        } else if (!strcmp(verb, "flush")) {
            answer(flush());
        } else if (!strcmp(verb, "bitmaps")) {
            show_bitmaps();
        } else if (!strcmp(verb, "read")) {
            show_data();
        } else if (!strcmp(verb, "merge")) {
            on_bitmap(verb, b, a, 0, "");
        } else {
            on_bitmap(verb, a, "", strtoull(b, NULL, 10), c);
        }
        fflush(stdout);
    }
    return 0;
}
