/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Users in a tracker's directory, as if they had registered: the same merge, with real signatures.
 *
 *   fill-directory STATE-DIR FIRST COUNT
 *
 * The tracker must not run.
 */

#include <systemd/sd-event.h>

#include "bench.h"
#include "net/loop-sd-event.h"
#include "node/dstore.h"
#include "people.h"
#include "util/fs.h"

/* Registrations that wait for one commit. */
#define BATCH 1000

static size_t awaited;

static void on_merged(void *userdata, int error, const MergeResult *results) {
        bench_check(error, "merge");
        if (results[0] != MERGE_STORED || results[1] != MERGE_STORED)
                bench_check(-EEXIST, "merge");
        awaited--;
}

static void fill_one(Loop *loop, DStore *d, size_t number) {
        DStoreMerge rows[2] = {{.kind = DIRECTORY_NAME, .merge = merge_name},
                {.kind = DIRECTORY_USER, .merge = merge_user}};
        Someone one = {};
        char name[NAME_SIZE];

        snprintf(name, sizeof(name), "filled%zu", number);
        bench_check(someone_make(loop, name, &one), "identity");
        rows[0].blob = rows[1].blob = one.local.record;
        directory_key_name(name, rows[0].key);
        directory_key_account(DIRECTORY_USER, sign_key_public(&one.account), rows[1].key);
        awaited++;
        d->ops->rec_merge(d, rows, 2, on_merged, NULL);
        someone_done(&one);
}

int main(int argc, char **argv) {
        size_t first, count;
        sd_event *event;
        Loop *loop;
        DStore *d;
        char *dir;

        if (argc != 4) {
                fprintf(stderr, "usage: fill-directory STATE-DIR FIRST COUNT\n");
                return 2;
        }
        first = bench_number(argv[2]);
        count = bench_number(argv[3]);
        dir = fs_join(argv[1], "directory");
        bench_check(dir ? crypto_init() : -ENOMEM, "crypto");
        bench_check(sd_event_new(&event), "event loop");
        bench_check(loop_sd_event_new(event, &loop), "loop");
        bench_check(dstore_lmdb_open(loop, dir, &d), dir);
        for (size_t i = 0; i < count; i++) {
                fill_one(loop, d, first + i);
                while (awaited >= BATCH || (i + 1 == count && awaited > 0))
                        bench_check(sd_event_run(event, UINT64_MAX), "loop");
        }
        dstore_close(d);
        loop_sd_event_free(loop);
        sd_event_unref(event);
        free(dir);
        return 0;
}
