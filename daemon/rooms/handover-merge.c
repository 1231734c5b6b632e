/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Taking over what another device of this account has of rooms. It goes the way of what members
 * say, so that nothing is believed for being one's own; but the user has heard of it already.
 */

#include "rooms/handover-item.h"
#include "rooms/handover.h"
#include "rooms/state.h"

/* For the log: what comes is not taken, which is no fault of the device that gives it. */
static int skip(const RoomItem *it, int verdict, const RoomReason *why) {
        if (verdict == TAKEN_BAD || verdict == TAKEN_REFUSED || verdict == TAKEN_NOT_NOW)
                log_debug("An item of kind %d of a room was not taken over: verdict %d, %s",
                        (int)it->kind, verdict, why->text);
        return 0;
}

/* Not made out to be another one of the same author, epoch and device. */
static int keep_certificate(Room *room, const RoomItem *it, const uint8_t *author) {
        AuthorProof p = {.outer = it->certificate};

        if (it->certificate.size == 0 || certificate_decode(it->certificate, &p.certificate) < 0 ||
                !key_equal(p.certificate.account, author) || p.certificate.epoch != it->epoch ||
                !key_equal(p.certificate.device, it->device))
                return 0;
        return author_keep(room->rooms, &p);
}

/* The room */

/* As long as not all is here it is like one that was left: nobody is told of it, and nothing is
 * taken of it but from the device that hands it over. */
static int take_room(Rooms *r, const RoomItem *it) {
        Room *room = room_of(r, it->room);
        char name[NAME_SIZE] = "";
        Conversation v;
        int e = 0;

        copy_bytes(name, it->name.data, it->name.size);
        if (!room) {
                e = room_make(r, it->room, name, ROOM_LEFT, &room);
                if (e < 0)
                        return e;
                room->row.flags |= ROOM_FLAG_COMING;
                room->row.read_only = true;
                e = room_keep(room);
        }
        if (e >= 0)
                e = conversation_get(store_write(r->store), room->row.number, &v);
        if (e <= 0)
                return e < 0 ? e : store_damaged(store_write(r->store));
        v.hlc = MAX(v.hlc, it->hlc); /* what is written here comes after what was written there */
        v.last_time = MAX(v.last_time, it->time);
        return conversation_write(r->store, &v);
}

/* The control log */

static int take_block(Room *room, const RoomItem *it) {
        const RoomCertificates c = {.list = &it->certificate, .n = it->certificate.size > 0};
        RoomReason why = {};
        int v = room_take_block(room, it->object, &c, &why);

        return v < 0 ? v : skip(it, v, &why);
}

/* Looked at like a pending one, and kept for the block that comes next. */
static int take_settled(Room *room, const RoomItem *it) {
        const RoomCertificates c = {.list = &it->certificate, .n = it->certificate.size > 0};
        Rooms *r = room->rooms;
        RoomProposal *p = r->proposal;
        AuthorProof author;
        Bytes held;
        int e;

        e = room_proposal_decode(it->object, p);
        if (e < 0 || memcmp(p->room, room->row.id, ROOM_ID_SIZE) != 0)
                return e == -ENOMEM ? e : 0;
        e = room_settled_get(store_write(r->store), room->row.number, p->hash, &held);
        if (e != 0)
                return MIN(e, 0);
        e = author_prove(r, &c,
                &(Author){.account = p->account,
                        .epoch = p->device_epoch,
                        .device = p->device,
                        .sent = p->sent},
                &author);
        if (e > 0)
                e = author_keep(r, &author);
        else
                return e;
        return e < 0 ? e : room_settled_put(r->store, room->row.number, p->hash, it->object);
}

static int take_proposal(Room *room, const RoomItem *it) {
        const RoomCertificates c = {.list = &it->certificate, .n = it->certificate.size > 0};
        RoomReason why = {};
        int v;

        if (it->flags & ROOM_ITEM_SETTLED)
                return take_settled(room, it);
        v = room_take_proposal(room, it->object, &c, &why);
        return v < 0 ? v : skip(it, v, &why);
}

