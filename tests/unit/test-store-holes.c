/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Feeds with more holes than a receipt has ranges, at both ends. */

#include "store-lab.h"

#define HOLES 300
#define ENTRIES (2 * HOLES) /* the odd ones are missing */
#define RANGES RECEIPT_RANGES_MAX

/* What the newest ranges do not say any more. */
#define DROPPED (2 * (HOLES - RANGES))

/* An entry of alice's as it is in her store. */
static void take_from(const Person *p, uint64_t seq, Made *ret) {
        Entry e;

        *ret = (Made){};
        CHECK_EQ(entry_get(txn_of(p), own_feed(p).number, seq, &e), 1);
        CHECK_OK(buffer_append(&ret->bytes, e.inner.data, e.inner.size));
        CHECK_OK(inner_decode(buffer_bytes(&ret->bytes), &ret->inner));
        sha256(buffer_data(&ret->bytes), buffer_size(&ret->bytes), ret->hash);
}

static Received bring(Lab *lab, uint64_t seq, ReceivedAt *at) {
        Received what;
        Made m;

        take_from(&lab->alice, seq, &m);
        what = receive_and_find(&lab->bob, &m, NOW + MINUTE, at);
        made_done(&m);
        return what;
}

static void send_all(Lab *lab) {
        for (uint32_t i = 1; i <= ENTRIES; i++)
                CHECK_OK(send_text(&lab->alice, i, "text", NOW + i * USEC_PER_MSEC));
}

typedef struct Told {
        unsigned n[ENTRIES + 1];
} Told;

static void on_delivered(void *userdata, const Uuid *id) {
        Told *t = userdata;

        t->n[uuid_to_number(id)]++;
}

static int tell(Lab *lab, const Receipt *rc, Told *told) {
        return store_take_receipt(
                lab->alice.store, &lab->alice.self, &lab->alice.other, rc, NOW, on_delivered, told);
}

static void tell_cumulative(Lab *lab, Told *told) {
        Receipt rc;

        CHECK_EQ(make_receipt(lab, foreign_feed(&lab->bob).number, &rc), 1);
        CHECK_OK(tell(lab, &rc, told));
}

static void tell_beyond(Lab *lab, const ReceivedAt *at, Told *told) {
        Receipt rc;

        CHECK(at->beyond.first > 0);
        CHECK_EQ(make_receipt(lab, at->feed, &rc), 1);
        rc.n_ranges = 1;
        rc.ranges[0] = at->beyond;
        memcpy(rc.hash, at->beyond_hash, SHA256_SIZE);
        CHECK_OK(tell(lab, &rc, told));
}

static bool is_delivered(const Lab *lab, uint64_t seq) {
        HistoryRow h;

        CHECK_EQ(history_get(txn_of(&lab->alice), own_feed(&lab->alice).number, seq, &h), 1);
        return h.delivered;
}

static uint64_t gap_before(const Lab *lab, uint64_t seq) {
        HistoryRow h;

        CHECK_EQ(history_get(txn_of(&lab->bob), foreign_feed(&lab->bob).number, seq, &h), 1);
        return h.gap_before;
}

/* Every second one, and bob's receipts after each. */
static void bring_even(Lab *lab, bool receipts, Told *told) {
        ReceivedAt at;

        for (uint64_t seq = 2; seq <= ENTRIES; seq += 2) {
                CHECK_EQ(bring(lab, seq, &at), RECEIVED_NEW);
                /* Where there are too many, the oldest is said once more. */
                CHECK_EQ(at.beyond.first, seq <= 2 * RANGES ? 0 : seq - 2 * RANGES);
                CHECK_EQ(at.beyond.last, at.beyond.first);
                if (receipts && at.beyond.first > 0)
                        tell_beyond(lab, &at, told);
                if (receipts)
                        tell_cumulative(lab, told);
        }
}

