/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Own messages that nobody takes as they are: another device of the account was the newer one, or
 * this store is a copy that is older than what was said from it. They are written anew, under their
 * ids, so that each is there once.
 */

#include "rooms/state.h"

/* So many are written anew after a fork. A store that was restored is found out by the first thing
 * that it hears. */
#define AGAIN_MAX 256

typedef struct Message {
        Uuid id, reply_to;
        bool has_reply_to;
        Buffer text;
} Message;

struct Again {
        Message list[AGAIN_MAX];
        size_t n;
};

bool again_is_about(const Room *room, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE]) {
        const Identity *self = room->rooms->self;

        return epoch == self->epoch && key_equal(account, sign_key_public(&self->account)) &&
                key_equal(device, sign_key_public(&self->device)) && !room->taking;
}

void again_begin_epoch(Room *room, const char *why) {
        const Rooms *r = room->rooms;

        if (r->callbacks && r->callbacks->behind)
                r->callbacks->behind(r->userdata, why);
}

Again *again_free(Again *a) {
        if (!a)
                return NULL;
        for (size_t i = 0; i < a->n; i++)
                buffer_wipe(&a->list[i].text);
        return mfree(a);
}

int again_add(Room *room, Again **a, const Inner *m) {
        Message *to;
        int e;

        if (!*a)
                *a = calloc(1, sizeof(**a));
        if (!*a)
                return -ENOMEM;
        if ((*a)->n == AGAIN_MAX || m->kind != KIND_TEXT)
                return 0;
        to = &(*a)->list[(*a)->n];
        to->id = m->id;
        to->has_reply_to = m->has_reply_to;
        to->reply_to = m->reply_to;
        e = rooms_read_text(
                room->rooms, store_write(room->rooms->store), room->row.number, m, &to->text);
        if (e > 0)
                (*a)->n++;
        else
                buffer_done(&to->text);
        return e == -EBADMSG ? 0 : MIN(e, 0);
}

typedef struct Collecting {
        Room *room;
        Again **list;
        int error;
} Collecting;

static bool collect(void *userdata, DbTxn *txn, const Entry *e) {
        Collecting *c = userdata;
        Inner m;

        c->error = inner_decode(e->inner, &m) < 0 ? store_damaged(txn)
                                                  : again_add(c->room, c->list, &m);
        return c->error >= 0;
}

int again_collect(Room *room, Again **a, uint32_t feed, uint64_t first) {
        Collecting c = {.room = room, .list = a};
        int e;

        e = store_room_entries(store_write(room->rooms->store), feed, first - 1, collect, &c);
        return e < 0 ? e : c.error;
}

int again_write(Room *room, const Again *a) {
        Rooms *r = room->rooms;
        int e = 0;

        for (size_t i = 0; a && i < a->n && e >= 0 && room_is_joined(room); i++) {
                const Message *m = &a->list[i];
                const RoomsMessage again = {.id = m->id,
                        .has_reply_to = m->has_reply_to,
                        .reply_to = m->reply_to,
                        .text = buffer_bytes(&m->text),
                        .now = loop_realtime(r->loop)};
                RoomsError error = {};

                e = store_room_free_id(r->store, &m->id);
                if (e >= 0)
                        e = rooms_send(r, room->row.number, &again, &error);
                if (e == -ECANCELED) {
                        log_warning(
                                "An own message in a room cannot be written anew, and is lost: %s",
                                error.text);
                        e = 0;
                }
        }
        return MIN(e, 0);
}
