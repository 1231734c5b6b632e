/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What somebody brings over a link: what is kept and acknowledged, what is refused, and what ends
 * the link. */

#include "test.h"

#include "far-lab.h"

#include <signal.h>
#include <sys/resource.h>

static void check_has_body(const Shown *m, const char *text) {
        CHECK(m && m->body.size == strlen(text) && memcmp(m->body.data, text, m->body.size) == 0);
}

/* The link goes on, and nothing more was said by Bob. */
static void check_quiet(World *w) {
        CHECK(far_is_served(&w->far));
        CHECK(!w->far.incoming);
}

/* Good entries */

TEST(an_entry_is_acknowledged_and_receipted_when_it_is_on_disk) {
        Receipt rc;
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        m = world_write(&w, "hi", true);
        check_ack(&w, &m.id);
        CHECK_EQ(w.bob.n_shown, 1);
        check_has_body(w.bob.shown, "hi");
        rc = world_take_receipt(&w);
        CHECK(rc.n_ranges == 1 && rc.ranges[0].first == 1 && rc.ranges[0].last == 1);
        CHECK(memcmp(rc.hash, w.last_hash, SHA256_SIZE) == 0);
        check_quiet(&w);
        world_free(&w);
}

TEST(a_burst_counts_when_its_end_is_signed) {
        Uuid ids[ACK_IDS_MAX];
        Receipt rc;
        World w;

        world_new(&w, CONTACT_PINNED);
        for (int i = 1; i < BURST_ENTRIES_MAX; i++)
                world_write(&w, "one of many", false);
        check_quiet(&w);
        CHECK_EQ(w.bob.n_shown, 0); /* could be anybody's */
        world_write(&w, "the last", true);
        CHECK_EQ(world_take_ack(&w, ids), BURST_ENTRIES_MAX);
        CHECK_EQ(w.bob.n_shown, BURST_ENTRIES_MAX);
        rc = world_take_receipt(&w);
        CHECK(rc.n_ranges == 1 && rc.ranges[0].last == BURST_ENTRIES_MAX);
        world_free(&w);
}

TEST(an_unfinished_burst_is_forgotten_with_its_link) {
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        world_write(&w, "never signed", false);
        world_write(&w, "never signed", false);
        check_quiet(&w);
        world_link(&w);
        CHECK_EQ(w.bob.n_shown, 0);
        w.last = (Inner){};
        memset(w.last_hash, 0, SHA256_SIZE);
        m = world_write(&w, "hi", true); /* the feed begins with something else */
        check_ack(&w, &m.id);
        CHECK_EQ(w.bob.n_shown, 1);
        check_has_body(w.bob.shown, "hi");
        world_free(&w);
}

TEST(a_kind_that_nobody_knows_is_kept) {
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        m = world_inner(&w, "\x01\x02 from the future");
        m.kind = 4711;
        world_say(&w, &m, &w.alice.device);
        check_ack(&w, &m.id);
        CHECK_EQ(w.bob.n_shown, 1);
        CHECK_EQ(w.bob.shown->kind, 4711); /* which is shown as unsupported */
        check_has_body(w.bob.shown, "\x01\x02 from the future");
        world_take_receipt(&w);
        world_free(&w);
}

TEST(the_same_entry_again_is_acknowledged_and_not_shown_again) {
        Receipt rc;
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        m = world_write(&w, "hi", true);
        check_ack(&w, &m.id);
        world_take_receipt(&w);
        for (int i = 0; i < 3; i++) {
                if (i == 2)
                        world_link(&w); /* as after a lost ack */
                world_say(&w, &m, &w.alice.device);
                check_ack(&w, &m.id);
                rc = world_take_receipt(&w);
                CHECK_EQ(rc.ranges[0].last, 1);
        }
        CHECK_EQ(w.bob.n_shown, 1);
        world_free(&w);
}