TEST(a_feed_goes_on_after_more_holes_than_a_receipt_can_tell) {
        static Told told;
        ReceivedAt at;
        Lab lab;
        Feed f;

        lab_new(&lab);
        send_all(&lab);
        bring_even(&lab, true, &told);
        f = foreign_feed(&lab.bob);
        CHECK(f.have.n == RANGES && f.have.dropped == DROPPED && f.seq == ENTRIES);
        CHECK_EQ(conversation_of(&lab.bob).unread, HOLES);
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), HOLES);
        for (int round = 0; round < 2; round++) {
                for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
                        CHECK_EQ(is_delivered(&lab, seq), seq % 2 == 0);
                        CHECK_EQ(told.n[seq], seq % 2 == 0);
                        if (seq % 2 == 0) {
                                CHECK_EQ(gap_before(&lab, seq), 1);
                                CHECK_EQ(bring(&lab, seq, &at), RECEIVED_AGAIN);
                                CHECK_EQ(at.beyond.first, seq <= DROPPED ? seq : 0);
                        }
                }
                person_reopen(&lab, &lab.alice);
                person_reopen(&lab, &lab.bob);
                tell_cumulative(&lab, &told);
        }
        CHECK_EQ(conversation_of(&lab.bob).unread, HOLES);
        lab_free(&lab);
}

TEST(a_receipt_that_was_lost_is_made_up_for) {
        static Told told;
        ReceivedAt at;
        Lab lab;

        lab_new(&lab);
        send_all(&lab);
        bring_even(&lab, false, &told);
        tell_cumulative(&lab, &told);
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), ENTRIES - RANGES);
        for (uint64_t seq = 2; seq <= DROPPED; seq += 2) {
                CHECK_EQ(is_delivered(&lab, seq), false);
                CHECK_EQ(bring(&lab, seq, &at), RECEIVED_AGAIN);
                tell_beyond(&lab, &at, &told);
                CHECK_EQ(is_delivered(&lab, seq), true);
                tell_cumulative(&lab, &told);
        }
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), HOLES);
        for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
                CHECK_EQ(is_delivered(&lab, seq), seq % 2 == 0);
                CHECK_EQ(told.n[seq], seq % 2 == 0);
        }
        lab_free(&lab);
}

/* The odd ones come after all, the last first: each is beyond what is kept, or joins two ranges. */
TEST(what_comes_very_late_is_kept_and_said) {
        static Told told;
        ReceivedAt at;
        Lab lab;
        Feed f;

        lab_new(&lab);
        send_all(&lab);
        bring_even(&lab, true, &told);
        for (uint64_t seq = ENTRIES - 1; seq <= ENTRIES; seq -= 2) {
                CHECK_EQ(bring(&lab, seq, &at), RECEIVED_NEW);
                CHECK_EQ(bring(&lab, seq, &at), RECEIVED_AGAIN);
                CHECK_EQ(at.beyond.first, seq <= DROPPED ? seq : 0);
                if (at.beyond.first > 0)
                        tell_beyond(&lab, &at, &told);
                tell_cumulative(&lab, &told);
        }
        f = foreign_feed(&lab.bob);
        CHECK(f.have.n == 1 && f.have.range[0].first == DROPPED + 1);
        CHECK_EQ(conversation_of(&lab.bob).unread, ENTRIES);
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), 0);
        for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
                CHECK_EQ(is_delivered(&lab, seq), true);
                CHECK_EQ(told.n[seq], 1);
                CHECK_EQ(gap_before(&lab, seq), 0);
        }
        lab_free(&lab);
}

TEST(what_was_given_up_and_arrives_very_late_is_delivered_once) {
        Uuid id = uuid_number(3);
        static Told told;
        ReceivedAt at;
        Lab lab;

        lab_new(&lab);
        send_all(&lab);
        CHECK_EQ(store_cancel(lab.alice.store, &id, NOW), 1);
        bring_even(&lab, true, &told);
        CHECK_EQ(is_delivered(&lab, 3), false);
        CHECK_EQ(bring(&lab, 3, &at), RECEIVED_NEW); /* it was on its way */
        for (int i = 0; i < 2; i++)
                tell_beyond(&lab, &at, &told);
        CHECK_EQ(is_delivered(&lab, 3), true);
        CHECK_EQ(told.n[3], 1);
        id = uuid_number(1);
        CHECK_EQ(store_cancel(lab.alice.store, &id, NOW), 1);
        CHECK_EQ(is_delivered(&lab, 1), false);
        lab_free(&lab);
}

