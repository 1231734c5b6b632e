/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Where the active device of this account is, for one that was replaced: the account watches itself
 * at trackers, over sessions that name nobody. Whom else it knows is told to none of them then.
 */

#include "directory/private.h"
#include "wire/mail.h"

/* Long enough for whoever hands over, and renewed with each new record. */
#define TOKEN_LIFETIME IDENTITY_LIFETIME

bool directory_is_self(const Directory *d, const uint8_t *account) {
        return key_equal(account, sign_key_public(d->self->account));
}

void own_record_heard(const Directory *d, const Record *record, Bytes outer) {
        if (d->callbacks->own_record)
                d->callbacks->own_record(d->userdata, record, outer);
}

/* Whoever shows it is the account itself, which is no contact of anybody: the pseudonym is zero. */
static int make_token(const Directory *d, Buffer *out) {
        DepositToken t = {.expires = loop_realtime(net_loop(d->net)) + TOKEN_LIFETIME};

        memcpy(t.account, sign_key_public(d->self->account), KEY_SIZE);
        return deposit_token_encode(out, &t, d->self->account);
}

int directory_seek_own(Directory *d, const Record *record, Bytes outer) {
        const uint8_t *account = sign_key_public(d->self->account);
        _cleanup_(buffer_done) Buffer token = BUFFER_NULL;
        int r;

        if (d->seeking)
                directory_unwatch(d, account);
        d->seeking = record != NULL;
        if (!record)
                return 0;
        r = directory_watch(d, account);
        if (r < 0) {
                d->seeking = false;
                return r;
        }
        directory_learn(d, record, NULL, 0);
        if (record->presence != VISIBLE_ALL && make_token(d, &token) >= 0)
                directory_set_token(d, account, outer, buffer_bytes(&token));
        return 0;
}
