/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/contact.h"

#include <stdio.h>

#include "store/event.h"
#include "store/room.h"

#define SUFFIX_LENGTH 4 /* of name~XXXX */
#define CANDIDATES_MAX 3 /* that an error names */

static DbKey account_key(const uint8_t account[static KEY_SIZE]) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, account, KEY_SIZE);
        return k;
}

static DbKey number_key(uint32_t number) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, number);
        return k;
}

static DbKey name_key(const char *name) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, name, strlen(name));
        return k;
}

static DbKey claim_key(const char *name) {
        DbKey k = name_key(name);

        db_key_u8(&k, 0);
        return k;
}

/* Contact rows: u32 number, u8 flags, blob name, u64 epoch, u64 record seq, u64 last seen, blob
 * record, blob alias, blob rival, u64 for each of DECIDED_. The first rows ended with the record,
 * those of before 0.9.0 with the rival. */

static bool is_name_or_empty(Bytes name) {
        return name.size == 0 || name_is_canonical(name.data, name.size);
}

static int contact_read(const uint8_t *account, DbValue v, Contact *ret) {
        RowReader row = row_begin(v);
        Bytes name, alias = {}, rival = {};
        Contact c = {};
        int r;

        memcpy(c.account, account, KEY_SIZE);
        c.number = row_u32(&row);
        c.flags = row_u8(&row);
        name = row_blob(&row);
        c.epoch = row_u64(&row);
        c.record_seq = row_u64(&row);
        c.last_seen = row_u64(&row);
        c.record = row_blob(&row);
        if (row_has_more(&row)) {
                alias = row_blob(&row);
                rival = row_blob(&row);
        }
        if (row_has_more(&row))
                for (size_t i = 0; i < _DECIDED_MAX; i++)
                        c.decided[i] = row_u64(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        if (!is_name_or_empty(name) || (name.size == 0) != (c.record.size == 0) ||
                !is_name_or_empty(alias) || (rival.size != 0 && rival.size != KEY_SIZE))
                return db_damaged(v.txn);
        copy_bytes(c.name, name.data, name.size);
        copy_bytes(c.alias, alias.data, alias.size);
        copy_bytes(c.rival, rival.data, rival.size);
        c.has_rival = rival.size > 0;
        *ret = c;
        return 1;
}

static Bytes name_bytes(const char *name) {
        return (Bytes){.data = (const uint8_t *)name, .size = strlen(name)};
}

static int contact_put(Store *s, const Contact *c, const uint64_t decided[static _DECIDED_MAX]) {
        DbKey k = account_key(c->account);

        row_start(&s->row);
        row_put_u32(&s->row, c->number);
        row_put_u8(&s->row, c->flags);
        row_put_blob(&s->row, name_bytes(c->name));
        row_put_u64(&s->row, c->epoch);
        row_put_u64(&s->row, c->record_seq);
        row_put_u64(&s->row, c->last_seen);
        row_put_blob(&s->row, c->record);
        row_put_blob(&s->row, name_bytes(c->alias));
        row_put_blob(&s->row, (Bytes){.data = c->rival, .size = c->has_rival ? KEY_SIZE : 0});
        for (size_t i = 0; i < _DECIDED_MAX; i++)
                row_put_u64(&s->row, decided[i]);
        return row_write(db_write(s->db), TABLE_ACCOUNT, &k, &s->row);
}

static const uint8_t decided_flags[_DECIDED_MAX] = {
        [DECIDED_PINNED] = CONTACT_PINNED,
        [DECIDED_BLOCKED] = CONTACT_BLOCKED,
        [DECIDED_VERIFIED] = CONTACT_VERIFIED,
};

static int contact_get_if_any(Store *s, const uint8_t *account, Contact *ret) {
        *ret = (Contact){};
        return contact_get(db_write(s->db), account, ret);
}

/* Whatever differs from what is there was decided now. */
static int contact_write(Store *s, const Contact *c) {
        Contact before;
        uint64_t epoch;
        int r;

        r = contact_get_if_any(s, c->account, &before);
        if (r >= 0)
                r = event_epoch(db_write(s->db), &epoch);
        if (r < 0)
                return r;
        for (size_t i = 0; i < _DECIDED_MAX; i++)
                if ((before.flags ^ c->flags) & decided_flags[i])
                        before.decided[i] = epoch;
        if (!streq(before.alias, c->alias))
                before.decided[DECIDED_ALIAS] = epoch;
        return contact_put(s, c, before.decided);
}

int contact_get(DbTxn *txn, const uint8_t account[static KEY_SIZE], Contact *ret) {
        DbKey k = account_key(account);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ACCOUNT, &k, &v);
        return r <= 0 ? r : contact_read(account, v, ret);
}

