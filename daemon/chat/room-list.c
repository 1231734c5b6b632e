/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms that are known here, that trackers list, and that neighbours offer. */

#include "chat/room.h"

#include <stdio.h>

#include <utlist.h>

#define LISTED_MAX 2000 /* rooms in one answer that are not known here */
#define PAGES_MAX 100 /* whatever is on them */
#define WORDS_SIZE 128
#define OWNERS_MAX 32 /* whose names are asked for */

/* One call of ListRooms. */
struct RoomsList {
        Chat *chat;
        char words[WORDS_SIZE]; /* in lower case */
        char *after;
        bool all;
        unsigned limit, pages;
        RoomShown **shown;
        size_t n, allocated, heard;
        bool directory, others; /* are still asked */
        bool named; /* the owners' names were asked for: */
        unsigned naming; /* of so many there is no answer yet */
        ChatRoomFn fn;
        ChatPeersDoneFn done;
        void *userdata;
        RoomsList *prev, *next;
};

static void list_free(RoomsList *l) {
        DL_DELETE(l->chat->room_lists, l);
        directory_forget(l->chat->parts.directory, l);
        room_ask_forget(l->chat, l);
        for (size_t i = 0; i < l->n; i++)
                free(l->shown[i]);
        free(l->shown);
        free(l->after);
        free(l);
}

void room_lists_free_all(Chat *c) {
        while (c->room_lists)
                list_free(c->room_lists);
}

void room_lists_forget(Chat *c, void *userdata) {
        RoomsList *l, *tmp;

        DL_FOREACH_SAFE (c->room_lists, l, tmp)
                if (l->userdata == userdata)
                        list_free(l);
}

static RoomShown *list_add(RoomsList *l) {
        RoomShown *s;

        if (l->n == l->allocated) {
                size_t n = MAX(2 * l->allocated, (size_t)16);
                RoomShown **shown = reallocarray(l->shown, n, sizeof(*shown));

                if (!shown)
                        return NULL;
                l->shown = shown;
                l->allocated = n;
        }
        s = malloc(sizeof(*s));
        if (s)
                l->shown[l->n++] = s;
        return s;
}

static void list_drop_last(RoomsList *l) {
        free(l->shown[--l->n]);
}

static RoomShown *list_find(const RoomsList *l, const uint8_t *id) {
        for (size_t i = 0; i < l->n; i++)
                if (memcmp(l->shown[i]->key, id, SHA256_SIZE) == 0)
                        return l->shown[i];
        return NULL;
}

/* Whether WORD, its N bytes, is in TEXT. Letters beyond ASCII are taken as they are. */
static bool has_word(const char *text, const char *word, size_t n) {
        for (; *text; text++) {
                size_t i = 0;

                while (i < n && ascii_lower(text[i]) == word[i])
                        i++;
                if (i == n)
                        return true;
        }
        return n == 0;
}

static bool list_wants(const RoomsList *l, const RoomShown *s) {
        const char *p = l->words;

        while (*p) {
                size_t n = strcspn(p, " ");

                if (!has_word(s->name, p, n) && !has_word(s->topic, p, n))
                        return false;
                p += n;
                p += strspn(p, " ");
        }
        return true;
}

/* Known here */

typedef struct Listing {
        RoomsList *list;
        DbTxn *txn;
} Listing;

/* Made, and deleted before anybody else came and anything was said: as one is that a tracker has
 * refused. */
static bool never_began(DbTxn *txn, const RoomView *v) {
        Conversation said;

        return v->status == ROOM_DELETED && v->control_epoch == 2 &&
                conversation_get(txn, v->number, &said) > 0 && said.last_time == 0;
}

static bool on_known(void *userdata, const RoomView *v) {
        Listing *k = userdata;
        RoomShown *s;

        if (room_was_never_in(v->status, v->control_epoch) || never_began(k->txn, v))
                return true; /* what others tell of it says more */
        s = list_add(k->list);
        if (!s)
                return false;
        room_show(k->list->chat, k->txn, v, s);
        if (!list_wants(k->list, s))
                list_drop_last(k->list);
        return true;
}

