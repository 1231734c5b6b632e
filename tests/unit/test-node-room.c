/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is in a room, as those in it hear it. */

#include "node-room-lab.h"
#include "node/node-internal.h"

typedef struct World {
        Lab lab;
        User alice, bob, carol;
        Caller a, b, c;
        LabRoom room; /* Alice's */
} World;

static void world_new(World *w) {
        lab_new(&w->lab);
        member_new(&w->lab, "alice", &w->alice, &w->a);
        member_new(&w->lab, "bob", &w->bob, &w->b);
        member_new(&w->lab, "carol", &w->carol, &w->c);
        lab_room_new(&w->lab, &w->alice, "garden", &w->room);
}

static void world_free(World *w) {
        caller_free(&w->a);
        caller_free(&w->b);
        caller_free(&w->c);
        user_done(&w->alice);
        user_done(&w->bob);
        user_done(&w->carol);
        lab_room_done(&w->room);
        lab_free(&w->lab);
}

static Code enter(Caller *c, const LabRoom *x) {
        return caller_room_enter(c, x->record.room, NULL);
}

/* Long enough that nothing is held back any more. */
static void wait_a_while(World *w) {
        for (int i = 0; i < 10; i++) {
                lab_advance(&w->lab, USEC_PER_SEC);
                lab_settle(&w->lab);
        }
}

TEST(those_in_a_room_hear_who_comes_and_who_leaves) {
        World w;

        world_new(&w);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_ENTERED, &w.bob);
        caller_check_room(&w.b, &w.room, ROOM_PRESENCE_ENTERED, &w.alice);
        CHECK_EQ(caller_room_online(&w.c, &w.room, NULL), 2);
        CHECK(!caller_hears_of_people(&w.c)); /* who is not in it hears nothing */

        CHECK_EQ(caller_room_leave(&w.b, w.room.record.room), CODE_OK);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_LEFT, &w.bob);
        CHECK_EQ(caller_room_online(&w.c, &w.room, NULL), 1);
        CHECK_EQ(enter(&w.c, &w.room), CODE_OK);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_ENTERED, &w.carol);
        CHECK(!caller_hears_of_people(&w.b));
        world_free(&w);
}

TEST(whose_session_ends_is_offline_and_has_not_left) {
        World w;

        world_new(&w);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_ENTERED, &w.bob);
        caller_free(&w.b);
        LAB_UNTIL(&w.lab, node_stats(w.lab.node)->sessions == 2);
        CHECK_EQ(caller_room_online(&w.c, &w.room, NULL), 1);
        wait_a_while(&w);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_OFFLINE, &w.bob);
        CHECK(!caller_hears_of_people(&w.a));

        caller_new(&w.lab, &w.bob, &w.b);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_ENTERED, &w.bob);
        world_free(&w);
}

TEST(who_is_back_at_once_was_never_away) {
        World w;

        world_new(&w);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_ENTERED, &w.bob);
        caller_free(&w.b);
        caller_new(&w.lab, &w.bob, &w.b);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        caller_check_room(&w.b, &w.room, ROOM_PRESENCE_ENTERED, &w.alice);
        wait_a_while(&w);
        CHECK(!caller_hears_of_people(&w.a));

        /* The same device connects anew while the old session is still there. */
        {
                Caller again;

                caller_new(&w.lab, &w.bob, &again);
                LAB_UNTIL(&w.lab, w.b.is_closed);
                CHECK_EQ(enter(&again, &w.room), CODE_OK);
                wait_a_while(&w);
                CHECK(!caller_hears_of_people(&w.a));
                CHECK_EQ(caller_room_online(&w.c, &w.room, NULL), 2);
                caller_free(&again);
        }
        world_free(&w);
}

TEST(many_changes_are_told_as_what_has_come_of_them) {
        unsigned n = 0;
        World w;

        world_new(&w);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.a, &w.room), CODE_OK);
        for (int i = 0; i < 50; i++) {
                CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
                CHECK_EQ(caller_room_leave(&w.b, w.room.record.room), CODE_OK);
        }
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        wait_a_while(&w);
        caller_sync(&w.a);
        for (RoomUpdate u; caller_has(&w.a, FRAME_ROOM_UPDATE); n++) {
                Frame f = caller_take(&w.a, FRAME_ROOM_UPDATE);

                CHECK_OK(room_update_decode(&f, &u));
                if (!caller_has(&w.a, FRAME_ROOM_UPDATE))
                        CHECK_EQ(u.state, ROOM_PRESENCE_ENTERED); /* the last word */
        }
        CHECK(n > 0 && n < 20);
        world_free(&w);
}

