/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user makes of the people that he knows: contacts, other names, blocks; and names that
 * directories give to somebody else. */

#include "store-lab.h"

static const char *shown(const Person *p, uint8_t n) {
        static char buf[SHOWN_NAME_SIZE];
        SignKey k = sample_key(n);
        Contact c;

        CHECK_EQ(contact_get(store_write(p->store), sign_key_public(&k), &c), 1);
        return contact_shown_name(store_write(p->store), &c, buf);
}

static const char *suffixed(const char *name, uint8_t n) {
        static char buf[SHOWN_NAME_SIZE];
        char account[BASE32_KEY_SIZE + 1];
        SignKey k = sample_key(n);

        snprintf(
                buf, sizeof(buf), "%s~%.4s", name, base32_encode_key(sign_key_public(&k), account));
        return buf;
}

static Contact get(const Person *p, uint8_t n) {
        SignKey k = sample_key(n);
        Contact c;

        CHECK_EQ(contact_get(store_write(p->store), sign_key_public(&k), &c), 1);
        return c;
}

/* Whose a name is, by number; 0: nobody's. */
static int whose(const Person *p, const char *text) {
        uint8_t account[KEY_SIZE];
        int r;

        r = contact_resolve(store_write(p->store), text, account);
        for (uint8_t n = 1; r > 0 && n < 20; n += 2) {
                SignKey k = sample_key(n);

                if (key_equal(account, sign_key_public(&k)))
                        return n;
        }
        return r > 0 ? 999 : r;
}

static int rename_to(const Person *p, uint8_t n, const char *alias) {
        SignKey k = sample_key(n);

        return contact_rename(p->store, sign_key_public(&k), alias);
}

static int hear(const Person *p, const char *name, uint8_t n, Contact *ret) {
        SignKey k = sample_key(n);

        return contact_hear_name(p->store, name, sign_key_public(&k), ret);
}

TEST(an_alias_is_shown_and_meant_and_taken_back) {
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK_OK(rename_to(p, 7, "uncle"));
        CHECK_STR(shown(p, 7), "uncle");
        CHECK_EQ(whose(p, "uncle"), 7);
        CHECK_EQ(whose(p, "dave"), 7);
        CHECK_OK(rename_to(p, 7, "aunt"));
        CHECK_EQ(whose(p, "uncle"), 0);
        CHECK_STR(shown(p, 7), "aunt");
        CHECK_OK(store_commit(p->store));
        person_reopen(&lab, p);
        CHECK_STR(shown(p, 7), "aunt");
        CHECK(learn(p->store, 7, "david", 2, 2, 0, true, &c) > 0); /* whatever he calls himself */
        CHECK_STR(shown(p, 7), "aunt");
        CHECK_OK(rename_to(p, 7, ""));
        CHECK_STR(shown(p, 7), "david");
        CHECK_EQ(whose(p, "aunt"), 0);
        CHECK_OK(rename_to(p, 7, "david"));
        CHECK_STR(get(p, 7).alias, "");
        lab_free(&lab);
}

