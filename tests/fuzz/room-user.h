/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The user of fuzz-room-link.c: his program, how each run finds it, and what he does. */

#include "room-model.h"

#define ASKED_MAX 64
#define JOIN_PATIENCE (25 * USEC_PER_SEC)
#define ASK_PATIENCE (5 * USEC_PER_SEC)
#define OWN_MAX 128

/* What has been asked of the program, which answers once. */
typedef struct Asked {
        usec_t at;
        bool open;
} Asked;

static Asked joins[ASKED_MAX], asks[ASKED_MAX];
static size_t n_joins, n_asks;
static Uuid own[OWN_MAX]; /* sent by the user */
static size_t n_own;
static bool typing[_PEOPLE_MAX][_ROOMS_MAX];
static bool claimed; /* somebody has said what he has */
static bool large; /* rooms are, from two members on */

/* What rooms/ asks of the others */

static void on_want_link(void *userdata, const uint8_t account[static KEY_SIZE], bool want) {
        (void)delivery_hold_link(bob.delivery, account, want);
}

static Link *on_link(void *userdata, const uint8_t account[static KEY_SIZE]) {
        return delivery_room_link(bob.delivery, account);
}

static bool on_is_online(void *userdata, const uint8_t account[static KEY_SIZE]) {
        for (unsigned i = 0; i < _PEOPLE_MAX; i++)
                if (online & 1 << i && key_equal(account_of(i), account))
                        return true;
        return false;
}

/* Only members, those who were, and who is invited are told anything. */
static void check_notice(Bytes outer, const uint8_t *to) {
        static RoomNotice n;
        FUZZ_OWN_MEMORY;
        unsigned room;

        MUST(room_notice_decode(outer, &n) == 0 && key_equal(n.to, to));
        MUST(key_equal(n.account, account_of(BOB)) && is_own_device(n.device));
        room = find_chat(n.room);
        MUST(room < _ROOMS_MAX && n.what < _ROOM_NOTICE_MAX);
        for (unsigned i = 0; i < _PEOPLE_MAX; i++)
                if (key_equal(account_of(i), to))
                        MUST(chats[room].known[i] || room_knows(room_here(room), to));
}

static int on_leave_notice(void *userdata, const uint8_t account[static KEY_SIZE], Bytes notice) {
        check_notice(notice, account);
        return 0;
}

static void on_typing(
        void *userdata, uint32_t room, const uint8_t account[static KEY_SIZE], bool on) {
        unsigned chat = find_chat(room_by_number(rooms, room)->row.id);

        for (unsigned i = 0; i < DAVE_NEWER; i++)
                if (key_equal(account_of(i), account)) {
                        MUST(typing[i][chat] != on);
                        typing[i][chat] = on;
                        return;
                }
        MUST(false);
}

static void on_each_near(void *userdata, RoomsNearFn fn, void *fn_userdata) {
        for (unsigned i = 0; i < DAVE_NEWER; i++)
                if (online & 1 << i && !fn(fn_userdata, account_of(i)))
                        return;
}

/* There may be more than one commit in a turn. */
static void on_changed(void *userdata, uint32_t room) {
        FUZZ_OWN_MEMORY;

        note_all();
}

static const RoomsCallbacks callbacks = {
        .changed = on_changed,
        .link = on_link,
        .want_link = on_want_link,
        .is_online = on_is_online,
        .leave_notice = on_leave_notice,
        .typing = on_typing,
        .each_near = on_each_near,
};

/* What delivery asks of rooms/ */

static void user_start(Stack *s) {
        MUST(rooms_new(sim.loop, s->store, &s->self, &s->who.local, 1000, &callbacks, NULL,
                     &rooms) == 0);
        if (large) {
                rooms->sync->mesh_max = 1;
                rooms->sync->gossip_links = 2;
                rooms->sync->gossip_eager = 1;
        }
        rooms_start(rooms);
}

static void user_stop(Stack *s) {
        rooms = rooms_free(rooms);
}

