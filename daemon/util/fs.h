/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Files and directories: private from birth, written whole or not at all, read with a bound. */

#include "util/macro.h"

/* Creates PATH and its missing parents. New directories are 0700; existing ones are left alone. */
int fs_mkdir_p(const char *path);

/* Replaces PATH by N bytes, mode 0600: temporary file, fsync, rename, fsync of the directory. */
int fs_write_file(const char *path, const void *p, size_t n);

/* Reads a file of at most MAX bytes; a larger one is -EFBIG. A zero byte follows the content. */
int fs_read_file(const char *path, size_t max, char **ret, size_t *ret_size);

/* Takes the advisory lock of DIR (file "lock" in it) for as long as the descriptor is open.
 * -EWOULDBLOCK: another process has it. */
int fs_lock_dir(const char *dir, int *ret_fd);

/* Whether PATH is missing because what is above it is covered by an empty file system in memory
 * that cannot be written, as sandboxes cover home directories. */
bool fs_is_hidden(const char *path);

/* What to do where R kept something from being written, to follow the reason: "; give it to …", or
 * "" where it takes something else. */
const char *fs_write_advice(int r);

/* "A/B" in a new string, NULL when memory is out. */
char *fs_join(const char *a, const char *b);