/* Gaps that the author has closed stay closed, however many there are. */
TEST(closed_gaps_stay_closed) {
        ReceivedAt at;
        Lab lab;
        Void v;

        lab_new(&lab);
        send_all(&lab);
        for (uint64_t seq = 2; seq <= ENTRIES; seq += 2) {
                CHECK_EQ(bring(&lab, seq, &at), RECEIVED_NEW);
                v = (Void){.epoch = 1, .n_ranges = 1, .reason = VOID_CANCELLED};
                memcpy(v.conversation, conversation_of(&lab.bob).hash, SHA256_SIZE);
                memcpy(v.author, lab.bob.other.account, KEY_SIZE);
                memcpy(v.device, foreign_feed(&lab.bob).device, KEY_SIZE);
                v.ranges[0] = (SeqRange){seq - 1, seq - 1};
                CHECK_EQ(gap_before(&lab, seq), 1);
                CHECK_OK(store_take_void(lab.bob.store, &lab.bob.other, &v));
                CHECK_EQ(gap_before(&lab, seq), 0);
        }
        for (uint64_t seq = 2; seq <= ENTRIES; seq += 2)
                CHECK_EQ(gap_before(&lab, seq), 0);
        lab_free(&lab);
}

/* Reading */

static int mark(Lab *lab, uint64_t seq) {
        Uuid id = uuid_number((uint32_t)seq);

        return store_mark_read(
                lab->bob.store, lab->bob.other.number, &id, NOW + MINUTE, true, NULL);
}

static bool is_read(const Lab *lab, uint64_t seq) {
        HistoryRow h;

        CHECK_EQ(history_get(txn_of(&lab->bob), foreign_feed(&lab->bob).number, seq, &h), 1);
        return h.read;
}

static void check_read_up_to(const Lab *lab, uint64_t last, uint32_t unread) {
        CHECK_EQ(conversation_of(&lab->bob).unread, unread);
        for (uint64_t seq = 2; seq <= ENTRIES; seq += 2)
                CHECK_EQ(is_read(lab, seq), seq <= last);
}

TEST(old_messages_are_read_like_others) {
        ReceivedAt at;
        Lab lab;

        lab_new(&lab);
        send_all(&lab);
        bring_even(&lab, false, NULL);
        check_read_up_to(&lab, 0, HOLES);
        CHECK_EQ(mark(&lab, 20), 1);
        check_read_up_to(&lab, 20, HOLES - 10);
        CHECK_EQ(mark(&lab, 20), 0);
        CHECK_EQ(mark(&lab, DROPPED + 20), 1);
        check_read_up_to(&lab, DROPPED + 20, HOLES - DROPPED / 2 - 10);
        CHECK_EQ(bring(&lab, 7, &at), RECEIVED_NEW); /* nobody has seen it */
        CHECK_EQ(bring(&lab, DROPPED + 7, &at), RECEIVED_NEW);
        CHECK(!is_read(&lab, 7) && !is_read(&lab, DROPPED + 7));
        check_read_up_to(&lab, DROPPED + 20, HOLES - DROPPED / 2 - 10 + 2);
        person_reopen(&lab, &lab.bob);
        CHECK_EQ(mark(&lab, ENTRIES), 1);
        CHECK(is_read(&lab, 7) && is_read(&lab, DROPPED + 7));
        check_read_up_to(&lab, ENTRIES, 0);
        CHECK_EQ(mark(&lab, ENTRIES), 0);
        lab_free(&lab);
}

