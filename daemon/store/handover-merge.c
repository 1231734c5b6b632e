/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What another device of the account had, taken in: people, keys and settings, and what calls the
 * others (handover-entry.c, handover-event.c). */

#include "store/handover-private.h"

#include "wire/account.h"

/* Prekeys */

/* No record names it any more: this device has one of its own. What is here already stays as it is,
 * for it may be that of a record. */
static int merge_prekey(HandoverMerge *m, Bytes item) {
        PrekeyRow p = {}, here = {};
        int r;

        r = handover_get_prekey(item, &p);
        if (r >= 0)
                r = prekey_get(db_write(m->store->db), p.id, &here);
        if (r == 0) {
                p.superseded = p.superseded ?: m->now;
                r = prekey_put(m->store, &p);
                r = r < 0 ? r : 1;
        } else if (r > 0)
                r = 0;
        explicit_bzero(&p, sizeof(p));
        explicit_bzero(&here, sizeof(here));
        return r;
}

/* Contacts have the one of the device that was active before. */
static int merge_presence_key(HandoverMerge *m, Bytes item) {
        uint8_t key[BOX_KEY_SIZE], here[BOX_KEY_SIZE];
        int r;

        r = handover_get_presence_key(item, key);
        if (r >= 0)
                r = store_get_presence_key(db_write(m->store->db), here);
        if (r >= 0 && (r == 0 || memcmp(key, here, BOX_KEY_SIZE) != 0)) {
                r = store_set_presence_key(m->store, key);
                r = r < 0 ? r : 1;
        } else if (r > 0)
                r = 0;
        explicit_bzero(key, sizeof(key));
        explicit_bzero(here, sizeof(here));
        return r;
}

/* People */

/* What there is of somebody beside his row; what is here stays. */
static int merge_ways(HandoverMerge *m, const HandoverPerson *p, uint32_t number) {
        DbTxn *txn = db_write(m->store->db);
        uint8_t key[BOX_KEY_SIZE];
        Endpoints e;
        Bytes token;
        int r;

        r = p->endpoints.n > 0 ? store_get_endpoints(txn, number, &e) : 1;
        if (r == 0)
                r = store_set_endpoints(m->store, number, &p->endpoints);
        if (r >= 0)
                r = p->token.size > 0 ? store_get_token(txn, number, &token) : 1;
        if (r == 0)
                r = store_set_token(m->store, number, p->token);
        if (r >= 0)
                r = p->has_key ? store_get_contact_key(txn, number, key) : 1;
        explicit_bzero(key, sizeof(key));
        if (r == 0)
                r = store_set_contact_key(m->store, number, p->key);
        return MIN(r, 0);
}

/* Who is blocked here and was a contact there has the key that came from there. */
static int note_who_has_key(HandoverMerge *m, const HandoverPerson *p) {
        DbKey k = store_meta_key("presence-key-known");
        Contact here;
        int r;

        r = contact_get(db_write(m->store->db), p->account, &here);
        if (r <= 0 || !(here.flags & CONTACT_BLOCKED) || p->flags & CONTACT_BLOCKED)
                return MIN(r, 0);
        row_start(&m->store->row);
        return row_write(db_write(m->store->db), TABLE_META, &k, &m->store->row);
}

int handover_key_is_known(Store *s) {
        DbKey k = store_meta_key("presence-key-known");

        return db_del(db_write(s->db), TABLE_META, &k);
}

static int merge_person(HandoverMerge *m, Bytes item) {
        ContactMerge c = {.now = m->now};
        HandoverPerson p;
        Contact contact;
        Record record;
        int r, changed = 0;

        r = handover_get_person(item, &p);
        if (r < 0)
                return r;
        if (key_equal(p.account, sign_key_public(&m->self->account)))
                return -EBADMSG;
        memcpy(c.account, p.account, KEY_SIZE);
        if (p.record.size > 0) {
                r = record_decode(p.record, &record);
                if (r < 0 || !key_equal(record.account, p.account))
                        return r == -ENOMEM ? r : -EBADMSG;
                c.record = &record;
                c.record_outer = p.record;
        }
        c.flags = p.flags & (uint8_t)~CONTACT_MEMBER;
        c.alias = p.alias;
        c.named = p.named;
        c.last_seen = p.last_seen;
        c.rival = p.has_rival ? p.rival : NULL;
        c.decided = p.decided;
        r = note_who_has_key(m, &p);
        if (r >= 0)
                r = changed = contact_merge(m->store, &c);
        if (r == -EUSERS)
                return 0; /* a stranger too many */
        if (r >= 0)
                r = contact_get(db_write(m->store->db), p.account, &contact);
        if (r > 0)
                r = merge_ways(m, &p, contact.number);
        explicit_bzero(p.key, sizeof(p.key));
        return r < 0 ? r : changed;
}

