/* Sits between the real program and the files of its store, by LD_PRELOAD. It does two things:
 *
 * It records. It appends each change below the folder DISK_FOLDER to the file DISK_LOG, in order, with offsets
 * and bytes. It records the begin and the end of each sync, because a sync covers what was written before it
 * began, but only once it has ended. From the recording, `cut.rs` computes the files that a power cut leaves.
 *
 * It fails. While the file DISK_FAULT exists, the calls that it names (w: write and truncate, s: sync,
 * o: open for writing) fail with the errno that it names, as in "28 w".
 *
 * Without these variables it changes nothing. It does not see the memory-mapped -shm file, which SQLite does not
 * need after a power cut. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 65536
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *folder, *fault;
static int logged = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
/* The open files below the folder, by descriptor. */
static struct { uint64_t inode; char *path; } files[FILES];
static uint32_t syncs;

/* The record that recording.rs parses, little endian; `path` and `data` follow it. */
struct record { uint8_t kind, pad[3]; uint32_t sync; uint64_t inode, offset; uint32_t path, data; };

__attribute__((constructor)) static void begin(void) {
    folder = getenv("DISK_FOLDER");
    fault = getenv("DISK_FAULT");
    const char *log = getenv("DISK_LOG");
    if (log) logged = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Its child processes run without the shim. */
    unsetenv("LD_PRELOAD");
}

static int ours(const char *path) { return folder && path && !strncmp(path, folder, strlen(folder)); }
static int known(int fd) { return fd >= 0 && fd < FILES && files[fd].path; }

/* Writes all bytes: a partial record would make every later one unreadable. */
static void all(const void *bytes, size_t left) {
    for (const char *at = bytes; left;) {
        ssize_t some = REAL(write)(logged, at, left);
        if (some < 0) abort();
        at += some;
        left -= (size_t)some;
    }
}

static void note(char kind, uint32_t sync, uint64_t inode, uint64_t offset, const char *path, const void *data,
                 size_t length) {
    if (logged < 0) return;
    int kept = errno;
    struct record head = {(uint8_t)kind, {0}, sync, inode, offset, path ? (uint32_t)strlen(path) : 0,
                          (uint32_t)length};
    all(&head, sizeof head);
    all(path, head.path);
    all(data, length);
    errno = kept;
}

/* The errno with which `call` must fail, or 0. */
static int fails(char call) {
    char text[32] = {0}, calls[16] = {0};
    int number = 0, kept = errno, fd = fault ? REAL(open)(fault, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) < 0 || sscanf(text, "%d %15s", &number, calls) != 2) number = 0;
        REAL(close)(fd);
    }
    errno = kept;
    return strchr(calls, call) ? number : 0;
}

#define FAIL_IF(call) do { int number = fails(call); if (number) { errno = number; return -1; } } while (0)
#define IN_ORDER(expression) do { pthread_mutex_lock(&order); expression; pthread_mutex_unlock(&order); } while (0)

static int opened(int (*open_it)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    if (!ours(path)) return open_it(path, flags, mode);
    if (flags & (O_WRONLY | O_RDWR | O_CREAT)) FAIL_IF('o');
    struct stat is;
    int fd;
    IN_ORDER({
        int there = !stat(path, &is);
        fd = open_it(path, flags, mode);
        if (fd >= 0 && fd < FILES && !fstat(fd, &is)) {
            files[fd].inode = is.st_ino;
            files[fd].path = strdup(path);
            if (!there) note('C', 0, is.st_ino, 0, path, 0, 0);
            if (there && (flags & O_TRUNC)) note('T', 0, is.st_ino, 0, path, 0, 0);
        }
    });
    return fd;
}

#define MODE mode_t mode = 0; if (flags & O_CREAT) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *path, int flags, ...) { MODE return opened(REAL(open), path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(REAL(open64), path, flags, mode); }

int close(int fd) {
    if (!known(fd)) return REAL(close)(fd);
    int done;
    IN_ORDER({ free(files[fd].path); files[fd].path = 0; done = REAL(close)(fd); });
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    if (!known(fd)) return REAL(write)(fd, data, length);
    FAIL_IF('w');
    ssize_t done;
    IN_ORDER({
        off_t at = lseek(fd, 0, SEEK_CUR);
        done = REAL(write)(fd, data, length);
        if (done > 0) note('W', 0, files[fd].inode, (uint64_t)at, 0, data, (size_t)done);
    });
    return done;
}

static ssize_t placed(ssize_t (*write_it)(int, const void *, size_t, off_t), int fd, const void *data, size_t length,
                      off_t at) {
    if (!known(fd)) return write_it(fd, data, length, at);
    FAIL_IF('w');
    ssize_t done;
    IN_ORDER({
        done = write_it(fd, data, length, at);
        if (done > 0) note('W', 0, files[fd].inode, (uint64_t)at, 0, data, (size_t)done);
    });
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return placed(REAL(pwrite), fd, data, length, at); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) { return placed(REAL(pwrite64), fd, data, length, at); }

static int cut(int (*cut_it)(int, off_t), int fd, off_t size) {
    if (!known(fd)) return cut_it(fd, size);
    FAIL_IF('w');
    int done;
    IN_ORDER({ done = cut_it(fd, size); if (!done) note('T', 0, files[fd].inode, (uint64_t)size, 0, 0, 0); });
    return done;
}
int ftruncate(int fd, off_t size) { return cut(REAL(ftruncate), fd, size); }
int ftruncate64(int fd, off_t size) { return cut(REAL(ftruncate64), fd, size); }

static int synced(int (*sync_it)(int), int fd) {
    if (!known(fd)) return sync_it(fd);
    FAIL_IF('s');
    uint32_t number;
    IN_ORDER({ number = ++syncs; note('S', number, files[fd].inode, 0, files[fd].path, 0, 0); });
    int done = sync_it(fd);
    if (!done) IN_ORDER(note('E', number, 0, 0, 0, 0, 0));
    return done;
}
int fsync(int fd) { return synced(REAL(fsync), fd); }
int fdatasync(int fd) { return synced(REAL(fdatasync), fd); }

int unlink(const char *path) {
    if (!ours(path)) return REAL(unlink)(path);
    int done;
    IN_ORDER({ done = REAL(unlink)(path); if (!done) note('U', 0, 0, 0, path, 0, 0); });
    return done;
}

int rename(const char *from, const char *to) {
    if (!ours(from) && !ours(to)) return REAL(rename)(from, to);
    int done;
    IN_ORDER({ done = REAL(rename)(from, to); if (!done) note('R', 0, 0, 0, from, to, strlen(to)); });
    return done;
}

int mkdir(const char *path, mode_t mode) {
    if (!ours(path)) return REAL(mkdir)(path, mode);
    int done;
    IN_ORDER({ done = REAL(mkdir)(path, mode); if (!done) note('M', 0, 0, 0, path, 0, 0); });
    return done;
}