TEST(the_same_id_at_another_place_counts_as_received_there) {
        Receipt rc;
        World w;
        Inner m, again;

        world_new(&w, CONTACT_PINNED);
        m = world_write(&w, "hi", true);
        check_ack(&w, &m.id);
        world_take_receipt(&w);
        again = world_inner(&w, "hi");
        again.id = m.id;
        world_say(&w, &again, &w.alice.device);
        check_ack(&w, &m.id);
        rc = world_take_receipt(&w);
        CHECK(rc.n_ranges == 1 && rc.ranges[0].last == 2);
        CHECK_EQ(w.bob.n_shown, 1);
        world_free(&w);
}

TEST(a_gap_is_shown_and_not_refused) {
        Receipt rc;
        Inner first, second, third;
        uint8_t first_hash[SHA256_SIZE];
        World w;

        world_new(&w, CONTACT_PINNED);
        first = world_write(&w, "one", true);
        check_ack(&w, &first.id);
        world_take_receipt(&w);
        memcpy(first_hash, w.last_hash, SHA256_SIZE);
        second = world_inner(&w, "two");
        w.last = second;
        memset(w.last_hash, 0x22, SHA256_SIZE); /* whatever it was */
        third = world_write(&w, "three", true);
        check_ack(&w, &third.id);
        rc = world_take_receipt(&w);
        CHECK(rc.n_ranges == 2 && rc.ranges[1].first == 3);
        CHECK_EQ(w.bob.n_shown, 2);
        CHECK_EQ(w.bob.shown->next->flags, ENTRY_GAP);
        /* And what comes late, but is not what the third was built on, is marked. */
        world_say(&w, &second, &w.alice.device);
        check_ack(&w, &second.id);
        CHECK_EQ(w.bob.n_shown, 3);
        CHECK_EQ(w.bob.shown->next->next->flags, ENTRY_FORK);
        world_free(&w);
}

/* Refused with NACK */

TEST(another_entry_at_the_same_place_is_a_fork) {
        World w;
        Inner m, other;

        world_new(&w, CONTACT_PINNED);
        other = world_inner(&w, "or rather this");
        m = world_write(&w, "hi", true);
        check_ack(&w, &m.id);
        world_take_receipt(&w);
        world_say(&w, &other, &w.alice.device);
        check_nack(&w, &other.id, CODE_FORK, false);
        other = world_inner(&w, "built on that"); /* which Bob does not hold */
        world_say(&w, &other, &w.alice.device);
        check_nack(&w, &other.id, CODE_FORK, false);
        check_quiet(&w);
        CHECK_EQ(w.bob.n_shown, 1);
        check_has_body(w.bob.shown, "hi");
        world_free(&w);
}

TEST(what_has_expired_is_refused_for_good) {
        Receipt rc;
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        m = world_inner(&w, "too late");
        m.sent -= USEC_PER_HOUR;
        m.expires = loop_realtime(w.sim.loop);
        world_say(&w, &m, &w.alice.device);
        check_nack(&w, &m.id, CODE_EXPIRED, true);
        m = world_write(&w, "but this", true); /* it still counts in the chain */
        check_ack(&w, &m.id);
        rc = world_take_receipt(&w);
        CHECK(rc.n_ranges == 1 && rc.ranges[0].first == 2);
        CHECK_EQ(w.bob.n_shown, 1);
        world_free(&w);
}

TEST(a_stranger_has_his_share) {
        Uuid ids[ACK_IDS_MAX];
        size_t acked = 0;
        World w;
        Inner m;

        world_new(&w, 0);
        for (int i = 0; i < STRANGER_MESSAGES_MAX; i++)
                world_write(&w, "buy this", true);
        while (acked < STRANGER_MESSAGES_MAX)
                acked += world_take_ack(&w, ids);
        CHECK_EQ(w.bob.n_shown, STRANGER_MESSAGES_MAX);
        m = world_write(&w, "and this", true);
        check_nack(&w, &m.id, CODE_TOO_MANY, true);
        CHECK_EQ(w.bob.n_shown, STRANGER_MESSAGES_MAX);
        world_free(&w);
}

static bool knows_alice(World *w, Contact *ret) {
        return contact_get(store_write(w->bob.store), person_account(&w->alice), ret) > 0;
}

