/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Entries of rooms, own ones and those of the others. */

#include "store/room-private.h"

/* Ids */

static DbKey id_row_key(uint32_t room, const Uuid *id) {
        DbKey k = room_key(room);

        db_key_bytes(&k, id, sizeof(*id));
        return k;
}

static DbKey id_place_key(uint32_t room, const Inner *m, uint32_t feed) {
        DbKey k = id_row_key(room, &m->id);

        db_key_u32(&k, feed);
        db_key_u64(&k, m->seq);
        return k;
}

int room_id_write(Store *s, uint32_t room, const Inner *m, uint32_t feed) {
        DbKey k = id_place_key(room, m, feed);

        row_start(&s->row);
        return row_write(db_write(s->db), TABLE_ROOM_ID, &k, &s->row);
}

int room_id_remove(Store *s, uint32_t room, const Inner *m, uint32_t feed) {
        DbKey k = id_place_key(room, m, feed);

        return db_del(db_write(s->db), TABLE_ROOM_ID, &k);
}

int store_room_find_id(
        DbTxn *txn, uint32_t room, const Uuid *id, uint32_t *ret_feed, uint64_t *ret_seq) {
        DbKey prefix = id_row_key(room, id);
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_ROOM_ID, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0 && k.size != prefix.size + 12)
                r = db_damaged(txn);
        if (r > 0) {
                *ret_feed = db_get_u32(k.data + prefix.size);
                *ret_seq = db_get_u64(k.data + prefix.size + 4);
        }
        db_cursor_close(&cursor);
        return r;
}

/* Own messages */

void store_room_content(const uint8_t room[static SHA256_SIZE], const Uuid *reply_to, Bytes text,
        uint8_t ret[static SHA256_SIZE]) {
        uint8_t has_reply_to = reply_to != NULL;
        const struct iovec parts[] = {
                {.iov_base = (void *)room, .iov_len = SHA256_SIZE},
                {.iov_base = &has_reply_to, .iov_len = 1},
                {.iov_base = (void *)reply_to, .iov_len = reply_to ? sizeof(*reply_to) : 0},
                {.iov_base = (void *)text.data, .iov_len = text.size},
        };

        sha256_parts(parts, ELEMENTSOF(parts), ret);
}

int store_room_sent(DbTxn *txn, const Uuid *id, const uint8_t content[static SHA256_SIZE]) {
        IdRow before;
        int r;

        r = id_get(txn, SELF_NUMBER, id, &before);
        if (r <= 0)
                return r;
        return memcmp(before.content, content, SHA256_SIZE) == 0 ? 1 : -EEXIST;
}

