/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Opening what was collected, and taking it as if a link had brought it. What is not wanted, or
 * does not hold, is taken as well: nobody would do better with it later. */

#include <utlist.h>

#include "delivery/mail.h"

/* Names */

static void sender_free(MailSender *s) {
        Mail *m = s->mail;

        directory_forget(m->delivery->directory, s);
        DL_DELETE(m->senders, s);
        m->n_senders--;
        free(s);
}

void mail_senders_free(Mail *m) {
        while (m->senders)
                sender_free(m->senders);
}

static void on_confirmed(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        MailSender *s = userdata, *other;
        Mail *m = s->mail;

        s->answered = true;
        s->confirmed = code == CODE_OK && key_equal(record->account, s->account);
        DL_FOREACH (m->senders, other)
                if (!other->answered)
                        return;
        mail_senders_known(m);
}

static MailSender *sender_ask(Mail *m, const Record *record) {
        MailSender *s = m->n_senders < MAIL_SENDERS_MAX ? calloc(1, sizeof(*s)) : NULL;

        if (!s)
                return NULL;
        s->mail = m;
        memcpy(s->account, record->account, KEY_SIZE);
        DL_APPEND(m->senders, s);
        m->n_senders++;
        if (directory_lookup(m->delivery->directory, record->name, NULL, on_confirmed, s) >= 0)
                return s;
        sender_free(s);
        return NULL;
}

/* The name of somebody who is not known here is confirmed before his first message is shown, as it
 * is on a link. -EINPROGRESS: later. Where nobody can be asked it is not confirmed. */
static int confirm_name(Mail *m, const Record *record, bool *ret) {
        MailSender *s;

        *ret = false;
        DL_FOREACH (m->senders, s)
                if (key_equal(s->account, record->account))
                        break;
        if (!s)
                s = sender_ask(m, record);
        if (!s)
                return 0;
        if (!s->answered)
                return -EINPROGRESS;
        *ret = s->confirmed;
        sender_free(s);
        return 0;
}

/* Messages */

/* Whether CERTIFICATE may speak for an entry of FROM: the entry's device or a newer one, and not
 * one that had been replaced when the entry was written. */
static bool signer_is_good(
        const Contact *from, const Inner *m, const Certificate *c, bool *ret_old) {
        int newer = device_compare(c->epoch, c->device, m->epoch, m->device);
        Record newest;

        *ret_old = false;
        if (newer < 0 || m->sent >= c->expires)
                return false;
        if (record_parse(from->record, &newest) < 0)
                return false;
        *ret_old = m->epoch < MAX(newest.epoch, c->epoch) ||
                (m->epoch == newest.epoch && !key_equal(m->device, newest.device.device));
        return !*ret_old || newer > 0 || m->sent < newest.device.issued;
}

/* The row of who wrote M, made if need be by the record that came along. 1 or 0. */
static int find_sender(Mail *mail, const Inner *m, const Content *content, Contact *ret) {
        Delivery *d = mail->delivery;
        bool confirmed = false;
        Record record;
        int r;

        r = contact_get(store_write(d->store), m->account, ret);
        if (r < 0 || content->record.size == 0 || record_decode(content->record, &record) < 0 ||
                !key_equal(record.account, m->account))
                return r;
        if (r == 0)
                r = confirm_name(mail, &record, &confirmed);
        if (r < 0)
                return r;
        r = contact_learn(d->store, &record, content->record, loop_realtime(d->loop),
                d->settings.accept_all ? CONTACT_PINNED : 0, confirmed, ret);
        if (r == -ESTALE)
                return contact_get(store_write(d->store), m->account, ret);
        if (r > 0 && contact_is_accepted(ret))
                (void)directory_watch(d->directory, ret->account);
        return r == -EUSERS ? 0 : r < 0 ? r : 1;
}

/* Said over the link if there is one, else by mail, after the commit. */
static int owe_receipt(Mail *m, const Contact *to, uint32_t feed) {
        Delivery *d = m->delivery;
        Peer *p = peer_find(d, to->account);

        if (p && p->up) {
                inbox_owe_receipt(p, feed);
                return delivery_await_commit(d);
        }
        return mail_owe_receipt(m, to, feed, RECEIPT_DELIVERED);
}

static int take_entry(Mail *m, const Content *content, const Inner *inner, const Contact *from,
        const Certificate *signer, const uint8_t *hash, bool old) {
        Delivery *d = m->delivery;
        NewEntry e = {.self = d->self,
                .from = from,
                .inner = inner,
                .bytes = content->body,
                .hash = hash,
                .signature = {.data = content->signature, .size = SIGNATURE_SIZE},
                .old_device = old,
                .now = loop_realtime(m->loop)};
        ReceivedAt at;
        Received what;
        int r;

        r = store_receive(m->store, &e, &what, &at);
        if (r >= 0 && what == RECEIVED_NEW)
                r = store_keep_certificate(m->store, signer, content->certificate);
        if (r >= 0 && (what == RECEIVED_NEW || what == RECEIVED_AGAIN))
                r = owe_receipt(m, from, at.feed);
        if (r >= 0 && what == RECEIVED_FORK)
                r = store_contest(m->store, at.feed, e.inner->seq);
        return r;
}

