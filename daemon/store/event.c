/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/event.h"

#include "util/text.h"

/* Forgetting is done for so many new rows at once, which makes it cheap; there are never more than
 * so many too many. */
#define PRUNE_EVERY 64

const char *message_state_name(MessageState s) {
        static const char *const names[_MESSAGE_STATE_MAX] = {
                [MESSAGE_QUEUED] = "queued",
                [MESSAGE_STORED] = "stored",
                [MESSAGE_DELIVERED] = "delivered",
                [MESSAGE_READ] = "read",
                [MESSAGE_FAILED] = "failed",
                [MESSAGE_EXPIRED] = "expired",
                [MESSAGE_RECEIVED] = "received",
        };

        return names[s];
}

const char *room_event_name(RoomEventKind k) {
        static const char *const names[_ROOM_EVENT_MAX] = {
                [ROOM_EVENT_CREATED] = "created",
                [ROOM_EVENT_JOINED] = "joined",
                [ROOM_EVENT_LEFT] = "left",
                [ROOM_EVENT_INVITED] = "invited",
                [ROOM_EVENT_KICKED] = "kicked",
                [ROOM_EVENT_TOPIC] = "topic",
                [ROOM_EVENT_ROLE] = "role",
                [ROOM_EVENT_DELETED] = "deleted",
                [ROOM_EVENT_ONLINE] = "online",
                [ROOM_EVENT_OFFLINE] = "offline",
                [ROOM_EVENT_REPLACED] = "replaced",
                [ROOM_EVENT_FORK] = "fork",
        };

        return names[k];
}

static DbKey event_key(uint64_t cursor) {
        DbKey k = DB_KEY_NULL;

        db_key_u64(&k, cursor);
        return k;
}

/* Events: u8 kind, u64 time, then by kind: u32 feed, u64 seq, u8 request; u32 feed, u64 seq,
 * id, u8 state, u8 reason; u32 account, u8 presence; u32 feed, u64 seq; u32 account, u8 presence,
 * u8 key changed, other account; u32 room, u8 change, u32 account, and where it says what something
 * has become: u8 role, topic; nothing more of being replaced */

static void event_put(Buffer *out, const EventRow *e) {
        row_start(out);
        row_put_u8(out, (uint8_t)e->kind);
        row_put_u64(out, e->time);
        if (e->kind == EVENT_PRESENCE || e->kind == EVENT_KEY) {
                row_put_u32(out, e->account);
                row_put_u8(out, (uint8_t)e->presence);
        } else if (e->kind == EVENT_ROOM) {
                row_put_u32(out, e->room);
                row_put_u8(out, (uint8_t)e->change);
                row_put_u32(out, e->account);
                if (e->says) {
                        row_put_u8(out, (uint8_t)e->role);
                        row_put_bytes(out, e->topic.data, e->topic.size);
                }
        } else if (e->kind != EVENT_REPLACED) {
                row_put_u32(out, e->feed);
                row_put_u64(out, e->seq);
        }
        if (e->kind == EVENT_KEY) {
                row_put_u8(out, e->key_changed);
                row_put_bytes(out, e->other, KEY_SIZE);
        } else if (e->kind == EVENT_RECEIVED) {
                row_put_u8(out, e->request);
        } else if (e->kind == EVENT_STATE) {
                row_put_bytes(out, &e->id, sizeof(e->id));
                row_put_u8(out, (uint8_t)e->state);
                row_put_u8(out, (uint8_t)e->reason);
        }
}

static bool topic_is_valid(Bytes topic) {
        return topic.size <= ROOM_TOPIC_MAX &&
                (topic.size == 0 ||
                        (utf8_is_valid(topic.data, topic.size) &&
                                !memchr(topic.data, 0, topic.size)));
}

