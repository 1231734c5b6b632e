/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * ROOM_LIST, page by page, in the order of the names' keys in the store, as LIST_PEERS. A page
 * passes over ROOM_VISITS_MAX names at most: with words it may be short, or empty, while there is
 * more; only `after` says where it ends.
 */

#include "node/node-room.h"

#define ROOM_VISITS_MAX 1000

/* What it costs to hold words against so many names. */
#define WORDS_COST 10

/* Bytes in a page, well below the cap of its frame: one entry more must fit. */
#define PAGE_SIZE_MAX (96 * 1024)
#define ENTRY_OVERHEAD 32
_Static_assert(PAGE_SIZE_MAX + ROOM_RECORD_MAX + ROOM_LIST_MAX * ENTRY_OVERHEAD < FRAME_MESSAGE_MAX,
        "a page fits a frame");

typedef struct Candidate {
        uint8_t room[ROOM_ID_SIZE];
        uint8_t name_key[SHA256_SIZE];
} Candidate;

typedef struct Entry {
        size_t at, size; /* in Page.data */
        uint64_t online;
} Entry;

typedef struct Page {
        ClientRequest request;
        char words[ROOM_LIST_WORDS_MAX + 1]; /* each ends with a zero, and the last with two */
        size_t limit;
        Candidate candidates[ROOM_LIST_MAX];
        size_t n_candidates, next;
        unsigned visits;
        uint8_t last[SHA256_SIZE]; /* that was visited, candidate or not */
        bool more; /* there may be something after it */
        bool asking, running;
        Buffer data;
        Entry entries[ROOM_LIST_MAX];
        size_t n_entries;
} Page;

static void page_clear(ClientRequest *rq) {
        buffer_done(&CONTAINER_OF(rq, Page, request)->data);
}

/* Words */