static void user_link(Stack *s, Link *l, const uint8_t account[static KEY_SIZE], bool up) {
        if (rooms && up)
                rooms_link_up(rooms, l);
        else if (rooms)
                rooms_link_down(rooms, account);
}

static int user_frame(Stack *s, Link *l, Frame *f) {
        return rooms_frame(rooms, l, f);
}

static void user_drained(Stack *s, Link *l) {
        rooms_drained(rooms, l);
}

static void user_notice(Stack *s, Bytes notice, Bytes record) {
        rooms_notice(rooms, notice, record);
}

static const StackRooms user_hooks = {
        .start = user_start,
        .stop = user_stop,
        .link = user_link,
        .frame = user_frame,
        .drained = user_drained,
        .notice = user_notice,
};

/* What he sees. What is shown may go, and come again after that. */

static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        uint8_t hash[SHA256_SIZE];
        HistoryRow row;
        Said *s;

        MUST(e->cursor == bob.told + 1);
        bob.told = e->cursor;
        switch (e->kind) {
        case EVENT_RECEIVED:
                if (history_get(txn, e->feed, e->seq, &row) != 1)
                        return true; /* it came and went in one batch */
                sha256(row.entry.inner.data, row.entry.inner.size, hash);
                s = find_said(hash);
                MUST(s && s->proven && !s->shown);
                s->shown = true;
                return true;
        case EVENT_STATE:
                for (size_t i = 0; i < n_own; i++)
                        if (uuid_equal(&own[i], &e->id)) {
                                MUST(claimed || e->state == MESSAGE_QUEUED);
                                return true;
                        }
                MUST(e->state == MESSAGE_READ || e->state == MESSAGE_RECEIVED);
                return true;
        default:
                MUST(e->kind == EVENT_ROOM && e->change < _ROOM_EVENT_MAX);
                return true;
        }
}

/* An entry is there at most once, under its hash. */
static void note_gone(DbTxn *txn) {
        for (size_t i = 0; i < n_said; i++) {
                const RoomPosition *at = &said[i].at;
                uint8_t tag[ROOM_TAG_SIZE], hash[SHA256_SIZE];
                RoomRow room;
                RoomFeed f;
                Entry e;

                if (!said[i].shown)
                        continue;
                said[i].shown = false;
                room_feed_tag(at->account, at->epoch, at->device, tag);
                if (room_find(txn, at->room, &room) <= 0 ||
                        room_feed_find_tag(txn, room.number, tag, &f) <= 0 ||
                        entry_get(txn, f.feed.number, at->seq, &e) <= 0)
                        continue;
                sha256(e.inner.data, e.inner.size, hash);
                said[i].shown = memcmp(hash, said[i].hash, SHA256_SIZE) == 0;
        }
}

static void on_events(void *userdata, int error) {
        FUZZ_OWN_MEMORY;
        DbTxn *txn;

        if (error < 0)
                return;
        MUST(store_read_begin(bob.store, &txn) == 0);
        MUST(event_each(txn, bob.told, on_event, NULL) == 0);
        note_gone(txn);
        store_read_end(txn);
}

/* His program */

static void bob_start(void) {
        memset(typing, 0, sizeof(typing));
        stack_start(&bob);
        store_set_events_fn(bob.store, on_events, NULL);
        for (unsigned i = 0; i < ASKED_MAX; i++)
                MUST(!joins[i].open && !asks[i].open);
}

static void bob_stop(void) {
        for (int i = 0; i < CONNECTIONS; i++)
                raw_close(&connections[i].end);
        memset(connections, 0, sizeof(connections));
        {
                FUZZ_THEIR_MEMORY;
                stack_stop(&bob);
        }
        for (unsigned i = 0; i < _PEOPLE_MAX; i++)
                for (unsigned k = 0; k < _ROOMS_MAX; k++)
                        MUST(!typing[i][k]);
}

