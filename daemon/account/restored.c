/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A store that is older than what this device has published: somebody has put a copy of it back.
 * What it would write next has a place that is taken, so that it goes on in an epoch that nobody
 * has seen, and what waits in the outbox is entered there once more. Until that is on disk nothing
 * of the outbox is sent.
 */

#include "account/private.h"

#include "util/log.h"

#define AGAIN USEC_PER_MINUTE

/* How far a contact is believed, who may be lying: each start may cost as many epochs. */
#define CLAIM_MAX 256

static void send_anew(Account *a);

static void try_again(Account *a) {
        a->anew_due = true;
        loop_timer_set(a->renewal, loop_now(a->loop) + AGAIN);
}

static void finish(Account *a) {
        a->callbacks->new_epoch(a->userdata, true);
        directory_begin_anew(a->directory, false);
        account_publish(a, &a->endpoints);
}

static void on_sent_anew(void *userdata, int error) {
        Account *a = userdata;

        if (!account_is_active(a))
                return; /* when it is so again */
        if (error < 0)
                try_again(a);
        else if (a->anew_more)
                send_anew(a);
        else
                finish(a);
}

static void send_anew(Account *a) {
        int r;

        r = store_send_all_anew(a->store, &a->identity, &a->anew_after);
        a->anew_more = r > 0;
        if (r >= 0)
                r = store_after_commit(a->store, on_sent_anew, a);
        if (r < 0)
                try_again(a);
}

void account_send_anew(Account *a) {
        a->anew_due = false;
        if (!account_is_active(a) || store_is_to_send_anew(store_write(a->store)) <= 0)
                return;
        a->callbacks->new_epoch(a->userdata, false);
        a->anew_after = (OutboxRow){};
        send_anew(a);
}

static void on_new_epoch(void *userdata, int error) {
        Account *a = userdata;

        if (error < 0)
                try_again(a);
        else
                account_send_anew(a);
}

static int begin_epoch(Account *a) {
        int r;

        r = store_set_send_anew(a->store, true);
        if (r >= 0)
                r = account_renew(a);
        if (r >= 0)
                r = store_after_commit(a->store, on_new_epoch, a);
        if (r < 0)
                try_again(a);
        return r;
}

void account_begin_epoch_again(Account *a) {
        a->anew_due = false;
        if (account_is_active(a))
                (void)begin_epoch(a);
}

int account_take_new_epoch(Account *a, const char *why) {
        a->epoch_taken = true;
        a->identity.epoch = account_newest_epoch(a) + 1;
        log_warning(
                "This device begins epoch %llu: %s", (unsigned long long)a->identity.epoch, why);
        a->callbacks->new_epoch(a->userdata, false);
        return begin_epoch(a);
}

/* Nothing that was written since the start, or since the last new epoch, can be news. */
void account_behind(Account *a, uint64_t epoch, const char *why) {
        uint64_t most = a->identity.epoch + CLAIM_MAX;

        if (!account_is_active(a) || a->epoch_taken)
                return;
        epoch = MIN(epoch, most);
        a->seen_epoch = MAX(a->seen_epoch, epoch);
        (void)account_take_new_epoch(a, why);
}

bool account_is_ahead(const Account *a, const Record *record) {
        const Identity *i = &a->identity;

        return key_equal(record->device.device, sign_key_public(&i->device)) &&
                (record->epoch > i->epoch ||
                        (record->epoch == i->epoch && record->seq > i->record_seq));
}

bool account_see_ahead(Account *a, const Record *record) {
        Identity *i = &a->identity;

        a->seen_epoch = MAX(a->seen_epoch, record->epoch);
        i->record_seq = MAX(i->record_seq, record->seq);
        if (!account_is_active(a))
                return true; /* login looks at that */
        if (a->epoch_taken)
                return record->epoch <= i->epoch;
        (void)account_take_new_epoch(a,
                "a newer record of this device was found than it has; its store was restored from "
                "a copy");
        return true;
}