TEST(an_alias_takes_no_name_from_a_contact) {
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK(learn(p->store, 9, "erin", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK(learn(p->store, 11, "frank", 1, 1, CONTACT_REQUEST, true, &c) > 0);
        CHECK_EQ(rename_to(p, 7, "erin"), -EEXIST);
        CHECK_OK(rename_to(p, 9, "boss"));
        CHECK_EQ(rename_to(p, 7, "boss"), -EEXIST);
        CHECK_EQ(rename_to(p, 7, "erin"), -EEXIST); /* which is still hers */
        CHECK_OK(rename_to(p, 7, "frank"));
        CHECK_EQ(whose(p, "frank"), 7);
        CHECK_STR(shown(p, 11), suffixed("frank", 11));
        CHECK_EQ(whose(p, suffixed("frank", 11)), 11);
        CHECK_EQ(rename_to(p, 13, "nobody"), -ENOENT);
        lab_free(&lab);
}

TEST(who_is_no_contact_any_more_has_a_claim_and_no_more) {
        const uint8_t marks = CONTACT_PINNED | CONTACT_VERIFIED | CONTACT_BLOCKED;
        SignKey dave = sample_key(7), nobody = sample_key(99);
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, marks, true, &c) > 0);
        CHECK_OK(rename_to(p, 7, "uncle"));
        CHECK_OK(contact_unpin(p->store, sign_key_public(&dave)));
        CHECK_EQ(get(p, 7).flags, CONTACT_BLOCKED);
        CHECK_EQ(whose(p, "uncle"), 0);
        CHECK_STR(shown(p, 7), suffixed("dave", 7));
        CHECK_EQ(whose(p, "dave"), 7); /* nobody else claims it */
        CHECK(learn(p->store, 9, "dave", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK_EQ(whose(p, "dave"), 9);
        CHECK_STR(shown(p, 7), suffixed("dave", 7));
        CHECK_OK(contact_pin(p->store, sign_key_public(&dave)));
        CHECK_EQ(whose(p, "dave"), 9);
        CHECK_EQ(get(p, 7).flags, CONTACT_PINNED | CONTACT_BLOCKED);
        CHECK_EQ(contact_unpin(p->store, sign_key_public(&nobody)), -ENOENT);
        CHECK_EQ(contact_pin(p->store, sign_key_public(&nobody)), -ENOENT);
        lab_free(&lab);
}

TEST(somebody_never_seen_is_blocked_by_his_account) {
        SignKey dave = sample_key(7);
        char text[SHOWN_NAME_SIZE] = "@";
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        base32_encode_key(sign_key_public(&dave), text + 1);
        CHECK_OK(contact_mark(p->store, sign_key_public(&dave), CONTACT_BLOCKED));
        CHECK_STR(shown(p, 7), text);
        CHECK_OK(store_commit(p->store));
        person_reopen(&lab, p);
        CHECK_EQ(get(p, 7).flags, CONTACT_BLOCKED);
        CHECK(learn(p->store, 7, "dave", 1, 1, 0, true, &c) > 0);
        CHECK_EQ(c.flags, CONTACT_BLOCKED);
        CHECK_STR(shown(p, 7), "dave");
        CHECK_OK(contact_mark(p->store, sign_key_public(&dave), CONTACT_VERIFIED));
        CHECK_EQ(get(p, 7).flags, CONTACT_BLOCKED | CONTACT_VERIFIED);
        dave = sample_key(9);
        CHECK_OK(contact_mark(p->store, sign_key_public(&dave), CONTACT_BLOCKED));
        c = get(p, 9);
        CHECK(contact_forget(p->store, &c) >= 0);
        CHECK_EQ(contact_get(store_write(p->store), sign_key_public(&dave), &c), 0);
        lab_free(&lab);
}

TEST(a_name_that_points_elsewhere_marks_the_contact_until_it_points_back) {
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK_EQ(hear(p, "dave", 7, &c), 0);
        CHECK_EQ(hear(p, "dave", 9, &c), 1);
        CHECK_EQ(c.flags, CONTACT_PINNED | CONTACT_KEY_CHANGED);
        CHECK(c.has_rival && whose(p, "dave") == 7);
        CHECK_EQ(hear(p, "dave", 9, &c), 0); /* said before */
        CHECK_OK(store_commit(p->store));
        person_reopen(&lab, p);
        CHECK_EQ(get(p, 7).flags, CONTACT_PINNED | CONTACT_KEY_CHANGED);
        CHECK_EQ(hear(p, "dave", 7, &c), 1);
        CHECK_EQ(c.flags, CONTACT_PINNED);
        CHECK(!c.has_rival);
        lab_free(&lab);
}

TEST(what_the_user_has_decided_about_a_rival_holds_for_that_one) {
        SignKey dave = sample_key(7);
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK_EQ(hear(p, "dave", 9, &c), 1);
        CHECK_OK(contact_set_flags(p->store, sign_key_public(&dave), 0, CONTACT_KEY_CHANGED));
        CHECK_EQ(hear(p, "dave", 9, &c), 0);
        CHECK_EQ(get(p, 7).flags, CONTACT_PINNED);
        CHECK_EQ(hear(p, "dave", 11, &c), 1);
        CHECK_OK(contact_set_flags(p->store, sign_key_public(&dave), 0, CONTACT_KEY_CHANGED));
        CHECK_EQ(hear(p, "dave", 7, &c), 0); /* nothing was marked any more */
        CHECK_EQ(hear(p, "dave", 11, &c), 1);
        lab_free(&lab);
}

TEST(only_the_plain_name_of_a_contact_can_point_elsewhere) {
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_REQUEST, true, &c) > 0);
        CHECK_EQ(hear(p, "dave", 9, &c), 0); /* no contact */
        CHECK(learn(p->store, 9, "erin", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK_OK(rename_to(p, 9, "boss"));
        CHECK_EQ(hear(p, "boss", 11, &c), 0); /* which is the user's own word */
        CHECK_EQ(hear(p, "nobody", 11, &c), 0);
        CHECK_EQ(hear(p, "erin", 11, &c), 1);
        CHECK(learn(p->store, 13, "carol", 1, 1, 0, false, &c) > 0);
        CHECK_STR(shown(p, 13), suffixed("carol", 13));
        CHECK_EQ(hear(p, "carol", 13, &c), 0);
        CHECK_STR(shown(p, 13), suffixed("carol", 13));
        c = get(p, 13);
        CHECK_OK(contact_set_flags(p->store, c.account, CONTACT_PINNED, 0));
        CHECK_EQ(hear(p, "carol", 13, &c), 0);
        CHECK_STR(shown(p, 13), "carol"); /* confirmed */
        CHECK(learn(p->store, 15, "frank", 1, 1, CONTACT_REQUEST, false, &c) > 0);
        CHECK(learn(p->store, 17, "frank", 1, 1, CONTACT_REQUEST, false, &c) > 0);
        CHECK_EQ(hear(p, "frank", 17, &c), 0);
        CHECK_STR(shown(p, 17), "frank");
        CHECK_EQ(hear(p, "frank", 15, &c), 0); /* who has written was first */
        CHECK_STR(shown(p, 15), suffixed("frank", 15));
        lab_free(&lab);
}

TEST(candidates_are_named_as_they_may_be_typed) {
        char buf[CANDIDATES_SIZE], expected[CANDIDATES_SIZE];
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        for (uint8_t n = 7; n <= 15; n += 2)
                CHECK(learn(p->store, n, "dave", 1, 1, 0, false, &c) > 0);
        CHECK_EQ(whose(p, "dave"), -ENOTUNIQ);
        contact_candidates(store_write(p->store), "Dave", buf);
        CHECK_EQ(strlen(buf), 3 * strlen("dave~aaaa") + 2 * strlen(", "));
        for (char *at = buf, *end; at; at = end ? end + 2 : NULL) {
                end = strchr(at, ',');
                snprintf(expected, sizeof(expected), "%.9s", at);
                CHECK(whose(p, expected) > 0);
        }
        contact_candidates(store_write(p->store), suffixed("dave", 7), buf);
        CHECK_EQ(buf[0], '@');
        CHECK_EQ(whose(p, buf), 7);
        CHECK_STR(contact_candidates(store_write(p->store), "", buf), "");
        lab_free(&lab);
}

static uint64_t known_seq(const Contact *c) {
        Record r;

        CHECK_OK(record_decode(c->record, &r));
        return r.seq;
}

/* By whichever clock: the other's was wrong when he signed it, or the own one is. */
TEST(a_record_from_the_future_is_the_newest_only_until_there_is_another) {
        const uint64_t now = NOW / USEC_PER_MSEC, ahead = now + 36 * USEC_PER_HOUR / USEC_PER_MSEC;
        Person *p;
        Contact c;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, ahead, CONTACT_PINNED, true, &c) > 0);
        CHECK_EQ(known_seq(&c), ahead); /* better than none */
        CHECK(learn(p->store, 7, "dave", 1, ahead + 1, 0, true, &c) > 0);
        CHECK_EQ(known_seq(&c), ahead + 1);
        CHECK(learn(p->store, 7, "dave", 1, now, 0, true, &c) > 0);
        CHECK_EQ(known_seq(&c), now);
        CHECK(learn(p->store, 7, "dave", 1, ahead, 0, true, &c) > 0);
        CHECK_EQ(known_seq(&c), now);
        CHECK(learn(p->store, 7, "dave", 1, now - 1, 0, true, &c) > 0);
        CHECK_EQ(known_seq(&c), now);

        /* It says nothing of devices. */
        CHECK(learn(p->store, 7, "dave", 2, ahead, 0, true, &c) > 0);
        CHECK_EQ(learn(p->store, 7, "dave", 1, now + 1, 0, true, &c), -ESTALE);
        lab_free(&lab);
}
