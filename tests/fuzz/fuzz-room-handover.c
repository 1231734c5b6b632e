/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A device that takes rooms over: a new store, and the items that another device of the account
 * gives. The script says which of them come, in what order, whole or altered, and when the program
 * ends. What must hold: an item has one form; what is in memory is what is on disk; and whatever
 * has come, all items in order then make both devices level.
 */

#include "stateful.h"

#include "../unit/rooms-lab.h"
#include "rooms/handover-item.h"
#include "rooms/handover.h"
#include "store-dir.h"

#define ITEMS_MAX 128
#define STEPS_MAX 48

static RoomsLab lab;
static Mate *const new = &lab.mate[3];
static StoreDir dir;
static StoreImage begin;
static Buffer items[ITEMS_MAX];
static size_t n_items;
static Digest all; /* of the device that gives, for each room */
static uint8_t feeds[SHA256_SIZE], proposals[SHA256_SIZE], forks[SHA256_SIZE];
static unsigned n_steps;

/* The device that gives */

static void keep_items(const Buffer *piece) {
        CborReader r = cbor_reader(buffer_data(piece), buffer_size(piece));

        while (r.p < r.end) {
                const uint8_t *at = r.p;

                r.left[0] = 1;
                cbor_skip(&r);
                MUST(r.error >= 0 && n_items < ITEMS_MAX);
                MUST(buffer_append(&items[n_items++], at, (size_t)(r.p - at)) == 0);
        }
}

static void read_all(Mate *old) {
        _cleanup_(buffer_done) Buffer piece = BUFFER_NULL, next = BUFFER_NULL;
        uint64_t n;
        DbTxn *txn;

        MUST(store_read_begin(old->store, &txn) == 0);
        MUST(rooms_handover_read(txn, &old->self, (Bytes){}, SIZE_MAX, &piece, &n, &next) == 0);
        store_read_end(txn);
        keep_items(&piece);
        MUST(n == n_items);
}

static void have_read(Mate *m, const Uuid *id) {
        MUST(store_room_mark_read(
                     m->store, m->room->row.number, id, loop_realtime(lab.sim.loop), true) == 1);
        lab_commit(m);
}

static void make_rooms(void) {
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];
        RoomsError e;
        Uuid id;

        MUST(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e) == 0);
        mate_join(bob, alice);
        mate_join(carol, alice);
        mate_says(alice, "one");
        id = mate_uuid(alice, alice->next_id);
        mate_says(bob, "two");
        lab_level(&lab);
        have_read(bob, &id);
        mate_says(alice, "three");
        lab_clone(&lab, 2, 3, false);
        clone_joins(new, alice);
        new->next_id = 1000;
        mate_says(carol, "four");
        mate_says(new, "fork");
        give(carol, bob);
        give(new, bob);
        mate_says(bob, "five");
        MUST(rooms_set_role(alice->rooms, alice->room->row.number, mate_account(bob),
                     ROOM_ROLE_OWNER, &e) == 0);
        lab_commit(alice);
        give(alice, bob);
        lab_pause(&lab);
        lab_commit(bob);
        give(bob, alice);
        lab_pause(&lab);
        lab_commit(alice);
        give(alice, bob);
        MUST(rooms_set_topic(alice->rooms, alice->room->row.number, "tea", &e) == 0);
        lab_commit(alice);
        give(alice, bob);
}

static void make_world(void) {
        Mate *bob = &lab.mate[1];

        store_dir_make(&dir, "db");
        lab_new(&lab, 1, 4);
        make_rooms();
        lab_clone(&lab, 1, 3, true);
        read_all(bob);
        all = mate_digest(bob);
        memcpy(feeds, bob->room->row.feeds_digest, SHA256_SIZE);
        memcpy(proposals, bob->room->row.proposals_digest, SHA256_SIZE);
        memcpy(forks, bob->room->row.forks_digest, SHA256_SIZE);
        for (unsigned i = 0; i < 3; i++)
                mate_free(&lab.mate[i]);
        mate_close(new);
        MUST(nftw(new->dir, lab_remove, 8, FTW_DEPTH | FTW_PHYS) == 0);
        snprintf(new->dir, sizeof(new->dir), "%s", dir.path);
        mate_open(new);
        lab_commit(new);
        mate_close(new);
        store_image_take(&dir, &begin);
}