int contact_get_by_number(DbTxn *txn, uint32_t number, Contact *ret) {
        DbKey k = number_key(number);
        uint8_t account[KEY_SIZE];
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ACCOUNT_KEY, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_bytes(&row, account, KEY_SIZE);
        r = row_end(&row);
        return r < 0 ? r : contact_get(txn, account, ret);
}

static int contact_number(Store *s, Contact *c) {
        DbKey k;
        int r;

        r = store_next_number(s, "next-account", &c->number);
        if (r < 0)
                return r;
        k = number_key(c->number);
        row_start(&s->row);
        row_put_bytes(&s->row, c->account, KEY_SIZE);
        return row_write(db_write(s->db), TABLE_ACCOUNT_KEY, &k, &s->row);
}

static int claim_set(Store *s, const char *name, const uint8_t *account, bool claimed) {
        DbKey k = claim_key(name);

        db_key_bytes(&k, account, KEY_SIZE);
        if (!claimed)
                return db_del(db_write(s->db), TABLE_CLAIM, &k);
        row_start(&s->row);
        return row_write(db_write(s->db), TABLE_CLAIM, &k, &s->row);
}

static int name_owner(DbTxn *txn, const char *name, uint8_t ret[static KEY_SIZE]) {
        DbKey k = name_key(name);
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_NAME, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_bytes(&row, ret, KEY_SIZE);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

/* 1: NAME is C's, or may become so: no contact ever loses a plain name to somebody else, nor does
 * anybody lose it to who is none. */
static int name_is_free(DbTxn *txn, const char *name, const Contact *c) {
        uint8_t owner[KEY_SIZE];
        Contact has;
        int r;

        r = name_owner(txn, name, owner);
        if (r <= 0 || key_equal(owner, c->account))
                return r < 0 ? r : 1;
        r = contact_get(txn, owner, &has);
        if (r <= 0)
                return r < 0 ? r : 1;
        return c->flags & CONTACT_PINNED && !(has.flags & CONTACT_PINNED);
}

static int name_give(Store *s, const char *name, const Contact *c) {
        DbKey k = name_key(name);
        int r;

        if (!name[0])
                return 0;
        r = name_is_free(db_write(s->db), name, c);
        if (r <= 0)
                return r;
        row_start(&s->row);
        row_put_bytes(&s->row, c->account, KEY_SIZE);
        return row_write(db_write(s->db), TABLE_NAME, &k, &s->row);
}

/* Of one epoch. What was signed with a clock that was far ahead would be the newest until that time
 * has come: it gives way to what was not, whichever of the two clocks is wrong. */
static bool record_is_newer(
        const Record *record, Bytes outer, const Record *known, Bytes known_outer, usec_t now) {
        bool ahead = record_is_ahead(record, now);

        if (key_equal(record->device.device, known->device.device) &&
                ahead != record_is_ahead(known, now))
                return !ahead;
        return record_compare(record, outer, known, known_outer) > 0;
}

/* The newer of what is known and RECORD: 1 when that is RECORD. An older epoch is a replayed past,
 * and so is the device that lost an equal epoch. */
static int contact_take_record(Contact *c, const Record *record, Bytes outer, usec_t now) {
        Record known;

        if (record->epoch < c->epoch)
                return -ESTALE;
        if (record->epoch == c->epoch && c->record.size > 0) {
                if (c->record.size == outer.size &&
                        memcmp(c->record.data, outer.data, outer.size) == 0)
                        return 0;
                if (record_decode(c->record, &known) >= 0 &&
                        !record_is_newer(record, outer, &known, c->record, now))
                        return key_equal(record->device.device, known.device.device) ? 0 : -ESTALE;
        }
        c->epoch = record->epoch;
        c->record_seq = record->seq;
        c->record = outer;
        memcpy(c->name, record->name, NAME_SIZE);
        return 1;
}

/* Everybody is known by one claim, the newest. */
static int contact_move_claim(Store *s, const Contact *c, const char *old_name) {
        int r = 0;

        if (streq(c->name, old_name))
                return 0;
        if (old_name[0])
                r = claim_set(s, old_name, c->account, false);
        return r < 0 ? r : claim_set(s, c->name, c->account, true);
}

int contact_learn(Store *s, const Record *record, Bytes record_outer, usec_t now, uint8_t flags,
        bool confirmed, Contact *ret) {
        char old_name[NAME_SIZE];
        Contact c = {};
        int r, changed;

        if (record_outer.size > RECORD_MAX)
                return -EMSGSIZE;
        r = contact_get(db_write(s->db), record->account, &c);
        if (r < 0)
                return r;
        memcpy(c.account, record->account, KEY_SIZE);
        memcpy(old_name, c.name, NAME_SIZE);
        changed = contact_take_record(&c, record, record_outer, now);
        if (changed < 0)
                return changed;
        if (c.number == 0 && !(flags & (CONTACT_PINNED | CONTACT_BLOCKED | CONTACT_MEMBER)) &&
                db_count(db_write(s->db), TABLE_ACCOUNT) >= CONTACTS_MAX)
                return -EUSERS;
        if (c.number == 0)
                r = store_check_room(
                        s, flags & CONTACT_PINNED ? STORE_PERCENT_OWN : STORE_PERCENT_MAIL);
        if (r >= 0 && c.number == 0)
                r = contact_number(s, &c);
        /* A record that is kept is still in the map: nothing has been written by then. */
        if (r >= 0 && (changed || (c.flags | flags) != c.flags)) {
                c.flags |= flags;
                r = contact_write(s, &c);
        }
        if (r >= 0)
                r = contact_move_claim(s, &c, old_name);
        if (r >= 0 && (confirmed || flags & CONTACT_PINNED))
                r = name_give(s, c.name, &c);
        return r < 0 ? r : contact_get(db_write(s->db), record->account, ret);
}

int contact_mark(Store *s, const uint8_t account[static KEY_SIZE], uint8_t flags) {
        Contact c = {};
        int r;

        r = contact_set_flags(s, account, flags, 0);
        if (r != -ENOENT)
                return r;
        memcpy(c.account, account, KEY_SIZE);
        c.flags = flags;
        r = store_check_room(s, STORE_PERCENT_OWN);
        if (r >= 0)
                r = contact_number(s, &c);
        return r < 0 ? r : contact_write(s, &c);
}

static int name_take_back(Store *s, const char *name, const Contact *c) {
        DbKey k = name_key(name);
        uint8_t owner[KEY_SIZE];
        int r;

        r = name[0] ? name_owner(db_write(s->db), name, owner) : 0;
        if (r <= 0 || !key_equal(owner, c->account))
                return r < 0 ? r : 0;
        return db_del(db_write(s->db), TABLE_NAME, &k);
}

/* What somebody wrote in a room stays there by his number, also when he is no member any more. */
typedef struct FeedSearch {
        uint32_t account;
        bool found;
        int error;
} FeedSearch;

static bool on_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        ((FeedSearch *)userdata)->found = true;
        return false;
}