static void bob_restart(bool kill_him) {
        if (n_costly++ >= COSTLY_MAX)
                return;
        if (kill_him)
                store_image_take(&dir, &killed);
        bob_stop();
        if (kill_him)
                store_image_put(&dir, &killed);
        bob_start();
        check_store();
}

/* With a record that names a prekey, by which somebody is given room keys. */
static void make_record(Person *p, unsigned n, Buffer *ret) {
        uint8_t seed[HPKE_SEED_SIZE] = {(uint8_t)(1 + n)};
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE];
        PrekeyRow row = {.id = 1, .suite = MAIL_SUITE_HPKE, .made = loop_realtime(sim.loop)};
        Record rec;

        hpke_key_derive(seed, secret, public);
        MUST(record_decode(p->local.record, &rec) == 0);
        rec.prekeys[0] = (Prekey){
                .id = 1, .suite = MAIL_SUITE_HPKE, .key = {.data = public, .size = sizeof(public)}};
        rec.n_prekeys = 1;
        rec.seq++;
        rec.certificate = buffer_bytes(&p->certificate);
        buffer_clear(ret);
        MUST(record_encode(&rec, &p->account, ret) == 0);
        p->local.record = buffer_bytes(ret);
        if (p != &bob.who)
                return;
        memcpy(row.secret, secret, sizeof(secret));
        memcpy(row.public, public, sizeof(public));
        MUST(prekey_put(bob.store, &row) == 0 && store_commit(bob.store) == 0);
}

static void make_bob(void) {
        Person who;

        person_new(&sim, "bob", &who);
        stack_begin(&who, dir.path, &bob);
        bob.room_hooks = &user_hooks;
        stack_start(&bob);
        make_record(&bob.who, BOB, &bob.self.record);
        for (unsigned i = 0; i < FRANK; i++)
                stack_knows(&bob, &people[i], i == ALICE ? CONTACT_PINNED : CONTACT_MEMBER);
        stack_stop(&bob);
        store_image_take(&dir, &begin[0]);
}

/* He is in Alice's room, from which Erin was removed. */
static void come_in(void) {
        RoomChange c[] = {change_of(ROOM_CHANGE_ADD, BOB), change_of(ROOM_CHANGE_REMOVE, ERIN)};
        Bytes certificate = people[ALICE].local.certificate;
        RoomCertificates list = {.list = &certificate, .n = 1};
        RoomReason why;
        Room *room;

        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                go_on(TEA, &c[i], i == 1);
        stack_start(&bob);
        MUST(room_begin(rooms, chats[TEA].id, "tea", ROOM_JOINING, 0, &room) == 0);
        for (size_t i = 0; i < n_blocks; i++) {
                _cleanup_(buffer_done) Buffer wrap = BUFFER_NULL;
                uint8_t key[ROOM_KEY_SIZE];

                if (blocks[i].room != TEA)
                        continue;
                MUST(room_take_block(room, buffer_bytes(&blocks[i].bytes), &list, &why) == TAKEN);
                block_key(i, key);
                if (!blocks[i].has_key)
                        continue;
                MUST(make_wrap(TEA, blocks[i].epoch, BOB, key, &wrap) == 0);
                MUST(room_take_wrap(room, buffer_bytes(&wrap), &why) == TAKEN);
        }
        for (unsigned i = 0; i < ERIN; i++)
                MUST(room_take_record(room, buffer_bytes(&records[i]), &why) >= 0);
        MUST(store_commit(bob.store) == 0);
        stack_stop(&bob);
        store_image_take(&dir, &begin[1]);
}

