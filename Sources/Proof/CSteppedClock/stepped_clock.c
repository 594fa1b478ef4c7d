// The wall clock of a program that this library is preloaded into, moved by what a file says. The monotonic clock is
// left alone, as it is by a machine's own steps.
//
// Debian's libfaketime does the same, and does not start together with jemalloc, which its redis-server has: each asks
// the other while it is not ready. This asks the kernel, and needs nothing to be ready.
#ifdef __linux__
#define _GNU_SOURCE
#include "stepped_clock.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t *shared_offset;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv(STEPPED_CLOCK_VARIABLE);
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED) shared_offset = map;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && shared_offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t moved = now->tv_nsec / 1000 + __atomic_load_n(shared_offset, __ATOMIC_RELAXED);
        int64_t seconds = moved / 1000000;
        if (moved % 1000000 < 0) seconds--;
        now->tv_sec += seconds;
        now->tv_nsec = (moved - seconds * 1000000) * 1000 + now->tv_nsec % 1000;
    }
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec time;
    if (clock_gettime(CLOCK_REALTIME, &time) != 0) return -1;
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec time;
    if (clock_gettime(CLOCK_REALTIME, &time) != 0) return -1;
    if (now) *now = time.tv_sec;
    return time.tv_sec;
}
#endif
