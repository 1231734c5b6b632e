/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sealing what is for somebody who is away, and leaving it in the mailbox. */

#include "delivery/mail.h"

/* Nonces that are tried before the loop goes on: about two milliseconds. */
#define STAMP_TRIES 2048

/* So much of its life a token has left when it is given away. */
#define TOKEN_STEP (DEPOSIT_TOKEN_LIFETIME / 6)

/* Tokens */

/* The same for all of this device's life and for any that has the account: nothing is to be kept,
 * and nobody else can tell whose it is. */
static void make_pseudonym(const SignKey *account, const uint8_t *contact, uint8_t *ret) {
        static const char context[] = "p2pchat/1 pseudonym";
        uint8_t key[SHA256_SIZE], mac[SHA256_SIZE];
        struct iovec parts[] = {{.iov_base = (void *)context, .iov_len = sizeof(context)},
                {.iov_base = (void *)sign_key_seed(account), .iov_len = KEY_SIZE}};
        Bytes about = {.data = contact, .size = KEY_SIZE};

        sha256_parts(parts, ELEMENTSOF(parts), key);
        hmac_sha256((Bytes){.data = key, .size = sizeof(key)}, &about, 1, mac);
        memcpy(ret, mac, PSEUDONYM_SIZE);
        explicit_bzero(key, sizeof(key));
}

int mail_make_token(Delivery *d, const Contact *c, Buffer *out) {
        usec_t now = loop_realtime(d->loop);
        DepositToken t = {.expires = (now / TOKEN_STEP + 1) * TOKEN_STEP + DEPOSIT_TOKEN_LIFETIME};

        if (!(c->flags & CONTACT_PINNED) || (c->flags & CONTACT_BLOCKED))
                return 0;
        memcpy(t.account, sign_key_public(&d->self->account), KEY_SIZE);
        make_pseudonym(&d->self->account, c->account, t.pseudonym);
        return deposit_token_encode(out, &t, &d->self->account);
}

void mail_take_token(Delivery *d, const Contact *c, Bytes token) {
        DepositToken t;
        Contact now; /* C's record may have been in the map before something was written */

        if (deposit_token_decode(token, &t) < 0 || !key_equal(t.account, c->account))
                return; /* good for nothing, and nothing depends on it */
        if (store_set_token(d->store, c->number, token) >= 0 &&
                contact_get(store_write(d->store), c->account, &now) > 0)
                directory_set_token(d->directory, c->account, now.record, token);
}

/* Sealing */

static const Prekey *find_prekey(const Record *record) {
        for (size_t i = 0; i < record->n_prekeys; i++)
                if (record->prekeys[i].suite == MAIL_SUITE_HPKE)
                        return &record->prekeys[i];
        return NULL;
}

/* CONTENT, with what the recipient needs for an answer, for TO. 1; 0: there is no key for that. */
static int seal(MailJob *j, const Contact *to, Content *content) {
        Delivery *d = j->target->mail->delivery;
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        _cleanup_(grant_done) GrantBuffer g = GRANT_BUFFER_NULL;
        uint8_t seed[MAIL_KEY_SIZE];
        const Prekey *prekey;
        Record record;
        Bytes token;
        int r;

        if (record_parse(to->record, &record) < 0)
                return 0;
        prekey = find_prekey(&record);
        if (!prekey)
                return 0;
        r = grant_make(d, to, &g);
        if (r < 0)
                return r;
        content->deposit_token = g.grant.deposit_token;
        content->presence_key = g.grant.presence_key;
        content->certificate = d->local->certificate;
        r = content_encode(&plain, content);
        if (r < 0)
                return r;
        loop_random(d->loop, seed, sizeof(seed));
        r = envelope_seal(&j->envelope, to->account, prekey, buffer_bytes(&plain), seed);
        explicit_bzero(seed, sizeof(seed));
        if (r == -EKEYREJECTED)
                return 0;
        if (r >= 0)
                r = store_get_token(store_write(d->store), to->number, &token);
        if (r > 0)
                r = buffer_append(&j->token, token.data, token.size);
        if (r < 0)
                return r;
        envelope_id(buffer_bytes(&j->envelope), j->item.id);
        loop_random(d->loop, j->item.secret, sizeof(j->item.secret));
        return 1;
}

/* Leaving */

static void on_receipt_left(MailJob *j) {
        Mail *m = j->target->mail;

        if (mail_owed_remove(m->store, &j->owed) >= 0)
                (void)delivery_await_commit(m->delivery);
}

static void on_message_left(MailJob *j) {
        MailTarget *t = j->target;
        Mail *m = t->mail;
        int r;

        r = delivery_await_commit(m->delivery);
        if (r >= 0)
                r = store_mark_stored(m->store, &j->item, &j->message, loop_realtime(m->loop));
        if (r < 0)
                delivery_store_failed(m->delivery, "What lies in a mailbox could not be noted", r);
        t->withdraw = true; /* it may have been delivered meanwhile */
        t->withdrawn = (OutboxPosition){};
}

