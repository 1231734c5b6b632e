/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LIST_PEERS, page by page: all names in the order of their keys in the store, or who is online in
 * the order of arrival. A page first gathers candidates, then asks the store for the newest record
 * of each; it may be short, or even empty, while there is more: only `after` says where it ends.
 */

#include "node/node-internal.h"

/* Names and accounts that a page passes over at most. */
#define PAGE_VISITS_MAX 1000

/* Bytes in a page, well below the cap of its frame: one entry more must fit. */
#define PAGE_SIZE_MAX (96 * 1024)
#define ENTRY_OVERHEAD 16

typedef struct Candidate {
        uint8_t account[KEY_SIZE];
        uint8_t name_key[SHA256_SIZE];
        uint64_t serial;
} Candidate;

typedef struct Entry {
        size_t at, record_size, presence_size; /* in Page.data */
} Entry;

typedef struct Page {
        ClientRequest request;
        bool online;
        size_t limit;
        Candidate candidates[LIST_PEERS_MAX];
        size_t n_candidates, next;
        unsigned visits;
        Candidate last; /* that was visited, candidate or not */
        bool more; /* there may be somebody after it */
        bool asking, running;
        Buffer data;
        Entry entries[LIST_PEERS_MAX];
        size_t n_entries;
} Page;

static void page_clear(ClientRequest *rq) {
        buffer_done(&CONTAINER_OF(rq, Page, request)->data);
}

/* Candidates. False: that is enough. */

static bool page_visit(Page *p, const Candidate *k, bool listed) {
        p->last = *k;
        p->visits++;
        if (listed)
                p->candidates[p->n_candidates++] = *k;
        p->more = p->n_candidates == p->limit || p->visits == PAGE_VISITS_MAX;
        return !p->more;
}

static bool on_page_name(void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob) {
        Page *p = userdata;
        Candidate k = {};
        Record rec;

        if (node_record_read(p->request.client->node, 0, blob, &rec) <= 0)
                return true; /* a damaged row is no reason to hide the others */
        memcpy(k.account, rec.account, KEY_SIZE);
        memcpy(k.name_key, key, SHA256_SIZE);
        return page_visit(p, &k, rec.listed);
}

static int page_gather_names(Page *p, Bytes after) {
        Node *n = p->request.client->node;

        if (after.size != 0 && after.size != SHA256_SIZE)
                return -EINVAL;
        return n->store->ops->range_scan(
                n->store, DIRECTORY_NAME, after.size > 0 ? after.data : NULL, on_page_name, p);
}

static int page_gather_online(Page *p, Bytes after) {
        Node *n = p->request.client->node;
        uint64_t serial = 0;

        if (after.size != 0 && after.size != sizeof(serial))
                return -EINVAL;
        for (size_t i = 0; i < after.size; i++)
                serial = serial << 8 | after.data[i];
        for (size_t i = node_online_find(n, serial); i < n->n_online_slots; i++) {
                const Person *a = n->online[i].person;
                Candidate k = {.serial = n->online[i].serial};

                if (a)
                        memcpy(k.account, a->key, KEY_SIZE);
                if (!page_visit(p, &k, a && person_is_shown(a, VIEWER_ANYBODY) && a->listed))
                        break;
        }
        return 0;
}

/* Entries */

static Bytes page_bytes(const Page *p, size_t at, size_t size) {
        return (Bytes){.data = buffer_data(&p->data) + at, .size = size};
}

static void page_answer(Page *p) {
        Client *c = p->request.client;
        ListPeersAnswer answer = {.n_peers = p->n_entries};
        uint8_t serial[sizeof(uint64_t)];

        for (size_t i = 0; i < p->n_entries; i++) {
                const Entry *e = &p->entries[i];

                answer.peers[i].record = page_bytes(p, e->at, e->record_size);
                answer.peers[i].presence = page_bytes(p, e->at + e->record_size, e->presence_size);
        }
        for (size_t i = 0; i < sizeof(serial); i++)
                serial[i] = (uint8_t)(p->last.serial >> (56 - 8 * i));
        if (p->more && p->online)
                answer.after = (Bytes){.data = serial, .size = sizeof(serial)};
        else if (p->more)
                answer.after = (Bytes){.data = p->last.name_key, .size = SHA256_SIZE};
        client_queued(c, list_peers_answer_encode(conn_output(c->conn), p->request.id, &answer));
        client_request_free(&p->request);
}

/* The page ends before the candidate whose turn it is. */
static void page_cut(Page *p) {
        p->last = p->candidates[p->next - 1];
        p->more = true;
        p->n_candidates = p->next;
}

static void page_add(Page *p, const Candidate *k, Bytes record, const Record *rec) {
        const Person *a = person_find(p->request.client->node, k->account);
        Bytes presence = {};
        Entry e = {.at = buffer_size(&p->data), .record_size = record.size};

        if (a && a->presence && rec->presence == VISIBLE_ALL)
                presence = person_presence(a);
        if (p->online && presence.size == 0)
                return; /* has just left */
        if (p->n_entries > 0 &&
                e.at + record.size + presence.size + (p->n_entries + 1) * ENTRY_OVERHEAD >
                        PAGE_SIZE_MAX) {
                page_cut(p);
                return;
        }
        if (buffer_append(&p->data, record.data, record.size) < 0 ||
                buffer_append(&p->data, presence.data, presence.size) < 0) {
                p->data.end = p->data.begin + e.at;
                return;
        }
        e.presence_size = presence.size;
        p->entries[p->n_entries++] = e;
}

static void page_go_on(Page *p);

static void on_page_user(void *userdata, int error, Bytes blob) {
        Page *p = userdata;
        Node *n = p->request.client->node;
        const Candidate *k = &p->candidates[p->next];
        uint8_t name_key[SHA256_SIZE];
        Record rec;

        p->asking = false;
        if (node_record_read(n, error, blob, &rec) > 0 && rec.listed &&
                rec.expires > loop_realtime(n->loop)) {
                /* An account that took another name is found under that one. */
                directory_key_name(rec.name, name_key);
                if (p->online || memcmp(name_key, k->name_key, SHA256_SIZE) == 0)
                        page_add(p, k, blob, &rec);
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
                directory_key_account(DIRECTORY_USER, p->candidates[p->next].account, key);
                n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_page_user, p);
        }
        p->running = false;
        if (!p->asking)
                page_answer(p);
}

void client_list(Client *c, Frame *f) {
        ListPeers l;
        Page *p;
        int r;

        if (list_peers_decode(f, &l) < 0) {
                client_malformed(c);
                return;
        }
        if (conn_is_full(c->conn)) {
                client_error(c, f->request, CODE_RATE_LIMITED, "read the answers first", 1);
                return;
        }
        p = client_request_new(c, f->request, sizeof(*p));
        if (!p)
                return;
        p->request.clear = page_clear;
        p->online = l.online;
        p->limit = l.limit;
        r = l.online ? page_gather_online(p, l.after) : page_gather_names(p, l.after);
        if (r == -EINVAL)
                client_request_error(
                        &p->request, CODE_INVALID_ARGS, "`after` is not from an answer", 0);
        else if (r < 0) {
                node_store_told(c->node, NODE_STORE_READ, r);
                client_request_error(
                        &p->request, CODE_STORAGE, "the tracker cannot read its directory", 60);
        } else
                page_go_on(p);
}
