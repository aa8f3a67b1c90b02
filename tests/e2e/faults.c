/* Preloaded into a daemon by tests: while the file $FAULTS_FILE is there, calls on its database fail.
   The file holds: name of the call, number of the first call that fails, how many fail, errno. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int seen;

static int fails(const char *call, int fd) {
    char link[64], path[PATH_MAX], name[32];
    int first, count, code, wanted;
    const char *plan = getenv("FAULTS_FILE");
    FILE *file = plan ? fopen(plan, "re") : NULL;
    if (!file) {
        seen = 0;
        return 0;
    }
    wanted = fscanf(file, "%31s %d %d %d", name, &first, &count, &code) == 4 && !strcmp(name, call);
    fclose(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = wanted ? readlink(link, path, sizeof path - 1) : -1;
    if (length < 0)
        return 0;
    path[length] = 0;
    if (!strstr(path, "/jobd.db") || strstr(path, "-shm"))
        return 0;
    seen++;
    if (seen < first || seen >= first + count)
        return 0;
    errno = code;
    return 1;
}

#define SYNC(NAME)                                        \
    int NAME(int fd) {                                    \
        int (*real)(int) = dlsym(RTLD_NEXT, #NAME);       \
        return fails("sync", fd) ? -1 : real(fd);         \
    }
#define WRITE(NAME)                                                                 \
    ssize_t NAME(int fd, const void *data, size_t size, off_t at) {                 \
        ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, #NAME); \
        return fails("write", fd) ? -1 : real(fd, data, size, at);                  \
    }

SYNC(fsync)
SYNC(fdatasync)
WRITE(pwrite)
WRITE(pwrite64)
