/* Preloaded into a daemon by tests: what it does to files below $RECORD_ROOT is written down, in
   order, in $RECORD_FILE, which others may append to as well. A record is a header, a path (or two,
   with a NUL between them) and data; `power_cut.py` reads them. Files that are written through a
   map (the index of the log, the board) are copied before anything is synchronised. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
    uint32_t kind, path;
    uint64_t inode, offset, size;
};

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int out = -1;
static const char *root;

#define REAL(NAME, TYPE, ...) \
    static TYPE (*real)(__VA_ARGS__); \
    if (!real) \
        real = dlsym(RTLD_NEXT, #NAME);

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("RECORD_FILE");
    root = getenv("RECORD_ROOT");
    if (file && root)
        out = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int ours(const char *path) {
    return out >= 0 && !strncmp(path, root, strlen(root));
}

static void tell(char kind, uint64_t inode, const char *path, size_t length, uint64_t offset,
                 const void *data, uint64_t size) {
    struct header head = {(unsigned char)kind, length, inode, offset, size};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)path, length}, {(void *)data, data ? size : 0}};
    int saved = errno;
    if (syscall(SYS_writev, out, parts, 3) < 0)
        abort();
    errno = saved;
}

static int name_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length >= 0 && ours(path);
}

/* The absolute path of what is named relative to a directory. */
static int absolute(int directory, const char *path, char *result) {
    char base[PATH_MAX] = "";
    if (path[0] != '/' && directory == AT_FDCWD && !getcwd(base, sizeof base))
        return 0;
    if (path[0] != '/' && directory != AT_FDCWD)
        name_of(directory, base);
    snprintf(result, 2 * PATH_MAX, "%s%s%s", base, path[0] == '/' ? "" : "/", path);
    return ours(result);
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

static uint64_t inode_at(const char *path) {
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

/* By a descriptor that is kept: closing one would give up SQLite's locks (fcntl(2)). */
static void tell_map(const char *name, int *kept) {
    static char content[1 << 17];
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, name);
    uint64_t inode = inode_at(path);
    if (!inode)
        return;
    if (*kept < 0 || inode_of(*kept) != inode)
        *kept = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = pread(*kept, content, sizeof content, 0);
    if (size > 0)
        tell('M', inode, path, strlen(path), 0, content, size);
}

static int opened(int fd, int was_there, int flags, const char *path) {
    if (fd >= 0 && !was_there && flags & O_CREAT)
        tell('C', inode_of(fd), path, strlen(path), 0, NULL, 0);
    else if (fd >= 0 && flags & O_TRUNC)
        tell('T', inode_of(fd), path, strlen(path), 0, NULL, 0);
    return fd;
}

#define OPEN(NAME, DIRECTORY, DECLARED, GIVEN)                             \
    int NAME(DECLARED const char *path, int flags, ...) {                  \
        char full[2 * PATH_MAX];                                           \
        mode_t mode = 0;                                                   \
        if (flags & (O_CREAT | O_TMPFILE)) {                               \
            va_list more;                                                  \
            va_start(more, flags);                                         \
            mode = va_arg(more, mode_t);                                   \
            va_end(more);                                                  \
        }                                                                  \
        REAL(NAME, int, DECLARED const char *, int, ...)                   \
        if (!(flags & (O_CREAT | O_TRUNC)) || !absolute(DIRECTORY, path, full)) \
            return real(GIVEN path, flags, mode);                          \
        pthread_mutex_lock(&lock);                                         \
        int there = inode_at(full) != 0;                                   \
        int fd = opened(real(GIVEN path, flags, mode), there, flags, full); \
        pthread_mutex_unlock(&lock);                                       \
        return fd;                                                         \
    }
#define COMMA ,
OPEN(open, AT_FDCWD, , )
OPEN(open64, AT_FDCWD, , )
OPEN(openat, directory, int directory COMMA, directory COMMA)
OPEN(openat64, directory, int directory COMMA, directory COMMA)

/* Where the next write goes. */
static off_t end_of(int fd) {
    return lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
}

#define DATA(NAME, TYPE, DECLARED, TYPES, GIVEN, TELL)       \
    TYPE NAME(int fd, DECLARED) {                            \
        char path[PATH_MAX];                                 \
        REAL(NAME, TYPE, int, TYPES)                         \
        if (out < 0 || !name_of(fd, path))                   \
            return real(fd, GIVEN);                          \
        pthread_mutex_lock(&lock);                           \
        uint64_t inode = inode_of(fd);                       \
        size_t length = strlen(path);                        \
        TELL;                                                \
        TYPE done = real(fd, GIVEN);                         \
        pthread_mutex_unlock(&lock);                         \
        return done;                                         \
    }
/* Before it is done: what a process that is killed in between has done and not told, nobody would
   know; what it has told and not done, the next one does anew. */
#define TELL_WRITE(AT) tell('W', inode, path, length, AT, data, size)
#define TELL_SIZE tell('T', inode, path, length, size, NULL, 0)
#define TELL_EXTENT                                     \
    if (!mode)                                          \
        tell('E', inode, path, length, at, NULL, size); \
    if (mode & FALLOC_FL_PUNCH_HOLE)                    \
    tell('H', inode, path, length, at, NULL, size)
DATA(write, ssize_t, const void *data COMMA size_t size, const void * COMMA size_t, data COMMA size,
     TELL_WRITE(end_of(fd)))
DATA(pwrite, ssize_t, const void *data COMMA size_t size COMMA off_t at,
     const void * COMMA size_t COMMA off_t, data COMMA size COMMA at, TELL_WRITE(at))
DATA(pwrite64, ssize_t, const void *data COMMA size_t size COMMA off_t at,
     const void * COMMA size_t COMMA off_t, data COMMA size COMMA at, TELL_WRITE(at))
DATA(ftruncate, int, off_t size, off_t, size, TELL_SIZE)
DATA(ftruncate64, int, off_t size, off_t, size, TELL_SIZE)
DATA(fallocate, int, int mode COMMA off_t at COMMA off_t size, int COMMA off_t COMMA off_t,
     mode COMMA at COMMA size, TELL_EXTENT)
DATA(fallocate64, int, int mode COMMA off_t at COMMA off_t size, int COMMA off_t COMMA off_t,
     mode COMMA at COMMA size, TELL_EXTENT)
DATA(posix_fallocate, int, off_t at COMMA off_t size, off_t COMMA off_t, at COMMA size,
     int mode = 0; TELL_EXTENT)
DATA(posix_fallocate64, int, off_t at COMMA off_t size, off_t COMMA off_t, at COMMA size,
     int mode = 0; TELL_EXTENT)

static int index_of_log = -1, board = -1;

#define SYNC(NAME)                                              \
    int NAME(int fd) {                                          \
        char path[PATH_MAX];                                    \
        REAL(NAME, int, int)                                    \
        if (out < 0 || !name_of(fd, path))                      \
            return real(fd);                                    \
        pthread_mutex_lock(&lock);                              \
        int done = 0; /* what it would do is in the record */   \
        const char *broken = getenv("RECORD_WITHOUT");          \
        tell_map("jobd.db-shm", &index_of_log);                 \
        tell_map("running", &board);                            \
        if (!broken || !strstr(path, broken))                   \
            tell('S', inode_of(fd), path, strlen(path), 0, NULL, 0); \
        pthread_mutex_unlock(&lock);                            \
        return done;                                            \
    }
SYNC(fsync)
SYNC(fdatasync)

static int named(char kind, int done, const char *path) {
    if (!done)
        tell(kind, inode_at(path), path, strlen(path), 0, NULL, 0);
    return done;
}

#define NAME(FUNCTION, KIND, DIRECTORY, DECLARED, TYPES, GIVEN)   \
    int FUNCTION(DECLARED) {                                      \
        char full[2 * PATH_MAX];                                  \
        REAL(FUNCTION, int, TYPES)                                \
        if (!absolute(DIRECTORY, path, full))                     \
            return real(GIVEN);                                   \
        pthread_mutex_lock(&lock);                                \
        int done = named(KIND, real(GIVEN), full);                \
        pthread_mutex_unlock(&lock);                              \
        return done;                                              \
    }
NAME(unlink, 'U', AT_FDCWD, const char *path, const char *, path)
NAME(rmdir, 'U', AT_FDCWD, const char *path, const char *, path)
NAME(unlinkat, 'U', directory, int directory COMMA const char *path COMMA int flags,
     int COMMA const char * COMMA int, directory COMMA path COMMA flags)
NAME(mkdir, 'K', AT_FDCWD, const char *path COMMA mode_t mode, const char * COMMA mode_t,
     path COMMA mode)
NAME(mkdirat, 'K', directory, int directory COMMA const char *path COMMA mode_t mode,
     int COMMA const char * COMMA mode_t, directory COMMA path COMMA mode)

static int moved(char kind, int done, const char *from, const char *to) {
    char both[4 * PATH_MAX];
    size_t length = strlen(from) + 1;
    memcpy(both, from, length);
    strcpy(both + length, to);
    if (!done)
        tell(kind, inode_at(to), both, length + strlen(to), 0, NULL, 0);
    return done;
}

#define MOVE(FUNCTION, KIND, FROM_IN, TO_IN, DECLARED, TYPES, GIVEN)      \
    int FUNCTION(DECLARED) {                                              \
        char old[2 * PATH_MAX], new[2 * PATH_MAX];                        \
        REAL(FUNCTION, int, TYPES)                                        \
        if (!absolute(FROM_IN, from, old) | !absolute(TO_IN, to, new))    \
            return real(GIVEN);                                           \
        pthread_mutex_lock(&lock);                                        \
        int done = moved(KIND, real(GIVEN), old, new);                    \
        pthread_mutex_unlock(&lock);                                      \
        return done;                                                      \
    }
MOVE(rename, 'R', AT_FDCWD, AT_FDCWD, const char *from COMMA const char *to,
     const char * COMMA const char *, from COMMA to)
MOVE(renameat, 'R', one, other, int one COMMA const char *from COMMA int other COMMA const char *to,
     int COMMA const char * COMMA int COMMA const char *, one COMMA from COMMA other COMMA to)
MOVE(link, 'L', AT_FDCWD, AT_FDCWD, const char *from COMMA const char *to,
     const char * COMMA const char *, from COMMA to)
MOVE(linkat, 'L', one, other,
     int one COMMA const char *from COMMA int other COMMA const char *to COMMA int flags,
     int COMMA const char * COMMA int COMMA const char * COMMA int,
     one COMMA from COMMA other COMMA to COMMA flags)
