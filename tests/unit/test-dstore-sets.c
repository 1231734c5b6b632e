/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sets of the tracker's store, as a depositor, a collector and a disk without room see them. */

#include "full-disk.h"
#include "sets-lab.h"

/* The life of an item */

TEST(items_are_listed_in_the_order_of_arrival) {
        Listed l;
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(add(&lab, 1, 9, 1, "first"), SET_OK);
        CHECK_EQ(add(&lab, 2, 3, 1, "elsewhere"), SET_OK);
        CHECK_EQ(add(&lab, 1, 4, 2, "second"), SET_OK);
        CHECK_EQ(add(&lab, 1, 7, 1, "third"), SET_OK);
        CHECK_STR(list(&lab, 1), "9:first 4:second 7:third");
        lab_reopen(&lab);
        CHECK_STR(list(&lab, 1), "9:first 4:second 7:third");

        l = list_page(&lab, 1, 0, 2, 1000);
        CHECK_STR(l.text, "9:first 4:second");
        CHECK(l.more);
        CHECK_EQ(ack(&lab, 1, 4), 1); /* where the page ended: the next begins there all the same */
        l = list_page(&lab, 1, l.after, 2, 1000);
        CHECK_STR(l.text, "7:third");
        CHECK(!l.more);

        l = list_page(&lab, 1, 0, 2, 3); /* the first comes, however large it is */
        CHECK_STR(l.text, "9:first");
        CHECK(l.more);
        CHECK_STR(list_page(&lab, 1, UINT64_MAX, 2, 3).text, "");
        lab_free(&lab);
}

TEST(an_item_is_promised_when_it_is_on_disk) {
        Lab lab;
        DStoreAdd a;
        Done d = {};

        lab_new(&lab);
        a = addition(&lab, 1, 1, 1, "one");
        lab.d->ops->set_add(lab.d, &a, on_done, &d);
        CHECK_EQ(d.called, 0);
        CHECK_STR(list(&lab, 1), "");
        lab_reopen(&lab);
        CHECK_EQ(d.called, 1);
        CHECK_STR(list(&lab, 1), "1:one");

        d = (Done){};
        a = addition(&lab, 1, 2, 1, "two");
        lab.d->ops->set_add(lab.d, &a, on_done, &d);
        lab.d->ops->forget(lab.d, &d);
        loop_virtual_run(lab.loop, 0);
        CHECK_EQ(d.called, 0);
        CHECK_STR(list(&lab, 1), "1:one 2:two");
        lab_free(&lab);
}

TEST(what_was_taken_does_not_come_back) {
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(find(&lab, 1, 1).state, ITEM_UNKNOWN);
        CHECK_EQ(ack(&lab, 1, 1), 0);
        CHECK_EQ(add(&lab, 1, 1, 1, "one"), SET_OK); /* which an ack before has not prevented */
        CHECK_EQ(find(&lab, 1, 1).state, ITEM_HELD);
        CHECK_EQ(add(&lab, 1, 1, 2, "other"), SET_EXISTS);
        CHECK_EQ(ack(&lab, 1, 1), 1);
        CHECK_EQ(ack(&lab, 1, 1), 0);
        CHECK_STR(list(&lab, 1), "");
        CHECK_EQ(find(&lab, 1, 1).state, ITEM_GONE);
        CHECK_EQ(add(&lab, 1, 1, 1, "one"), SET_GONE);
        CHECK_EQ(add(&lab, 2, 1, 1, "elsewhere"), SET_OK);
        lab_reopen(&lab);
        CHECK_EQ(add(&lab, 1, 1, 1, "one"), SET_GONE);
        lab_free(&lab);
}

TEST(who_added_it_may_withdraw_it) {
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(add(&lab, 1, 1, 1, "one"), SET_OK);
        CHECK_EQ(try_withdraw(&lab, 1, 1, 2).result, SET_LOCKED);
        CHECK_STR(list(&lab, 1), "1:one");
        CHECK_EQ(try_withdraw(&lab, 1, 1, 1).result, SET_OK);
        CHECK_STR(list(&lab, 1), "");
        CHECK_EQ(find(&lab, 1, 1).state, ITEM_GONE);
        CHECK_EQ(try_withdraw(&lab, 1, 1, 2).result, SET_OK); /* nothing is held */
        CHECK_EQ(try_withdraw(&lab, 1, 5, 2).result, SET_OK);
        CHECK_EQ(add(&lab, 1, 1, 1, "one"), SET_GONE);
        lab_free(&lab);
}

