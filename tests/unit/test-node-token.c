/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Presence for contacts: who proves by a token that he is one, and who does not. */

#include "test.h"

#include "node-lab.h"
#include "wire/mail.h"

#define TOKENS 10000 /* as many as accounts that may be watched */

static usec_t now_of(const Lab *lab) {
        return lab->realtime;
}

/* U's word that somebody is a contact; SIGNER may be another. */
static Buffer token_make(const User *u, const User *signer, usec_t expires) {
        DepositToken t = {.pseudonym = {7}, .expires = expires};
        Buffer out = BUFFER_NULL;

        memcpy(t.account, user_account(u), KEY_SIZE);
        CHECK_OK(deposit_token_encode(&out, &t, &signer->account));
        return out;
}

static Code show_tokens(Caller *c, const uint8_t *add, const Buffer *token, size_t n) {
        Watch w = {.add = {add, add ? KEY_SIZE : 0}, .n_tokens = n};
        Frame f;

        for (size_t i = 0; i < n; i++)
                w.tokens[i] = buffer_view(token);
        caller_sent(c, watch_encode(conn_output(c->conn), ++c->last_request, &w));
        f = caller_answer(c);
        return frame_code(&f);
}

static Code look_up(Caller *c, const char *name, const Buffer *token, LookupAnswer *ret) {
        Lookup l = {.token = buffer_view(token)};
        Frame f;

        snprintf(l.name, sizeof(l.name), "%s", name);
        caller_sent(c, lookup_encode(conn_output(c->conn), ++c->last_request, &l));
        f = caller_answer(c);
        if (f.type == FRAME_OK)
                CHECK_OK(lookup_answer_decode(&f, ret));
        return frame_code(&f);
}

/* Alice, whose presence is for AUDIENCE, is there; Bob and Carol have sessions of their own. */
typedef struct World {
        Lab lab;
        User alice, bob, carol;
        Caller a, b, c;
        Buffer good, nothing;
} World;

static void world_new(World *w, Visibility audience) {
        *w = (World){};
        lab_new(&w->lab);
        user_new(&w->lab, "alice", &w->alice);
        w->alice.presence_visible = audience;
        user_sign(&w->lab, &w->alice, LIFETIME);
        caller_new(&w->lab, &w->alice, &w->a);
        CHECK_EQ(caller_register(&w->a, &w->alice), CODE_OK);
        CHECK_EQ(caller_publish(&w->a, &w->alice, PRESENCE_ONLINE), CODE_OK);
        member_new(&w->lab, "bob", &w->bob, &w->b);
        member_new(&w->lab, "carol", &w->carol, &w->c);
        w->good = token_make(&w->alice, &w->alice, now_of(&w->lab) + USEC_PER_DAY);
}

static void world_free(World *w) {
        buffer_done(&w->good);
        caller_free(&w->a);
        caller_free(&w->b);
        caller_free(&w->c);
        user_done(&w->alice);
        user_done(&w->bob);
        user_done(&w->carol);
        lab_free(&w->lab);
}

static void set_audience(World *w, Visibility audience) {
        w->alice.presence_visible = audience;
        user_sign(&w->lab, &w->alice, LIFETIME);
        CHECK_EQ(caller_register(&w->a, &w->alice), CODE_OK);
}

static bool was_told(Caller *c) {
        caller_sync(c);
        return caller_has(c, FRAME_PRESENCE);
}

TEST(a_contact_sees_what_a_stranger_does_not) {
        const uint8_t *alice;
        PresencePush p;
        World w;

        world_new(&w, VISIBLE_CONTACTS);
        alice = user_account(&w.alice);
        CHECK_EQ(show_tokens(&w.b, alice, &w.good, 1), CODE_OK);
        CHECK_EQ(show_tokens(&w.c, alice, NULL, 0), CODE_OK);
        p = caller_take_presence(&w.b);
        CHECK(p.online && p.presence.size > 0);
        CHECK(!was_told(&w.c));
        caller_free(&w.a);
        p = caller_take_presence(&w.b);
        CHECK(!p.online);
        CHECK(p.last_seen >= w.lab.realtime);
        CHECK(!was_told(&w.c));
        caller_new(&w.lab, &w.alice, &w.a);
        CHECK_EQ(caller_publish(&w.a, &w.alice, PRESENCE_ONLINE), CODE_OK);
        CHECK(caller_take_presence(&w.b).online);
        CHECK(!was_told(&w.c));
        world_free(&w);
}

TEST(a_look_up_with_a_token_finds_the_presence) {
        LookupAnswer answer;
        Buffer bobs;
        World w;

        world_new(&w, VISIBLE_CONTACTS);
        bobs = token_make(&w.bob, &w.bob, now_of(&w.lab) + USEC_PER_DAY);
        CHECK_EQ(look_up(&w.c, "alice", &w.nothing, &answer), CODE_OK);
        CHECK(answer.presence.size == 0 && answer.last_seen == 0);
        CHECK_EQ(look_up(&w.c, "alice", &bobs, &answer), CODE_OK);
        CHECK(answer.presence.size == 0 && answer.last_seen == 0);
        CHECK_EQ(look_up(&w.b, "alice", &w.good, &answer), CODE_OK);
        CHECK(answer.presence.size > 0 && answer.last_seen > 0);
        set_audience(&w, VISIBLE_NOBODY);
        CHECK_EQ(look_up(&w.b, "alice", &w.good, &answer), CODE_OK);
        CHECK(answer.presence.size == 0 && answer.last_seen == 0);
        buffer_done(&bobs);
        world_free(&w);
}

