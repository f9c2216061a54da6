/* Tells a process another time of day: CLOCK names a file that holds by how many seconds it is off, as 8 bytes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*told)(clockid_t, struct timespec *);
static const volatile int64_t *off;

__attribute__((constructor)) static void begin(void)
{
    told = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *seen = mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, file, 0);
        off = seen == MAP_FAILED ? NULL : seen;
        close(file);
    }
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = told(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && off)
        time->tv_sec += *off;
    return result;
}
