// A disk that can fail and lose power, put between a program and its files with LD_PRELOAD.
//
// Every change below DISK_FOLDER is also written to the file DISK_LOG, in the order in which it happened, as one line
// `OPERATION OFFSET LENGTH PATH` and LENGTH bytes: what was written, or the new name of what was renamed. A sync stands there once it has
// succeeded. While the file DISK_SICK holds the number of an error, every change below DISK_FOLDER fails with it instead.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Operations and their lines keep one order.
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

static int is_below(const char *path) {
    const char *folder = getenv("DISK_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    return length && strncmp(path, folder, length) == 0 && path[length] == '/';
}

// Whether a descriptor is of a file below the folder, and the file's path.
static int is_ours(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0 && is_below(path);
}

// The error that the disk has now, or 0.
static int sickness(void) {
    char text[16] = {0};
    const char *path = getenv("DISK_SICK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 0 ? atoi(text) : 0;
}

static void record(const char *operation, long long offset, const void *data, size_t length, const char *path) {
    static int log = -1;
    char line[PATH_MAX + 64];
    if (log < 0) log = open(getenv("DISK_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int head = snprintf(line, sizeof line, "%s %lld %zu %s\n", operation, offset, length, path);
    struct iovec parts[2] = {{line, (size_t)head}, {(void *)data, length}};
    if (syscall(SYS_writev, log, parts, 2) != head + (ssize_t)length) abort();
}

// Does CALL and records it if it succeeded; fails if the disk is sick. LENGTH may depend on the result.
#define CHANGE(type, call, operation, offset, data, length, path) \
    pthread_mutex_lock(&turn);                                    \
    int error = sickness();                                       \
    type result = error ? -1 : (call);                            \
    if (!error) error = errno;                                    \
    if (result >= 0) record(operation, offset, data, length, path); \
    pthread_mutex_unlock(&turn);                                  \
    errno = error;                                                \
    return result

ssize_t write(int fd, const void *data, size_t length) {
    char path[PATH_MAX];
    if (!is_ours(fd, path)) return REAL(ssize_t, write, int, const void *, size_t)(fd, data, length);
    CHANGE(ssize_t, REAL(ssize_t, write, int, const void *, size_t)(fd, data, length), "write",
           (long long)lseek(fd, 0, SEEK_CUR) - result, data, (size_t)result, path);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    char path[PATH_MAX];
    if (!is_ours(fd, path)) return REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(fd, data, length, offset);
    CHANGE(ssize_t, REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(fd, data, length, offset), "write",
           (long long)offset, data, (size_t)result, path);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    if (!is_ours(fd, path)) return REAL(int, ftruncate64, int, off64_t)(fd, length);
    CHANGE(int, REAL(int, ftruncate64, int, off64_t)(fd, length), "truncate", (long long)length, "", 0, path);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fsync(int fd) {
    char path[PATH_MAX];
    if (!is_ours(fd, path)) return REAL(int, fsync, int)(fd);
    CHANGE(int, REAL(int, fsync, int)(fd), "sync", 0LL, "", 0, path);
}

int fdatasync(int fd) { return fsync(fd); }

int rename(const char *from, const char *to) {
    if (!is_below(from)) return REAL(int, rename, const char *, const char *)(from, to);
    CHANGE(int, REAL(int, rename, const char *, const char *)(from, to), "rename", 0LL, to, strlen(to), from);
}

int unlink(const char *path) {
    if (!is_below(path)) return REAL(int, unlink, const char *)(path);
    CHANGE(int, REAL(int, unlink, const char *)(path), "unlink", 0LL, "", 0, path);
}