static int list_known(RoomsList *l) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        int r;

        r = store_read_begin(l->chat->parts.store, &txn);
        return r < 0 ? r
                     : rooms_each(l->chat->parts.rooms, txn, on_known,
                               &(Listing){.list = l, .txn = txn});
}

/* Heard of */

static void list_hear(RoomsList *l, const RoomHeard *h) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomShown *s = list_find(l, h->id);

        if (s) {
                s->over = false;
                /* Of a room one is not in, others know more. */
                if (!s->room.joined)
                        room_show_more(l->chat, h, s);
                return;
        }
        if (l->heard >= LISTED_MAX || store_read_begin(l->chat->parts.store, &txn) < 0)
                return;
        s = list_add(l);
        if (!s)
                return;
        l->heard++;
        room_show_heard(l->chat, txn, h, s);
        if (!list_wants(l, s))
                list_drop_last(l);
}

static int by_name(const void *a, const void *b) {
        const RoomShown *const *x = a, *const *y = b;
        int c = strcmp((*x)->name, (*y)->name);

        return c != 0 ? c : memcmp((*x)->key, (*y)->key, SHA256_SIZE);
}

/* Two that would be called the same, and are not known here: each by its id. */
static void list_tell_apart(RoomsList *l) {
        for (size_t i = 0; i < l->n; i++) {
                RoomShown *s = l->shown[i];

                if (s->room.status || strchr(s->name, '~'))
                        continue;
                for (size_t k = i > 0 ? i - 1 : 0; k < l->n && k <= i + 1; k++) {
                        size_t n = strcspn(l->shown[k]->name, "~");

                        if (k != i && n == strlen(s->name) &&
                                memcmp(l->shown[k]->name, s->name, n) == 0) {
                                snprintf(s->name + n, sizeof(s->name) - n, "~%.*s",
                                        ROOM_SUFFIX_LENGTH, s->id);
                                break;
                        }
                }
        }
}

/* AFTER is the name or the id that the page before ended on. */
static size_t list_start(const RoomsList *l) {
        if (!l->after)
                return 0;
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->shown[i]->name, l->after) || streq(l->shown[i]->id, l->after))
                        return i + 1;
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->shown[i]->name, l->after) > 0)
                        return i;
        return l->n;
}

static void list_answer(RoomsList *l) {
        ChatPeersDoneFn done = l->done;
        void *userdata = l->userdata;
        unsigned shown = 0;
        bool more = false;

        if (l->n > 0)
                qsort(l->shown, l->n, sizeof(*l->shown), by_name);
        list_tell_apart(l);
        for (size_t i = list_start(l); i < l->n; i++) {
                if (l->shown[i]->over && !l->all)
                        continue;
                if (shown++ >= l->limit || !l->fn(userdata, &l->shown[i]->room)) {
                        more = true;
                        break;
                }
        }
        list_free(l);
        done(userdata, NULL, more);
}

/* Of owners who are not known here trackers may know the name. */

static void list_answer_if_complete(RoomsList *l);

static void take_owner(RoomsList *l, const Record *record) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;

        if (store_read_begin(l->chat->parts.store, &txn) < 0)
                return;
        for (size_t i = 0; i < l->n; i++)
                if (key_equal(l->shown[i]->owner_key, record->account))
                        room_show_owner(l->chat, txn, l->shown[i], record->name);
}

static void on_owner(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        RoomsList *l = userdata;

        if (record)
                take_owner(l, record);
        l->naming--;
        list_answer_if_complete(l);
}

static bool is_first_of_owner(const RoomsList *l, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (key_equal(l->shown[i]->owner_key, l->shown[n]->owner_key))
                        return false;
        return true;
}

static void name_owners(RoomsList *l) {
        l->named = true;
        for (size_t i = 0; i < l->n && l->naming < OWNERS_MAX; i++)
                if (l->shown[i]->owner[0] == '@' && is_first_of_owner(l, i) &&
                        directory_lookup(l->chat->parts.directory, NULL, l->shown[i]->owner_key,
                                on_owner, l) >= 0)
                        l->naming++;
}

static void list_answer_if_complete(RoomsList *l) {
        if (l->directory || l->others)
                return;
        if (!l->named)
                name_owners(l);
        if (l->naming == 0)
                list_answer(l);
}

