/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/identity.h"

#include "store/event.h"
#include "store/seal-private.h"

#define IDENTITY_ROW_MAX (256 + NAME_SIZE + TRACKER_TEXT_MAX + CERTIFICATE_MAX + RECORD_MAX)

enum {
        IDENTITY_CLAIMED = 1,
        IDENTITY_LOGGED_IN = 2,
        IDENTITY_LAN_ONLY = 4, /* without CLAIMED: before 0.7.0 such an account is a draft */
        IDENTITY_REPLACED = 8, /* without LOGGED_IN: before 0.9.0 it is logged out */
};

void identity_done(Identity *i) {
        sign_key_wipe(&i->account);
        sign_key_wipe(&i->device);
        buffer_done(&i->certificate);
        buffer_done(&i->record);
        *i = (Identity){};
}

static int read_text(RowReader *row, char *to, size_t size) {
        Bytes b = row_blob(row);

        if (b.size >= size)
                return db_damaged(row->txn);
        copy_bytes(to, b.data, b.size);
        to[b.size] = 0;
        return 0;
}

static int read_buffer(RowReader *row, Buffer *to) {
        Bytes b = row_blob(row);

        return buffer_append(to, b.data, b.size);
}

static int identity_read(RowReader *row, Identity *i) {
        uint8_t seed[KEY_SIZE], flags;
        bool empty;
        int r;

        row_bytes(row, seed, sizeof(seed));
        empty = bytes_are_zero(seed, sizeof(seed));
        sign_key_from_seed(seed, &i->account);
        row_bytes(row, seed, sizeof(seed));
        empty |= bytes_are_zero(seed, sizeof(seed));
        sign_key_from_seed(seed, &i->device);
        explicit_bzero(seed, sizeof(seed));
        if (row->error >= 0 && empty)
                return db_damaged(row->txn); /* everybody knows the key of that */
        i->epoch = row_u64(row);
        i->record_seq = row_u64(row);
        flags = row_u8(row);
        i->claimed = flags & IDENTITY_CLAIMED;
        i->logged_in = flags & IDENTITY_LOGGED_IN;
        i->lan_only = flags & IDENTITY_LAN_ONLY;
        i->replaced = flags & IDENTITY_REPLACED;
        r = read_text(row, i->name, sizeof(i->name));
        if (r >= 0)
                r = read_text(row, i->tracker, sizeof(i->tracker));
        if (r >= 0)
                r = read_buffer(row, &i->certificate);
        if (r >= 0)
                r = read_buffer(row, &i->record);
        return r < 0 ? r : row_end(row);
}

int store_load_identity(Store *s, Identity *ret) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        DbKey k = store_meta_key("identity");
        Identity i = {};
        RowReader row;
        DbValue v;
        int r;

        r = store_meta_get(db_write(s->db), "identity", &v);
        if (r <= 0)
                return r;
        row = row_open(v, TABLE_META, key_bytes(&k), &plain);
        r = identity_read(&row, &i);
        if (r < 0) {
                identity_done(&i);
                return r;
        }
        *ret = i;
        return 1;
}

/* Events of an epoch have cursors of their own, from when this device took it. */
static int begin_epoch(Store *s, const Identity *i) {
        Certificate c;
        bool known =
                certificate_parse(buffer_bytes(&i->certificate), &c) >= 0 && c.epoch == i->epoch;

        return event_begin_epoch(s, i->epoch, known ? c.issued : 0);
}

int store_save_identity(Store *s, const Identity *i) {
        DbKey k = store_meta_key("identity");
        int r;

        r = begin_epoch(s, i);
        if (r < 0)
                return r;
        /* Growing would leave copies of the keys behind. */
        if (!buffer_reserve(&s->row, IDENTITY_ROW_MAX))
                return -ENOMEM;
        row_start(&s->row);
        row_put_bytes(&s->row, sign_key_seed(&i->account), KEY_SIZE);
        row_put_bytes(&s->row, sign_key_seed(&i->device), KEY_SIZE);
        row_put_u64(&s->row, i->epoch);
        row_put_u64(&s->row, i->record_seq);
        row_put_u8(&s->row,
                (uint8_t)((i->claimed ? IDENTITY_CLAIMED : 0) |
                        (i->logged_in ? IDENTITY_LOGGED_IN : 0) |
                        (i->lan_only ? IDENTITY_LAN_ONLY : 0) |
                        (i->replaced ? IDENTITY_REPLACED : 0)));
        row_put_blob(&s->row, text_bytes(i->name));
        row_put_blob(&s->row, text_bytes(i->tracker));
        row_put_blob(&s->row, buffer_bytes(&i->certificate));
        row_put_blob(&s->row, buffer_bytes(&i->record));
        return row_write_secret(s, TABLE_META, &k);
}

int store_get_replaced_by(DbTxn *txn, Bytes *ret) {
        RowReader row;
        DbValue v;
        Bytes record;
        int r;

        r = store_meta_get(txn, "replaced-by", &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        record = row_blob(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        *ret = record;
        return 1;
}

int store_set_replaced_by(Store *s, Bytes record) {
        DbKey k = store_meta_key("replaced-by");

        row_start(&s->row);
        row_put_blob(&s->row, record);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int store_get_password(DbTxn *txn, PasswordRow *ret) {
        PasswordRow p = {};
        RowReader row;
        DbValue v;
        int r;

        r = store_meta_get(txn, "password", &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_bytes(&row, p.tracker, sizeof(p.tracker));
        p.statement = row_blob(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        *ret = p;
        return 1;
}

int store_set_password(Store *s, const PasswordRow *p) {
        DbKey k = store_meta_key("password");

        row_start(&s->row);
        row_put_bytes(&s->row, p->tracker, sizeof(p->tracker));
        row_put_blob(&s->row, p->statement);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

uint64_t store_presence_seq(Store *s) {
        uint64_t seq;
        RowReader row;
        DbValue v;

        if (store_meta_get(db_write(s->db), "presence", &v) <= 0)
                return 0;
        row = row_begin(v);
        seq = row_u64(&row);
        return row_end(&row) < 0 ? 0 : seq;
}

int store_set_presence_seq(Store *s, uint64_t seq) {
        DbKey k = store_meta_key("presence");

        row_start(&s->row);
        row_put_u64(&s->row, seq);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int store_get_chosen_presence(DbTxn *txn, ChosenPresence *ret) {
        ChosenPresence c = {};
        RowReader row;
        DbValue v;
        int r;

        r = store_meta_get(txn, "chosen-presence", &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        c.presence = (Presence)row_u8(&row);
        r = read_text(&row, c.note, sizeof(c.note));
        if (r >= 0)
                r = row_end(&row);
        if (r >= 0 && c.presence >= _PRESENCE_MAX)
                r = db_damaged(txn);
        if (r < 0)
                return r;
        *ret = c;
        return 1;
}

int store_set_chosen_presence(Store *s, const ChosenPresence *c) {
        DbKey k = store_meta_key("chosen-presence");

        row_start(&s->row);
        row_put_u8(&s->row, (uint8_t)c->presence);
        row_put_blob(&s->row, text_bytes(c->note));
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}