static int merge_certificate(HandoverMerge *m, Bytes item) {
        Bytes outer, here;
        Certificate c;
        int r;

        r = handover_get_certificate(item, &outer);
        if (r >= 0)
                r = certificate_decode(outer, &c);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        r = store_get_certificate(db_write(m->store->db), c.device, c.epoch, &here);
        if (r != 0)
                return MIN(r, 0);
        r = store_keep_certificate(m->store, &c, outer);
        return r < 0 ? r : 1;
}

/* Ids, settings */

static int merge_id(HandoverMerge *m, Bytes item) {
        uint32_t account = SELF_NUMBER;
        IdRow row = {};
        HandoverId h;
        Contact c;
        int r;

        r = handover_get_id(item, &h);
        if (r >= 0 && h.has_account) {
                r = contact_get(db_write(m->store->db), h.account, &c);
                if (r == 0)
                        return -EBADMSG;
                account = c.number;
        }
        if (r >= 0)
                r = id_get(db_write(m->store->db), account, &h.id, &row);
        if (r != 0)
                return MIN(r, 0);
        memcpy(row.content, h.content, SHA256_SIZE);
        row.until = h.until;
        r = id_write(m->store, account, &h.id, &row);
        return r < 0 ? r : 1;
}

static int merge_chosen_presence(HandoverMerge *m, Bytes item) {
        ChosenPresence c, here;
        int r;

        r = handover_get_chosen_presence(item, &c);
        if (r >= 0)
                r = store_get_chosen_presence(db_write(m->store->db), &here);
        if (r != 0)
                return MIN(r, 0);
        r = store_set_chosen_presence(m->store, &c);
        return r < 0 ? r : 1;
}

/* A device that proved the password to take over knows better. */
static int merge_password(HandoverMerge *m, Bytes item) {
        AccountStatement s;
        PasswordRow p, here;
        int r;

        r = handover_get_password(item, &p);
        if (r >= 0)
                r = account_statement_decode(p.statement, &s);
        if (r < 0 || !key_equal(s.account, sign_key_public(&m->self->account)))
                return r == -ENOMEM ? r : -EBADMSG;
        r = store_get_password(db_write(m->store->db), &here);
        if (r != 0)
                return MIN(r, 0);
        r = store_set_password(m->store, &p);
        return r < 0 ? r : 1;
}

typedef int (*MergeFn)(HandoverMerge *m, Bytes item);

static const MergeFn merges[] = {
        [HANDOVER_PREKEY] = merge_prekey,
        [HANDOVER_PRESENCE_KEY] = merge_presence_key,
        [HANDOVER_PERSON] = merge_person,
        [HANDOVER_CERTIFICATE] = merge_certificate,
        [HANDOVER_FEED] = merge_feed,
        [HANDOVER_ENTRY] = merge_entry,
        [HANDOVER_FEED_END] = merge_feed_end,
        [HANDOVER_ID] = merge_id,
        [HANDOVER_CLIENT] = merge_client,
        [HANDOVER_EVENT] = merge_event,
        [HANDOVER_CHOSEN_PRESENCE] = merge_chosen_presence,
        [HANDOVER_PASSWORD] = merge_password,
};

static bool keeps_feed(uint64_t kind) {
        return kind == HANDOVER_FEED || kind == HANDOVER_ENTRY || kind == HANDOVER_FEED_END;
}

int handover_merge_begin(Store *s, const Identity *self, usec_t now, HandoverMerge **ret) {
        HandoverMerge *m = calloc(1, sizeof(*m));
        Certificate c;
        int r;

        if (!m)
                return -ENOMEM;
        m->store = s;
        m->self = self;
        m->now = now;
        r = event_epoch_since(db_write(s->db), &m->taken_over);
        if (r < 0) {
                free(m);
                return r;
        }
        if (m->taken_over == 0 && certificate_parse(buffer_bytes(&self->certificate), &c) >= 0)
                m->taken_over = c.issued;
        *ret = m;
        return 0;
}

int handover_merge_item(HandoverMerge *m, Bytes item) {
        Bytes rest = item, one;
        uint64_t kind;
        int r;

        r = handover_item_next(&rest, &one, &kind);
        if (r <= 0 || rest.size > 0)
                return -EBADMSG;
        if (kind >= ELEMENTSOF(merges) || !merges[kind])
                return 0;
        if (m->open && !keeps_feed(kind)) {
                r = merge_flush(m);
                if (r < 0)
                        return r;
        }
        return merges[kind](m, item);
}

int handover_merge_end(HandoverMerge *m) {
        int r = merge_flush(m);

        free(m);
        return r;
}

int handover_merge(Store *s, const Identity *self, Bytes item, usec_t now) {
        HandoverMerge *m;
        int r, end;

        r = handover_merge_begin(s, self, now, &m);
        if (r < 0)
                return r;
        r = handover_merge_item(m, item);
        end = handover_merge_end(m);
        return end < 0 ? end : r;
}
