/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms that are published, found and listed. */

#include "node-room-lab.h"
#include "node/node-internal.h"

typedef struct World {
        Lab lab;
        User alice, bob;
        Caller a, b;
} World;

static void world_new(World *w) {
        lab_new(&w->lab);
        member_new(&w->lab, "alice", &w->alice, &w->a);
        member_new(&w->lab, "bob", &w->bob, &w->b);
}

static void world_free(World *w) {
        caller_free(&w->a);
        caller_free(&w->b);
        user_done(&w->alice);
        user_done(&w->bob);
        lab_free(&w->lab);
}

static Code find(Caller *c, const char *name) {
        RoomLookupAnswer a;

        return caller_room_lookup(c, name, NULL, NULL, &a);
}

/* Publishing */

TEST(a_room_is_found_by_name_and_by_id_also_after_a_restart) {
        RoomLookupAnswer a;
        LabRoom x;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        CHECK_EQ(find(&w.b, "garden"), CODE_UNKNOWN_ROOM);
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        CHECK_EQ(caller_room_lookup(&w.b, "garden", NULL, NULL, &a), CODE_OK);
        CHECK(bytes_equal(a.record, buffer_view(&x.outer)));
        CHECK_EQ(a.count, 0);
        caller_free(&w.a);
        caller_free(&w.b);
        lab_stop_node(&w.lab);
        lab_start_node(&w.lab);
        caller_new(&w.lab, &w.alice, &w.a);
        caller_new(&w.lab, &w.bob, &w.b);
        CHECK_EQ(caller_room_lookup(&w.b, NULL, x.record.room, NULL, &a), CODE_OK);
        CHECK(bytes_equal(a.record, buffer_view(&x.outer)));
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK); /* said again after each connecting */
        lab_room_done(&x);
        world_free(&w);
}

TEST(a_name_belongs_to_the_room_that_came_first) {
        LabRoom first, second;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &first);
        lab_room_new(&w.lab, &w.bob, "garden", &second);
        CHECK_EQ(caller_room_publish(&w.a, &first), CODE_OK);
        CHECK_EQ(caller_room_publish(&w.b, &second), CODE_ROOM_EXISTS);
        first.record.deleted = true;
        CHECK_EQ(caller_room_publish(&w.a, &first), CODE_OK);
        CHECK_EQ(caller_room_publish(&w.b, &second), CODE_OK); /* free again */
        CHECK_EQ(caller_room_publish(&w.a, &first), CODE_OK); /* it is still deleted */
        CHECK_EQ(find(&w.a, "garden"), CODE_OK);
        lab_room_done(&first);
        lab_room_done(&second);
        world_free(&w);
}

TEST(a_room_that_is_deleted_does_not_come_back) {
        RoomLookupAnswer a;
        RoomRecord rec;
        LabRoom x;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        x.record.deleted = true;
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        CHECK_EQ(caller_room_lookup(&w.b, NULL, x.record.room, NULL, &a), CODE_OK);
        CHECK_OK(room_record_decode(a.record, &rec));
        CHECK(rec.deleted);
        x.record.deleted = false;
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_UNKNOWN_ROOM);
        lab_room_done(&x);
        world_free(&w);
}

TEST(a_room_that_was_not_renewed_gives_its_name_away) {
        LabRoom first, second;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &first);
        first.record.expires = w.lab.realtime + USEC_PER_HOUR;
        lab_room_new(&w.lab, &w.bob, "garden", &second);
        CHECK_EQ(caller_room_publish(&w.a, &first), CODE_OK);
        lab_advance(&w.lab, 2 * USEC_PER_HOUR);
        caller_free(&w.b);
        caller_new(&w.lab, &w.bob, &w.b);
        CHECK_EQ(find(&w.b, "garden"), CODE_UNKNOWN_ROOM);
        CHECK_EQ(caller_room_publish(&w.b, &second), CODE_OK);
        lab_room_done(&first);
        lab_room_done(&second);
        world_free(&w);
}

TEST(only_the_owner_publishes_a_room) {
        LabRoom x;
        uint8_t *p;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        (void)lab_room_sign(&x);
        CHECK_EQ(caller_room_publish_bytes(&w.b, buffer_view(&x.outer)), CODE_NOT_OWNER);
        p = (uint8_t *)buffer_data(&x.outer) + buffer_size(&x.outer) - 5;
        *p ^= 1;
        CHECK_EQ(caller_room_publish_bytes(&w.a, buffer_view(&x.outer)), CODE_INVALID_ARGS);
        CHECK_EQ(find(&w.b, "garden"), CODE_UNKNOWN_ROOM);
        lab_room_done(&x);
        world_free(&w);
}

