/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which room is meant, and how rooms and who is in them are called. */

#include "chat/room.h"

#include <stdio.h>
#include <strings.h>

int room_text_parse(const char *text, RoomText *ret, ChatError *error) {
        const char *tilde = strchr(text, '~');
        size_t n = tilde ? (size_t)(tilde - text) : strlen(text);

        *ret = (RoomText){};
        if (text[0] == '#' && (!tilde || strlen(tilde + 1) == ROOM_SUFFIX_LENGTH) &&
                ((tilde && n == 1) || name_fold(text + 1, n - 1, ret->name) >= 0)) {
                if (tilde)
                        snprintf(ret->suffix, sizeof(ret->suffix), "%s", tilde + 1);
                return 0;
        }
        return chat_error(error, CODE_BAD_NAME,
                "A room is called # and 1 to 32 of a-z 0-9 . _ - beginning with a letter or "
                "digit.");
}

bool room_text_fits(const RoomText *t, const uint8_t id[static SHA256_SIZE]) {
        char text[BASE32_KEY_SIZE + 1];

        return strncasecmp(base32_encode_key(id, text), t->suffix, strlen(t->suffix)) == 0;
}

typedef struct Search {
        const RoomText *text;
        RoomRow *row;
        unsigned n;
} Search;

static bool take_fitting(void *userdata, DbTxn *txn, const RoomRow *row) {
        Search *s = userdata;

        if ((row->name[0] == '\0' || streq(row->name, s->text->name)) &&
                room_text_fits(s->text, row->id) && s->n++ == 0)
                *s->row = *row;
        return s->n < 2;
}

int room_resolve(DbTxn *txn, const RoomText *t, RoomRow *ret, ChatError *error) {
        Search s = {.text = t, .row = ret};
        int r;

        if (t->suffix[0])
                r = room_each(txn, take_fitting, &s);
        else
                r = room_find_name(txn, t->name, ret);
        if (r < 0) {
                chat_storage_error(error, r);
                return -ECANCELED;
        }
        return t->suffix[0] ? s.n == 1 : r;
}

const char *room_shown_name(DbTxn *txn, const uint8_t id[static SHA256_SIZE], const char *name,
        char buf[static ROOM_SHOWN_SIZE]) {
        char text[BASE32_KEY_SIZE + 1];
        RoomRow plain;

        /* Without a name: another room has it here. */
        if (!name[0] ||
                (room_find_name(txn, name, &plain) > 0 && memcmp(plain.id, id, SHA256_SIZE) != 0))
                snprintf(buf, ROOM_SHOWN_SIZE, "#%s~%.*s", name, ROOM_SUFFIX_LENGTH,
                        base32_encode_key(id, text));
        else
                snprintf(buf, ROOM_SHOWN_SIZE, "#%s", name);
        return buf;
}

const char *room_row_name(
        Chat *c, DbTxn *txn, const RoomRow *row, char buf[static ROOM_SHOWN_SIZE]) {
        const char *name = row->name[0] ? row->name : rooms_log_name(c->parts.rooms, row->number);

        return room_shown_name(txn, row->id, name, buf);
}

const char *room_number_name(
        Chat *c, DbTxn *txn, uint32_t number, char buf[static ROOM_SHOWN_SIZE]) {
        RoomRow row;

        if (room_get(txn, number, &row) > 0)
                return room_row_name(c, txn, &row, buf);
        snprintf(buf, ROOM_SHOWN_SIZE, "#");
        return buf;
}

int room_unknown_error(const char *text, ChatError *error) {
        return chat_error(error, CODE_UNKNOWN_ROOM,
                "You are in no room called %.64s: chatc join joins it, and chatc rooms shows which "
                "there are.",
                text);
}

int room_find_known(Chat *c, DbTxn *txn, const char *text, RoomRow *ret, ChatError *error) {
        RoomText t;
        int r;

        r = chat_require_account(c, error);
        if (r >= 0)
                r = room_text_parse(text, &t, error);
        if (r < 0)
                return r;
        r = room_resolve(txn, &t, ret, error);
        if (r > 0 && room_was_never_in(ret->status, ret->head_epoch))
                r = 0;
        return r == 0 ? room_unknown_error(text, error) : r;
}

const char *room_member_name(Chat *c, DbTxn *txn, const uint8_t account[static KEY_SIZE],
        const char *claimed, char buf[static SHOWN_NAME_SIZE]) {
        char text[BASE32_KEY_SIZE + 1];
        Contact k;

        if (key_equal(account, sign_key_public(&chat_self(c)->account)))
                snprintf(buf, SHOWN_NAME_SIZE, "%s", chat_self(c)->name);
        else if (contact_get(txn, account, &k) > 0 &&
                (k.name[0] || k.alias[0] || !claimed || !claimed[0]))
                contact_shown_name(txn, &k, buf);
        else if (claimed && claimed[0])
                snprintf(
                        buf, SHOWN_NAME_SIZE, "%s~%.4s", claimed, base32_encode_key(account, text));
        else
                snprintf(buf, SHOWN_NAME_SIZE, "@%s", base32_encode_key(account, text));
        return buf;
}

char *room_sentence(char *text, size_t size) {
        size_t n = strlen(text);

        if (text[0] >= 'a' && text[0] <= 'z')
                text[0] = (char)(text[0] - 'a' + 'A');
        if (n > 0 && text[n - 1] != '.' && n + 1 < size)
                snprintf(text + n, size - n, ".");
        return text;
}

int room_error(int r, const RoomsError *e, ChatError *error) {
        if (r == -ECANCELED) {
                chat_error(error, e->code, "%s", e->text);
                room_sentence(error->text, sizeof(error->text));
                return r;
        }
        if (r < 0) {
                chat_storage_error(error, r);
                return -ECANCELED;
        }
        return r;
}
