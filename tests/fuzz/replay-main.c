/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs the inputs named on the command line, files or folders of them, through the fuzzer that this
 * is linked to, with all that may fail. The name of each goes to standard error first, so that it
 * is the last one there when an input brings the fuzzer down. */

#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

#include "util/fs.h"

#define INPUT_MAX (16 * 1024 * 1024)

static int replay_file(const char *path) {
        _cleanup_(freep) char *data = NULL;
        size_t size;
        int r;

        fprintf(stderr, "%s\n", path);
        r = fs_read_file(path, INPUT_MAX, &data, &size);
        if (r < 0)
                return r;
        fuzz_replay((const uint8_t *)data, size);
        return 1;
}

static int replay(const char *path);

static int replay_dir(const char *path) {
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort), count = 0;

        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                if (entries[i]->d_name[0] != '.' && count >= 0) {
                        _cleanup_(freep) char *child = fs_join(path, entries[i]->d_name);
                        int r = child ? replay(child) : -ENOMEM;

                        count = r < 0 ? r : count + r;
                }
                free(entries[i]);
        }
        free(entries);
        return count;
}

/* Returns how many inputs were run. */
static int replay(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? replay_dir(path) : replay_file(path);
}

int main(int argc, char **argv) {
        int count = 0;

        for (int i = 1; i < argc; i++) {
                int r = replay(argv[i]);

                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
                        return 1;
                }
                count += r;
        }
        fprintf(stderr, "%d inputs\n", count);
        return count > 0 ? 0 : 1;
}