static void take_grant(Delivery *d, const Contact *from, const Content *content) {
        grant_take(d, from,
                &(Grant){.deposit_token = content->deposit_token,
                        .presence_key = content->presence_key});
}

/* Negative: it cannot be kept now. */
static int take_message(Mail *m, const Content *content) {
        Delivery *d = m->delivery;
        uint8_t conversation[SHA256_SIZE], hash[SHA256_SIZE];
        Certificate signer;
        Contact from;
        Inner inner;
        bool old;
        int r;

        if (inner_decode(content->body, &inner) < 0 ||
                certificate_decode(content->certificate, &signer) < 0)
                return 0;
        conversation_direct(sign_key_public(&d->self->account), inner.account, conversation);
        if (memcmp(conversation, inner.conversation, SHA256_SIZE) != 0)
                return 0; /* written to somebody else, who has sealed it anew */
        sha256(content->body.data, content->body.size, hash);
        if (!key_equal(signer.account, inner.account) ||
                entry_verify(signer.device, hash, content->signature) < 0)
                return 0; /* by somebody else, who has put another's record to it */
        r = find_sender(m, &inner, content, &from);
        if (r <= 0)
                return r;
        if ((from.flags & CONTACT_BLOCKED) || !signer_is_good(&from, &inner, &signer, &old))
                return 0;
        r = take_entry(m, content, &inner, &from, &signer, hash, old);
        if (r >= 0)
                take_grant(d, &from, content);
        return r;
}

/* Statements */

/* The peer whom a statement is by; NULL where nobody is known. RET: its row. */
static Peer *find_author(Mail *m, const Certificate *c, Contact *ret) {
        int r = contact_get(store_write(m->store), c->account, ret);

        if (r <= 0 || (ret->flags & CONTACT_BLOCKED) || ret->epoch > c->epoch)
                return NULL;
        return peer_get(m->delivery, c->account, ret->number);
}

static int take_statement(Mail *m, const Content *content) {
        Certificate signer;
        Contact from;
        Peer *p;
        int r;

        if (certificate_decode(content->certificate, &signer) < 0 ||
                !certificate_is_valid_at(&signer, loop_realtime(m->loop)))
                return 0;
        p = find_author(m, &signer, &from);
        if (!p)
                return 0;
        if (content->kind == CONTENT_RECEIPT)
                r = outbox_take_receipt_object(p, content->body, signer.device);
        else
                r = voids_take_object(p, content->body, signer.device);
        if (r >= 0) /* what only he and we can know; nobody has signed the rest */
                take_grant(m->delivery, &from, content);
        peer_let_go(p);
        return 0;
}

/* Whoever is above knows what proves it. */
static void take_notice(Mail *m, const Content *content) {
        const Delivery *d = m->delivery;

        if (d->callbacks->room_notice)
                d->callbacks->room_notice(d->userdata, content->body, content->record);
}

/* Opening */

/* A copy of an older state runs here when somebody was shown a prekey that is later than all that
 * are known. Nobody else makes this account renew its record more often than that. */
#define PREKEY_MISSING_INTERVAL USEC_PER_HOUR

static void look_for_lost(Mail *m, uint64_t id) {
        Delivery *d = m->delivery;
        usec_t now = loop_realtime(m->loop);
        PrekeyRow newest = {};

        if (prekey_newest(store_write(m->store), &newest) >= 0 && id > newest.id &&
                id <= now / USEC_PER_MSEC && now - newest.made >= PREKEY_MISSING_INTERVAL &&
                d->callbacks->prekey_missing)
                d->callbacks->prekey_missing(d->userdata);
        explicit_bzero(&newest, sizeof(newest));
}

static int open_envelope(Mail *m, Bytes bytes, Buffer *plain) {
        const uint8_t *self = sign_key_public(&m->delivery->self->account);
        PrekeyRow key;
        Envelope e;
        int r;

        if (envelope_decode(bytes, &e) < 0)
                return -EBADMSG;
        r = prekey_get(store_write(m->store), e.prekey, &key);
        if (r == 0) {
                look_for_lost(m, e.prekey);
                return -ENOKEY;
        }
        if (r < 0)
                return r;
        r = envelope_open(plain, self, &e, key.suite, key.secret);
        explicit_bzero(&key, sizeof(key));
        return r;
}

MailTaken mail_take(Mail *m, Bytes envelope) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        Content content;
        int r;

        r = open_envelope(m, envelope, &plain);
        if (r == -ENOKEY)
                return MAIL_UNOPENED;
        if (r == -EBADMSG || (r >= 0 && content_decode(buffer_bytes(&plain), &content) < 0)) {
                log_debug("A piece of mail does not hold, and is dropped");
                return MAIL_TAKEN;
        }
        if (r >= 0 && content.kind == CONTENT_ROOM)
                take_notice(m, &content);
        else if (r >= 0)
                r = content.kind == CONTENT_MESSAGE ? take_message(m, &content)
                                                    : take_statement(m, &content);
        if (r == -EINPROGRESS)
                return MAIL_CONFIRMING;
        if (r < 0)
                delivery_store_failed(m->delivery, "Mail could not be stored", r);
        return r < 0 ? MAIL_LATER : MAIL_TAKEN;
}