/* One that does not fit the chain that is here may fit the one that wins. */
static int take_key(Room *room, const RoomItem *it) {
        Store *s = room->rooms->store;
        const uint8_t *commitment = roster_commitment(room->roster, it->epoch);
        uint8_t promised[SHA256_SIZE], held[ROOM_KEY_SIZE];
        bool fits = false;
        int e;

        if (commitment) {
                room_key_commitment(room->row.id, it->epoch, it->secret, promised);
                fits = memcmp(promised, commitment, SHA256_SIZE) == 0;
        }
        e = fits ? room_key_of(room, store_write(s), it->epoch, held)
                 : room_key_get(store_write(s), room->row.number, it->epoch, held);
        explicit_bzero(held, sizeof(held));
        if (e != 0)
                return MIN(e, 0);
        e = room_key_put(s, room->row.number, it->epoch, it->secret);
        return e < 0 ? e : room_touch(room, ROOM_NEW_KEYS);
}

/* Feeds */

static int take_feed(Room *room, const RoomItem *it) {
        Rooms *r = room->rooms;
        const uint8_t *author = it->has_account ? it->account : rooms_self(r);
        RoomFeedKey key = {.account = author, .epoch = it->epoch, .device = it->device};
        RoomFeed feed;
        int e;

        if (!room_knows(room, author))
                return 0;
        e = room_account_number(room, author, true, &key.number);
        if (e >= 0)
                e = entries_open_feed(room, &key, &feed);
        if (e > 0)
                e = keep_certificate(room, it, author);
        else
                return e;
        if (e >= 0 && key.number != SELF_NUMBER)
                e = room_feed_take_read(r->store, room->row.number, feed.feed.number, &it->read,
                        &it->told, it->seq);
        return e < 0 ? e : room_touch(room, ROOM_NEW_MARKS);
}

static int take_fork(Room *room, const RoomItem *it) {
        RoomReason why = {};
        int v = room_take_fork(room, it->object, &why);

        return v < 0 ? v : skip(it, v, &why);
}

/* How the user stands in the room */

/* What the control log does not say: he may have left what he was invited to, or what was to be
 * read only. */
static RoomStatus choose_status(const Room *room, const RoomItem *it, bool coming) {
        const RosterMember *self = roster_member(room->roster, rooms_self(room->rooms));
        RoomStatus there = (RoomStatus)it->state, here = coming ? there : room->row.status;

        if (roster_deleted(room->roster))
                return ROOM_DELETED;
        if (self && self->member) {
                if (here == ROOM_LEFT || (coming && here == ROOM_KICKED))
                        return there == ROOM_JOINED ? ROOM_JOINED : here;
                return ROOM_JOINED;
        }
        if (here == ROOM_JOINED || here == ROOM_DELETED)
                return self && self->kicked ? ROOM_KICKED
                        : self && self->was ? ROOM_LEFT
                                            : ROOM_JOINING;
        return here;
}

static int take_inviter(Room *room, const RoomItem *it) {
        RoomRow *row = &room->row;
        uint32_t number;
        int e;

        if (!it->has_account || it->invited < row->invited ||
                key_equal(it->account, rooms_self(room->rooms)))
                return 0;
        e = room_account_number(room, it->account, true, &number);
        if (e > 0)
                e = contact_mark(room->rooms->store, it->account, CONTACT_NAMED);
        if (e < 0)
                return e;
        row->inviter = number;
        row->invited = it->invited;
        return 0;
}

/* Of several rooms with one name it is one's, as on the other device; and what an invitation says,
 * as long as there is no block. */
