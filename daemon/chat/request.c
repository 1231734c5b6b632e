/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Strangers who have written and wait for an answer. */

#include "chat/private.h"

typedef struct RequestItem {
        uint8_t account[KEY_SIZE];
        uint32_t conversation; /* 0: nothing of what he wrote was kept */
        usec_t last_time;
} RequestItem;

/* They are as many as CONTACTS_MAX at most: sorted in memory. */
typedef struct RequestList {
        Chat *chat;
        RequestItem *items;
        size_t n, allocated;
        bool failed;
} RequestList;

static bool on_contact(void *userdata, DbTxn *txn, const Contact *k) {
        RequestList *l = userdata;
        uint8_t hash[SHA256_SIZE];
        RequestItem *item;
        Conversation v;

        if ((k->flags & (CONTACT_REQUEST | CONTACT_PINNED | CONTACT_BLOCKED)) != CONTACT_REQUEST)
                return true;
        if (l->n == l->allocated) {
                size_t n = MAX(2 * l->allocated, (size_t)64);
                RequestItem *items = reallocarray(l->items, n, sizeof(*items));

                if (!items) {
                        l->failed = true;
                        return false;
                }
                l->items = items;
                l->allocated = n;
        }
        item = &l->items[l->n++];
        *item = (RequestItem){};
        memcpy(item->account, k->account, KEY_SIZE);
        conversation_direct(sign_key_public(&chat_self(l->chat)->account), k->account, hash);
        if (conversation_find(txn, hash, &v) > 0) {
                item->conversation = v.number;
                item->last_time = v.last_time;
        }
        return true;
}

static int newest_first(const void *a, const void *b) {
        const RequestItem *x = a, *y = b;

        if (x->last_time != y->last_time)
                return x->last_time < y->last_time ? 1 : -1;
        return memcmp(x->account, y->account, KEY_SIZE);
}

/* FOUND: AFTER, if there is one, has gone by. */
static bool show_request(DbTxn *txn, const RequestList *l, const RequestItem *item,
        MessageView *view, const char *after, bool *found, ChatRequestFn fn, void *userdata) {
        char name[SHOWN_NAME_SIZE], account[BASE32_KEY_SIZE + 1];
        ChatRequest request = {.name = name, .account = account};
        Conversation v;
        HistoryRow last;
        Contact k;

        if (contact_get(txn, item->account, &k) <= 0)
                return true;
        contact_shown_name(txn, &k, name);
        base32_encode_key(k.account, account);
        if (!*found) {
                *found = streq(name, after) || streq(account, after);
                return true;
        }
        if (item->conversation && conversation_get(txn, item->conversation, &v) > 0 &&
                history_last(txn, v.number, &last) > 0) {
                chat_view_message(l->chat, txn, &last, &k, view);
                request.text = view->message.text;
                request.received = view->message.received;
                request.messages = v.stranger_messages;
        }
        return fn(userdata, &request);
}

static bool show_page(DbTxn *txn, const RequestList *l, MessageView *view, const char *after,
        unsigned limit, ChatRequestFn fn, void *userdata) {
        bool found = !after;
        unsigned shown = 0;

        for (size_t i = 0; i < l->n; i++) {
                bool counts = found;

                if (shown >= limit ||
                        !show_request(txn, l, &l->items[i], view, after, &found, fn, userdata))
                        return true;
                shown += counts;
        }
        return false;
}

int chat_list_requests(Chat *c, const char *after, unsigned limit, ChatRequestFn fn, void *userdata,
        bool *ret_more, ChatError *error) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        _cleanup_(freep) MessageView *view = message_view_new();
        RequestList list = {.chat = c};
        int r;

        *ret_more = false;
        r = chat_require_account(c, error);
        if (r < 0)
                return r;
        r = view ? store_read_begin(c->parts.store, &txn) : -ENOMEM;
        if (r >= 0)
                r = contact_each(txn, NULL, on_contact, &list);
        if (list.failed)
                r = -ENOMEM;
        if (r >= 0 && list.n > 0)
                qsort(list.items, list.n, sizeof(*list.items), newest_first);
        if (r >= 0)
                *ret_more = show_page(txn, &list, view, after, limit, fn, userdata);
        else
                chat_storage_error(error, r);
        free(list.items);
        return r;
}
