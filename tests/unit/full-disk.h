/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A disk on which as much is free as a test says. */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/macro.h"

#define MIB (UINT64_C(1) << 20)

/* The disk: these stand before the C library's functions. What is free is what a test says, less
 * what the reserve takes; the rest of the file system is left out. */
static uint64_t disk_free = 100 * MIB;
static _unused_ bool broken; /* it has room, and does not write */
static char reserve_path[128];

static uint64_t reserve_size(void) {
        struct stat st;

        return stat(reserve_path, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

static uint64_t really_free(void) {
        return disk_free > reserve_size() ? disk_free - reserve_size() : 0;
}

/* Under the names that large files have them changed to here. */
int fake_statvfs(const char *path, struct statvfs *ret) __asm__("statvfs64");

int fake_statvfs(const char *path, struct statvfs *ret) {
        *ret = (struct statvfs){.f_frsize = 4096, .f_bsize = 4096};
        ret->f_blocks = 1000 * MIB / 4096;
        ret->f_bfree = ret->f_bavail = really_free() / 4096;
        return 0;
}

int fake_fallocate(int fd, off_t at, off_t size) __asm__("posix_fallocate64");

int fake_fallocate(int fd, off_t at, off_t size) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return errno;
        if ((uint64_t)(size - st.st_size) > really_free())
                return ENOSPC;
        return syscall(SYS_fallocate, fd, 0, at, size) < 0 ? errno : 0;
}

static int write_error(size_t n) {
        return broken || n > really_free() ? EIO : 0; /* what LMDB makes of a short write */
}

/* LMDB was built without large files' names. */
ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");

ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) {
        errno = write_error(n);
        return errno ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n) {
        errno = write_error(v[0].iov_len);
        return errno ? -1 : syscall(SYS_writev, fd, v, n);
}