/* And has a private one of his own, in which Carol is an admin, and from which Erin was removed. */
static void make_den(void) {
        RoomsCreate c = {
                .name = "den", .access = ROOM_ACCESS_PRIVATE, .history = ROOM_HISTORY_JOINED};
        RoomsError e = {};
        uint32_t number;

        stack_start(&bob);
        MUST(rooms_create(rooms, &c, &number, &e) == 0);
        memcpy(chats[DEN].id, room_by_number(rooms, number)->row.id, ROOM_ID_SIZE);
        memcpy(chats[DEN].nonce, roster_nonce(room_here(DEN)->roster), ROOM_NONCE_SIZE);
        for (unsigned i = CAROL; i <= ERIN; i++) {
                RoomReason why;

                MUST(rooms_invite(rooms, number, account_of(i), &e) == 0);
                MUST(room_admit(room_by_number(rooms, number), account_of(i), people[i].name, NULL,
                             0, &why) == TAKEN);
                MUST(store_commit(bob.store) == 0);
                loop_virtual_run(sim.loop, USEC_PER_SEC);
        }
        MUST(rooms_set_role(rooms, number, account_of(CAROL), ROOM_ROLE_ADMIN, &e) == 0);
        MUST(rooms_kick(rooms, number, account_of(ERIN), &e) == 0);
        MUST(store_commit(bob.store) == 0);
        stack_stop(&bob);
        store_image_take(&dir, &begin[2]);
}

static void make_world(void) {
        static const char *const names[] = {"alice", "carol", "dave", "erin", "frank"};

        sim_new(&sim, 1);
        store_dir_make(&dir, "db");
        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                person_new(&sim, names[i], &people[i]);
        person_on_device(&people[DAVE], 2, &people[DAVE_NEWER]);
        for (unsigned i = 0; i < _PEOPLE_MAX; i++)
                make_record(&people[i], i, &records[i]);
        make_bob();
        chats[TEA] = (Chat){.name = "tea", .founder = ALICE, .nonce = {1}};
        chats[DEN] = (Chat){.name = "den", .founder = BOB};
        chats[CAVE] = (Chat){.name = "cave", .founder = FRANK, .nonce = {2}};
        for (unsigned i = 0; i < _ROOMS_MAX; i++)
                room_id(account_of(chats[i].founder), chats[i].nonce, chats[i].id);
        found(TEA);
        found(CAVE);
        come_in();
        make_den();
        n_blocks_begin = n_blocks;
        memcpy(chats_begin, chats, sizeof(chats));
        sim_free(&sim);
}

/* What he does */

/* R of an act: done, refused, or not kept. */
static void done(int r) {
        MUST(r >= 0 || r == -ECANCELED || fuzz_failed());
        MUST(store_commit(bob.store) == 0 || fuzz_failed());
}

/* One that has run out of memory is over before the user's turn. */
static void settle_batch(void) {
        MUST(store_commit(bob.store) == 0 || fuzz_failed());
        store_read_end(look());
}

static void on_joined(void *userdata, uint32_t room, Code code, const char *text) {
        Asked *a = userdata;

        MUST(a->open && code < _CODE_MAX);
        a->open = false;
}

static void join_as_bob(Script *in, unsigned room, uint8_t who) {
        uint8_t candidates[2][KEY_SIZE];
        RoomsJoin j = {.id = chats[room].id,
                .name = chats[room].name,
                .candidates = candidates,
                .n_candidates = who & 0x80 ? 0 : 1 + (who >> 6 & 1)};
        Asked *a = &joins[n_joins];
        RoomsError e = {};
        int r;

        if (n_joins == ASKED_MAX)
                return;
        for (size_t i = 0; i < ELEMENTSOF(candidates); i++, who >>= 3) {
                memcpy(candidates[i], account_of((who & 7) % _PEOPLE_MAX), KEY_SIZE);
                note_asked(room, (who & 7) % _PEOPLE_MAX);
        }
        n_joins++;
        *a = (Asked){.at = loop_now(sim.loop), .open = true};
        {
                FUZZ_THEIR_MEMORY;
                r = rooms_join(rooms, &j, on_joined, a, &e);
        }
        if (r < 0)
                a->open = false;
        done(r);
}

static void on_offer(void *userdata, const RoomsOffer *o) {
        Asked *a = userdata;

        MUST(a->open);
        if (!o)
                a->open = false;
        else
                MUST(find_chat(o->id) < _ROOMS_MAX && o->access != ROOM_ACCESS_NONE);
}