static void on_record(void *userdata, const RoomRecord *record, Bytes outer, uint64_t online) {
        char topic[ROOM_TOPIC_MAX + 1];
        RoomsList *l = userdata;

        if (record->deleted)
                return;
        copy_bytes(topic, record->topic.data, record->topic.size);
        topic[record->topic.size] = 0;
        list_hear(l,
                &(RoomHeard){.id = record->room,
                        .owner = record->owner,
                        .name = record->name,
                        .topic = topic,
                        .access = record->access,
                        .members = (unsigned)MIN(record->members, (uint64_t)UINT32_MAX),
                        .online = (unsigned)MIN(online, (uint64_t)UINT32_MAX)});
}

static void on_page(void *userdata, Code code, Bytes after);

static bool ask_directory(RoomsList *l, Bytes after) {
        return directory_room_list(l->chat->parts.directory, text_bytes(l->words), after, 0,
                       on_record, on_page, l) >= 0;
}

/* What trackers do not say is left out: what is known here is an answer as well. */
static void on_page(void *userdata, Code code, Bytes after) {
        RoomsList *l = userdata;

        l->directory = code == CODE_OK && after.size > 0 && l->heard < LISTED_MAX &&
                ++l->pages < PAGES_MAX && ask_directory(l, after);
        list_answer_if_complete(l);
}

static void on_offer(void *userdata, const RoomsOffer *o) {
        RoomsList *l = userdata;

        if (!o) {
                l->others = false;
                list_answer_if_complete(l);
                return;
        }
        list_hear(l,
                &(RoomHeard){.id = o->id,
                        .owner = o->owner,
                        .name = o->name,
                        .topic = o->topic,
                        .access = o->access,
                        .members = o->members,
                        .online = o->online});
}

/* Rooms are called with a '#', which is not in their names. */
static void take_words(RoomsList *l, const char *words) {
        size_t n = 0;

        for (const char *p = words; *p; p++) {
                char c = (char)((unsigned char)*p > ' ' ? ascii_lower(*p) : ' ');

                bool begins = n == 0 || l->words[n - 1] == ' ';

                if (!begins || (c != ' ' && c != '#'))
                        l->words[n++] = c;
        }
}

/* NULL with ERROR filled in. */
static RoomsList *list_new(Chat *c, const ChatListRooms *args, ChatRoomFn fn, ChatPeersDoneFn done,
        void *userdata, ChatError *error) {
        RoomsList *l;

        if (chat_require_account(c, error) < 0)
                return NULL;
        if (args->words && strlen(args->words) >= WORDS_SIZE) {
                chat_error(error, CODE_TOO_LONG, "At most %d bytes of words can be looked for.",
                        WORDS_SIZE - 1);
                return NULL;
        }
        l = calloc(1, sizeof(*l));
        if (!l) {
                chat_error(error, CODE_STORAGE, "Out of memory.");
                return NULL;
        }
        *l = (RoomsList){.chat = c,
                .all = args->all,
                .limit = args->limit,
                .fn = fn,
                .done = done,
                .userdata = userdata,
                .after = args->after ? strdup(args->after) : NULL};
        if (args->words)
                take_words(l, args->words);
        DL_APPEND(c->room_lists, l);
        return l;
}

void chat_list_rooms(
        Chat *c, const ChatListRooms *args, ChatRoomFn fn, ChatPeersDoneFn done, void *userdata) {
        ChatError e;
        RoomsList *l = list_new(c, args, fn, done, userdata, &e);
        int r;

        if (!l) {
                done(userdata, &e, false);
                return;
        }
        r = list_known(l);
        if (r < 0) {
                list_free(l);
                chat_storage_error(&e, r);
                done(userdata, &e, false);
                return;
        }
        if (args->known || !account_is_active(c->parts.account)) {
                list_answer(l);
                return;
        }
        l->directory = l->others = true;
        if (!ask_directory(l, (Bytes){}))
                l->directory = false;
        if (room_ask(c, l->words, on_offer, l) < 0) {
                l->others = false;
                list_answer_if_complete(l);
        }
}