TEST(the_newest_record_is_told_to_those_in_the_room) {
        RoomRecord rec;
        RoomUpdate u;
        World w;

        world_new(&w);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        u = caller_take_room_update(&w.b, true);
        CHECK(bytes_equal(u.record, buffer_view(&w.room.outer)));

        w.room.record.topic = text_bytes("roses");
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        u = caller_take_room_update(&w.b, true);
        CHECK_OK(room_record_decode(u.record, &rec));
        CHECK(bytes_equal(rec.topic, text_bytes("roses")));

        w.room.record.deleted = true;
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        u = caller_take_room_update(&w.b, true);
        CHECK_OK(room_record_decode(u.record, &rec));
        CHECK(rec.deleted);
        world_free(&w);
}

TEST(a_room_that_is_entered_before_it_is_known_is_as_if_it_had_been) {
        World w;

        world_new(&w);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.c, &w.room), CODE_OK);
        CHECK(!caller_hears_of_people(&w.b)); /* it might be nobody's business */
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        caller_check_room(&w.b, &w.room, ROOM_PRESENCE_ENTERED, &w.carol);
        caller_check_room(&w.c, &w.room, ROOM_PRESENCE_ENTERED, &w.bob);
        CHECK_EQ(caller_room_online(&w.a, &w.room, NULL), 2);
        world_free(&w);
}

TEST(a_private_room_opens_to_its_door_only) {
        uint8_t wrong[ROOM_DOOR_SIZE] = {1};
        RoomLookupAnswer a;
        World w;

        world_new(&w);
        lab_room_make_private(&w.room, 42);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(caller_room_enter(&w.a, w.room.record.room, w.room.door), CODE_OK);
        CHECK_EQ(caller_room_enter(&w.b, w.room.record.room, wrong), CODE_OK);
        CHECK_EQ(enter(&w.c, &w.room), CODE_OK);
        CHECK(!caller_hears_of_people(&w.a));
        CHECK(!caller_hears_of_people(&w.b));
        CHECK(!caller_hears_of_people(&w.c));
        CHECK_EQ(caller_room_online(&w.b, &w.room, NULL), 0);
        CHECK_EQ(caller_room_online(&w.b, &w.room, wrong), 0);
        CHECK_EQ(caller_room_lookup(&w.b, "garden", NULL, w.room.door, &a), CODE_OK);
        CHECK_EQ(a.count, 1);
        CHECK_EQ(a.n_online, 1);
        CHECK(key_equal(a.online[0], user_account(&w.alice)));

        CHECK_EQ(caller_room_enter(&w.b, w.room.record.room, w.room.door), CODE_OK);
        caller_check_room(&w.a, &w.room, ROOM_PRESENCE_ENTERED, &w.bob);
        caller_check_room(&w.b, &w.room, ROOM_PRESENCE_ENTERED, &w.alice);
        CHECK(!caller_hears_of_people(&w.c));
        world_free(&w);
}

TEST(with_a_new_door_who_has_the_old_one_hears_nothing) {
        World w;

        world_new(&w);
        lab_room_make_private(&w.room, 1);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(caller_room_enter(&w.b, w.room.record.room, w.room.door), CODE_OK);
        lab_room_make_private(&w.room, 2);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(caller_room_enter(&w.a, w.room.record.room, w.room.door), CODE_OK);
        CHECK(!caller_hears_of_people(&w.b));
        CHECK_EQ(caller_room_online(&w.c, &w.room, w.room.door), 1);
        CHECK_EQ(caller_room_enter(&w.b, w.room.record.room, w.room.door), CODE_OK);
        caller_check_room(&w.b, &w.room, ROOM_PRESENCE_ENTERED, &w.alice);
        CHECK_EQ(caller_room_online(&w.c, &w.room, w.room.door), 2);
        world_free(&w);
}

