/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Whoever has a tracker's disk:
 *
 *   mail-rows DIRECTORY TABLE...
 *
 * prints the rows of these tables, each as the name of its table, its key and its value in
 * hexadecimal, with "-" for no bytes. By LMDB alone, beside the tracker that writes them.
 */

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int e, const char *what) {
        if (e == 0)
                return;
        fprintf(stderr, "%s: %s\n", what, mdb_strerror(e));
        exit(1);
}

static void print(const MDB_val *v) {
        printf(" ");
        for (size_t i = 0; i < v->mv_size; i++)
                printf("%02x", ((const unsigned char *)v->mv_data)[i]);
        if (v->mv_size == 0)
                printf("-");
}

static void print_table(MDB_txn *txn, const char *name) {
        MDB_cursor *c;
        MDB_val k, v;
        MDB_dbi dbi;
        int e;

        e = mdb_dbi_open(txn, name, 0, &dbi);
        if (e == MDB_NOTFOUND)
                return;
        check(e, name);
        check(mdb_cursor_open(txn, dbi, &c), name);
        while ((e = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
                printf("%s", name);
                print(&k);
                print(&v);
                printf("\n");
        }
        mdb_cursor_close(c);
}

int main(int argc, char **argv) {
        MDB_env *env;
        MDB_txn *txn;

        if (argc < 3) {
                fprintf(stderr, "usage: mail-rows DIRECTORY TABLE...\n");
                return 2;
        }
        check(mdb_env_create(&env), "environment");
        check(mdb_env_set_maxdbs(env, 64), "environment");
        check(mdb_env_open(env, argv[1], MDB_RDONLY | MDB_NOLOCK, 0), argv[1]);
        check(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), argv[1]);
        for (int i = 2; i < argc; i++)
                print_table(txn, argv[i]);
        mdb_txn_abort(txn);
        mdb_env_close(env);
        return 0;
}