static void ask_as_bob(const char *words) {
        Asked *a = &asks[n_asks];
        int r;

        if (n_asks == ASKED_MAX)
                return;
        n_asks++;
        *a = (Asked){.at = loop_now(sim.loop), .open = true};
        {
                FUZZ_THEIR_MEMORY;
                r = rooms_ask(rooms, words, on_offer, a);
        }
        MUST(r == 0 || r == -EBUSY || r == -ENOTCONN || fuzz_failed());
        if (r < 0)
                a->open = false;
}

static void send_as_bob(Script *in, const Room *room) {
        uint8_t how = script_u8(in);
        RoomsMessage m = {.text = how & 1 ? script_bytes(in) : text_bytes("from bob"),
                .now = loop_realtime(sim.loop)};
        RoomsError e = {};
        int r;

        if (n_own == OWN_MAX)
                return;
        m.id.bytes[0] = 0xb0;
        m.id.bytes[1] = how & 2 ? script_u8(in) : (uint8_t)n_own;
        own[n_own++] = m.id;
        {
                FUZZ_THEIR_MEMORY;
                r = rooms_send(rooms, room->row.number, &m, &e);
        }
        done(r);
}

static void read_as_bob(Script *in, uint32_t room) {
        uint8_t which = script_u8(in);
        int r;

        if (n_said == 0)
                return;
        r = store_room_mark_read(
                bob.store, room, &said[which % n_said].id, loop_realtime(sim.loop), true);
        MUST(r >= 0 || r == -ENOENT);
        if (r >= 0)
                rooms_read(rooms, room);
        MUST(store_commit(bob.store) == 0 || fuzz_failed());
}

static int change_as_bob(uint8_t what, uint32_t room, unsigned target, RoomsError *e) {
        static const char *const topics[] = {"", "roses", "thorns", "a\nb"};
        const uint8_t *account = account_of(target % _TARGET_MAX);
        FUZZ_THEIR_MEMORY;

        switch (what) {
        case 0:
                return rooms_invite(rooms, room, account, e);
        case 1:
                return rooms_kick(rooms, room, account, e);
        case 2:
                return rooms_set_role(rooms, room, account, ROOM_ROLE_MEMBER, e);
        case 3:
                return rooms_set_role(rooms, room, account, ROOM_ROLE_ADMIN, e);
        case 4:
                return rooms_set_role(rooms, room, account, ROOM_ROLE_OWNER, e);
        case 5:
                return rooms_set_topic(rooms, room, topics[target % ELEMENTSOF(topics)], e);
        case 6:
                return rooms_leave(rooms, room, e);
        default:
                return rooms_delete(rooms, room, e);
        }
}

/* The low bits of the second byte say in which room. */
static void act_as_bob(Script *in) {
        uint8_t what = script_u8(in), where = script_u8(in);
        unsigned n = (where & 3) % _ROOMS_MAX;
        RoomsError e = {};
        Room *room;

        settle_batch();
        room = room_here(n);
        if ((what & 15) == 8) {
                join_as_bob(in, n, script_u8(in));
                return;
        }
        if ((what & 15) == 9) {
                ask_as_bob(where & 4 ? "tea" : "");
                return;
        }
        if (!room)
                return;
        if ((what & 15) < 8)
                done(change_as_bob(what & 7, room->row.number, where >> 2, &e));
        else if ((what & 15) == 10)
                send_as_bob(in, room);
        else if ((what & 15) == 11)
                read_as_bob(in, room->row.number);
        else if ((what & 15) == 12) {
                FUZZ_THEIR_MEMORY;
                rooms_type(rooms, room->row.number, where & 4);
        } else if ((what & 15) == 13)
                rooms_set_max_members(rooms, where & 4 ? 2 : 1000);
        else if ((what & 15) == 14) {
                FUZZ_THEIR_MEMORY;
                rooms_presence(rooms, account_of((where >> 2 & 7) % _PEOPLE_MAX), where & 0x80);
        } else
                online = where;
}