/* The newest heads of others: the last changes, of which there may be some that are none. */
static int find_parents(DbTxn *txn, uint32_t room, Inner *io) {
        DbKey prefix = room_key(room);
        DbCursor cursor;
        DbValue k, v;
        RoomFeed f;
        int r;

        io->n_parents = 0;
        r = db_cursor_open(txn, TABLE_ROOM_CHANGE, &prefix, NULL, true, &cursor);
        if (r < 0)
                return r;
        for (int i = 0; i < 4 * PARENTS_MAX && io->n_parents < PARENTS_MAX; i++) {
                RowReader row;
                uint32_t feed;

                r = db_cursor_next(&cursor, &k, &v);
                if (r <= 0)
                        break;
                row = row_begin(v);
                feed = row_u32(&row);
                r = row_end(&row);
                if (r >= 0)
                        r = room_feed_get(txn, room, feed, &f);
                if (r < 0)
                        break;
                if (r > 0 && f.feed.account != SELF_NUMBER && f.feed.seq > 0)
                        memcpy(io->parents[io->n_parents++], f.feed.hash, SHA256_SIZE);
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}

static bool is_frozen_at(const RoomFeed *f, uint64_t seq) {
        return f->frozen > 0 && seq >= f->frozen;
}

int store_room_prepare(Store *s, const Identity *self, uint32_t room, usec_t now, Inner *io) {
        const uint8_t *account = sign_key_public(&self->account),
                      *device = sign_key_public(&self->device);
        RoomFeedKey key = {.account = account, .epoch = self->epoch, .device = device};
        DbTxn *txn = db_write(s->db);
        Conversation v;
        RoomRow row;
        RoomFeed f;
        int r;

        if (now > MESSAGE_TIME_MAX - ROOM_ENTRY_EXPIRES)
                return -EINVAL;
        r = room_get(txn, room, &row);
        if (r > 0)
                r = conversation_get(txn, room, &v);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = store_check_room(s, STORE_PERCENT_OWN);
        if (r >= 0)
                r = room_feed_open(s, room, &key, &f);
        if (r >= 0 && f.feed.seq >= SEQ_MAX)
                r = -EOVERFLOW;
        if (r >= 0 && is_frozen_at(&f, f.feed.seq + 1))
                r = -EROFS;
        if (r >= 0)
                r = feed_find_origin(txn, &f.feed);
        if (r >= 0)
                r = find_parents(txn, room, io);
        if (r < 0)
                return r;
        memcpy(io->conversation, row.id, SHA256_SIZE);
        memcpy(io->account, account, KEY_SIZE);
        memcpy(io->device, device, KEY_SIZE);
        memcpy(io->prev, f.feed.hash, SHA256_SIZE);
        io->epoch = self->epoch;
        io->seq = f.feed.seq + 1;
        io->hlc = hlc_next(v.hlc, now);
        io->sent = now;
        io->expires = now + ROOM_ENTRY_EXPIRES;
        return 0;
}

/* What an entry may follow. */

static bool follows_head(const RoomFeed *f, const Inner *m) {
        return m->seq == f->feed.seq + 1 &&
                (f->feed.seq == 0 || memcmp(m->prev, f->feed.hash, SHA256_SIZE) == 0);
}

static bool follows_resume(const RoomFeed *f, const NewRoomEntry *e) {
        const FeedHead *h = e->resume;

        return h && h->seq > 0 && e->inner->seq == h->seq + 1 && e->inner->seq > f->feed.seq &&
                memcmp(e->inner->prev, h->hash, SHA256_SIZE) == 0;
}

static RoomFeedKey feed_key_of(const NewRoomEntry *e) {
        const Inner *m = e->inner;

        return (RoomFeedKey){.number = e->account,
                .account = m->account,
                .epoch = m->epoch,
                .device = m->device};
}

/* The rows of an entry that is new here. */
static int entry_keep(
        Store *s, const NewRoomEntry *e, RoomRow *row, RoomFeed *f, const Entry *entry) {
        const Inner *m = e->inner;
        int r;

        r = entry_write(s, entry);
        if (r >= 0)
                r = order_write(s, e->room, m, f->feed.number);
        if (r >= 0)
                r = room_id_write(s, e->room, m, f->feed.number);
        return r < 0 ? r : room_feed_set_head(s, row, f, m->seq, e->hash);
}

/* An own message is known by its id from now on. */
static int own_id_write(Store *s, const NewRoomEntry *e, uint32_t feed, const uint8_t *content) {
        IdRow id = {.feed = feed, .seq = e->inner->seq, .until = usec_add(e->now, ID_KEEP_OWN)};

        memcpy(id.content, content, SHA256_SIZE);
        return id_write(s, SELF_NUMBER, &e->inner->id, &id);
}

int store_room_append(Store *s, const NewRoomEntry *e) {
        RoomFeedKey key = feed_key_of(e);
        DbTxn *txn = db_write(s->db);
        Conversation v;
        RoomRow row;
        Entry entry;
        RoomFeed f;
        int r;

        r = store_room_sent(txn, &e->inner->id, e->content);
        if (r != 0)
                return r;
        r = room_get(txn, e->room, &row);
        if (r > 0)
                r = conversation_get(txn, e->room, &v);
        if (r > 0)
                r = room_feed_find(txn, e->room, &key, &f);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        if (is_frozen_at(&f, e->inner->seq))
                return -EROFS;
        if (!follows_head(&f, e->inner) && !follows_resume(&f, e))
                return -ESTALE;
        entry = (Entry){.feed = f.feed.number,
                .seq = e->inner->seq,
                .signature = e->signature,
                .inner = e->bytes};
        r = entry_keep(s, e, &row, &f, &entry);
        if (r >= 0)
                r = own_id_write(s, e, f.feed.number, e->content);
        v.hlc = e->inner->hlc;
        v.last_time = e->now;
        return r < 0 ? r : conversation_write(s, &v);
}

/* Others' messages, and own ones that others had */

/* What is to become of the entry. F is without an entry where the feed is not known. */
static int judge(DbTxn *txn, const RoomFeed *f, const NewRoomEntry *e, RoomReceived *ret) {
        uint64_t seq = e->inner->seq;
        Entry held;
        int r;

        *ret = (RoomReceived){.taken = ROOM_ENTRY_NEW, .feed = f->feed.number, .seq = f->feed.seq};
        if (is_frozen_at(f, seq)) {
                ret->taken = ROOM_ENTRY_REFUSED;
        } else if (seq <= f->feed.seq) {
                r = entry_get(txn, f->feed.number, seq, &held);
                if (r < 0)
                        return r;
                ret->at = seq;
                ret->taken = r == 0                      ? ROOM_ENTRY_REFUSED
                        : entry_has_hash(&held, e->hash) ? ROOM_ENTRY_AGAIN
                                                         : ROOM_ENTRY_FORK;
        } else if (follows_head(f, e->inner) || follows_resume(f, e)) {
                ret->taken = ROOM_ENTRY_NEW;
        } else if (e->resume && seq == e->resume->seq + 1) {
                ret->taken = ROOM_ENTRY_REFUSED;
        } else if (seq == f->feed.seq + 1) {
                ret->at = f->feed.seq;
                ret->taken = ROOM_ENTRY_FORK;
        } else
                ret->taken = ROOM_ENTRY_GAP;
        return 0;
}

static uint8_t entry_flags(const Conversation *v, const NewRoomEntry *e) {
        uint8_t flags = 0;

        if (e->was)
                return e->was->flags & (uint8_t)~ENTRY_UNTOLD;
        if (!e->quiet && e->inner->hlc < v->hlc &&
                usec_sub(e->now, e->inner->sent) > USEC_PER_MINUTE)
                flags |= ENTRY_LATE;
        if (hlc_time(e->inner->hlc) > usec_add(e->now, CLOCK_AHEAD_MAX))
                flags |= ENTRY_CLOCK_AHEAD;
        return flags;
}

/* Whether the user has read, on another device, what is here only now. */
static int is_read(Store *s, const NewRoomEntry *e, const RoomFeed *f) {
        Ranges read;
        int r;

        if (e->inner->seq > f->known && !e->was)
                return 0;
        r = store_load_read(db_write(s->db), f->feed.number, &read);
        return r < 0 ? r : ranges_have(&read, e->inner->seq);
}

/* Whether the user has heard of it, when it was in another place, which was cut: 1; 2: and has read
 * it. */
static int was_cut(Store *s, const NewRoomEntry *e) {
        IdRow id;
        bool read;
        int r;

        r = id_get(db_write(s->db), e->account, &e->inner->id, &id);
        if (r <= 0 || id.seq != 0 ||
                memcmp(id.content + 1, e->inner->conversation + 1, SHA256_SIZE - 1) != 0)
                return MIN(r, 0);
        read = id.content[0] != 0;
        r = id_remove(s, e->account, &e->inner->id);
        return r < 0 ? r : 1 + read;
}

/* Whether the user is told of a foreign entry. */
typedef enum News {
        NEWS_TELL,
        NEWS_HEARD, /* he was, when it was in another place */
        NEWS_HEARD_AND_READ,
        NEWS_ELSEWHERE, /* he was on another device, whose event may come yet */
        NEWS_READ_ELSEWHERE,
        NEWS_NONE, /* it is from before he came */
} News;

static int find_news(Store *s, const NewRoomEntry *e, const RoomFeed *f, News *ret) {
        int r;

        r = was_cut(s, e);
        if (r > 0)
                *ret = r == 2 ? NEWS_HEARD_AND_READ : NEWS_HEARD;
        else if (r == 0 && e->quiet && !e->was)
                *ret = NEWS_NONE;
        else if (r == 0) {
                r = is_read(s, e, f);
                if (r > 0)
                        *ret = NEWS_READ_ELSEWHERE;
                else if (e->was ? !e->was->news : e->inner->seq <= f->known)
                        *ret = NEWS_ELSEWHERE;
                else
                        *ret = NEWS_TELL;
        }
        return MIN(r, 0);
}

/* What there is of a foreign entry beside what there is of any. */
static int foreign_keep(
        Store *s, const NewRoomEntry *e, const RoomFeed *f, Conversation *v, News news) {
        EventRow event = {.kind = EVENT_RECEIVED,
                .time = e->now,
                .feed = f->feed.number,
                .seq = e->inner->seq};

        if (news == NEWS_READ_ELSEWHERE)
                return 0;
        if (news == NEWS_HEARD_AND_READ || news == NEWS_NONE)
                return read_add(s, f->feed.number, e->inner->seq);
        v->unread++;
        if (!e->was)
                v->last_time = e->now;
        return news == NEWS_TELL ? event_add(s, &event) : 0;
}

/* An own one that was lost here. What it said is not known before it is opened: the id counts as
 * used for something else. */
static int own_keep(Store *s, const NewRoomEntry *e, const RoomFeed *f) {
        const uint8_t *content = e->hash;
        IdRow before;
        int r;

        r = id_get(db_write(s->db), SELF_NUMBER, &e->inner->id, &before);
        if (r < 0 || (r > 0 && before.seq > 0))
                return MIN(r, 0);
        if (e->was && e->was->has_content)
                content = e->was->content;
        else if (r > 0)
                content = before.content;
        return own_id_write(s, e, f->feed.number, content);
}

int store_room_content_of(
        DbTxn *txn, uint32_t feed, const Inner *m, uint8_t ret[static SHA256_SIZE]) {
        IdRow id;
        int r;

        r = id_get(txn, SELF_NUMBER, &m->id, &id);
        if (r <= 0 || id.feed != feed || id.seq != m->seq)
                return MIN(r, 0);
        memcpy(ret, id.content, SHA256_SIZE);
        return 1;
}

int store_room_keep_content(
        Store *s, uint32_t feed, const Inner *m, const uint8_t content[static SHA256_SIZE]) {
        IdRow id;
        int r;

        r = id_get(db_write(s->db), SELF_NUMBER, &m->id, &id);
        if (r <= 0 || (id.seq > 0 && (id.feed != feed || id.seq != m->seq)))
                return MIN(r, 0);
        id.feed = feed;
        id.seq = m->seq;
        memcpy(id.content, content, SHA256_SIZE);
        return id_write(s, SELF_NUMBER, &m->id, &id);
}

int store_room_free_id(Store *s, const Uuid *id) {
        IdRow row;
        int r;

        r = id_get(db_write(s->db), SELF_NUMBER, id, &row);
        return r <= 0 || row.seq > 0 ? MIN(r, 0) : MIN(id_remove(s, SELF_NUMBER, id), 0);
}

static int receive_new(Store *s, const NewRoomEntry *e, RoomRow *row, RoomFeed *f) {
        bool own = e->account == SELF_NUMBER;
        Entry entry = {.feed = f->feed.number,
                .seq = e->inner->seq,
                .state = own ? ENTRY_STORED : ENTRY_RECEIVED,
                .received = own ? 0 : e->now,
                .stored = own ? e->now : 0,
                .signature = e->signature,
                .inner = e->bytes};
        News news = NEWS_TELL;
        Conversation v;
        int r;

        r = conversation_get(db_write(s->db), e->room, &v);
        if (r <= 0)
                return r < 0 ? r : db_damaged(db_write(s->db));
        r = own ? 0 : find_news(s, e, f, &news);
        if (r < 0)
                return r;
        entry.flags = entry_flags(&v, e);
        if (news >= NEWS_ELSEWHERE)
                entry.flags |= ENTRY_UNTOLD;
        if (e->was) {
                entry.state = own ? e->was->state : ENTRY_RECEIVED;
                entry.received = e->was->received;
                entry.stored = e->was->stored;
                v.last_time = MAX(v.last_time, own ? entry.stored : entry.received);
        }
        if (!own) {
                (void)ranges_push(&f->feed.have, e->inner->seq, e->inner->seq);
                memcpy(f->feed.have_hash, e->hash, SHA256_SIZE);
        }
        r = entry_keep(s, e, row, f, &entry);
        if (r >= 0)
                r = own ? own_keep(s, e, f) : foreign_keep(s, e, f, &v, news);
        v.hlc = hlc_merge(v.hlc, e->inner->hlc, e->now);
        return r < 0 ? r : conversation_write(s, &v);
}

int store_room_receive(Store *s, const NewRoomEntry *e, RoomReceived *ret) {
        RoomFeedKey key = feed_key_of(e);
        DbTxn *txn = db_write(s->db);
        int r, known;
        RoomRow row;
        RoomFeed f;

        r = room_get(txn, e->room, &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        known = room_feed_find(txn, e->room, &key, &f);
        if (known == 0)
                f = (RoomFeed){};
        r = known < 0 ? known : judge(txn, &f, e, ret);
        if (r < 0 || ret->taken != ROOM_ENTRY_NEW)
                return r;
        r = store_check_room(s, STORE_PERCENT_MAIL);
        if (r >= 0 && known == 0)
                r = room_feed_open(s, e->room, &key, &f);
        if (r < 0)
                return r;
        ret->feed = f.feed.number;
        return receive_new(s, e, &row, &f);
}

/* Reading them */

int store_room_entries(DbTxn *txn, uint32_t feed, uint64_t after, RoomEntryFn fn, void *userdata) {
        uint64_t seq;
        Entry e;
        int r = 0;

        while (after < UINT64_MAX && (r = entry_find(txn, feed, after + 1, UINT64_MAX, &seq)) > 0) {
                r = entry_get(txn, feed, seq, &e);
                if (r <= 0 || !fn(userdata, txn, &e))
                        break;
                after = seq;
        }
        return MIN(r, 0);
}

typedef struct Search {
        uint64_t hlc;
        uint64_t *ret;
        int result;
} Search;

static bool search_clock(void *userdata, DbTxn *txn, const Entry *e) {
        Search *s = userdata;
        Inner m;

        if (inner_decode(e->inner, &m) < 0)
                s->result = db_damaged(txn);
        else if (m.hlc >= s->hlc) {
                *s->ret = e->seq;
                s->result = 1;
        }
        return s->result == 0;
}

int store_room_first_at(DbTxn *txn, uint32_t feed, uint64_t hlc, uint64_t *ret) {
        Search search = {.hlc = hlc, .ret = ret};
        int r;

        r = store_room_entries(txn, feed, 0, search_clock, &search);
        return r < 0 ? r : search.result;
}
