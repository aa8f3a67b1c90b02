/* Preloaded into a daemon: each sync of a file takes 5 ms longer, as on a disk that is that slow. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

#define SLOW(NAME)                                  \
    int NAME(int fd) {                              \
        int (*real)(int) = dlsym(RTLD_NEXT, #NAME); \
        usleep(5000);                               \
        return real(fd);                            \
    }

SLOW(fsync)
SLOW(fdatasync)