TEST(who_does_not_show_his_presence_is_not_shown_in_a_room) {
        World w;
        User shy;
        Caller s;

        world_new(&w);
        user_new(&w.lab, "shy", &shy);
        shy.presence_visible = VISIBLE_NOBODY;
        user_sign(&w.lab, &shy, LIFETIME);
        caller_new(&w.lab, &shy, &s);
        CHECK_EQ(caller_register(&s, &shy), CODE_OK);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&s, &w.room), CODE_OK);
        caller_check_room(&s, &w.room, ROOM_PRESENCE_ENTERED, &w.alice);
        CHECK(!caller_hears_of_people(&w.a));
        CHECK_EQ(caller_room_online(&w.c, &w.room, NULL), 1);
        caller_free(&s);
        user_done(&shy);
        world_free(&w);
}

TEST(a_session_enters_so_many_rooms_and_needs_an_account) {
        RoomPublish *p = calloc(1, sizeof(*p));
        Caller nobody;
        World w;

        CHECK(p);
        world_new(&w);
        for (unsigned i = 0; i < CLIENT_ROOMS_MAX; i++) {
                memcpy(p->enter[p->n_enter].room, &i, sizeof(i));
                p->enter[p->n_enter++].room[31] = 1;
                if (p->n_enter < 250)
                        continue;
                CHECK_EQ(caller_room_say(&w.b, p), CODE_OK);
                p->n_enter = 0;
        }
        CHECK_EQ(w.lab.node->n_seats, CLIENT_ROOMS_MAX);
        CHECK_EQ(enter(&w.b, &w.room), CODE_TOO_MANY);
        CHECK_EQ(w.lab.node->n_seats, CLIENT_ROOMS_MAX);
        p->enter[0].room[0] = 0;
        CHECK_EQ(caller_room_leave(&w.b, p->enter[0].room), CODE_OK);
        caller_free(&w.b);
        wait_a_while(&w);
        CHECK_EQ(w.lab.node->n_seats, 0);
        CHECK(!w.lab.node->rooms);

        caller_new(&w.lab, NULL, &nobody);
        CHECK_EQ(enter(&nobody, &w.room), CODE_NOT_LOGGED_IN);
        caller_free(&nobody);
        free(p);
        world_free(&w);
}

TEST(who_does_not_read_hears_it_later_and_nothing_is_forgotten_before) {
        enum { N = 40 };
        User users[N];
        Caller callers[N];
        World w;

        world_new(&w);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.a, &w.room), CODE_OK);
        caller_sync(&w.a);
        caller_stop_reading(&w.a);
        for (int i = 0; i < N; i++) {
                char name[16];

                snprintf(name, sizeof(name), "user%d", i);
                member_new(&w.lab, name, &users[i], &callers[i]);
                CHECK_EQ(enter(&callers[i], &w.room), CODE_OK);
        }
        CHECK_EQ(caller_room_online(&w.c, &w.room, NULL), N + 1);
        caller_read_again(&w.a);
        wait_a_while(&w);
        for (int n = 0; n < N;) {
                RoomUpdate u = caller_take_room_update(&w.a, false);

                CHECK_EQ(u.state, ROOM_PRESENCE_ENTERED);
                n += (int)u.n_accounts;
        }
        for (int i = 0; i < N; i++) {
                caller_free(&callers[i]);
                user_done(&users[i]);
        }
        LAB_UNTIL(&w.lab, node_stats(w.lab.node)->sessions == 3);
        wait_a_while(&w);
        for (int n = 0; n < N;) {
                RoomUpdate u = caller_take_room_update(&w.a, false);

                CHECK_EQ(u.state, ROOM_PRESENCE_OFFLINE);
                n += (int)u.n_accounts;
        }
        CHECK_EQ(w.lab.node->n_seats, 1); /* who has gone is forgotten when that has been told */
        world_free(&w);
}

TEST(the_node_counts_rooms) {
        World w;

        world_new(&w);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(caller_room_publish(&w.a, &w.room), CODE_OK);
        CHECK_EQ(node_stats(w.lab.node)->new_rooms, 1);
        CHECK_EQ(node_stats(w.lab.node)->rooms, 0);
        CHECK_EQ(enter(&w.b, &w.room), CODE_OK);
        CHECK_EQ(enter(&w.c, &w.room), CODE_OK);
        CHECK_EQ(node_stats(w.lab.node)->rooms, 1);
        CHECK_EQ(caller_room_leave(&w.b, w.room.record.room), CODE_OK);
        CHECK_EQ(caller_room_leave(&w.c, w.room.record.room), CODE_OK);
        CHECK_EQ(node_stats(w.lab.node)->rooms, 0);
        world_free(&w);
}