TEST(a_note_takes_the_place_of_an_item) {
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(add(&lab, 1, 1, 1, "a long item of many bytes"), SET_OK);
        CHECK_EQ(add(&lab, 1, 2, 1, "two"), SET_OK);
        CHECK_EQ(try_note(&lab, 1, 9, "of nothing").result, 0);
        CHECK_EQ(try_note(&lab, 1, 1, "seal again").result, 1);
        CHECK_STR(list(&lab, 1), "2:two");
        CHECK_EQ(find(&lab, 1, 1).state, ITEM_HELD);
        CHECK_STR(find(&lab, 1, 1).note, "seal again");
        CHECK_STR(find(&lab, 1, 2).note, "");
        CHECK_EQ(usage(&lab, 1).items, 2);
        CHECK_EQ(usage(&lab, 1).listed, 1);
        CHECK_EQ(usage(&lab, 1).bytes, 13);
        CHECK_EQ(add(&lab, 1, 1, 1, "a long item of many bytes"), SET_EXISTS);
        CHECK_EQ(try_note(&lab, 1, 1, "seal again, newer").result, 1);
        CHECK_STR(find(&lab, 1, 1).note, "seal again, newer");
        CHECK_EQ(try_withdraw(&lab, 1, 1, 1).result, SET_OK);
        CHECK_EQ(find(&lab, 1, 1).state, ITEM_GONE);
        CHECK_STR(find(&lab, 1, 1).note, "");
        CHECK_EQ(try_note(&lab, 1, 1, "too late").result, 0);
        lab_free(&lab);
}

/* Time */

TEST(an_item_ends_in_time_and_its_tombstone_a_month_later) {
        DStoreAdd a;
        uint64_t ended;
        Lab lab;
        Done d;

        lab_new(&lab);
        CHECK_EQ(try_expire(&lab, 9).result, 0); /* nothing ever */
        CHECK_EQ(add(&lab, 1, 1, 1, "month"), SET_OK);
        a = addition(&lab, 1, 2, 1, "day");
        a.item.expires = in_days(&lab, 1);
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        a = addition(&lab, 1, 3, 1, "day, taken");
        a.item.expires = in_days(&lab, 1);
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        CHECK_EQ(ack(&lab, 1, 3), 1);
        ended = loop_realtime(lab.loop);
        CHECK_EQ(try_expire(&lab, 9).result, a.item.expires);

        loop_virtual_run(lab.loop, USEC_PER_DAY);
        CHECK_STR(list(&lab, 1), "1:month"); /* not shown, though it is there */
        CHECK_EQ(find(&lab, 1, 2).state, ITEM_UNKNOWN);
        CHECK_EQ(ack(&lab, 1, 2), 0);
        CHECK_EQ(usage(&lab, 1).items, 2);
        d = try_expire(&lab, 9);
        CHECK_EQ(d.result, in_days(&lab, 29));
        CHECK_EQ(usage(&lab, 1).items, 1);
        CHECK_EQ(find(&lab, 1, 3).state, ITEM_GONE);

        loop_virtual_run(lab.loop, 29 * USEC_PER_DAY);
        d = try_expire(&lab, 9);
        CHECK_EQ(d.result, ended + DSTORE_TOMBSTONE_TIME);
        CHECK_EQ(find(&lab, 1, 3).state, ITEM_GONE);
        CHECK_EQ(usage(&lab, 1).tombstones, 1);
        loop_virtual_run(lab.loop, USEC_PER_DAY);
        CHECK_EQ(find(&lab, 1, 3).state, ITEM_UNKNOWN);
        CHECK_EQ(try_expire(&lab, 9).result, 0);
        CHECK_EQ(usage(&lab, 0).items + usage(&lab, 0).bytes, 0);
        lab_free(&lab);
}

TEST(expiry_goes_in_bounded_steps) {
        Lab lab;
        DStoreAdd a;

        lab_new(&lab);
        for (uint8_t i = 0; i < 20; i++) {
                a = addition(&lab, i % 3, i, 1, "x");
                a.item.expires = in_days(&lab, 1) + i;
                CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        }
        loop_virtual_run(lab.loop, 2 * USEC_PER_DAY);
        CHECK(try_expire(&lab, 8).result < (uint64_t)loop_realtime(lab.loop)); /* there is more */
        CHECK_EQ(usage(&lab, 0).items, 12);
        lab_reopen(&lab);
        (void)try_expire(&lab, 8);
        CHECK_EQ(usage(&lab, 0).items, 4);
        CHECK_EQ(try_expire(&lab, 8).result, 0);
        CHECK_EQ(usage(&lab, 0).items, 0);
        lab_free(&lab);
}

TEST(a_set_goes_as_a_whole_in_bounded_steps) {
        Lab lab;
        Done d;

        lab_new(&lab);
        for (uint8_t i = 0; i < 20; i++)
                CHECK_EQ(add(&lab, 1 + i % 2, i, i % 3, "x"), SET_OK);
        (void)ack(&lab, 1, 2);
        CHECK_OK(try_note(&lab, 1, 4, "note").error);
        d = try_clear(&lab, 1, 6);
        CHECK_OK(d.error);
        CHECK_EQ(d.result, 1);
        CHECK_EQ(usage(&lab, 1).items + usage(&lab, 1).tombstones, 4);
        lab_reopen(&lab);
        CHECK_EQ(try_clear(&lab, 1, 4).result, 0);
        CHECK_EQ(usage(&lab, 1).items + usage(&lab, 1).tombstones + usage(&lab, 1).bytes, 0);
        CHECK_STR(list(&lab, 1), "");
        CHECK_EQ(usage(&lab, 2).items, 10); /* the others stay */
        CHECK_EQ(usage(&lab, 0).items, 10);
        CHECK_EQ(find(&lab, 1, 2).state, ITEM_UNKNOWN);
        CHECK_EQ(try_clear(&lab, 1, 9).result, 0); /* there is nothing */
        CHECK_EQ(add(&lab, 1, 2, 1, "again"), SET_OK);
        CHECK_STR(list(&lab, 1), "2:again");
        lab_free(&lab);
}