static void job_left(MailJob *j) {
        MailTarget *t = j->target;

        if (j->kind == JOB_MESSAGE)
                on_message_left(j);
        else if (j->kind == JOB_NOTICE)
                mail_drop_notice(t);
        else
                on_receipt_left(j);
        t->mail->refused = CODE_OK;
        t->renewed = false;
        mail_job_end(j);
        mail_target_again(t);
}

/* Nobody has taken it. */
static void job_refused(MailJob *j) {
        MailTarget *t = j->target;
        Store *s = t->mail->store;
        bool again = j->renewed && !t->renewed;

        if (j->code == CODE_NOT_ALLOWED && buffer_size(&j->token) > 0)
                again = store_set_token(s, t->number, (Bytes){}) > 0;
        t->renewed = j->renewed;
        if (!again && j->kind == JOB_NOTICE && ++t->refused >= MAIL_NOTICE_TRIES)
                mail_drop_notice(t);
        if (again) {
                mail_job_end(j);
                mail_target_again(t);
                return;
        }
        t->mail->refused = j->code;
        mail_target_later(t, j->retry_after);
        mail_job_end(j);
}

/* The recipient's newest record, as a tracker has it: it is believed when it verifies and is not
 * older than what is known. */
static void take_record(MailJob *j, Bytes outer) {
        MailTarget *t = j->target;
        usec_t now = loop_realtime(t->mail->loop);
        Contact c;
        Record record;

        if (record_decode(outer, &record) < 0 || !key_equal(record.account, t->account))
                return;
        if (contact_learn(t->mail->store, &record, outer, now, 0, false, &c) >= 0)
                j->renewed = true;
}

static void on_deposited(void *userdata, Code code, const char *text, Frame *ok) {
        MailAsk *a = userdata;
        MailJob *j = a->job;
        DepositAnswer answer;

        if (code == CODE_OK && deposit_answer_decode(ok, &answer) < 0)
                code = CODE_INVALID_ARGS;
        else if (code == CODE_OK && answer.replicas == 0) {
                take_record(j, answer.record);
                code = CODE_KEY_CHANGED;
        }
        if (code == CODE_OK && j->item.n_trackers < MAIL_REPLICAS_MAX)
                memcpy(j->item.trackers[j->item.n_trackers++], a->tracker, KEY_SIZE);
        if (!mail_job_answered(a, code))
                return;
        if (j->item.n_trackers > 0)
                job_left(j);
        else
                job_refused(j);
}

static int send_deposit(MailJob *j, Session *s, MailAsk *a) {
        Deposit d = {.envelope = buffer_bytes(&j->envelope),
                .expires = j->item.expires,
                .token = buffer_bytes(&j->token),
                .has_stamp = j->stamped,
                .stamp = j->stamp.nonce};

        memcpy(d.account, j->target->account, KEY_SIZE);
        sha256(j->item.secret, sizeof(j->item.secret), d.withdraw_hash);
        return session_deposit(s, &d, on_deposited, a);
}

static void deposit(MailJob *j) {
        mail_job_ask(j, send_deposit);
        if (j->n_open == 0)
                job_refused(j);
}

/* Strangers pay with work, a slice of it whenever there is nothing else to do; one after the
 * other. */
static void stamp_next(Mail *m) {
        MailTarget *t, *tmp;

        m->stamping = NULL;
        HASH_ITER (hh, m->targets, t, tmp)
                if (t->job && t->job->stamping) {
                        m->stamping = t->job;
                        loop_defer_arm(m->slice, true);
                        return;
                }
}

void mail_on_slice(void *userdata) {
        Mail *m = userdata;
        MailJob *j = m->stamping;

        if (j && stamp_search(&j->stamp, STAMP_TRIES)) {
                j->stamping = false;
                j->stamped = true;
                deposit(j);
                stamp_next(m);
        } else if (j)
                loop_defer_arm(m->slice, true);
        else
                stamp_next(m); /* the one that was being made is not needed any more */
}

static void job_begin(MailJob *j) {
        Mail *m = j->target->mail;

        if (buffer_size(&j->token) > 0) {
                deposit(j);
                return;
        }
        stamp_init(&j->stamp, j->target->account, j->item.id, m->delivery->settings.stamp_bits);
        j->stamping = true;
        if (!m->stamping)
                stamp_next(m);
}

/* R is what seal() said. */
static int job_sealed(MailJob *j, int r) {
        if (r <= 0)
                mail_job_end(j);
        else
                job_begin(j);
        return r;
}

/* As he is in the batch: his record and token may just have changed. */
static int get_recipient(const MailTarget *t, Contact *ret) {
        int r = contact_get(store_write(t->mail->store), t->account, ret);

        return r > 0 && (ret->flags & CONTACT_BLOCKED) ? 0 : r;
}

/* What there is to seal */

static usec_t expiry_of(const Mail *m, usec_t message) {
        return MIN(message, loop_realtime(m->loop) + MAIL_LIFETIME_MAX);
}