static bool look_for_feeds(void *userdata, DbTxn *txn, const RoomRow *row) {
        FeedSearch *s = userdata;

        s->error = room_feed_each_of(txn, row->number, s->account, on_feed, s);
        return s->error >= 0 && !s->found;
}

static int has_feeds(DbTxn *txn, uint32_t account) {
        FeedSearch s = {.account = account};
        int r;

        r = room_each(txn, look_for_feeds, &s);
        return r < 0 ? r : s.error < 0 ? s.error : s.found;
}

int contact_forget(Store *s, const Contact *c) {
        DbKey account = account_key(c->account), number = number_key(c->number);
        int r;

        if (c->flags & (CONTACT_MEMBER | CONTACT_NAMED))
                return 0;
        r = has_feeds(db_write(s->db), c->number);
        if (r != 0)
                return MIN(r, 0);
        r = name_take_back(s, c->name, c);
        if (r >= 0)
                r = name_take_back(s, c->alias, c);
        if (r >= 0 && c->name[0])
                r = claim_set(s, c->name, c->account, false);
        if (r >= 0)
                r = db_del(db_write(s->db), TABLE_ENDPOINT, &number);
        if (r >= 0)
                r = db_del(db_write(s->db), TABLE_ACCOUNT_KEY, &number);
        return r < 0 ? r : db_del(db_write(s->db), TABLE_ACCOUNT, &account);
}

