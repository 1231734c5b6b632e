/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is writing just now. */

#include "chat/private.h"

int chat_set_typing(Chat *c, const char *to, bool on, ChatError *error) {
        Contact k;
        int r;

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

void chat_on_typing(Chat *c, const uint8_t account[static KEY_SIZE], bool on) {
        char name[SHOWN_NAME_SIZE], text[BASE32_KEY_SIZE + 1];
        DbTxn *txn = store_write(c->parts.store);
        Contact k;

        if (contact_get(txn, account, &k) <= 0)
                return;
        contact_shown_name(txn, &k, name);
        base32_encode_key(account, text);
        for (size_t i = 0; i < c->n_listeners; i++)
                if (c->listeners[i].listener->typing_changed)
                        c->listeners[i].listener->typing_changed(
                                c->listeners[i].userdata, name, text, NULL, on);
}
