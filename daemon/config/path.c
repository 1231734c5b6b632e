/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config/config.h"

#include <sys/stat.h>

#include "util/fs.h"

#define SYSTEM_DIR "/etc/p2pchat"

/* A file that is there but cannot be reached counts as there, so that reading it fails with the
 * reason instead of the settings being passed over. So does a link to what is not there. */
static bool file_exists(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* Returns the path in *RET if there is such a file, or may be one where a sandbox hides it: else
 * leaves *RET alone. */
static int try_path(const char *dir, const char *below, char **ret) {
        _cleanup_(freep) char *path = NULL;

        if (asprintf(&path, "%s%s", dir, below) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (file_exists(path) || fs_is_hidden(dir))
                *ret = TAKE_PTR(path);
        return 0;
}

int config_path_daemon(char **ret) {
        const char *config_home = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        char *path = NULL;
        int r = 0;

        /* The XDG base directory specification has relative paths ignored. */
        if (config_home && config_home[0] == '/')
                r = try_path(config_home, "/p2pchat/p2pchatd.conf", &path);
        else if (home && home[0] == '/')
                r = try_path(home, "/.config/p2pchat/p2pchatd.conf", &path);
        if (r == 0 && !path)
                r = try_path(SYSTEM_DIR, "/p2pchatd.conf", &path);
        if (r == 0)
                *ret = path;
        return r;
}

int config_path_tracker(char **ret) {
        char *path = NULL;
        int r;

        r = try_path(SYSTEM_DIR, "/p2pchat-tracker.conf", &path);
        if (r == 0)
                *ret = path;
        return r;
}