static int seal_receipt(MailJob *j, DbTxn *txn) {
        Delivery *d = j->target->mail->delivery;
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;
        Content content = {.kind = CONTENT_RECEIPT};
        Contact to;
        int r;

        r = get_recipient(j->target, &to);
        if (r > 0)
                r = receipt_make(d, txn, j->owed.feed, j->owed.state, &object);
        if (r == 0) /* there is nobody, or nothing to be said */
                r = MIN(mail_owed_remove(d->store, &j->owed), 0);
        if (r <= 0)
                return r;
        content.body = buffer_bytes(&object);
        j->item.expires = expiry_of(d->mail, UINT64_MAX);
        return seal(j, &to, &content);
}

/* In the batch as well: it was not sealed since the last commit. */
static int is_still_owed(const MailTarget *t, const MailOwed *o) {
        MailOwed before = *o, now;
        int r;

        before.state--;
        r = mail_owed_next(store_write(t->mail->store), &before, &now);
        return r <= 0 ? r : now.feed == o->feed && now.state == o->state && now.mark == o->mark;
}

/* What was to be told of reading before the user has forbidden it is not. */
static int next_owed(MailTarget *t, DbTxn *txn, MailOwed *ret) {
        const Delivery *d = t->mail->delivery;
        int r, owed;

        *ret = (MailOwed){.account = t->number};
        while ((r = mail_owed_next(txn, ret, ret)) > 0) {
                if (ret->state == RECEIPT_READ && !d->settings.say_read) {
                        (void)mail_owed_remove(t->mail->store, ret);
                        continue;
                }
                owed = is_still_owed(t, ret);
                if (owed != 0)
                        return owed;
        }
        return r;
}

int mail_leave_receipt(MailTarget *t) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        MailOwed owed;
        MailJob *j;
        int r;

        r = store_read_begin(t->mail->store, &txn);
        if (r >= 0)
                r = next_owed(t, txn, &owed);
        if (r <= 0)
                return r;
        j = mail_job_new(t, JOB_RECEIPT);
        if (!j)
                return -ENOMEM;
        j->owed = owed;
        return job_sealed(j, seal_receipt(j, txn));
}

static int seal_entry(MailJob *j, DbTxn *txn, const OutboxRow *row) {
        Mail *m = j->target->mail;
        Delivery *d = m->delivery;
        Content content = {.kind = CONTENT_MESSAGE, .record = d->local->record};
        uint8_t hash[SHA256_SIZE];
        Contact to;
        Entry e;
        int r;

        r = get_recipient(j->target, &to);
        if (r > 0)
                r = entry_get(txn, row->at.feed, row->at.seq, &e);
        if (r <= 0)
                return r;
        sha256(e.inner.data, e.inner.size, hash);
        r = entry_sign(&d->self->device, hash, content.signature);
        if (r < 0)
                return r;
        content.body = e.inner;
        j->message = row->id;
        j->item.recipient = row->recipient;
        j->item.at = row->at;
        j->item.sealed = loop_realtime(m->loop);
        j->item.expires = expiry_of(m, row->expires);
        return seal(j, &to, &content);
}

/* Lies nowhere, as far as known, or its time there is over. */
static int needs_envelope(const Mail *m, const OutboxRow *row) {
        usec_t now = loop_realtime(m->loop);
        MailItem item;
        int r;

        if (row->expires <= now)
                return 0;
        r = mail_item_get(store_write(m->store), row->recipient, row->at, &item);
        return r < 0 ? r : r == 0 || item.expires <= now;
}

/* The first row that is to be sealed. */
static int next_message(MailTarget *t, DbTxn *txn, OutboxRow *ret) {
        OutboxWalk rows;
        int r, needs;

        r = outbox_walk(txn, t->number, t->sealed, &rows);
        if (r < 0)
                return r;
        while ((r = outbox_walk_next(&rows, ret)) > 0) {
                needs = needs_envelope(t->mail, ret);
                if (needs != 0) {
                        r = needs;
                        break;
                }
                t->sealed = ret->at;
        }
        outbox_walk_end(&rows);
        return r;
}

int mail_leave_message(MailTarget *t) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        OutboxRow row;
        MailJob *j;
        int r;

        if (t->mail->delivery->behind)
                return 0;
        r = store_read_begin(t->mail->store, &txn);
        if (r >= 0)
                r = next_message(t, txn, &row);
        if (r <= 0)
                return r;
        j = mail_job_new(t, JOB_MESSAGE);
        if (!j)
                return -ENOMEM;
        return job_sealed(j, seal_entry(j, txn, &row));
}

/* No row is behind it: it is in memory until it is left, or has been refused too often. */
int mail_seal_notice(MailTarget *t) {
        const Delivery *d = t->mail->delivery;
        Content content = {.kind = CONTENT_ROOM, .record = d->local->record};
        Contact to;
        MailJob *j;
        int r;

        r = get_recipient(t, &to);
        if (r <= 0)
                return r;
        j = mail_job_new(t, JOB_NOTICE);
        if (!j)
                return -ENOMEM;
        content.body = buffer_bytes(&t->notices[0]);
        j->item.expires = expiry_of(t->mail, UINT64_MAX);
        return job_sealed(j, seal(j, &to, &content));
}
