/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which device of the account is the active one: this one, until a record of another beats its own.
 */

#include "account/private.h"

#include "store/event.h"
#include "store/presence-key.h"
#include "util/log.h"

bool account_is_replaced(const Account *a) {
        return account_exists(a) && a->identity.replaced;
}

Bytes account_replaced_by(const Account *a) {
        return buffer_bytes(&a->replaced_by);
}

int account_load_replaced_by(Account *a) {
        Bytes record;
        int r;

        buffer_clear(&a->replaced_by);
        r = store_get_replaced_by(store_write(a->store), &record);
        return r > 0 ? buffer_append(&a->replaced_by, record.data, record.size) : r;
}

/* What orders devices is (epoch, lower hash of the device key): a record of another device never
 * gets as far as what orders those of one. */
static bool beats_this_device(const Account *a, const Record *record) {
        Record own = {.epoch = a->identity.epoch};

        memcpy(own.device.device, sign_key_public(&a->identity.device), KEY_SIZE);
        return !key_equal(record->device.device, own.device.device) &&
                record_compare(record, (Bytes){}, &own, (Bytes){}) > 0;
}

/* 0 without one. */
static int newest_seen(const Account *a, Record *ret) {
        Bytes seen = buffer_bytes(&a->replaced_by);

        return seen.size > 0 && record_parse(seen, ret) >= 0;
}

static bool is_newest(const Account *a, const Record *record, Bytes outer) {
        Record seen;

        return !newest_seen(a, &seen) ||
                record_compare(record, outer, &seen, buffer_bytes(&a->replaced_by)) > 0;
}

/* Of another one that another device has, or that this one had before it was restored. */
uint64_t account_newest_epoch(const Account *a) {
        uint64_t epoch = MAX(a->identity.epoch, a->seen_epoch);
        Record seen;

        return newest_seen(a, &seen) ? MAX(epoch, seen.epoch) : epoch;
}

bool account_is_handing_over(const Account *a) {
        return account_is_replaced(a) && !a->handed_over;
}

/* It seals where it is with the account's presence key, which it had from this device or from the
 * one before, or, as long as it had none, with one that can be derived. */
static void tell_presence_keys(Account *a, const Record *seen) {
        uint8_t key[BOX_KEY_SIZE];

        account_derive_presence_key(a, seen->epoch, seen->device.device, key);
        directory_set_presence_key(a->directory, seen->account, key);
        if (store_get_presence_key(store_write(a->store), key) > 0)
                directory_set_other_presence_key(a->directory, seen->account, key);
        explicit_bzero(key, sizeof(key));
}

/* Whoever says HELLO for the account is told that he is not it. */
void account_watch_successor(Account *a) {
        Record seen;

        directory_begin_anew(a->directory, true);
        if (a->handed_over) {
                (void)directory_seek_own(a->directory, NULL, (Bytes){});
                directory_stop(a->directory);
                return;
        }
        directory_start(a->directory);
        if (!newest_seen(a, &seen) ||
                directory_seek_own(a->directory, &seen, buffer_bytes(&a->replaced_by)) < 0)
                return;
        tell_presence_keys(a, &seen);
}

void account_set_handing_over(Account *a, bool handing_over) {
        a->handed_over = !handing_over;
        if (account_is_replaced(a) && a->operation == OPERATION_NONE)
                account_watch_successor(a);
}

static void on_replaced(void *userdata, int error) {
        Account *a = userdata;
        bool was_active = a->replacing;

        a->replacing = false;
        if (error < 0)
                (void)account_load_again(a); /* whoever told it tells it again */
        if (!account_is_replaced(a))
                return;
        if (was_active)
                a->callbacks->active(a->userdata, false);
        if (a->operation == OPERATION_NONE)
                account_watch_successor(a);
        a->callbacks->replaced(a->userdata);
}

/* What else is in this batch was done before this was known. */
static int replace(Account *a, Bytes outer, bool is_news) {
        const EventRow e = {.kind = EVENT_REPLACED, .time = loop_realtime(a->loop)};
        int r;

        r = store_set_replaced_by(a->store, outer);
        if (r >= 0)
                r = store_save_identity(a->store, &a->identity);
        if (r >= 0 && is_news)
                r = event_add(a->store, &e);
        if (r >= 0)
                r = store_after_commit(a->store, on_replaced, a);
        return r;
}

/* A copy of the store of this device, with its key, is another device. */
static bool replaces(Account *a, const Record *record, Bytes outer) {
        bool ahead = account_is_ahead(a, record);
        Record verified;

        if (!ahead && !(beats_this_device(a, record) && is_newest(a, record, outer)))
                return false;
        if (record_decode(outer, &verified) < 0)
                return false;
        return !ahead || !account_see_ahead(a, record);
}

void account_see_own_record(Account *a, const Record *record, Bytes outer) {
        bool was_active, was_replaced;
        int r;

        if (!account_exists(a) ||
                !key_equal(record->account, sign_key_public(&a->identity.account)) ||
                !replaces(a, record, outer))
                return;
        operation_replaced(a);
        was_active = account_is_active(a);
        was_replaced = account_is_replaced(a);
        buffer_clear(&a->replaced_by);
        r = buffer_append(&a->replaced_by, outer.data, outer.size);
        if (r >= 0 && a->taking_over && a->operation != OPERATION_COMMIT) {
                (void)store_set_replaced_by(a->store, outer);
                login_beaten(a);
                return;
        }
        a->identity.replaced = true;
        a->identity.logged_in = false;
        if (r >= 0)
                r = replace(a, outer, !was_replaced);
        if (r >= 0)
                a->replacing |= was_active;
        else
                store_fail(a->store, r); /* what is in memory holds until the next start */
}
