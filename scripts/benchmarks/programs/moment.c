/* moment [MICROSECONDS]: sleeps for so long, prints the nanoseconds since the epoch, and ends. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
    struct timespec now;
    if (count > 1)
        usleep(atoi(words[1]));
    clock_gettime(CLOCK_REALTIME, &now);
    return printf("%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec) < 0;
}