/* 0 for a row of a newer version's, of a kind that is not known here. */
static int event_read(DbValue k, DbValue v, EventRow *ret) {
        RowReader row = row_begin(v);
        EventRow e = {.kind = (EventKind)row_u8(&row), .time = row_u64(&row)};
        int r;

        if (k.size != 8)
                return db_damaged(v.txn);
        e.cursor = db_get_u64(k.data);
        switch (e.kind) {
        case EVENT_PRESENCE:
        case EVENT_KEY:
                e.account = row_u32(&row);
                e.presence = (Presence)row_u8(&row);
                if (e.kind == EVENT_PRESENCE)
                        break;
                e.key_changed = row_u8(&row);
                row_bytes(&row, e.other, KEY_SIZE);
                break;
        case EVENT_ROOM:
                e.room = row_u32(&row);
                e.change = (RoomEventKind)row_u8(&row);
                e.account = row_u32(&row);
                e.says = row_has_more(&row);
                if (e.says) {
                        e.role = (RoomRole)row_u8(&row);
                        e.topic = row_rest(&row);
                }
                break;
        case EVENT_REQUEST:
                e.feed = row_u32(&row);
                e.seq = row_u64(&row);
                break;
        case EVENT_RECEIVED:
                e.feed = row_u32(&row);
                e.seq = row_u64(&row);
                e.request = row_u8(&row);
                break;
        case EVENT_STATE:
                e.feed = row_u32(&row);
                e.seq = row_u64(&row);
                row_bytes(&row, &e.id, sizeof(e.id));
                e.state = (MessageState)row_u8(&row);
                e.reason = (Code)row_u8(&row);
                break;
        case EVENT_REPLACED:
                break;
        default:
                return row.error < 0 ? row.error : 0;
        }
        r = row_end(&row);
        if (r < 0)
                return r;
        if (e.presence >= _PRESENCE_MAX || e.state >= _MESSAGE_STATE_MAX || e.reason >= _CODE_MAX ||
                e.change >= _ROOM_EVENT_MAX || e.role >= _ROOM_ROLE_MAX || !topic_is_valid(e.topic))
                return db_damaged(v.txn);
        *ret = e;
        return 1;
}

/* The cursor of the row at one end. 1 or 0. */
static int event_edge(DbTxn *txn, bool newest, uint64_t *ret) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_EVENT, &none, NULL, newest, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0 && k.size != 8)
                r = db_damaged(txn);
        if (r > 0)
                *ret = db_get_u64(k.data);
        db_cursor_close(&cursor);
        return r;
}

/* Epochs: u64 epoch, u64 since. What an earlier program wrote is as if of the first. */

#define EPOCH_CURSORS_BITS 40
#define EPOCHS_MAX (UINT64_C(1) << 23) /* later ones count on together */

uint64_t event_epoch_begin(uint64_t cursor) {
        uint64_t first = cursor >> EPOCH_CURSORS_BITS << EPOCH_CURSORS_BITS;

        return MAX(first, (uint64_t)EVENT_CURSOR_FIRST);
}