TEST(a_mark_of_ones_own_reads_what_is_old) {
        ReceivedAt at;
        Uuid id = uuid_number(7777);
        Lab lab;

        lab_new(&lab);
        send_all(&lab);
        bring_even(&lab, false, NULL);
        CHECK_OK(send_text(&lab.bob, 7777, "an answer", NOW + 10 * MINUTE));
        CHECK_EQ(store_mark_read(lab.bob.store, SELF_NUMBER, &id, NOW + MINUTE, true, NULL), 1);
        check_read_up_to(&lab, ENTRIES, 0);
        /* There are not enough ranges for every second one: the last count as read. */
        for (uint64_t seq = 1; seq < ENTRIES; seq += 2)
                CHECK_EQ(bring(&lab, seq, &at), RECEIVED_NEW);
        CHECK_EQ(conversation_of(&lab.bob).unread, RANGES);
        CHECK_EQ(store_mark_read(lab.bob.store, SELF_NUMBER, &id, NOW + MINUTE, true, NULL), 1);
        check_read_up_to(&lab, ENTRIES, 0);
        lab_free(&lab);
}

/* Hostile authors */

TEST(any_seqs_are_taken_as_they_come) {
        static const uint64_t seqs[] = {
                SEQ_MAX, 1, SEQ_MAX / 2, 2, SEQ_MAX - 2, 1000, 3, SEQ_MAX - 4, 4};
        SignKey device = sample_key(ALICE + 1);
        unsigned kept = 0, taken = 0;
        ReceivedAt at;
        Receipt rc;
        Lab lab;
        Feed f;

        lab_new(&lab);
        srandom(7);
        for (unsigned i = 0; i < 2000; i++) {
                uint64_t seq = i < ELEMENTSOF(seqs) ? seqs[i] : 1 + (uint64_t)random() % 4000;
                Inner m = inner_for(seq, NULL);
                Received what;
                Made made;

                m.id = uuid_number(i + 1);
                make(&made, &m);
                what = receive_and_find(&lab.bob, &made, NOW + MINUTE, &at);
                CHECK(what == RECEIVED_NEW || what == RECEIVED_FORK);
                kept += what == RECEIVED_NEW;
                taken++;
                if (what == RECEIVED_NEW) {
                        CHECK_EQ(receive_and_find(&lab.bob, &made, NOW + MINUTE, &at),
                                RECEIVED_AGAIN);
                        f = foreign_feed(&lab.bob);
                        CHECK(ranges_have(&f.have, seq) != (at.beyond.first == seq));
                }
                made_done(&made);
        }
        CHECK(kept > 1000 && kept < taken);
        f = foreign_feed(&lab.bob);
        CHECK(key_equal(f.device, sign_key_public(&device)));
        CHECK(f.have.n <= RANGES && f.have.dropped < f.have.range[0].first);
        CHECK_EQ(conversation_of(&lab.bob).unread, kept);
        CHECK_EQ(make_receipt(&lab, f.number, &rc), 1);
        person_reopen(&lab, &lab.bob);
        CHECK_OK(send_text(&lab.bob, 7777, "an answer", NOW + 10 * MINUTE));
        CHECK_EQ(store_mark_read(lab.bob.store, SELF_NUMBER, &(Uuid){}, NOW, true, NULL), -ENOENT);
        lab_free(&lab);
}

/* A receipt may claim anything: that costs no more than what it ends. */
TEST(old_ranges_of_receipts_end_envelopes_once) {
        static Told told;
        Receipt rc;
        Lab lab;

        lab_new(&lab);
        send_all(&lab);
        bring_even(&lab, true, &told);
        CHECK_EQ(make_receipt(&lab, foreign_feed(&lab.bob).number, &rc), 1);
        rc.ranges[0] = (SeqRange){1, ENTRIES};
        rc.n_ranges = 1;
        for (int i = 0; i < 3; i++)
                CHECK_OK(tell(&lab, &rc, &told));
        for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
                CHECK_EQ(is_delivered(&lab, seq), true);
                CHECK_EQ(told.n[seq], 1);
        }
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), 0);
        lab_free(&lab);
}