TEST(a_stranger_that_said_nothing_leaves_nothing) {
        Contact c;
        World w;
        Inner m;

        w = (World){};
        sim_new(&w.sim, 1);
        stack_new(&w.sim, "bob", &w.bob);
        person_new(&w.sim, "alice", &w.alice);
        for (int i = 0; i < 3; i++) {
                world_link(&w);
                CHECK(knows_alice(&w, &c) && c.flags == 0);
                far_free(&w.far);
                SIM_UNTIL(&w.sim, w.bob.n_down == w.bob.n_up);
                CHECK(!knows_alice(&w, &c));
                CHECK_EQ(contact_resolve(store_write(w.bob.store), "alice", c.account), 0);
        }
        world_link(&w);
        m = world_write(&w, "may I?", true);
        check_ack(&w, &m.id);
        far_free(&w.far);
        SIM_UNTIL(&w.sim, w.bob.n_down == w.bob.n_up);
        CHECK(knows_alice(&w, &c) && c.flags == CONTACT_REQUEST);
        world_free(&w);
}

TEST(who_is_let_in_by_writing_is_a_contact_then) {
        Contact c;
        World w;
        Inner m;

        w = (World){};
        sim_new(&w.sim, 1);
        stack_new(&w.sim, "bob", &w.bob);
        person_new(&w.sim, "alice", &w.alice);
        delivery_set_settings(
                w.bob.delivery, &(DeliverySettings){.accept_all = true, .handshake = 10});
        world_link(&w);
        CHECK(knows_alice(&w, &c) && c.flags == 0);
        m = world_write(&w, "may I?", true);
        check_ack(&w, &m.id);
        CHECK(knows_alice(&w, &c) && c.flags == CONTACT_PINNED);
        world_free(&w);
}

/* All from one address. One more comes in when an hour has made room for it. */
TEST(new_people_of_one_address_are_counted) {
        unsigned taken = 0, refused = 0;
        Person people[105];
        Uuid last;
        World w;
        Inner m;

        w = (World){};
        sim_new(&w.sim, 1);
        stack_new(&w.sim, "bob", &w.bob);
        for (size_t i = 0; i < ELEMENTSOF(people); i++) {
                person_new(&w.sim, "someone", &people[i]);
                w.alice = people[i];
                w.last = (Inner){};
                memset(w.last_hash, 0, SHA256_SIZE);
                world_link(&w);
                m = world_write(&w, "hello", true);
                SIM_UNTIL(&w.sim, far_has(&w.far, FRAME_ACK) || far_has(&w.far, FRAME_NACK));
                if (far_has(&w.far, FRAME_ACK))
                        taken++;
                else {
                        check_nack(&w, &m.id, CODE_RATE_LIMITED, false);
                        refused++;
                }
        }
        CHECK(taken >= 100 && taken <= 102 && refused >= 3);
        last = m.id;
        sim_run(&w.sim, 2 * USEC_PER_MINUTE);
        w.last = (Inner){};
        memset(w.last_hash, 0, SHA256_SIZE);
        m = world_inner(&w, "hello");
        m.id = last;
        world_say(&w, &m, &w.alice.device);
        check_ack(&w, &last);
        CHECK_EQ(w.bob.n_shown, taken + 1);
        far_free(&w.far);
        stack_free(&w.bob);
        for (size_t i = 0; i < ELEMENTSOF(people); i++)
                person_done(&people[i]);
        sim_free(&w.sim);
}

/* What ends the link */

/* The link ends; nothing was kept, shown or acknowledged. */
static void check_ended(World *w) {
        SIM_UNTIL(&w->sim, w->far.is_closed);
        CHECK(!far_has(&w->far, FRAME_ACK) && !far_has(&w->far, FRAME_RECEIPT));
        CHECK_EQ(w->bob.n_shown, 0);
        CHECK_EQ(w->bob.n_down, w->bob.n_up);
        world_link(w);
        w->last = (Inner){};
        memset(w->last_hash, 0, SHA256_SIZE);
}