TEST(who_has_the_room_from_its_owner_is_its_owner) {
        LabRoom x, old;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        old = x;
        old.outer = BUFFER_NULL;
        lab_room_give(&x, &w.bob, 5);
        CHECK_EQ(caller_room_publish(&w.b, &x), CODE_OK);
        /* Whatever she signs now. */
        old.record.seq += 1000;
        old.record.head.epoch = 1000;
        CHECK_EQ(caller_room_publish(&w.a, &old), CODE_NOT_OWNER);
        old.record.deleted = true;
        CHECK_EQ(caller_room_publish(&w.a, &old), CODE_NOT_OWNER);
        CHECK_EQ(find(&w.a, "garden"), CODE_OK);
        buffer_done(&old.outer);
        /* And back. */
        lab_room_give(&x, &w.alice, 6);
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        x.record.deleted = true;
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        lab_room_done(&x);
        world_free(&w);
}

TEST(a_history_of_owners_that_does_not_hold_is_refused) {
        LabRoom x;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        x.owner = &w.bob;
        lab_room_give(&x, &w.bob, 5); /* Bob gives what he does not have */
        CHECK_EQ(caller_room_publish(&w.b, &x), CODE_INVALID_ARGS);
        lab_room_done(&x);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        lab_room_give(&x, &w.bob, 5);
        lab_room_give(&x, &w.alice, 5); /* not later */
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_INVALID_ARGS);
        lab_room_done(&x);
        world_free(&w);
}

TEST(what_does_not_fit_is_refused_with_what_is_wrong) {
        RoomRecord good;
        LabRoom x;
        World w;

        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        good = x.record;
        x.record.expires = x.record.issued + 1;
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_INVALID_ARGS);
        x.record = good;
        x.record.issued += 2 * USEC_PER_DAY;
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_INVALID_ARGS);
        x.record = good;
        x.record.seq += 2 * USEC_PER_DAY / USEC_PER_MSEC;
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_INVALID_ARGS);
        x.record = good;
        lab_room_make_private(&x, 1);
        x.record.topic = text_bytes("secret");
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_INVALID_ARGS);
        x.record = good;
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        snprintf(x.record.name, sizeof(x.record.name), "park"); /* as many names as one likes */
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_INVALID_ARGS);
        CHECK_EQ(find(&w.a, "park"), CODE_UNKNOWN_ROOM);
        lab_room_done(&x);
        world_free(&w);
}

TEST(two_names_at_once_are_one_too_many) {
        RoomPublish *p = calloc(1, sizeof(*p));
        unsigned taken = 0;
        LabRoom x;
        World w;
        Frame f;

        CHECK(p);
        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "garden", &x);
        for (int i = 0; i < 2; i++) {
                snprintf(x.record.name, sizeof(x.record.name), "garden%d", i);
                p->record = lab_room_sign(&x);
                caller_sent(
                        &w.a, room_publish_encode(conn_output(w.a.conn), ++w.a.last_request, p));
        }
        for (int i = 0; i < 2; i++) {
                LAB_UNTIL(&w.lab, caller_has(&w.a, FRAME_OK) || caller_has(&w.a, FRAME_ERROR));
                f = caller_take(&w.a, caller_has(&w.a, FRAME_OK) ? FRAME_OK : FRAME_ERROR);
                taken += frame_code(&f) == CODE_OK;
        }
        CHECK_EQ(taken, 1);
        CHECK((find(&w.b, "garden0") == CODE_OK) != (find(&w.b, "garden1") == CODE_OK));
        free(p);
        lab_room_done(&x);
        world_free(&w);
}

TEST(an_account_has_so_many_rooms) {
        LabRoom x;
        World w;

        world_new(&w);
        for (int i = 0; i < OWNED_ROOMS_MAX; i++) {
                char name[16];

                if (i > 0)
                        lab_room_done(&x);
                snprintf(name, sizeof(name), "room%d", i);
                lab_room_new(&w.lab, &w.alice, name, &x);
                CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        }
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK); /* those that there are are renewed */
        {
                LabRoom other;

                lab_room_new(&w.lab, &w.alice, "other", &other);
                CHECK_EQ(caller_room_publish(&w.a, &other), CODE_TOO_MANY);
                x.record.deleted = true;
                CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
                CHECK_EQ(caller_room_publish(&w.a, &other), CODE_OK);
                lab_room_done(&other);
        }
        lab_room_done(&x);
        world_free(&w);
}

TEST(an_address_publishes_so_many_new_rooms_in_an_hour) {
        LabRoom x, y, z;
        World w;

        world_new(&w);
        w.lab.limits.registrations_per_hour = 2;
        lab_room_new(&w.lab, &w.alice, "x", &x);
        lab_room_new(&w.lab, &w.bob, "y", &y);
        lab_room_new(&w.lab, &w.alice, "z", &z);
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        CHECK_EQ(caller_room_publish(&w.b, &y), CODE_OK);
        CHECK_EQ(caller_room_publish(&w.a, &z), CODE_RATE_LIMITED);
        CHECK_EQ(caller_room_publish(&w.a, &x), CODE_OK);
        lab_room_done(&x);
        lab_room_done(&y);
        lab_room_done(&z);
        world_free(&w);
}