/* The device that takes */

static void check_form(Bytes item) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        static RoomItem it;

        if (room_item_decode(item, &it) < 0)
                return;
        MUST(room_item_encode(&again, &it) == 0);
        MUST(bytes_equal(buffer_bytes(&again), item));
}

static int commit(void) {
        FUZZ_THEIR_MEMORY;

        return store_commit(new->store);
}

static void take(Bytes item) {
        int r;

        check_form(item);
        {
                FUZZ_THEIR_MEMORY;

                r = rooms_handover_merge(new->rooms, item);
        }
        MUST(r == 1 || r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        if (r == -ENOMEM) {
                (void)commit();
                mate_restart(new);
        }
}

static void check_as_on_disk(void) {
        Digest before, after;
        RoomStatus status;
        Conversation v;

        MUST(store_commit(new->store) == 0);
        new->room = room_of(new->rooms, lab.id);
        if (!new->room)
                return;
        before = mate_digest(new);
        status = new->room->row.status;
        MUST(conversation_get(mate_txn(new), new->room->row.number, &v) == 1);
        MUST(v.unread <= before.n);
        mate_restart(new);
        MUST(new->room &&new->room->row.status == status);
        after = mate_digest(new);
        MUST(before.n == after.n && before.epoch == after.epoch);
        MUST(memcmp(before.bytes, after.bytes, SHA256_SIZE) == 0);
        MUST(memcmp(before.roster, after.roster, SHA256_SIZE) == 0);
}

static void take_all(void) {
        for (size_t i = 0; i < n_items; i++)
                MUST(rooms_handover_merge(new->rooms, buffer_bytes(&items[i])) == 1);
        MUST(store_commit(new->store) == 0);
}

static void start(Script *in) {
        if (n_items == 0)
                make_world();
        store_image_put(&dir, &begin);
        mate_open(new);
        n_steps = 0;
}

static void step(Script *in) {
        _cleanup_(buffer_done) Buffer copy = BUFFER_NULL;
        uint8_t how = script_u8(in);
        const Buffer *item = &items[(how >> 2) % n_items];

        if (++n_steps > STEPS_MAX)
                return;
        switch (how & 3) {
        case 0:
                take(buffer_bytes(item));
                break;
        case 1: /* all that follow, as many as the script says */
                for (size_t i = (how >> 2) % n_items, n = script_u8(in); n > 0 && i < n_items;
                        i++, n--)
                        take(buffer_bytes(&items[i]));
                break;
        case 2:
                MUST(buffer_append(&copy, buffer_data(item), buffer_size(item)) == 0);
                script_alter(in, &copy, 0);
                take(buffer_bytes(&copy));
                break;
        default:
                if (commit() >= 0)
                        check_as_on_disk();
                break;
        }
}

static void end(void) {
        Digest d;

        (void)commit();
        mate_restart(new); /* the store too, where there was no memory to open it */
        check_as_on_disk();
        take_all();
        check_as_on_disk();
        take_all();
        MUST(new->room &&new->room->row.status == ROOM_JOINED);
        d = mate_digest(new);
        MUST(d.epoch == all.epoch && d.n == all.n);
        MUST(memcmp(d.bytes, all.bytes, SHA256_SIZE) == 0);
        MUST(memcmp(d.roster, all.roster, SHA256_SIZE) == 0);
        MUST(memcmp(new->room->row.feeds_digest, feeds, SHA256_SIZE) == 0);
        MUST(memcmp(new->room->row.proposals_digest, proposals, SHA256_SIZE) == 0);
        MUST(memcmp(new->room->row.forks_digest, forks, SHA256_SIZE) == 0);
        mate_close(new);
}

void fuzz_one(const uint8_t *data, size_t size) {
        script_run(data, size, start, step, end);
}
