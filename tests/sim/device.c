/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A user's new device, as it is when a hand-over is complete: all that the old one had, and a
 * certificate of the next epoch. The old one is kept, with nobody in front of it.
 */

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"
#include "machine.h"
#include "store/prekey.h"
#include "util/fs.h"

static int copy_file(const char *from, const char *to) {
        _cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC);
        _cleanup_(closep) int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        struct stat st;

        if (in < 0 || out < 0 || fstat(in, &st) < 0)
                return -errno;
        while (st.st_size > 0) {
                ssize_t n = sendfile(out, in, NULL, (size_t)st.st_size);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                st.st_size -= n;
        }
        return 0;
}

static int copy_store(const char *from, const char *to) {
        _cleanup_(freep) char *source = fs_join(from, "db/data.mdb");
        _cleanup_(freep) char *folder = fs_join(to, "db");
        _cleanup_(freep) char *target = fs_join(to, "db/data.mdb");
        int r;

        if (!source || !folder || !target)
                return -ENOMEM;
        r = fs_mkdir_p(folder);
        return r < 0 ? r : copy_file(source, target);
}

static int take_epoch(Store *s) {
        Identity i;
        int r;

        r = store_load_identity(s, &i);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        i.epoch++;
        sign_key_generate(&i.device);
        buffer_clear(&i.certificate);
        buffer_clear(&i.record);
        r = store_save_identity(s, &i);
        identity_done(&i);
        return r < 0 ? r : store_commit(s);
}

static int new_device(Machine *m, const char *dir) {
        Store *s = NULL;
        int r;

        r = copy_store(m->dir, dir);
        if (r >= 0)
                r = store_open(dir, m->loop, &s);
        if (r >= 0)
                r = take_epoch(s);
        store_close(s);
        return r;
}

static bool is_at_rest(const Machine *m) {
        return m->kind == MACHINE_DAEMON && !m->running && !m->asleep && !m->destroyed &&
                m->starts > 0 && !(m->old && (m->old->running || m->old->asleep));
}

int machine_copy_disk(Machine *m, char **ret_dir) {
        _cleanup_(freep) char *dir = NULL;
        char name[NAME_SIZE + 16];
        int r;

        if (m->kind != MACHINE_DAEMON || m->destroyed || m->starts == 0)
                return -EBUSY;
        snprintf(name, sizeof(name), "%s.copy%u", m->name, ++m->n_copies);
        dir = fs_join(m->world->dir, name);
        r = dir ? copy_store(m->dir, dir) : -ENOMEM;
        if (r < 0)
                return r;
        world_trace(m->world, m, "has its disk copied");
        free(*ret_dir);
        *ret_dir = TAKE_PTR(dir);
        return 0;
}

/* Once a world: who signs two things with one number does so again, and is believed no more. */
int machine_double(Machine *m) {
        _cleanup_(freep) char *dir = NULL;
        char name[NAME_SIZE + 16];
        int r;

        if (!is_at_rest(m) || m->has_twin || m->n_devices > 0)
                return -EBUSY;
        snprintf(name, sizeof(name), "%s.twin", m->name);
        dir = fs_join(m->world->dir, name);
        r = dir ? copy_store(m->dir, dir) : -ENOMEM;
        if (r >= 0 && !m->old)
                r = machine_new_old(m);
        if (r < 0)
                return r;
        world_trace(m->world, m, "has a twin");
        free(m->old->dir);
        m->old->dir = TAKE_PTR(dir);
        m->has_twin = m->device_known = true;
        return 0;
}

int machine_renew(Machine *m) {
        _cleanup_(freep) char *dir = NULL;
        char name[NAME_SIZE + 16];
        int r;

        if (!is_at_rest(m) || m->has_twin)
                return -EBUSY;
        snprintf(name, sizeof(name), "%s.%u", m->name, ++m->n_devices);
        dir = fs_join(m->world->dir, name);
        r = dir ? new_device(m, dir) : -ENOMEM;
        if (r < 0)
                return r;
        world_trace(m->world, m, "has a new device");
        if (!m->old)
                r = machine_new_old(m);
        if (r < 0)
                return r;
        m->device_known = false;
        free(m->old->dir);
        m->old->dir = m->dir;
        m->dir = TAKE_PTR(dir);
        return 0;
}

static int drop_prekey(Store *s) {
        DbKey k = DB_KEY_NULL;
        PrekeyRow newest;
        int r;

        r = prekey_newest(store_write(s), &newest);
        if (r <= 0)
                return r;
        db_key_u64(&k, newest.id);
        r = db_del(store_write(s), TABLE_PREKEY, &k);
        return r < 0 ? r : store_commit(s);
}

int machine_lose_prekey(Machine *m) {
        Store *s = NULL;
        int r;

        if (m->kind != MACHINE_DAEMON || m->running || m->asleep || m->destroyed || m->starts == 0)
                return -EBUSY;
        world_trace(m->world, m, "loses its newest prekey");
        r = store_open(m->dir, m->loop, &s);
        if (r >= 0)
                r = drop_prekey(s);
        store_close(s);
        return r;
}
