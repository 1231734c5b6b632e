/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Mail: what trackers have is what they were given, and as long as they may; what lies there
 * reaches its recipient whatever becomes of its sender, and is gone when it has.
 */

#include "store/mail.h"
#include "truth.h"
#include "wire/mailbox.h"

/* NULL: it was not made here, or somebody has altered it since. */
static Sealed *sealed_find(const Ledger *l, const uint8_t *id) {
        Sealed *s;

        HASH_FIND(hh, l->sealed, id, SHA256_SIZE, s);
        return s;
}

void mail_free_sealed(Ledger *l) {
        Sealed *s, *tmp;

        HASH_ITER (hh, l->sealed, s, tmp) {
                HASH_DEL(l->sealed, s);
                free(s);
        }
}

/* Sealing and collecting */

int __real_envelope_seal(Buffer *out, const uint8_t account[static KEY_SIZE], const Prekey *prekey,
        Bytes plaintext, const uint8_t seed[static MAIL_KEY_SIZE]);
int __wrap_envelope_seal(Buffer *out, const uint8_t account[static KEY_SIZE], const Prekey *prekey,
        Bytes plaintext, const uint8_t seed[static MAIL_KEY_SIZE]);
int __real_collected_encode(Buffer *out, uint64_t request, const Collected *c);
int __wrap_collected_encode(Buffer *out, uint64_t request, const Collected *c);

static void note_sealed(User *u, const uint8_t *account, Bytes plaintext, Bytes envelope) {
        Ledger *l = user_ledger(u);
        Sealed *s = must(calloc(1, sizeof(*s)));
        Content content;
        Inner inner;

        s->from = u;
        s->to = ledger_find_user(l, account);
        s->forged = u->machine->forging;
        envelope_id(envelope, s->id);
        if (content_decode(plaintext, &content) >= 0 && content.kind == CONTENT_MESSAGE &&
                inner_decode(content.body, &inner) >= 0)
                s->letter = letter_find(l, &inner.id);
        HASH_ADD(hh, l->sealed, id, SHA256_SIZE, s);
        must(s->hh.tbl);
}

int __wrap_envelope_seal(Buffer *out, const uint8_t account[static KEY_SIZE], const Prekey *prekey,
        Bytes plaintext, const uint8_t seed[static MAIL_KEY_SIZE]) {
        User *u = acting_user();
        int r;

        r = __real_envelope_seal(out, account, prekey, plaintext, seed);
        if (r >= 0 && u)
                note_sealed(u, account, plaintext, buffer_bytes(out));
        return r;
}

/* By any clock that has a say in that, or since its sender wanted it so. */
static bool is_worthless(const Letter *l) {
        return l->worthless > 0 || l->cancelling != CANCEL_NOT || l->given_up ||
                MAX(l->to->latest, l->from->latest) >= l->expires;
}

/* It is not his any more, or cannot be shown to be: his device was replaced. */
static bool is_of_former_device(const Letter *l) {
        return l->from->machine->n_devices > 0 || l->to->machine->n_devices > 0;
}

/* What his mailbox had of somebody who is blocked is dropped. */
static bool is_unwanted(const Letter *l) {
        const Mail *m = mail_between(l->from, l->to);

        return m->blocked || m->block_asked || m->block_wanted || m->unblocked > 0;
}

static bool has_to_come(const Letter *l) {
        return !is_worthless(l) && !is_of_former_device(l) && !is_unwanted(l);
}

static void check_collected(User *u, const Sealed *s) {
        const Letter *l = s->letter;

        if (l && s->to == u && !s->forged && l->arrived == 0 && has_to_come(l))
                FAIL(u, "collected-before-commit", "\"%s\"", l->text);
}

int __wrap_collected_encode(Buffer *out, uint64_t request, const Collected *c) {
        User *u = acting_user();

        for (size_t i = 0; u && i < c->ids.size; i += SHA256_SIZE) {
                const Sealed *s = sealed_find(user_ledger(u), c->ids.data + i);

                if (s)
                        check_collected(u, s);
        }
        return __real_collected_encode(out, request, c);
}

/* What trackers have */

static uint32_t tracker_bit(const Machine *m) {
        return UINT32_C(1) << (m->number - m->world->n_users);
}

static void note_time(Machine *m, usec_t now) {
        usec_t *latest = &m->world->ledger->tracker_latest[m->number];

        *latest = MAX(*latest, now);
}