static void check_worthless(World *w, Buffer token) {
        LookupAnswer answer;

        CHECK_EQ(show_tokens(&w->c, user_account(&w->alice), &token, 1), CODE_OK);
        CHECK(!was_told(&w->c));
        CHECK_EQ(look_up(&w->c, "alice", &token, &answer), CODE_OK);
        CHECK(answer.presence.size == 0 && answer.last_seen == 0);
        buffer_done(&token);
}

TEST(a_token_must_be_hers_and_of_now) {
        Buffer broken;
        World w;

        world_new(&w, VISIBLE_CONTACTS);
        check_worthless(&w, token_make(&w.alice, &w.carol, now_of(&w.lab) + USEC_PER_DAY));
        check_worthless(&w, token_make(&w.carol, &w.carol, now_of(&w.lab) + USEC_PER_DAY));
        check_worthless(&w, token_make(&w.alice, &w.alice, now_of(&w.lab)));
        broken = token_make(&w.alice, &w.alice, now_of(&w.lab) + USEC_PER_DAY);
        *((uint8_t *)buffer_data(&broken) + buffer_size(&broken) - 1) ^= 1;
        check_worthless(&w, broken);
        world_free(&w);
}

/* The record is told to who watches, and he shows his token then. */
TEST(from_all_to_contacts_and_back) {
        const uint8_t *alice;
        World w;

        world_new(&w, VISIBLE_ALL);
        alice = user_account(&w.alice);
        CHECK_EQ(show_tokens(&w.b, alice, &w.good, 1), CODE_OK);
        CHECK_EQ(show_tokens(&w.c, alice, NULL, 0), CODE_OK);
        CHECK(caller_take_presence(&w.b).online);
        CHECK(caller_take_presence(&w.c).online);
        set_audience(&w, VISIBLE_CONTACTS);
        (void)caller_take(&w.b, FRAME_RECORD);
        CHECK(!caller_take_presence(&w.b).online);
        CHECK(!caller_take_presence(&w.c).online);
        CHECK_EQ(show_tokens(&w.b, NULL, &w.good, 1), CODE_OK);
        CHECK(caller_take_presence(&w.b).online);
        CHECK(!was_told(&w.c));
        set_audience(&w, VISIBLE_ALL);
        CHECK(caller_take_presence(&w.b).online);
        CHECK(caller_take_presence(&w.c).online);
        world_free(&w);
}

TEST(signatures_are_looked_at_so_often_and_no_more) {
        const uint8_t *alice;
        size_t shown = 0;
        Buffer forged;
        Code code;
        World w;

        world_new(&w, VISIBLE_CONTACTS);
        alice = user_account(&w.alice);
        forged = token_make(&w.alice, &w.carol, now_of(&w.lab) + USEC_PER_DAY);
        CHECK_EQ(show_tokens(&w.c, alice, NULL, 0), CODE_OK);
        do {
                code = show_tokens(&w.c, NULL, &forged, WATCH_TOKENS_MAX);
                shown += WATCH_TOKENS_MAX;
        } while (code == CODE_OK && shown < 2 * TOKENS);
        CHECK_EQ(code, CODE_RATE_LIMITED);
        CHECK(shown >= TOKENS);
        CHECK_EQ(show_tokens(&w.b, alice, &w.good, 1), CODE_OK); /* that is his affair alone */
        CHECK(caller_take_presence(&w.b).online);
        buffer_done(&forged);
        world_free(&w);
}

TEST(a_device_of_the_account_itself_sees_what_is_for_nobody) {
        DepositToken t = {};
        LookupAnswer answer;
        Buffer own = BUFFER_NULL;
        World w;

        world_new(&w, VISIBLE_NOBODY);
        t.expires = now_of(&w.lab) + USEC_PER_DAY;
        memcpy(t.account, user_account(&w.alice), KEY_SIZE);
        CHECK_OK(deposit_token_encode(&own, &t, &w.alice.account));
        CHECK_EQ(show_tokens(&w.c, user_account(&w.alice), &w.good, 1), CODE_OK);
        CHECK(!was_told(&w.c)); /* a contact does not */
        CHECK_EQ(show_tokens(&w.b, user_account(&w.alice), &own, 1), CODE_OK);
        CHECK(caller_take_presence(&w.b).online);
        CHECK_EQ(look_up(&w.b, "alice", &own, &answer), CODE_OK);
        CHECK(answer.presence.size > 0);
        set_audience(&w, VISIBLE_CONTACTS);
        CHECK_EQ(look_up(&w.b, "alice", &own, &answer), CODE_OK);
        CHECK(answer.presence.size > 0);
        buffer_done(&own);
        world_free(&w);
}