static uint8_t fold(uint8_t c) {
        return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static void page_take_words(Page *p, Bytes words) {
        size_t n = 0;

        for (size_t i = 0; i < words.size; i++)
                if (words.data[i] > ' ')
                        p->words[n++] = (char)fold(words.data[i]);
                else if (n > 0 && p->words[n - 1])
                        n++;
}

static bool text_has(Bytes text, const char *word, size_t n) {
        return text.size > 0 && memmem(text.data, text.size, word, n);
}

/* Each word is in the name or in the topic. */
static bool page_wants(const Page *p, const RoomRecord *rec) {
        Bytes name = {(const uint8_t *)rec->name, strlen(rec->name)};
        uint8_t folded[ROOM_TOPIC_MAX];
        Bytes topic = {folded, MIN(rec->topic.size, sizeof(folded))};

        if (!p->words[0])
                return true;
        for (size_t i = 0; i < topic.size; i++)
                folded[i] = fold(rec->topic.data[i]);
        for (const char *w = p->words; *w; w += strlen(w) + 1)
                if (!text_has(name, w, strlen(w)) && !text_has(topic, w, strlen(w)))
                        return false;
        return true;
}

/* Candidates */

static bool room_holds(const RoomRecord *rec, uint64_t now) {
        return !rec->deleted && rec->expires > now;
}

static bool on_page_name(void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob) {
        Page *p = userdata;
        Node *n = p->request.client->node;
        RoomRecord rec;

        memcpy(p->last, key, SHA256_SIZE);
        p->visits++;
        if (node_room_read(n, 0, blob, &rec) > 0 && room_holds(&rec, loop_realtime(n->loop)) &&
                page_wants(p, &rec)) {
                Candidate *k = &p->candidates[p->n_candidates++];

                memcpy(k->room, rec.room, ROOM_ID_SIZE);
                memcpy(k->name_key, key, SHA256_SIZE);
        }
        p->more = p->n_candidates == p->limit || p->visits == ROOM_VISITS_MAX;
        return !p->more;
}

/* Entries */

static void page_answer(Page *p) {
        Client *c = p->request.client;
        RoomListAnswer answer = {.n_rooms = p->n_entries};

        for (size_t i = 0; i < p->n_entries; i++) {
                const Entry *e = &p->entries[i];

                answer.rooms[i].record = (Bytes){buffer_data(&p->data) + e->at, e->size};
                answer.rooms[i].online = e->online;
        }
        if (p->more)
                answer.after = (Bytes){.data = p->last, .size = SHA256_SIZE};
        client_queued(c, room_list_answer_encode(conn_output(c->conn), p->request.id, &answer));
        client_request_free(&p->request);
}

/* The page ends before the candidate whose turn it is. */
static void page_cut(Page *p) {
        memcpy(p->last, p->candidates[p->next - 1].name_key, SHA256_SIZE);
        p->more = true;
        p->n_candidates = p->next;
}

/* How many are in a private room is for those who know its door. */
static void page_add(Page *p, const RoomRecord *rec, Bytes blob) {
        const Room *x = node_room_find(p->request.client->node, rec->room);
        Entry e = {.at = buffer_size(&p->data), .size = blob.size};

        if (p->n_entries > 0 && e.at + blob.size > PAGE_SIZE_MAX) {
                page_cut(p);
                return;
        }
        if (buffer_append(&p->data, blob.data, blob.size) < 0)
                return;
        if (x && rec->access == ROOM_ACCESS_OPEN)
                e.online = x->n_shown;
        p->entries[p->n_entries++] = e;
}

static void page_go_on(Page *p);

static void on_page_room(void *userdata, int error, Bytes blob) {
        Page *p = userdata;
        Node *n = p->request.client->node;
        const Candidate *k = &p->candidates[p->next];
        uint8_t name_key[SHA256_SIZE];
        RoomRecord rec;

        p->asking = false;
        if (node_room_read(n, error, blob, &rec) > 0 && room_holds(&rec, loop_realtime(n->loop))) {
                directory_key_roomname(rec.name, name_key);
                if (memcmp(name_key, k->name_key, SHA256_SIZE) == 0)
                        page_add(p, &rec, blob);
        }
        p->next++;
        page_go_on(p);
}

/* One after the other, without recursion when the store answers inline. */
static void page_go_on(Page *p) {
        Node *n = p->request.client->node;
        uint8_t key[SHA256_SIZE];

        if (p->running)
                return;
        p->running = true;
        while (!p->asking && p->next < p->n_candidates) {
                p->asking = true;
                directory_key_room(p->candidates[p->next].room, key);
                n->store->ops->rec_get(n->store, DIRECTORY_ROOM, key, on_page_room, p);
        }
        p->running = false;
        if (!p->asking)
                page_answer(p);
}

static void page_start(Page *p, Bytes after) {
        Node *n = p->request.client->node;
        int r;

        r = n->store->ops->range_scan(
                n->store, DIRECTORY_ROOMNAME, after.size > 0 ? after.data : NULL, on_page_name, p);
        if (r >= 0) {
                page_go_on(p);
                return;
        }
        node_store_told(n, NODE_STORE_READ, r);
        client_request_error(
                &p->request, CODE_STORAGE, "the tracker cannot read its directory", 60);
}

void client_room_list(Client *c, Frame *f) {
        RoomList l;
        Page *p;

        if (room_list_decode(f, &l) < 0) {
                client_malformed(c);
                return;
        }
        if (l.after.size != 0 && l.after.size != SHA256_SIZE) {
                client_error(c, f->request, CODE_INVALID_ARGS, "`after` is not from an answer", 0);
                return;
        }
        if (conn_is_full(c->conn) || (l.words.size > 0 && !conn_charge(c->conn, WORDS_COST))) {
                client_error(c, f->request, CODE_RATE_LIMITED, "read the answers first", 1);
                return;
        }
        p = client_request_new(c, f->request, sizeof(*p));
        if (!p)
                return;
        p->request.clear = page_clear;
        p->limit = l.limit;
        page_take_words(p, l.words);
        page_start(p, l.after);
}