static void take_claims(Room *room, const RoomItem *it, bool coming) {
        RoomRow *row = &room->row;

        if (coming || row->name[0] == '\0') {
                memset(row->name, 0, NAME_SIZE);
                copy_bytes(row->name, it->name.data, it->name.size);
        }
        if (roster_head(room->roster)->epoch > 0)
                return;
        if (it->topic.size > 0) {
                memset(row->topic, 0, sizeof(row->topic));
                copy_bytes(row->topic, it->topic.data, it->topic.size);
        }
        if (it->has_founder) {
                memcpy(row->founder, it->founder, KEY_SIZE);
                memcpy(row->nonce, it->nonce, ROOM_NONCE_SIZE);
        }
}

/* Now the room is as all rooms are: links are sought, and others are told. */
static int take_status(Room *room, const RoomItem *it) {
        Rooms *r = room->rooms;
        RoomRow *row = &room->row;
        bool coming = row->flags & ROOM_FLAG_COMING;
        RoomStatus status = choose_status(room, it, coming);
        usec_t joined = row->joined;
        int e;

        room->dirty = true; /* also where the next fails */
        row->flags &= ~(uint32_t)ROOM_FLAG_COMING;
        if (it->flags & ROOM_ITEM_WHOLE && it->epoch + 1 == r->self->epoch)
                commit_note_whole(room);
        e = take_inviter(room, it);
        if (e < 0)
                return e;
        take_claims(room, it, coming);
        row->farewell = (row->farewell || it->flags & ROOM_ITEM_FAREWELL) &&
                (status == ROOM_LEFT || status == ROOM_DELETED);
        e = room_set_status(room, status);
        if (e < 0)
                return e;
        row->joined = coming || joined == 0 ? it->time
                : it->time > 0              ? MIN(joined, it->time)
                                            : joined;
        room->taking = false;
        e = room_keep(room);
        if (e >= 0)
                e = control_fold_pending(room, store_write(r->store));
        if (e >= 0)
                e = entries_cut_barred(room);
        if (e >= 0)
                e = marks_load(room, store_write(r->store));
        return e < 0 ? e
                     : room_touch(room,
                               ROOM_NEW_CONTROL | ROOM_NEW_PROPOSALS | ROOM_NEW_ENTRIES |
                                       ROOM_NEW_KEYS | ROOM_NEW_STATUS);
}

/* Entries */

/* An own message, which has no place any more. */
static int write_again(Room *room, const Inner *m) {
        _cleanup_(again_freep) Again *a = NULL;
        int e = again_add(room, &a, m);

        return e < 0 ? e : again_write(room, a);
}

/* The own entry M, as the device that hands it over has it, is here: 1, with its feed; -EEXIST:
 * another one is in its place, as that device is a copy of itself; 0. */
static int find_own(Room *room, const RoomItem *it, const Inner *m, uint32_t *ret_feed) {
        DbTxn *txn = store_write(room->rooms->store);
        const RoomFeedKey key = {.number = SELF_NUMBER,
                .account = m->account,
                .epoch = m->epoch,
                .device = m->device};
        Entry held;
        RoomFeed f;
        int e;

        e = room_feed_find(txn, room->row.number, &key, &f);
        if (e > 0)
                e = entry_get(txn, f.feed.number, m->seq, &held);
        if (e <= 0)
                return e;
        *ret_feed = f.feed.number;
        return bytes_equal(held.inner, it->object) ? 1 : -EEXIST;
}

/* What became of an own entry. Where its place is another one's, or the user wrote it when he did
 * not know yet that this device had written, nobody takes it as it is. */
static bool has_no_place(int verdict, const RoomReason *why) {
        return verdict == TAKEN_NOT_NOW || verdict == TAKEN_STALE ||
                (verdict == TAKEN_REFUSED &&
                        (why->code == CODE_REPLACED || why->code == CODE_FORK));
}