int contact_set_flags(
        Store *s, const uint8_t account[static KEY_SIZE], uint8_t set, uint8_t clear) {
        Contact c;
        int r;

        r = contact_get(db_write(s->db), account, &c);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        if (((c.flags | set) & ~clear) == c.flags)
                return 0;
        c.flags = (uint8_t)((c.flags | set) & ~clear);
        return contact_write(s, &c);
}

int contact_pin(Store *s, const uint8_t account[static KEY_SIZE]) {
        Contact c;
        int r;

        r = contact_set_flags(s, account, CONTACT_PINNED, CONTACT_REQUEST);
        if (r >= 0)
                r = contact_get(db_write(s->db), account, &c);
        return r < 0 ? r : name_give(s, c.name, &c);
}

/* C is as it was read: its record is in the map until something is written. */
static int contact_set_alias(Store *s, Contact *c, const char *alias) {
        char old[NAME_SIZE];
        int r;

        memcpy(old, c->alias, NAME_SIZE);
        snprintf(c->alias, NAME_SIZE, "%s", alias);
        r = contact_write(s, c);
        if (r >= 0 && !streq(old, alias))
                r = name_take_back(s, old, c);
        return r < 0 ? r : name_give(s, alias, c);
}

int contact_unpin(Store *s, const uint8_t account[static KEY_SIZE]) {
        bool was_pinned;
        Contact c;
        int r;

        r = contact_get(db_write(s->db), account, &c);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        was_pinned = c.flags & CONTACT_PINNED;
        c.flags &= (uint8_t) ~(
                CONTACT_PINNED | CONTACT_REQUEST | CONTACT_VERIFIED | CONTACT_KEY_CHANGED);
        r = contact_set_alias(s, &c, "");
        if (r >= 0 && was_pinned)
                r = name_take_back(s, c.name, &c);
        return MIN(r, 0);
}

int contact_rename(Store *s, const uint8_t account[static KEY_SIZE], const char *alias) {
        Contact c;
        int r;

        r = contact_get(db_write(s->db), account, &c);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        if (streq(alias, c.name))
                alias = ""; /* which gives the name back, if it is free */
        r = alias[0] ? name_is_free(db_write(s->db), alias, &c) : 1;
        if (r <= 0)
                return r < 0 ? r : -EEXIST;
        return contact_set_alias(s, &c, alias);
}

/* The name is nobody's here so far, or that of no contact: a contact gets it, and so does who has
 * written where nobody has it. */
static int contact_confirm(Store *s, const char *name, const uint8_t *account) {
        Contact c;
        int r;

        r = contact_get(db_write(s->db), account, &c);
        if (r <= 0 || !(c.flags & (CONTACT_PINNED | CONTACT_REQUEST)) || !streq(c.name, name))
                return r < 0 ? r : 0;
        return name_give(s, name, &c);
}

