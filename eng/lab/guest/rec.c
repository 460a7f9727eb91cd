// rec: numbered, timed, hash-chained records on block devices, and the checker that says which of them came back.
//
//   rec write INTERVAL_MS DEVICE...      writes record n to the first device, then to the next, and so on; the write to a
//                                        device begins only after the one before it is durable (O_DIRECT | O_DSYNC)
//   rec verify [--json] DEVICE...        exit 0 and "VERIFIED n ..." when what the devices hold could have been there at
//                                        one instant of the writer's life; exit 1 and "VERIFY-FAILED why" otherwise
//
// The same file is the guest's writer, the guest's verifier at boot, and the checker on the host, outside the product.
//
// What is checked: every record from the oldest that the ring still holds to the newest is there, whole, in its own
// slot and chained to the one before it; the devices' newest records differ by at most one, later devices behind; each
// record on a later device names the checksum of its twin on the first, so devices of different instants are caught
// even where their numbers agree.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_BYTES = 4096, READ_BYTES = 1 << 20, MAX_DEVICES = 8, MAX_BOOTS = 64, MAX_LATENCIES = 4096 };

static const char MAGIC[8] = { 'U', 'S', 'R', 'E', 'C', 0, 0, 1 };

struct record {
    char magic[8];
    uint64_t number;    // 1, 2, 3, ... over all boots
    uint64_t time_ns;   // the guest's clock when the record was made; the same on all devices
    uint64_t boot;      // random, one for each run of the writer
    uint64_t previous;  // checksum of record number - 1 on this device
    uint64_t twin;      // checksum of this record on the first device; 0 there
    uint64_t sum;       // of the whole record with this field as 0
    unsigned char payload[RECORD_BYTES - 56];
};
_Static_assert(sizeof(struct record) == RECORD_BYTES, "a record fills its slot");

// What one slot held.
struct slot { uint64_t number, previous, twin, sum, boot, time_ns; };

struct device {
    const char *path;
    uint64_t slots;
    struct slot *held;
    uint64_t newest, count, damaged;
    uint64_t damaged_slot;
};

static char failure[512];

static int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    return -1;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// FNV-1a over 64-bit words instead of bytes: eight times fewer steps, which an emulated CPU notices.
static uint64_t sum_of(const struct record *r)
{
    struct record copy = *r;
    copy.sum = 0;
    uint64_t words[RECORD_BYTES / 8], hash = 14695981039346656037u;
    memcpy(words, &copy, sizeof words);
    for (size_t i = 0; i < RECORD_BYTES / 8; i++)
        hash = (hash ^ words[i]) * 1099511628211u, hash ^= hash >> 32;
    return hash;
}

