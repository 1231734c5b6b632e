/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What there is to announce of a message that came. */

#include "chat/room.h"

/* An own message in the conversation that was written when the other one was here already. */
static int is_answered(DbTxn *txn, const Conversation *v, const HistoryRow *row) {
        HistoryRow last;
        int r;

        r = history_last(txn, v->number, &last);
        return r <= 0 ? r : last.own && last.inner.sent >= row->entry.received;
}

/* 1 with the message of PEER's, or in ROOM unless that is 0, and its conversation; 0 where nothing
 * is to be announced. */
static int find_unread(DbTxn *txn, const Contact *peer, uint32_t room, const Uuid *id,
        HistoryRow *ret_row, Conversation *ret_v) {
        uint32_t feed;
        uint64_t seq;
        Feed f;
        int r;

        r = room != 0 ? store_room_find_id(txn, room, id, &feed, &seq)
                      : store_find_id(txn, peer->number, id, &feed, &seq);
        if (r > 0)
                r = history_get(txn, feed, seq, ret_row);
        if (r <= 0 || ret_row->read || ret_row->own)
                return MIN(r, 0);
        r = feed_get(txn, feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, ret_v);
        if (r <= 0)
                return r;
        r = is_answered(txn, ret_v, ret_row);
        return r < 0 ? r : r == 0;
}

static int view_unread(Chat *c, DbTxn *txn, const uint8_t *account, const Uuid *id, ChatUnreadFn fn,
        void *userdata) {
        _cleanup_(freep) MessageView *view = message_view_new();
        Conversation v;
        HistoryRow row;
        Contact peer;
        RoomRow room;
        int r;

        if (!view)
                return -ENOMEM;
        r = room_find(txn, account, &room);
        if (r == 0)
                room.number = 0;
        if (r == 0)
                r = contact_get(txn, account, &peer);
        if (r > 0)
                r = find_unread(txn, &peer, room.number, id, &row, &v);
        if (r > 0 && room.number != 0)
                r = contact_get(txn, row.inner.account, &peer);
        if (r <= 0 || peer.flags & CONTACT_BLOCKED)
                return MIN(r, 0);
        if (room.number != 0)
                room_view_message(c, txn, &row, room.number, view);
        else
                chat_view_message(c, txn, &row, &peer, view);
        fn(userdata, &view->message, v.unread);
        return 1;
}

int chat_look_unread(
        Chat *c, const char *account, const char *id, ChatUnreadFn fn, void *userdata) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        uint8_t key[KEY_SIZE];
        Uuid uuid;
        int r;

        if (!account_is_active(c->parts.account) ||
                base32_decode_key(account, strlen(account), key) < 0 || uuid_parse(id, &uuid) < 0)
                return 0;
        r = store_read_begin(c->parts.store, &txn);
        return r < 0 ? r : view_unread(c, txn, key, &uuid, fn, userdata);
}