/* Receipts speak of the newest ranges; what comes beyond them has one of its own. */
TEST(a_feed_with_many_holes_goes_on) {
        enum { HOLES = RECEIPT_RANGES_MAX + 50 };
        static Inner missing[HOLES], written[HOLES];
        Receipt rc;
        World w;

        world_new(&w, CONTACT_PINNED);
        for (unsigned i = 0; i < HOLES; i++) {
                missing[i] = world_inner(&w, "comes later");
                w.last = missing[i];
                written[i] = world_write(&w, "after a hole", true);
                check_ack(&w, &written[i].id);
                if (i >= RECEIPT_RANGES_MAX) {
                        rc = world_take_receipt(&w); /* that is not said any more from now on */
                        CHECK_EQ(rc.n_ranges, 1);
                        CHECK_EQ(rc.ranges[0].last, 2 * (i + 1 - RECEIPT_RANGES_MAX));
                }
                rc = world_take_receipt(&w);
                CHECK_EQ(rc.ranges[rc.n_ranges - 1].last, 2 * (i + 1));
                CHECK_EQ(rc.n_ranges, MIN(i + 1, (unsigned)RECEIPT_RANGES_MAX));
        }
        CHECK_EQ(w.bob.n_shown, HOLES);
        for (int round = 0; round < 2; round++) {
                world_say(&w, &missing[3], &w.alice.device);
                check_ack(&w, &missing[3].id);
                rc = world_take_receipt(&w);
                CHECK(rc.n_ranges == 1 && rc.ranges[0].first == 7 && rc.ranges[0].last == 7);
                CHECK(memcmp(rc.hash, w.last_hash, SHA256_SIZE) == 0);
                rc = world_take_receipt(&w);
                CHECK_EQ(rc.n_ranges, RECEIPT_RANGES_MAX);
        }
        CHECK_EQ(w.bob.n_shown, HOLES + 1);
        check_quiet(&w);
        world_free(&w);
}

TEST(entries_that_are_not_what_they_should_be_end_the_link) {
        Person carol;
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        person_new(&w.sim, "carol", &carol);

        m = world_inner(&w, "to somebody else");
        conversation_direct(person_account(&w.alice), person_account(&carol), m.conversation);
        world_say(&w, &m, &w.alice.device);
        check_ended(&w);

        m = world_inner(&w, "from somebody else");
        memcpy(m.account, person_account(&carol), KEY_SIZE);
        memcpy(m.device, sign_key_public(&carol.device), KEY_SIZE);
        world_say(&w, &m, &carol.device);
        check_ended(&w);
        conversation_direct(
                person_account(&carol), sign_key_public(&w.bob.self.account), m.conversation);
        world_say(&w, &m, &carol.device); /* hers, but not on this link */
        check_ended(&w);

        m = world_inner(&w, "from no device of mine");
        memcpy(m.device, sign_key_public(&carol.device), KEY_SIZE);
        world_say(&w, &m, &carol.device);
        check_ended(&w);

        m = world_inner(&w, "from tomorrow's device");
        m.epoch++;
        world_say(&w, &m, &w.alice.device);
        check_ended(&w);

        m = world_inner(&w, "signed by somebody else");
        world_say(&w, &m, &carol.device);
        check_ended(&w);

        m = world_inner(&w, "signed with the account's key");
        world_say(&w, &m, &w.alice.account);
        check_ended(&w);
        person_done(&carol);
        world_free(&w);
}

TEST(a_burst_must_hold_together) {
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        world_write(&w, "unsigned before a hole", false);
        m = world_inner(&w, "after the hole");
        m.seq++;
        world_say(&w, &m, &w.alice.device);
        check_ended(&w);

        world_write(&w, "unsigned", false);
        m = world_inner(&w, "built on something else");
        m.prev[0] ^= 1;
        world_say(&w, &m, &w.alice.device);
        check_ended(&w);

        world_write(&w, "unsigned", false);
        world_write(&w, "unsigned", false);
        m = world_inner(&w, "badly signed");
        world_say(&w, &m, &w.alice.account);
        check_ended(&w);

        for (int i = 0; i <= BURST_ENTRIES_MAX; i++)
                world_write(&w, "and on and on", false);
        check_ended(&w);
        world_free(&w);
}