static void *aligned_buffer(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, RECORD_BYTES, bytes)) {
        fputs("rec: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

static uint64_t size_of(int fd)
{
    struct stat s;
    uint64_t bytes = 0;
    if (fstat(fd, &s))
        return 0;
    if (!S_ISBLK(s.st_mode))
        return (uint64_t)s.st_size;
    return ioctl(fd, BLKGETSIZE64, &bytes) ? 0 : bytes;
}

static int is_zero(const void *p, size_t bytes)
{
    const char *b = p;
    return !*b && !memcmp(b, b + 1, bytes - 1);
}

static void note_slot(struct device *d, uint64_t index, const struct record *r)
{
    int whole = !memcmp(r->magic, MAGIC, sizeof MAGIC) && r->number && r->number % d->slots == index && r->sum == sum_of(r);
    if (whole) {
        d->held[index] = (struct slot){ r->number, r->previous, r->twin, r->sum, r->boot, r->time_ns };
        d->count++;
        if (r->number > d->newest)
            d->newest = r->number;
    } else if (!is_zero(r, RECORD_BYTES)) {
        d->damaged++;
        d->damaged_slot = index;
    }
}

static int load(struct device *d, const char *path)
{
    *d = (struct device){ .path = path };
    int fd = open(path, O_RDONLY | O_DIRECT);
    if (fd < 0 && errno == EINVAL)
        fd = open(path, O_RDONLY);
    if (fd < 0)
        return fail("cannot open %s: %s", path, strerror(errno));
    d->slots = size_of(fd) / RECORD_BYTES;
    if (d->slots < 4) {
        close(fd);
        return fail("%s is too small to hold records", path);
    }
    d->held = calloc(d->slots, sizeof *d->held);
    char *buffer = aligned_buffer(READ_BYTES);
    int result = d->held ? 0 : fail("out of memory");
    for (uint64_t index = 0; !result && index < d->slots;) {
        ssize_t got = pread(fd, buffer, READ_BYTES, (off_t)(index * RECORD_BYTES));
        if (got < RECORD_BYTES) {
            result = fail("cannot read %s at byte %" PRIu64 ": %s", path, index * RECORD_BYTES, got < 0 ? strerror(errno) : "short read");
            break;
        }
        for (ssize_t at = 0; at + RECORD_BYTES <= got && index < d->slots; at += RECORD_BYTES, index++)
            note_slot(d, index, (const struct record *)(buffer + at));
    }
    free(buffer);
    close(fd);
    return result;
}

static const struct slot *slot_of(const struct device *d, uint64_t number)
{
    return &d->held[number % d->slots];
}

// The oldest number a device must still hold. One slot is given to a write that was cut off while it overwrote the oldest.
static uint64_t oldest_of(const struct device *d)
{
    return d->newest + 2 > d->slots ? d->newest + 2 - d->slots : 1;
}

static int check_device(const struct device *d)
{
    uint64_t oldest = oldest_of(d);
    for (uint64_t n = oldest; n <= d->newest; n++) {
        if (slot_of(d, n)->number != n)
            return fail("%s: record %" PRIu64 " is missing (newest %" PRIu64 ")", d->path, n, d->newest);
        if (n > oldest && slot_of(d, n)->previous != slot_of(d, n - 1)->sum)
            return fail("%s: record %" PRIu64 " does not follow record %" PRIu64, d->path, n, n - 1);
    }
    int torn_newest = d->damaged == 1 && d->damaged_slot == (d->newest + 1) % d->slots;
    if (d->damaged && !torn_newest)
        return fail("%s: %" PRIu64 " damaged records, one of them in slot %" PRIu64, d->path, d->damaged, d->damaged_slot);
    return 0;
}

static int check_pair(const struct device *first, const struct device *later)
{
    if (first->slots != later->slots)
        return fail("%s and %s differ in size", first->path, later->path);
    if (later->newest != first->newest && later->newest + 1 != first->newest)
        return fail("%s ends at %" PRIu64 " and %s at %" PRIu64 ": not one instant", first->path, first->newest, later->path, later->newest);
    for (uint64_t n = oldest_of(first); n <= later->newest; n++)
        if (slot_of(later, n)->twin != slot_of(first, n)->sum)
            return fail("record %" PRIu64 " on %s is not the twin of the one on %s", n, later->path, first->path);
    return 0;
}

static int load_and_check(struct device *devices, char **paths, int count)
{
    for (int i = 0; i < count; i++)
        if (load(&devices[i], paths[i]) || check_device(&devices[i]))
            return -1;
    for (int i = 1; i < count; i++)
        if (check_pair(&devices[0], &devices[i]))
            return -1;
    return 0;
}

// The writer's runs that left records, oldest first, as JSON objects.
static void print_boots(const struct device *d)
{
    uint64_t boot = 0, first = 0, printed = 0;
    for (uint64_t n = oldest_of(d); d->newest && n <= d->newest + 1 && printed < MAX_BOOTS; n++) {
        const struct slot *s = n <= d->newest ? slot_of(d, n) : NULL;
        if (first && (!s || s->boot != boot)) {
            printf("%s{\"boot\":\"%016" PRIx64 "\",\"first\":%" PRIu64 ",\"last\":%" PRIu64 "}", printed++ ? "," : "", boot, first, n - 1);
            first = 0;
        }
        if (s && !first) {
            boot = s->boot;
            first = n;
        }
    }
}

static int verify(char **paths, int count, int json)
{
    struct device devices[MAX_DEVICES];
    int result = load_and_check(devices, paths, count);
    if (result && json)
        printf("{\"ok\":false,\"reason\":\"%s\"}\n", failure);
    else if (result)
        printf("VERIFY-FAILED %s\n", failure);
    if (result)
        return 1;
    const struct device *first = &devices[0];
    uint64_t newest_time = first->newest ? slot_of(first, first->newest)->time_ns : 0;
    if (!json) {
        printf("VERIFIED %" PRIu64 " on", first->newest);
        for (int i = 0; i < count; i++)
            printf(" %s=%" PRIu64, devices[i].path, devices[i].newest);
        printf(" time=%" PRIu64 ".%09" PRIu64 "\n", newest_time / 1000000000u, newest_time % 1000000000u);
        return 0;
    }
    printf("{\"ok\":true,\"newest\":%" PRIu64 ",\"time\":%" PRIu64 ".%09" PRIu64 ",\"devices\":[", first->newest,
        newest_time / 1000000000u, newest_time % 1000000000u);
    for (int i = 0; i < count; i++)
        printf("%s{\"path\":\"%s\",\"newest\":%" PRIu64 ",\"held\":%" PRIu64 "}", i ? "," : "", devices[i].path, devices[i].newest, devices[i].count);
    printf("],\"boots\":[");
    print_boots(first);
    printf("]}\n");
    return 0;
}

// Even records are noise, odd ones repeat a word: the wire sees blocks that shrink and blocks that do not.
static void fill(struct record *r)
{
    uint64_t word = r->number * 2654435761u + 1;
    for (size_t i = 0; i + 8 <= sizeof r->payload; i += 8) {
        if (r->number % 2 == 0) {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
        }
        memcpy(r->payload + i, &word, 8);
    }
}

static int put(int fd, const struct device *d, struct record *r)
{
    r->sum = sum_of(r);
    ssize_t put = pwrite(fd, r, RECORD_BYTES, (off_t)(r->number % d->slots * RECORD_BYTES));
    if (put == RECORD_BYTES)
        return 0;
    return fail("cannot write record %" PRIu64 " to %s: %s", r->number, d->path, put < 0 ? strerror(errno) : "short write");
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(const struct record *r, uint64_t *latencies, size_t count)
{
    qsort(latencies, count, sizeof *latencies, by_value);
    printf("REC %" PRIu64 " time=%" PRIu64 ".%09" PRIu64 " boot=%016" PRIx64 " writes=%zu p50=%" PRIu64 "us p99=%" PRIu64 "us max=%" PRIu64 "us\n",
        r->number, r->time_ns / 1000000000u, r->time_ns % 1000000000u, r->boot, count, latencies[count / 2] / 1000,
        latencies[count * 99 / 100] / 1000, latencies[count - 1] / 1000);
}

// A crash between two devices leaves the later ones a record behind; they are brought level before new records begin.
static int level(const struct device *devices, const int *fds, int count, struct record *r)
{
    const struct device *first = &devices[0];
    for (int i = 1; i < count; i++) {
        const struct device *d = &devices[i];
        if (d->newest == first->newest)
            continue;
        off_t at = (off_t)(first->newest % first->slots * RECORD_BYTES);
        if (pread(fds[0], r, RECORD_BYTES, at) != RECORD_BYTES)
            return fail("cannot read record %" PRIu64 " back from %s", first->newest, first->path);
        r->twin = r->sum;
        r->previous = d->newest ? slot_of(d, d->newest)->sum : 0;
        if (put(fds[i], d, r))
            return -1;
        d->held[r->number % d->slots] = (struct slot){ .number = r->number, .sum = r->sum };
    }
    return 0;
}

static int write_records(long interval_ms, char **paths, int count)
{
    struct device devices[MAX_DEVICES];
    int fds[MAX_DEVICES];
    if (load_and_check(devices, paths, count))
        return -1;
    for (int i = 0; i < count; i++)
        if ((fds[i] = open(paths[i], O_RDWR | O_DIRECT | O_DSYNC)) < 0)
            return fail("cannot open %s for writing: %s", paths[i], strerror(errno));
    struct record *r = aligned_buffer(RECORD_BYTES);
    if (level(devices, fds, count, r))
        return -1;

    uint64_t boot = 0, previous[MAX_DEVICES], latencies[MAX_LATENCIES], reported = now_ns();
    if (getrandom(&boot, sizeof boot, 0) != sizeof boot)
        return fail("no random number for this boot: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        previous[i] = devices[0].newest ? slot_of(&devices[i], devices[0].newest)->sum : 0;
    size_t measured = 0;
    for (uint64_t number = devices[0].newest + 1;; number++) {
        memset(r, 0, sizeof *r);
        memcpy(r->magic, MAGIC, sizeof MAGIC);
        r->number = number;
        r->time_ns = now_ns();
        r->boot = boot;
        fill(r);
        for (int i = 0; i < count; i++) {
            r->previous = previous[i];
            r->twin = i ? previous[0] : 0;   // previous[0] is already this record's checksum on the first device
            uint64_t begun = now_ns();
            if (put(fds[i], &devices[i], r))
                return -1;
            if (measured < MAX_LATENCIES)
                latencies[measured++] = now_ns() - begun;
            previous[i] = r->sum;
        }
        if (now_ns() - reported > 1000000000u) {
            report(r, latencies, measured);
            measured = 0;
            reported = now_ns();
        }
        usleep((useconds_t)interval_ms * 1000);
    }
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    int json = count > 2 && !strcmp(words[2], "--json");
    if (count - 2 - json >= 1 && count - 2 - json <= MAX_DEVICES && !strcmp(words[1], "verify"))
        return verify(words + 2 + json, count - 2 - json, json);
    if (count >= 4 && count - 3 <= MAX_DEVICES && !strcmp(words[1], "write") && atol(words[2]) > 0 && atol(words[2]) <= 10000) {
        write_records(atol(words[2]), words + 3, count - 3);
        printf("WRITE-FAILED %s\n", failure);
        return 1;
    }
    fputs("usage: rec write INTERVAL_MS DEVICE... | rec verify [--json] DEVICE...\n", stderr);
    return 2;
}
