/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A directory for a store, in memory where that is to be had, and the file in it as it was at some
 * time: so that each run begins with the same store, and one that is killed can be told from one
 * that ends in order.
 */

#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/fs.h"

#define STORE_FILE_MAX ((size_t)4 * 1024 * 1024)

typedef struct StoreDir {
        char path[64];
        char file[96]; /* of LMDB */
} StoreDir;

typedef struct StoreImage {
        uint8_t data[STORE_FILE_MAX];
        size_t size;
} StoreImage;

static StoreDir *store_dir_to_remove;

static inline int store_dir_unlink(
        const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static inline void store_dir_remove(void) {
        (void)nftw(store_dir_to_remove->path, store_dir_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* SUB is where the store puts its environment. One directory for a program, removed at its end. */
static inline void store_dir_make(StoreDir *d, const char *sub) {
        snprintf(d->path, sizeof(d->path), "/dev/shm/p2pchat-fuzz-XXXXXX");
        if (!mkdtemp(d->path)) {
                snprintf(d->path, sizeof(d->path), "/tmp/p2pchat-fuzz-XXXXXX");
                MUST(mkdtemp(d->path));
        }
        snprintf(d->file, sizeof(d->file), "%s/%s/data.mdb", d->path, sub);
        store_dir_to_remove = d;
        MUST(atexit(store_dir_remove) == 0);
}

static inline void store_image_take(const StoreDir *d, StoreImage *ret) {
        _cleanup_(closep) int fd = open(d->file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, ret->data, sizeof(ret->data));

        MUST(n > 0 && n < (ssize_t)sizeof(ret->data));
        ret->size = (size_t)n;
}

/* While the store is closed. */
static inline void store_image_put(const StoreDir *d, const StoreImage *image) {
        _cleanup_(closep) int fd = open(d->file, O_WRONLY | O_CLOEXEC);

        MUST(fd >= 0 && write(fd, image->data, image->size) == (ssize_t)image->size);
        MUST(ftruncate(fd, (off_t)image->size) == 0);
}