int contact_hear_name(
        Store *s, const char *name, const uint8_t account[static KEY_SIZE], Contact *ret) {
        uint8_t owner[KEY_SIZE];
        bool was_marked;
        Contact c;
        int r;

        r = name_owner(db_write(s->db), name, owner);
        if (r > 0)
                r = contact_get(db_write(s->db), owner, &c);
        if (r < 0)
                return r;
        if (r == 0 || !(c.flags & CONTACT_PINNED))
                return contact_confirm(s, name, account);
        was_marked = c.flags & CONTACT_KEY_CHANGED;
        if (!streq(c.name, name) || (c.has_rival && key_equal(c.rival, account)))
                return 0;
        if (key_equal(owner, account) && !c.has_rival)
                return 0;
        c.has_rival = !key_equal(owner, account);
        copy_bytes(c.rival, account, c.has_rival ? KEY_SIZE : 0);
        c.flags &= (uint8_t)~CONTACT_KEY_CHANGED;
        if (c.has_rival)
                c.flags |= CONTACT_KEY_CHANGED;
        r = contact_write(s, &c);
        if (r < 0 || (!was_marked && !c.has_rival))
                return r;
        return contact_get(db_write(s->db), owner, ret);
}

int contact_set_last_seen(Store *s, const uint8_t account[static KEY_SIZE], uint64_t realtime) {
        Contact c;
        int r;

        r = contact_get(db_write(s->db), account, &c);
        if (r <= 0 || c.last_seen >= realtime)
                return r < 0 ? r : 0;
        c.last_seen = realtime;
        return contact_write(s, &c);
}

/* C is as it was read. An alias that is somebody else's here is not taken. */
static int merge_alias(Store *s, Contact *c, const ContactMerge *m, int later) {
        int r;

        if (later < 0 || streq(m->alias, c->alias) ||
                (later == 0 && (!m->alias[0] || c->alias[0] || streq(m->alias, c->name))))
                return 0;
        r = m->alias[0] ? name_is_free(db_write(s->db), m->alias, c) : 1;
        return r <= 0 ? r : contact_set_alias(s, c, m->alias);
}

/* What the user decided about a rival, which is for the name that he has by his record. */
static int merge_rival(Store *s, Contact *c, const ContactMerge *m) {
        if (!m->rival || c->has_rival || !m->record || !streq(m->record->name, c->name))
                return 0;
        c->has_rival = true;
        memcpy(c->rival, m->rival, KEY_SIZE);
        c->flags |= m->flags & CONTACT_KEY_CHANGED;
        return contact_write(s, c);
}

/* Positive where the other device has decided later. */
static int decided_later(const ContactMerge *m, const Contact *here, unsigned what) {
        uint64_t there = m->decided[what];

        return there > here->decided[what] ? 1 : there < here->decided[what] ? -1 : 0;
}

/* What the user took back on the other device, and later than he said it here. */
static int merge_taken_back(Store *s, const ContactMerge *m, const Contact *here) {
        uint8_t clear = 0;
        int r = 0;

        for (unsigned i = 0; i < _DECIDED_MAX; i++)
                if (decided_later(m, here, i) > 0)
                        clear |= here->flags & decided_flags[i] & (uint8_t)~m->flags;
        if (clear & CONTACT_PINNED)
                r = contact_unpin(s, m->account);
        return r < 0 || clear == 0 ? r : contact_set_flags(s, m->account, 0, clear);
}

/* The later of both counts from now on as well, against what a third device says. */
static int merge_decided(Store *s, const ContactMerge *m, const Contact *before) {
        uint64_t epoch, decided[_DECIDED_MAX];
        Contact c;
        int r;

        r = event_epoch(db_write(s->db), &epoch);
        if (r >= 0)
                r = contact_get(db_write(s->db), m->account, &c);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < _DECIDED_MAX; i++) {
                uint64_t there = MIN(m->decided[i], epoch);

                decided[i] = MAX(before->decided[i], there);
        }
        return memcmp(decided, c.decided, sizeof(decided)) == 0 ? 0 : contact_put(s, &c, decided);
}