static bool may_be_over(const Machine *m, const Sealed *s) {
        return m->world->ledger->tracker_latest[m->number] >= s->expires;
}

static Sealed *find_at(Machine *m, const uint8_t *id) {
        note_time(m, loop_realtime(m->loop));
        return sealed_find(m->world->ledger, id);
}

void ledger_mail_time(Machine *m, usec_t now) {
        note_time(m, now);
}

void ledger_mail_kept(Machine *m, const uint8_t *id, usec_t expires) {
        Sealed *s = find_at(m, id);

        if (!s)
                return;
        s->expires = MAX(s->expires, expires);
        s->held |= tracker_bit(m);
        if (!s->forged)
                s->owed |= tracker_bit(m);
        if (m->lies)
                s->doubted |= tracker_bit(m);
        if (s->letter)
                s->letter->left = true;
}

void ledger_mail_claimed(Machine *m, const uint8_t *id) {
        Sealed *s = find_at(m, id);

        if (s && s->letter)
                s->letter->left = true;
}

void ledger_mail_gone(Machine *m, const uint8_t *id, bool withdrawn) {
        Sealed *s = find_at(m, id);

        if (!s || !(s->held & tracker_bit(m)))
                return;
        s->held &= ~tracker_bit(m);
        s->removed |= tracker_bit(m);
        if (withdrawn)
                s->owed &= ~tracker_bit(m);
}

void ledger_mail_found(Machine *m, const uint8_t *id, DStoreItemState state) {
        const Sealed *s = find_at(m, id);

        if (!s || may_be_over(m, s))
                return;
        if (s->held & tracker_bit(m) && state != ITEM_HELD)
                world_fail(m->world, "mailbox-forgot", "%s does not have what it kept", m->name);
        if (s->removed & tracker_bit(m) && state != ITEM_GONE)
                world_fail(m->world, "tombstone-lost", "%s does not know what has gone", m->name);
}

void ledger_mail_lost(Machine *m) {
        Sealed *s, *tmp;

        HASH_ITER (hh, m->world->ledger->sealed, s, tmp) {
                s->held &= ~tracker_bit(m);
                s->removed &= ~tracker_bit(m);
                s->owed &= ~tracker_bit(m);
        }
}

void ledger_mail_doubted(Machine *m) {
        Sealed *s, *tmp;

        HASH_ITER (hh, m->world->ledger->sealed, s, tmp)
                s->doubted |= tracker_bit(m);
}

/* When all is quiet */

/* For those who are. */
/* Else a receipt waits for the next link. */
static bool has_mailbox(const User *u) {
        return !u->machine->no_tracker;
}

static void check_rows(User *u, DbTxn *txn) {
        uint32_t at = 0;

        while (mail_next_account(txn, at, &at) > 0) {
                MailOwed owed;
                const User *to;
                Contact c;

                if (contact_get_by_number(txn, at, &c) <= 0)
                        continue;
                to = ledger_find_user(user_ledger(u), c.account);
                if (to && !to->machine->destroyed && has_mailbox(u) && has_mailbox(to))
                        FAIL(u, "mail-drains", "has %s for %s",
                                mail_owed_next(txn, &(MailOwed){.account = at}, &owed) > 0
                                        ? "a receipt"
                                        : "envelopes",
                                to->machine->name);
        }
}

void mail_check_quiet(User *u) {
        DbTxn *txn;

        if (store_read_begin(u->machine->store, &txn) < 0)
                return;
        check_rows(u, txn);
        store_read_end(txn);
}

static void check_sealed(World *w, const Sealed *s) {
        const Letter *l = s->letter;

        if (!s->to || s->to->machine->destroyed)
                return;
        if (l && l->from->machine->destroyed && l->arrived == 0 && s->owed & ~s->doubted &&
                has_to_come(l))
                world_fail(w, "stored-lost", "\"%s\" was in a mailbox and has not come", l->text);
        for (unsigned i = 0; i < w->n_trackers; i++) {
                Machine *t = w->machines[w->n_users + i];

                if (s->held & ~s->doubted & tracker_bit(t) && !may_be_over(t, s))
                        world_fail(w, "mail-drains", "%s still has %s for %s", t->name,
                                l ? l->text : "a receipt", s->to->machine->name);
        }
}

void mail_check_trackers_quiet(Ledger *l) {
        Sealed *s, *tmp;

        HASH_ITER (hh, l->sealed, s, tmp)
                check_sealed(l->world, s);
}