static int epoch_read(DbTxn *txn, uint64_t *ret_epoch, usec_t *ret_since) {
        RowReader row;
        DbValue v;
        int r;

        *ret_epoch = 1;
        *ret_since = 0;
        r = store_meta_get(txn, "event-epoch", &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        *ret_epoch = row_u64(&row);
        *ret_since = row_u64(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int event_begin_epoch(Store *s, uint64_t epoch, usec_t since) {
        DbKey k = store_meta_key("event-epoch");
        uint64_t before;
        usec_t then;
        int r;

        r = epoch_read(db_write(s->db), &before, &then);
        if (r < 0 || epoch <= before)
                return MIN(r, 0);
        row_start(&s->row);
        row_put_u64(&s->row, epoch);
        row_put_u64(&s->row, since);
        s->events_batch = 0; /* the next one of this batch is of the new epoch */
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int event_epoch(DbTxn *txn, uint64_t *ret) {
        usec_t since;
        int r;

        r = epoch_read(txn, ret, &since);
        return MIN(r, 0);
}

int event_epoch_since(DbTxn *txn, usec_t *ret) {
        uint64_t epoch;
        int r;

        r = epoch_read(txn, &epoch, ret);
        return MIN(r, 0);
}

/* Of the present epoch. */
static int first_cursor(DbTxn *txn, uint64_t *ret) {
        uint64_t epoch, first;
        usec_t since;
        int r;

        r = epoch_read(txn, &epoch, &since);
        if (r < 0)
                return r;
        first = epoch > 0 ? MIN(epoch - 1, EPOCHS_MAX - 1) << EPOCH_CURSORS_BITS : 0;
        *ret = MAX(first, (uint64_t)EVENT_CURSOR_FIRST);
        return 0;
}

/* That was given out; or of the epoch before. */
static int last_cursor(DbTxn *txn, uint64_t *ret) {
        uint64_t first, last = 0;
        int r;

        r = first_cursor(txn, &first);
        if (r >= 0)
                r = event_edge(txn, true, &last);
        if (r < 0)
                return r;
        *ret = MAX(last, first - 1);
        return r;
}

int event_bounds(DbTxn *txn, EventBounds *ret) {
        EventBounds b;
        int r;

        r = first_cursor(txn, &b.epoch);
        if (r >= 0)
                r = last_cursor(txn, &b.last);
        b.first = b.last + 1;
        if (r >= 0)
                r = event_edge(txn, false, &b.first);
        if (r < 0)
                return r;
        *ret = b;
        return 0;
}

/* The newest row stays whatever its age: it holds the place in the numbering. */
static int events_prune(Store *s, usec_t now) {
        DbTxn *txn = db_write(s->db);
        uint64_t n = db_count(txn, TABLE_EVENT);
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_EVENT, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        for (int i = 0; i < 2 * PRUNE_EVERY && n > 1; i++, n--) {
                EventRow e = {};

                r = db_cursor_next(&cursor, &k, &v);
                /* A row that cannot be read has had its time as well. */
                if (r <= 0 ||
                        (n <= EVENTS_MAX && event_read(k, v, &e) > 0 &&
                                usec_sub(now, e.time) <= EVENTS_AGE))
                        break;
                r = db_cursor_del(&cursor);
                if (r < 0)
                        break;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

static void on_committed(void *userdata, int error) {
        Store *s = userdata;

        if (s->events_fn)
                s->events_fn(s->events_userdata, error);
}

void store_set_events_fn(Store *s, EventsFn fn, void *userdata) {
        s->events_fn = fn;
        s->events_userdata = userdata;
}

/* Once for all events of a batch: the cursor is looked up and the commit is awaited. Where that
 * cannot be, nothing of the batch is: what has happened is in it already. */
static int batch_begin(Store *s) {
        uint64_t batch = db_batch_number(s->db), last;
        DbTxn *txn = db_write(s->db);
        int r;

        if (s->events_batch == batch)
                return 0;
        r = last_cursor(txn, &last);
        if (r >= 0)
                r = db_after_commit(s->db, on_committed, s);
        if (r < 0) {
                db_fail(txn, r);
                return r;
        }
        s->events_batch = batch;
        s->last_event = last;
        return 0;
}

int event_add(Store *s, const EventRow *e) {
        DbTxn *txn = db_write(s->db);
        DbKey k;
        int r;

        r = batch_begin(s);
        if (r < 0)
                return r;
        if (s->last_event >= UINT64_MAX - 1)
                return -EOVERFLOW;
        k = event_key(s->last_event + 1);
        event_put(&s->row, e);
        r = row_write(txn, TABLE_EVENT, &k, &s->row);
        if (r < 0)
                return r;
        s->last_event++;
        return s->last_event % PRUNE_EVERY == 0 ? events_prune(s, e->time) : 0;
}

int event_import(Store *s, const EventRow *e) {
        DbTxn *txn = db_write(s->db);
        DbKey k = event_key(e->cursor);
        uint64_t first;
        DbValue v;
        int r;

        r = first_cursor(txn, &first);
        if (r < 0)
                return r;
        if (e->cursor >= first || e->cursor < EVENT_CURSOR_FIRST)
                return -ERANGE;
        if (db_count(txn, TABLE_EVENT) >= EVENTS_MAX)
                return 0;
        r = db_get(txn, TABLE_EVENT, &k, &v);
        if (r != 0)
                return MIN(r, 0);
        event_put(&s->row, e);
        r = row_write(txn, TABLE_EVENT, &k, &s->row);
        return r < 0 ? r : 1;
}

int event_each(DbTxn *txn, uint64_t after, EventFn fn, void *userdata) {
        DbKey none = DB_KEY_NULL, start;
        DbCursor cursor;
        DbValue k, v;
        int r;

        if (after == UINT64_MAX)
                return 0;
        start = event_key(after + 1);
        r = db_cursor_open(txn, TABLE_EVENT, &none, &start, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                EventRow e;

                r = event_read(k, v, &e);
                if (r < 0 || (r > 0 && !fn(userdata, txn, &e)))
                        break;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

/* Clients: u64 cursor, u64 time of the last acknowledgement */

bool event_client_name_is_valid(const char *name) {
        size_t n = strlen(name);

        return n > 0 && n <= EVENT_CLIENT_NAME_MAX &&
                strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                n;
}

static DbKey client_key(const char *name) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, name, strlen(name));
        return k;
}

static int client_read(DbValue v, uint64_t *ret_cursor, usec_t *ret_time) {
        RowReader row = row_begin(v);

        *ret_cursor = row_u64(&row);
        *ret_time = row_u64(&row);
        return row_end(&row);
}

int event_client_get(DbTxn *txn, const char *name, uint64_t *ret_cursor) {
        DbKey k = client_key(name);
        usec_t time;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_CLIENT, &k, &v);
        if (r <= 0)
                return r;
        r = client_read(v, ret_cursor, &time);
        return r < 0 ? r : 1;
}

/* One that has not come for as long as events are kept has nothing to come back for. */
static int clients_make_room(Store *s, usec_t now) {
        DbTxn *txn = db_write(s->db);
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        if (db_count(txn, TABLE_CLIENT) < EVENT_CLIENTS_MAX)
                return 0;
        r = db_cursor_open(txn, TABLE_CLIENT, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                uint64_t at;
                usec_t time;

                if (client_read(v, &at, &time) >= 0 && usec_sub(now, time) <= EVENTS_AGE)
                        continue;
                r = db_cursor_del(&cursor);
                break;
        }
        if (r == 0 && db_count(txn, TABLE_CLIENT) >= EVENT_CLIENTS_MAX)
                r = -EUSERS;
        db_cursor_close(&cursor);
        return r;
}

static int client_write(Store *s, const char *name, uint64_t cursor, usec_t time) {
        DbKey k = client_key(name);

        row_start(&s->row);
        row_put_u64(&s->row, cursor);
        row_put_u64(&s->row, time);
        return row_write(db_write(s->db), TABLE_CLIENT, &k, &s->row);
}

int event_client_each(DbTxn *txn, EventClientFn fn, void *userdata) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_CLIENT, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                char name[EVENT_CLIENT_NAME_MAX + 1] = {};
                uint64_t at;
                usec_t time;

                if (k.size > EVENT_CLIENT_NAME_MAX) {
                        r = db_damaged(txn);
                        break;
                }
                copy_bytes(name, k.data, k.size);
                r = client_read(v, &at, &time);
                if (r < 0 || !fn(userdata, name, at, time))
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}

int event_client_merge(Store *s, const char *name, uint64_t cursor, usec_t time, usec_t now) {
        DbTxn *txn = db_write(s->db);
        uint64_t before = 0, last;
        int r;

        r = last_cursor(txn, &last);
        if (r >= 0)
                r = event_client_get(txn, name, &before);
        if (r < 0)
                return r;
        if (r > 0 && before >= cursor)
                return 0;
        if (r == 0)
                r = clients_make_room(s, now);
        if (r >= 0)
                r = client_write(s, name, MIN(cursor, last), MIN(time, now));
        return r < 0 ? r : 1;
}

int event_client_ack(Store *s, const char *name, uint64_t cursor, usec_t now) {
        DbTxn *txn = db_write(s->db);
        uint64_t before = 0;
        EventBounds b;
        int r;

        r = event_bounds(txn, &b);
        if (r < 0)
                return r;
        if (cursor > b.last)
                return -ERANGE;
        r = event_client_get(txn, name, &before);
        if (r == 0)
                r = clients_make_room(s, now);
        return r < 0 ? r : client_write(s, name, MAX(cursor, before), now);
}
