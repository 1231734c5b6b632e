/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is writing just now. */

#include "chat/room.h"

int chat_set_typing(Chat *c, const char *to, bool on, ChatError *error) {
        Contact k;
        int r;

        r = chat_require_login(c, error);
        if (r >= 0 && to[0] == '#')
                return room_type(c, to, on, error);
        if (r >= 0)
                r = chat_look_at_known(c, to, &k, error);
        if (r < 0)
                return r;
        if (k.flags & CONTACT_BLOCKED)
                return contact_blocked_error(to, error);
        if (k.flags & CONTACT_KEY_CHANGED && !chat_is_exact(to))
                return key_changed_error(&k, to, error);
        delivery_type(c->parts.delivery, k.account, on);
        return 0;
}

static void tell(Chat *c, const char *name, const uint8_t *account, const char *room, bool on) {
        char text[BASE32_KEY_SIZE + 1];

        base32_encode_key(account, text);
        for (size_t i = 0; i < c->n_listeners; i++)
                if (c->listeners[i].listener->typing_changed)
                        c->listeners[i].listener->typing_changed(
                                c->listeners[i].userdata, name, text, room, on);
}

void chat_on_typing(Chat *c, const uint8_t account[static KEY_SIZE], bool on) {
        char name[SHOWN_NAME_SIZE];
        DbTxn *txn = store_write(c->parts.store);
        Contact k;

        if (contact_get(txn, account, &k) > 0)
                tell(c, contact_shown_name(txn, &k, name), account, NULL, on);
}

void chat_on_room_typing(Chat *c, uint32_t room, const uint8_t account[static KEY_SIZE], bool on) {
        char name[SHOWN_NAME_SIZE], shown[ROOM_SHOWN_SIZE];
        DbTxn *txn = store_write(c->parts.store);
        Contact k;

        if (contact_get(txn, account, &k) > 0 && k.flags & CONTACT_BLOCKED)
                return;
        tell(c, room_author_name(c, txn, room, account, name), account,
                room_number_name(c, txn, room, shown), on);
}