int contact_merge(Store *s, const ContactMerge *m) {
        uint8_t flags = m->flags & (uint8_t)~CONTACT_KEY_CHANGED;
        Contact before = {}, c;
        int r, known;

        r = known = contact_get(db_write(s->db), m->account, &before);
        if (known > 0)
                r = merge_taken_back(s, m, &before);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < _DECIDED_MAX; i++)
                if (decided_later(m, &before, i) < 0)
                        flags &= (uint8_t)~decided_flags[i];
        if (before.flags & CONTACT_PINNED)
                flags &= (uint8_t)~CONTACT_REQUEST;
        r = m->record ? contact_learn(s, m->record, m->record_outer, m->now, flags, m->named, &c)
                      : contact_mark(s, m->account, flags);
        if (r == -ESTALE)
                r = contact_mark(s, m->account, flags);
        if (r >= 0 && flags & CONTACT_PINNED)
                r = contact_pin(s, m->account);
        if (r >= 0)
                r = contact_set_last_seen(s, m->account, MIN(m->last_seen, m->now));
        if (r >= 0)
                r = contact_get(db_write(s->db), m->account, &c);
        if (r > 0)
                r = merge_alias(s, &c, m, decided_later(m, &before, DECIDED_ALIAS));
        if (r >= 0)
                r = contact_get(db_write(s->db), m->account, &c);
        if (r > 0)
                r = merge_rival(s, &c, m);
        if (r >= 0)
                r = merge_decided(s, m, &before);
        if (r >= 0)
                r = contact_get(db_write(s->db), m->account, &c);
        if (r < 0)
                return r;
        return known == 0 || c.flags != before.flags || c.record_seq != before.record_seq ||
                !streq(c.alias, before.alias) || c.last_seen != before.last_seen;
}

const char *contact_shown_name(DbTxn *txn, const Contact *c, char buf[static SHOWN_NAME_SIZE]) {
        char account[BASE32_KEY_SIZE + 1];
        uint8_t owner[KEY_SIZE];

        if (c->alias[0]) {
                snprintf(buf, SHOWN_NAME_SIZE, "%s", c->alias);
                return buf;
        }
        base32_encode_key(c->account, account);
        if (!c->name[0])
                snprintf(buf, SHOWN_NAME_SIZE, "@%s", account);
        else if (name_owner(txn, c->name, owner) > 0 && key_equal(owner, c->account))
                snprintf(buf, SHOWN_NAME_SIZE, "%s", c->name);
        else
                snprintf(buf, SHOWN_NAME_SIZE, "%s~%.*s", c->name, SUFFIX_LENGTH, account);
        return buf;
}

/* Those who claim a name. */
typedef struct Claims {
        uint8_t account[CANDIDATES_MAX][KEY_SIZE];
        size_t n; /* may be more than are kept */
} Claims;

/* Those of NAME whose account begins with the SUFFIX_LENGTH characters at SUFFIX ("": any). */
static int claims_find(DbTxn *txn, const char *name, const char *suffix, Claims *ret) {
        DbKey prefix = claim_key(name);
        DbCursor cursor;
        DbValue k, v;
        int r;

        ret->n = 0;
        r = db_cursor_open(txn, TABLE_CLAIM, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                char text[BASE32_KEY_SIZE + 1];

                if (k.size != prefix.size + KEY_SIZE)
                        continue;
                base32_encode_key(k.data + prefix.size, text);
                if (strncmp(text, suffix, strlen(suffix)) != 0)
                        continue;
                if (ret->n < CANDIDATES_MAX)
                        memcpy(ret->account[ret->n], k.data + prefix.size, KEY_SIZE);
                ret->n++;
        }
        db_cursor_close(&cursor);
        return r;
}

/* name or name~XXXX; SUFFIX is "" for the first. */
static int split_name(
        const char *text, char name[static NAME_SIZE], char suffix[static SUFFIX_LENGTH + 1]) {
        const char *tilde = strchr(text, '~');
        int r;

        suffix[0] = 0;
        r = name_fold(text, tilde ? (size_t)(tilde - text) : strlen(text), name);
        if (r < 0 || !tilde)
                return r;
        if (strlen(tilde + 1) != SUFFIX_LENGTH)
                return -EINVAL;
        for (int i = 0; i <= SUFFIX_LENGTH; i++)
                suffix[i] = ascii_lower(tilde[1 + i]);
        return 0;
}