/* Listing */

/* All pages of the search; N is how many rooms there were, and RET_PAGES how many pages. */
static size_t list_all(Caller *c, const char *words, uint64_t limit, size_t *ret_pages) {
        RoomListAnswer *a = malloc(sizeof(*a));
        uint8_t after[ROOM_LIST_AFTER_MAX];
        RoomList l = {.words = text_bytes(words), .limit = limit};
        size_t n = 0;
        Frame f;

        CHECK(a);
        *ret_pages = 0;
        do {
                caller_sent(c, room_list_encode(conn_output(c->conn), ++c->last_request, &l));
                f = caller_answer(c);
                CHECK_EQ(frame_code(&f), CODE_OK);
                CHECK_OK(room_list_answer_decode(&f, a));
                n += a->n_rooms;
                if (a->after.size > 0)
                        memcpy(after, a->after.data, a->after.size);
                l.after = (Bytes){after, a->after.size};
                ++*ret_pages;
        } while (l.after.size > 0);
        free(a);
        return n;
}

TEST(rooms_are_listed_page_by_page_and_by_their_words) {
        static const char *const topics[] = {"Roses and Thorns", "Vegetables", ""};
        LabRoom rooms[30];
        size_t pages;
        World w;

        world_new(&w);
        for (size_t i = 0; i < ELEMENTSOF(rooms); i++) {
                char name[16];

                snprintf(name, sizeof(name), "room%zu", i);
                lab_room_new(&w.lab, &w.alice, name, &rooms[i]);
                rooms[i].record.topic = text_bytes(topics[i % 3]);
                CHECK_EQ(caller_room_publish(&w.a, &rooms[i]), CODE_OK);
        }
        CHECK_EQ(list_all(&w.b, "", 7, &pages), 30);
        CHECK_EQ(pages, 5);
        CHECK_EQ(list_all(&w.b, "roses", 50, &pages), 10);
        CHECK_EQ(list_all(&w.b, "thorns ROOM1", 50, &pages), 3); /* 12, 15, 18 */
        CHECK_EQ(list_all(&w.b, "room29", 50, &pages), 1);
        CHECK_EQ(list_all(&w.b, "  ", 50, &pages), 30);
        CHECK_EQ(list_all(&w.b, "weeds", 50, &pages), 0);
        rooms[29].record.deleted = true;
        CHECK_EQ(caller_room_publish(&w.a, &rooms[29]), CODE_OK);
        CHECK_EQ(list_all(&w.b, "room29", 50, &pages), 0);
        for (size_t i = 0; i < ELEMENTSOF(rooms); i++)
                lab_room_done(&rooms[i]);
        world_free(&w);
}

TEST(a_list_says_how_many_are_online_but_not_in_private) {
        RoomListAnswer *a = malloc(sizeof(*a));
        LabRoom open, closed;
        uint64_t online = 0;
        World w;
        Frame f;

        CHECK(a);
        world_new(&w);
        lab_room_new(&w.lab, &w.alice, "open", &open);
        lab_room_new(&w.lab, &w.alice, "closed", &closed);
        lab_room_make_private(&closed, 3);
        CHECK_EQ(caller_room_publish(&w.a, &open), CODE_OK);
        CHECK_EQ(caller_room_publish(&w.a, &closed), CODE_OK);
        CHECK_EQ(caller_room_enter(&w.b, open.record.room, NULL), CODE_OK);
        CHECK_EQ(caller_room_enter(&w.b, closed.record.room, closed.door), CODE_OK);
        CHECK_EQ(caller_room_online(&w.a, &closed, closed.door), 1);
        caller_sent(&w.a,
                room_list_encode(
                        conn_output(w.a.conn), ++w.a.last_request, &(RoomList){.limit = 50}));
        f = caller_answer(&w.a);
        CHECK_EQ(frame_code(&f), CODE_OK);
        CHECK_OK(room_list_answer_decode(&f, a));
        CHECK_EQ(a->n_rooms, 2);
        for (size_t i = 0; i < 2; i++) {
                RoomRecord rec;

                CHECK_OK(room_record_decode(a->rooms[i].record, &rec));
                if (streq(rec.name, "open"))
                        online = a->rooms[i].online;
                else
                        CHECK_EQ(a->rooms[i].online, 0);
        }
        CHECK_EQ(online, 1);
        free(a);
        lab_room_done(&open);
        lab_room_done(&closed);
        world_free(&w);
}
