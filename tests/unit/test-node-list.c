/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node-lab.h"

#define CROWD 230

typedef struct Crowd {
        User users[CROWD];
        Caller callers[CROWD];
        unsigned found[CROWD];
} Crowd;

static void crowd_new(Lab *lab, Crowd *crowd, unsigned unlisted) {
        for (unsigned i = 0; i < CROWD; i++) {
                User *u = &crowd->users[i];

                *u = (User){.epoch = 1, .seq = lab->realtime / 1000, .listed = i >= unlisted};
                snprintf(u->name, sizeof(u->name), "user%u", i);
                sign_key_generate(&u->account);
                sign_key_generate(&u->device);
                user_sign(lab, u, LIFETIME);
                caller_new(lab, u, &crowd->callers[i]);
                CHECK_EQ(caller_register(&crowd->callers[i], u), CODE_OK);
                crowd->found[i] = 0;
        }
}

static void crowd_free(Crowd *crowd) {
        for (unsigned i = 0; i < CROWD; i++) {
                caller_free(&crowd->callers[i]);
                user_done(&crowd->users[i]);
        }
}

/* Returns how many pages there were; every entry is counted at its user. */
static unsigned list_all(Caller *c, Crowd *crowd, uint64_t limit, bool online) {
        uint8_t after[LIST_AFTER_MAX];
        ListPeers l = {.limit = limit, .online = online};
        unsigned pages = 0;

        do {
                ListPeersAnswer a;
                Frame f;

                caller_sent(c, list_peers_encode(conn_output(c->conn), ++c->last_request, &l));
                f = caller_answer(c);
                CHECK_EQ(f.type, FRAME_OK);
                CHECK(f.size < FRAME_MESSAGE_MAX);
                CHECK_OK(list_peers_answer_decode(&f, &a));
                CHECK(a.n_peers <= limit);
                for (size_t i = 0; i < a.n_peers; i++) {
                        unsigned n;
                        Record rec;

                        CHECK_OK(record_decode(a.peers[i].record, &rec));
                        CHECK_EQ(sscanf(rec.name, "user%u", &n), 1);
                        CHECK(key_equal(rec.account, user_account(&crowd->users[n])));
                        CHECK_EQ(a.peers[i].presence.size > 0, online);
                        crowd->found[n]++;
                }
                copy_bytes(after, a.after.data, a.after.size);
                l.after = (Bytes){after, a.after.size};
                pages++;
        } while (l.after.size > 0);
        return pages;
}

TEST(everybody_who_wants_it_is_listed_once) {
        static Crowd crowd;
        Caller c;
        Lab lab;

        lab_new(&lab);
        crowd_new(&lab, &crowd, 30);
        snprintf(crowd.users[30].name, NAME_SIZE, "user30.b"); /* who had another name before */
        user_sign(&lab, &crowd.users[30], LIFETIME);
        CHECK_EQ(caller_register(&crowd.callers[30], &crowd.users[30]), CODE_OK);
        caller_new(&lab, NULL, &c);
        CHECK(list_all(&c, &crowd, 64, false) >= 4);
        for (unsigned i = 0; i < CROWD; i++)
                CHECK_EQ(crowd.found[i], i >= 30);
        caller_free(&c);
        crowd_free(&crowd);
        lab_free(&lab);
}

TEST(who_is_online_is_listed_once_while_others_come_and_go) {
        static Crowd crowd;
        unsigned online = 0;
        Caller c;
        Lab lab;

        lab_new(&lab);
        crowd_new(&lab, &crowd, 30);
        caller_new(&lab, NULL, &c);
        for (unsigned i = 0; i < CROWD; i++)
                if (i % 2)
                        CHECK_EQ(
                                caller_publish(&crowd.callers[i], &crowd.users[i], PRESENCE_ONLINE),
                                CODE_OK);
        for (unsigned i = 1; i < CROWD; i += 10)
                caller_free(&crowd.callers[i]);
        LAB_UNTIL(&lab, node_stats(lab.node)->online == CROWD / 2 - CROWD / 10);
        CHECK(list_all(&c, &crowd, 20, true) >= 4);
        for (unsigned i = 0; i < CROWD; i++) {
                CHECK_EQ(crowd.found[i], i >= 30 && i % 2 && i % 10 != 1);
                online += crowd.found[i];
        }
        CHECK_EQ(online, 80);
        caller_free(&c);
        crowd_free(&crowd);
        lab_free(&lab);
}

/* The places of those who have gone are used again when they are many. */
TEST(who_comes_and_goes_again_and_again_is_the_last_of_the_list) {
        ListPeers l = {.limit = 10, .online = true};
        ListPeersAnswer a;
        User alice, bob;
        Caller c, d;
        Record rec;
        Frame f;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        member_new(&lab, "bob", &bob, &d);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK_EQ(caller_publish(&d, &bob, PRESENCE_ONLINE), CODE_OK);
        for (int i = 0; i < 70; i++) {
                CHECK_EQ(caller_publish(&c, &alice, PRESENCE_OFFLINE), CODE_OK);
                CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        }
        caller_sent(&d, list_peers_encode(conn_output(d.conn), ++d.last_request, &l));
        f = caller_answer(&d);
        CHECK_OK(list_peers_answer_decode(&f, &a));
        CHECK_EQ(a.n_peers, 2);
        CHECK_OK(record_decode(a.peers[0].record, &rec));
        CHECK_STR(rec.name, "bob");
        CHECK_OK(record_decode(a.peers[1].record, &rec));
        CHECK_STR(rec.name, "alice");
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

TEST(a_page_of_large_records_fits_its_frame) {
        static Crowd crowd;
        Caller c;
        Lab lab;

        lab_new(&lab);
        crowd_new(&lab, &crowd, 0);
        for (unsigned i = 0; i < CROWD; i++) {
                user_make_large(&crowd.users[i]);
                CHECK_EQ(caller_register(&crowd.callers[i], &crowd.users[i]), CODE_OK);
        }
        caller_new(&lab, NULL, &c);
        CHECK(list_all(&c, &crowd, LIST_PEERS_MAX, false) >= 5);
        for (unsigned i = 0; i < CROWD; i++)
                CHECK_EQ(crowd.found[i], 1);
        caller_free(&c);
        crowd_free(&crowd);
        lab_free(&lab);
}

TEST(an_after_of_ones_own_making_is_refused) {
        ListPeers l = {.limit = 10, .after = {(const uint8_t *)"xyz", 3}};
        Caller c;
        Frame f;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        for (int online = 0; online < 2; online++) {
                l.online = online;
                caller_sent(&c, list_peers_encode(conn_output(c.conn), ++c.last_request, &l));
                f = caller_answer(&c);
                CHECK_EQ(frame_code(&f), CODE_INVALID_ARGS);
        }
        caller_free(&c);
        lab_free(&lab);
}
