/* Loaded before the C library into a process: notes in the file that TRACE names what is written to files and sockets, and what is
 * synced, a line each, in the order it happens. A write is noted before it is done, a sync when it has been. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int notes = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TRACE");
    if (path) notes = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* What a descriptor is: the path of a file, or `socket:[…]`. */
static void name(int fd, char *to) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, to, PATH_MAX - 1);
    to[length < 0 ? 0 : length] = 0;
}

/* One line: what is done, to what, and the bytes in hexadecimal. */
static void note(const char *what, int fd, const unsigned char *bytes, size_t length) {
    char path[PATH_MAX];
    name(fd, path);
    if (notes < 0 || !(strstr(path, "waystation.db") || strstr(path, "socket:"))) return;
    char *line = malloc(PATH_MAX + 64 + 2 * length);
    int at = sprintf(line, "%s %s ", what, path);
    for (size_t i = 0; i < length; i++) at += sprintf(line + at, "%02x", bytes[i]);
    line[at++] = '\n';
    syscall(SYS_write, notes, line, at);
    free(line);
}

#define NEXT(call) ((__typeof__(&call))dlsym(RTLD_NEXT, #call))

ssize_t write(int fd, const void *bytes, size_t length) {
    note("write", fd, bytes, length);
    return NEXT(write)(fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    note("write", fd, bytes, length);
    return NEXT(pwrite)(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    note("write", fd, bytes, length);
    return NEXT(pwrite64)(fd, bytes, length, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    for (int i = 0; i < count; i++) note("write", fd, parts[i].iov_base, parts[i].iov_len);
    return NEXT(writev)(fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    note("write", fd, bytes, length);
    return NEXT(send)(fd, bytes, length, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    note("write", fd, bytes, length);
    return NEXT(sendto)(fd, bytes, length, flags, to, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    for (size_t i = 0; i < message->msg_iovlen; i++)
        note("write", fd, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    return NEXT(sendmsg)(fd, message, flags);
}

int fdatasync(int fd) {
    int done = NEXT(fdatasync)(fd);
    if (done == 0) note("synced", fd, NULL, 0);
    return done;
}

int fsync(int fd) {
    int done = NEXT(fsync)(fd);
    if (done == 0) note("synced", fd, NULL, 0);
    return done;
}