/* INNER as it should be but for its bytes. */
static void say_bytes(World *w, Bytes inner) {
        uint8_t hash[SHA256_SIZE], signature[SIGNATURE_SIZE];

        sha256(inner.data, inner.size, hash);
        CHECK_OK(entry_sign(&w->alice.device, hash, signature));
        far_sent(&w->far,
                message_encode(far_output(w),
                        &(MessageFrame){.inner = inner,
                                .signature = {.data = signature, .size = SIGNATURE_SIZE}}));
}

/* Replaces the first WHAT of INNER. */
static Buffer edited(const Inner *m, const char *what, size_t n, const char *by, size_t n_by) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Buffer out = BUFFER_NULL;
        const uint8_t *at;
        size_t before;

        CHECK_OK(inner_encode(&b, m));
        at = memmem(buffer_data(&b), buffer_size(&b), what, n);
        CHECK(at);
        before = (size_t)(at - buffer_data(&b));
        CHECK_OK(buffer_append(&out, buffer_data(&b), before));
        CHECK_OK(buffer_append(&out, by, n_by));
        CHECK_OK(buffer_append(&out, at + n, buffer_size(&b) - before - n));
        return out;
}

TEST(an_entry_has_one_form) {
        World w;
        Inner m;
        Buffer b;

        world_new(&w, CONTACT_PINNED);
        m = world_inner(&w, "plain");
        b = edited(&m, "\x0c\x45plain", 7, "\x0c\x58\x05plain", 8); /* a longer head */
        say_bytes(&w, buffer_bytes(&b));
        check_ended(&w);
        buffer_done(&b);
        b = edited(&m, "\x0b\x01", 2, "\x0b\x18\x01", 3);
        say_bytes(&w, buffer_bytes(&b));
        check_ended(&w);
        buffer_done(&b);
        b = edited(&m, "\x0c\x45plain", 7, "\x0c\x45plain\x00", 8); /* more behind it */
        say_bytes(&w, buffer_bytes(&b));
        check_ended(&w);
        buffer_done(&b);
        say_bytes(&w, text_bytes("not CBOR at all"));
        check_ended(&w);
        world_free(&w);
}

TEST(a_body_may_be_so_long_and_no_longer) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        uint8_t *p = buffer_reserve(&body, BODY_SIZE_MAX + 1);
        char head[] = {0x0c, 0x5a, 0, BODY_SIZE_MAX >> 16, (char)(BODY_SIZE_MAX >> 8),
                (char)BODY_SIZE_MAX, 'x'};
        char longer[sizeof(head) + 1];
        World w;
        Inner m;
        Buffer b;

        CHECK(p);
        memset(p, 'x', BODY_SIZE_MAX + 1);
        world_new(&w, CONTACT_PINNED);
        m = world_inner(&w, "");
        m.body = (Bytes){.data = p, .size = BODY_SIZE_MAX};
        memcpy(longer, head, sizeof(head));
        CHECK((uint8_t)++longer[5] != 0); /* one more, without a carry */
        longer[sizeof(head)] = 'x';
        b = edited(&m, head, sizeof(head), longer, sizeof(longer));
        say_bytes(&w, buffer_bytes(&b));
        buffer_done(&b);
        check_ended(&w);
        world_say(&w, &m, &w.alice.device);
        check_ack(&w, &m.id);
        CHECK_EQ(w.bob.n_shown, 1);
        CHECK_EQ(w.bob.shown->body.size, BODY_SIZE_MAX);
        world_free(&w);
}