int contact_resolve(DbTxn *txn, const char *text, uint8_t ret_account[static KEY_SIZE]) {
        char name[NAME_SIZE], suffix[SUFFIX_LENGTH + 1];
        Claims claims;
        int r;

        if (text[0] == '@')
                return base32_decode_key(text + 1, strlen(text + 1), ret_account) < 0 ? -EINVAL : 1;
        r = split_name(text, name, suffix);
        if (r < 0)
                return r;
        r = suffix[0] ? 0 : name_owner(txn, name, ret_account);
        if (r != 0)
                return r;
        r = claims_find(txn, name, suffix, &claims);
        if (r < 0 || claims.n == 0)
                return r;
        memcpy(ret_account, claims.account[0], KEY_SIZE);
        return claims.n > 1 ? -ENOTUNIQ : 1;
}

const char *contact_candidates(DbTxn *txn, const char *text, char buf[static CANDIDATES_SIZE]) {
        char name[NAME_SIZE], suffix[SUFFIX_LENGTH + 1], account[BASE32_KEY_SIZE + 1];
        Claims claims;
        size_t n = 0;

        buf[0] = 0;
        if (split_name(text, name, suffix) < 0 || claims_find(txn, name, suffix, &claims) < 0)
                return buf;
        for (size_t i = 0; i < MIN(claims.n, (size_t)CANDIDATES_MAX); i++) {
                const char *comma = i > 0 ? ", " : "";

                base32_encode_key(claims.account[i], account);
                /* What a suffix does not tell apart, only the whole account does. */
                if (suffix[0])
                        snprintf(buf + n, CANDIDATES_SIZE - n, "%s@%s", comma, account);
                else
                        snprintf(buf + n, CANDIDATES_SIZE - n, "%s%s~%.*s", comma, name,
                                SUFFIX_LENGTH, account);
                n += strlen(buf + n);
        }
        return buf;
}

int contact_each(DbTxn *txn, const uint8_t *after, ContactFn fn, void *userdata) {
        DbKey none = DB_KEY_NULL, start = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        if (after)
                db_key_bytes(&start, after, KEY_SIZE);
        r = db_cursor_open(txn, TABLE_ACCOUNT, &none, after ? &start : NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                Contact c;

                if (k.size != KEY_SIZE || (after && memcmp(k.data, after, KEY_SIZE) == 0))
                        continue;
                r = contact_read(k.data, v, &c);
                if (r < 0 || !fn(userdata, txn, &c))
                        break;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

/* Endpoint rows: u8 count, blobs */

int store_get_endpoints(DbTxn *txn, uint32_t account, Endpoints *ret) {
        DbKey k = number_key(account);
        Endpoints e = {};
        RowReader row;
        DbValue v;
        size_t n;
        int r;

        r = db_get(txn, TABLE_ENDPOINT, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        n = row_u8(&row);
        if (n > ENDPOINTS_MAX)
                return db_damaged(v.txn);
        for (; e.n < n; e.n++) {
                Bytes b = row_blob(&row);

                if (b.size >= sizeof(e.text[0]))
                        return db_damaged(v.txn);
                copy_bytes(e.text[e.n], b.data, b.size);
        }
        r = row_end(&row);
        if (r < 0)
                return r;
        *ret = e;
        return 1;
}

int store_set_endpoints(Store *s, uint32_t account, const Endpoints *e) {
        DbKey k = number_key(account);

        row_start(&s->row);
        row_put_u8(&s->row, (uint8_t)e->n);
        for (size_t i = 0; i < e->n; i++)
                row_put_blob(&s->row,
                        (Bytes){.data = (const uint8_t *)e->text[i], .size = strlen(e->text[i])});
        return row_write(db_write(s->db), TABLE_ENDPOINT, &k, &s->row);
}