/* What is over does not stand in the way, whether or not it has been removed. */
TEST(an_id_whose_time_is_over_is_new) {
        Lab lab;
        DStoreAdd a;

        lab_new(&lab);
        a = addition(&lab, 1, 1, 1, "old");
        a.item.expires = in_days(&lab, 1);
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        loop_virtual_run(lab.loop, USEC_PER_DAY);
        CHECK_EQ(add(&lab, 1, 1, 1, "new"), SET_OK);
        CHECK_STR(list(&lab, 1), "1:new");
        CHECK_EQ(usage(&lab, 1).items, 1);
        CHECK_EQ(try_expire(&lab, 9).result, in_days(&lab, 30));
        lab_free(&lab);
}

/* Quotas */

TEST(quotas_hold_for_the_set_and_for_each_who_adds) {
        DStoreAdd a;
        Lab lab;

        lab_new(&lab);
        for (uint8_t i = 0; i < 10; i++) {
                a = addition(&lab, 1, i, i < 3 ? 1 : 2, "1234");
                a.of_set = (DStoreQuota){.items = 5, .bytes = 1000};
                a.of_by = (DStoreQuota){.items = 2, .bytes = 1000};
                CHECK_EQ(try_add(&lab, &a).result, i == 2 || i > 4 ? SET_BY_FULL : SET_OK);
        }
        memset(a.by, 3, sizeof(a.by));
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        name(a.item.id, 77);
        memset(a.by, 4, sizeof(a.by));
        CHECK_EQ(try_add(&lab, &a).result, SET_FULL);
        CHECK_EQ(ack(&lab, 1, 0), 1); /* there is room again */
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);

        a = addition(&lab, 2, 1, 1, "123456");
        a.of_by.bytes = 10;
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        name(a.item.id, 2);
        CHECK_EQ(try_add(&lab, &a).result, SET_BY_FULL);
        a.item.blob.size = 4;
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        a.of_set.bytes = 9;
        memset(a.by, 5, sizeof(a.by));
        name(a.item.id, 3);
        CHECK_EQ(try_add(&lab, &a).result, SET_FULL);
        lab_free(&lab);
}

/* Or the disk would fill with tombstones. */
TEST(to_deposit_and_withdraw_without_end_is_refused) {
        DStoreAdd a;
        Lab lab;

        lab_new(&lab);
        for (unsigned i = 0; i < DSTORE_TOMBSTONES_PER_ITEM; i++) {
                a = addition(&lab, 1, (uint8_t)i, 1, "x");
                a.of_by.items = 1;
                CHECK_EQ(try_add(&lab, &a).result, SET_OK);
                CHECK_EQ(try_withdraw(&lab, 1, (uint8_t)i, (uint8_t)i).result, SET_OK);
        }
        name(a.item.id, 200);
        CHECK_EQ(try_add(&lab, &a).result, SET_BY_FULL);
        loop_virtual_run(lab.loop, 32 * USEC_PER_DAY);
        (void)try_expire(&lab, 1000);
        a.item.expires = in_days(&lab, 1);
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        lab_free(&lab);
}

/* A disk without room */

TEST(a_full_disk_takes_nothing_new_and_lets_go_of_the_old) {
        static char large[64 * 1024];
        DStoreAdd a;
        Lab lab;
        Done d;

        memset(large, 'x', sizeof(large) - 1);
        lab_new(&lab);
        snprintf(reserve_path, sizeof(reserve_path), "%s/reserve", lab.path);
        CHECK(reserve_size() >= 8 * MIB);
        for (uint8_t i = 0; i < 50; i++)
                CHECK_EQ(add(&lab, 1, i, 1, large), SET_OK);
        disk_free = reserve_size(); /* and nothing beside it */
        a = addition(&lab, 1, 200, 1, large);
        d = try_add(&lab, &a);
        CHECK_EQ(d.error, -ENOSPC);
        CHECK_EQ(try_add(&lab, &a).error, -ENOSPC); /* though there is the reserve */
        CHECK_EQ(add(&lab, 1, 1, 1, large), SET_EXISTS);
        for (uint8_t i = 0; i < 50; i++)
                CHECK_EQ(i % 2 ? ack(&lab, 1, i) : try_withdraw(&lab, 1, i, i).result == SET_OK, 1);
        CHECK_EQ(usage(&lab, 1).items, 0);
        CHECK_EQ(try_add(&lab, &a).error, -ENOSPC);
        disk_free = 100 * MIB;
        loop_virtual_run(lab.loop, 2 * USEC_PER_SEC);
        CHECK_EQ(try_add(&lab, &a).result, SET_OK);
        lab_reopen(&lab);
        CHECK_EQ(usage(&lab, 1).items, 1);
        lab_free(&lab);
}
