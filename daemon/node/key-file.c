/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/key-file.h"

#include "util/fs.h"

#define NAME "key"

/* Version, flags, key id, as before all that is stored; then the seed. */
#define HEAD_SIZE 3
#define FILE_SIZE (HEAD_SIZE + KEY_SIZE)
static const uint8_t HEAD[HEAD_SIZE] = {1, 0, 0};

int node_key_read(const char *dir, SignKey *ret) {
        _cleanup_(freep) char *path = fs_join(dir, NAME);
        char *content;
        size_t size;
        int r;

        if (!path)
                return -ENOMEM;
        r = fs_read_file(path, FILE_SIZE, &content, &size);
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        if (size == FILE_SIZE && memcmp(content, HEAD, HEAD_SIZE) == 0)
                sign_key_from_seed((const uint8_t *)content + HEAD_SIZE, ret);
        else
                r = -EBADMSG;
        explicit_bzero(content, size);
        free(content);
        return r;
}

int node_key_create(const char *dir, SignKey *ret) {
        _cleanup_(freep) char *path = fs_join(dir, NAME);
        uint8_t content[FILE_SIZE];
        SignKey key;
        int r;

        if (!path)
                return -ENOMEM;
        sign_key_generate(&key);
        memcpy(content, HEAD, HEAD_SIZE);
        memcpy(content + HEAD_SIZE, sign_key_seed(&key), KEY_SIZE);
        r = fs_write_file(path, content, sizeof(content));
        explicit_bzero(content, sizeof(content));
        if (r >= 0)
                *ret = key;
        sign_key_wipe(&key);
        return r;
}