/* As after a change of devices, when all that was written before comes with the new one. */
TEST(every_feed_of_a_batch_gets_its_receipt) {
        bool seen[7] = {};
        World w;

        world_new(&w, CONTACT_PINNED);
        w.alice.epoch = ELEMENTSOF(seen);
        person_sign(&w.alice, IDENTITY_LIFETIME);
        world_link(&w);
        for (unsigned epoch = 1; epoch < ELEMENTSOF(seen); epoch++) {
                Inner m = world_inner(&w, "from before");

                m.epoch = epoch;
                m.seq = 1;
                m.device[0] ^= (uint8_t)epoch;
                memset(m.prev, 0, sizeof(m.prev));
                world_say(&w, &m, &w.alice.device);
        }
        for (unsigned i = 1; i < ELEMENTSOF(seen); i++) {
                Receipt rc = world_take_receipt(&w);

                CHECK(rc.epoch < ELEMENTSOF(seen) && !seen[rc.epoch]);
                seen[rc.epoch] = true;
        }
        CHECK_EQ(w.bob.n_shown, ELEMENTSOF(seen) - 1);
        world_free(&w);
}

TEST(an_older_device_does_not_come_in) {
        Transport *ends[2];
        Person tablet;
        Hello h;
        Pipe *p;
        World w;

        world_new(&w, CONTACT_PINNED);
        person_on_device(&w.alice, 2, &tablet);
        stack_knows(&w.bob, &tablet, 0);
        far_free(&w.far);
        CHECK_OK(pipe_new(w.sim.loop, &(PipeOptions){.latency = 1}, ends, &p));
        far_begin(&w.far, &w.alice, TLS_CLIENT, LINK_ALPN, ends[0]);
        delivery_accept(w.bob.delivery, ends[1]);
        h = person_hello(&w.alice);
        far_send_hello(&w.far, &h);
        CHECK_EQ(far_bye(&w.far), CODE_REPLACED);
        CHECK_EQ(w.bob.n_up, 1);
        pipe_unref(p);
        person_done(&tablet);
        world_free(&w);
}

/* A disk that is full: files do not grow any more. */

static struct rlimit before_full;

static void disk_is_full(World *w, bool full) {
        struct rlimit limit;
        struct stat st;
        char path[128];

        if (!full) {
                CHECK_OK(setrlimit(RLIMIT_FSIZE, &before_full));
                return;
        }
        snprintf(path, sizeof(path), "%s/db/data.mdb", w->bob.dir);
        CHECK_OK(stat(path, &st));
        (void)signal(SIGXFSZ, SIG_IGN);
        CHECK_OK(getrlimit(RLIMIT_FSIZE, &before_full));
        limit = before_full;
        limit.rlim_cur = (rlim_t)st.st_size;
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
}

TEST(what_could_not_be_stored_is_not_acknowledged) {
        /* More than one ACK can name, and within what is read in one turn. */
        const unsigned many = ACK_IDS_MAX + 1;
        Uuid *ids = calloc(ACK_IDS_MAX, sizeof(*ids));
        unsigned refused = 0, acked = 0;
        Inner *list = calloc(many, sizeof(*list));
        World w;
        Nack n;

        CHECK(ids && list);
        world_new(&w, CONTACT_PINNED);
        disk_is_full(&w, true);
        for (unsigned i = 0; i < many; i++)
                list[i] = world_write(&w, "a drop in the ocean", i % 32 == 31 || i == many - 1);
        SIM_UNTIL(&w.sim, far_has(&w.far, FRAME_NACK));
        sim_run(&w.sim, USEC_PER_SEC);
        disk_is_full(&w, false);
        CHECK(!far_has(&w.far, FRAME_ACK) && !far_has(&w.far, FRAME_RECEIPT));
        CHECK_EQ(w.bob.n_shown, 0);
        while (far_has(&w.far, FRAME_NACK)) {
                Frame f = far_take(&w.far, FRAME_NACK);

                CHECK_OK(nack_decode(&f, &n));
                CHECK_EQ(n.code, CODE_PEER_STORAGE);
                CHECK(!n.permanent && n.retry_after > 0);
                refused++;
        }
        CHECK(refused > 0 && refused <= many);

        /* With room on the disk it is taken, each once. */
        for (unsigned i = 0; i < many; i++)
                world_say(&w, &list[i], &w.alice.device);
        while (acked < many)
                acked += (unsigned)world_take_ack(&w, ids);
        CHECK_EQ(acked, many);
        CHECK_EQ(w.bob.n_shown, many);
        free(list);
        free(ids);
        world_free(&w);
}