static int take_own(Room *room, const RoomItem *it, const RoomEntryIn *in, const Inner *m) {
        RoomReason why = {};
        uint32_t feed;
        int e;

        e = find_own(room, it, m, &feed);
        if (e == -EEXIST) /* not as a fork, of which a proof would go to all */
                return write_again(room, m);
        if (e > 0 && it->has_secret)
                return store_room_keep_content(room->rooms->store, feed, m, it->secret);
        if (e != 0)
                return MIN(e, 0);
        e = room_take_entry(room, in, NULL, &why);
        if (e < 0)
                return e;
        return has_no_place(e, &why) ? write_again(room, m) : skip(it, e, &why);
}

static int take_entry(Room *room, const RoomItem *it) {
        RoomEntryWas was = {.flags = (uint8_t)it->flags,
                .state = it->state == ENTRY_RECEIVED ? ENTRY_STORED : (EntryState)it->state,
                .received = it->time,
                .stored = it->stored,
                .has_content = it->has_secret,
                .news = it->time > commit_active_since(room->rooms)};
        const RoomEntryIn in = {.inner = it->object,
                .signature = {.data = it->signature, .size = SIGNATURE_SIZE},
                .level = true,
                .was = &was};
        RoomReason why = {};
        Inner m;
        int v;

        memcpy(was.content, it->secret, SHA256_SIZE);
        if (inner_decode(it->object, &m) >= 0 && key_equal(m.account, rooms_self(room->rooms)))
                return take_own(room, it, &in, &m);
        v = room_take_entry(room, &in, NULL, &why);
        return v < 0 ? v : skip(it, v, &why);
}

static int take_mark(Room *room, const RoomItem *it) {
        Rooms *r = room->rooms;
        DbTxn *txn = store_write(r->store);
        RoomFeedKey key = {.number = SELF_NUMBER,
                .account = rooms_self(r),
                .epoch = it->epoch,
                .device = it->device};
        RoomMark m = {.held = it->seq, .read = it->mark_read};
        uint32_t account = ROOM_MARK_TOLD;
        RoomFeed f;
        int e;

        e = room_feed_find(txn, room->row.number, &key, &f);
        if (e > 0 && it->has_account)
                e = room_account_number(room, it->account, false, &account);
        if (e <= 0 || account == SELF_NUMBER)
                return MIN(e, 0);
        m.feed = f.feed.number;
        e = room_mark_set(r->store, room->row.number, account, &m);
        if (e > 0 && m.feed == room->own)
                e = marks_load(room, txn);
        return e < 0 ? e : room_touch(room, ROOM_NEW_MARKS);
}

static int take_item(Room *room, const RoomItem *it) {
        switch (it->kind) {
        case ROOM_ITEM_BLOCK:
                return take_block(room, it);
        case ROOM_ITEM_PROPOSAL:
                return take_proposal(room, it);
        case ROOM_ITEM_KEY:
                return take_key(room, it);
        case ROOM_ITEM_FEED:
                return take_feed(room, it);
        case ROOM_ITEM_FORK:
                return take_fork(room, it);
        case ROOM_ITEM_STATUS:
                return take_status(room, it);
        case ROOM_ITEM_ENTRY:
                return take_entry(room, it);
        default:
                return take_mark(room, it);
        }
}

static int take(Rooms *r, Bytes item) {
        _cleanup_(freep) RoomItem *it = malloc(sizeof(*it));
        Room *room;
        int e;

        if (!it)
                return -ENOMEM;
        e = room_item_decode(item, it);
        if (e >= 0 && it->kind == ROOM_ITEM_ROOM)
                e = take_room(r, it);
        else if (e >= 0 && (room = room_of(r, it->room))) {
                room->taking = true;
                e = take_item(room, it);
                room->taking = false;
        }
        explicit_bzero(it, sizeof(*it));
        return e;
}

int rooms_handover_merge(Rooms *r, Bytes item) {
        int e = take(r, item);

        if (e < 0 && e != -EBADMSG) {
                store_fail(r->store, e);
                (void)rooms_await_commit(r);
        }
        return e < 0 ? e : 1;
}
